"""`rayrig list`."""

from __future__ import annotations


def list_command(*, as_json: bool) -> None:
    from rayrig_scenarios.language.load import GROUPS, bundled_scenarios, load

    groups = {group: [load(name) for name in bundled_scenarios(group)] for group in ("", *GROUPS)}
    if as_json:
        import json

        found = [scenario for scenarios in groups.values() for scenario in scenarios]
        print(json.dumps([{"name": s.name, "description": s.description.strip()} for s in found], indent=2))
        return
    from rich.table import Table

    from rayrig.report.console import console

    out = console()
    for group, scenarios in groups.items():
        if group:
            out.print(f"\n{group}/: {GROUPS[group]}", style="bold")
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for scenario in scenarios:
            table.add_row(scenario.name, scenario.description.strip())
        out.print(table)
