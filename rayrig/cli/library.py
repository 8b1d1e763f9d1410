"""`rayrig list`."""

from __future__ import annotations


def list_command(*, as_json: bool) -> None:
    from rayrig_scenarios.language.load import bundled_scenarios, load

    scenarios = [load(name) for name in bundled_scenarios()]
    if as_json:
        import json

        print(json.dumps([{"name": s.name, "description": s.description.strip()} for s in scenarios], indent=2))
        return
    from rich.table import Table

    from rayrig.report.console import console

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for scenario in scenarios:
        table.add_row(scenario.name, scenario.description.strip())
    console().print(table)
