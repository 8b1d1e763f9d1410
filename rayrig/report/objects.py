"""The final objects as `kubectl get` shows them, with the printer columns of their kinds."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from rayrig_scenarios.results import RunResult

#: Kinds worth a table at the end of a run, with the command that would show them.
SHOWN = (
    "rayservices",
    "rayclusters",
    "deployments",
    "statefulsets",
    "daemonsets",
    "jobs",
    "pods",
    "services",
    "poddisruptionbudgets",
)


def object_tables(result: RunResult) -> Iterator[tuple[str, Table]]:
    """(title, table) for each kind that has objects."""
    for plural in SHOWN:
        shown = result.tables.get(plural)
        if shown is None or not shown.rows:
            continue
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name in shown.columns:
            # On a narrow terminal headers of two words and lists of ports give way.
            table.add_column(name.upper(), no_wrap=" " not in name and "(" not in name, overflow="fold")
        for row in shown.rows:
            table.add_row(*row)
        yield f"kubectl get {plural}", table
