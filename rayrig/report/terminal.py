"""The result of a run as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rayrig.report.objects import object_tables
from rayrig.report.timeline import timeline
from rayrig_backends.world import Accounting, Usage
from rayrig_core.timestamps import seconds
from rayrig_scenarios.accounting import failed, quantile_ns, total
from rayrig_scenarios.results import RunResult, StepState, Verdict

_GIB = 1024**3
_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.UNKNOWN: "yellow"}
_WORDS = {Verdict.PASS: "held", Verdict.FAIL: "broken", Verdict.UNKNOWN: "unknown"}
_STEP_MARKS = {
    StepState.DONE: Text("done", "green"),
    StepState.FAILED: Text("failed", "bold red"),
    StepState.RUNNING: Text("broken off", "yellow"),
    StepState.SKIPPED: Text("not reached", "yellow"),
}


def print_result(console: Console, result: RunResult) -> None:
    """Everything a person wants to know of a run, the verdict last, where the eye is."""
    scenario = result.scenario
    console.print(Text(scenario.name, "bold"))
    console.print(Text(" ".join(scenario.description.split()), "dim"))
    _section(console, "Timeline", _timeline_table(result))
    for title, table in object_tables(result):
        _section(console, title, table)
    if result.unready:
        _section(console, "Pods that are not ready", _unready_table(result))
    if any(accounting.sent for accounting in result.requests.values()):
        _section(console, "Requests", _requests_table(result))
        causes = _causes_table(result.requests.values())
        if causes is not None:
            _section(console, "Why requests failed", causes)
    _section(console, "Capacity in use", _capacity_table(result.usage))
    _section(console, "Steps", _steps_table(result))
    if result.expectations:
        _section(console, "Expectations", _expectations_table(result))
    console.print()
    console.print(_verdict_line(result))
    console.print(Text(f"digest {result.digest}   replay: {result.replay}", "dim"), soft_wrap=True)


def _section(console: Console, title: str, table: Table) -> None:
    console.print()
    console.print(Text(title, "bold underline"))
    console.print(table)


def _table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index in right else "left", overflow="fold")
    return table


def _timeline_table(result: RunResult) -> Table:
    table = _table("time", "what", "why", right=(0,))
    table.columns[0].no_wrap = True
    for row in timeline(result.trace):
        at = f"{seconds(row.t_ns):.2f} s"
        if row.what.startswith("step: "):
            table.add_row(at, Text(row.what, "bold cyan"), "")
        else:
            style = "red" if row.what.startswith(("first request lost", "fault")) else ""
            table.add_row(at, Text.assemble((row.subject, "dim"), " ", (row.what, style)), Text(row.why, "dim"))
    return table


def _unready_table(result: RunResult) -> Table:
    table = _table("pod", "why")
    for pod in result.unready:
        table.add_row(pod.name, pod.reason)
    return table


def _ms(value_ns: int | None) -> str:
    return "-" if value_ns is None else f"{value_ns / 1_000_000:.1f} ms"


def _requests_table(result: RunResult) -> Table:
    together = total(result.requests.values())
    fates = list(together.fates)
    table = _table(
        "traffic", "sent", *fates, "in flight", "failed", "p50", "p99", right=tuple(range(1, len(fates) + 6))
    )
    rows = list(result.requests.items())
    if len(rows) > 1:
        rows.append(("all", together))
    for name, one in rows:
        lost = failed(one)
        table.add_row(
            name,
            str(one.sent),
            *(str(one.fates.get(fate, 0)) for fate in fates),
            str(one.in_flight),
            Text(str(lost), "bold red" if lost else "green"),
            _ms(quantile_ns(one.latencies_ns, 0.5)),
            _ms(quantile_ns(one.latencies_ns, 0.99)),
        )
    return table


def _causes_table(accountings: Iterable[Accounting]) -> Table | None:
    causes = total(accountings).causes
    if not causes:
        return None
    table = _table("fate", "count", "cause", right=(1,))
    for (fate, cause), count in sorted(causes.items(), key=lambda item: -item[1]):
        table.add_row(fate, str(count), cause)
    return table


def _capacity_table(usage: Usage) -> Table:
    table = _table("", "nodes", "pods", "CPUs", "memory", "GPUs", right=(1, 2, 3, 4, 5))
    settled = usage.points[-1] if usage.points else None
    table.add_row(
        "peak",
        str(usage.peak("nodes")),
        str(usage.peak("pods")),
        f"{usage.peak('cpu_millis') / 1000:g}",
        f"{usage.peak('memory_bytes') / _GIB:.1f} GiB",
        str(usage.peak("gpus")),
    )
    if settled is not None:
        table.add_row(
            "at the end",
            str(settled.nodes),
            str(settled.pods),
            f"{settled.cpu_millis / 1000:g}",
            f"{settled.memory_bytes / _GIB:.1f} GiB",
            str(settled.gpus),
        )
    table.add_row(
        "there is",
        str(usage.capacity_nodes),
        "",
        f"{usage.capacity_cpu_millis / 1000:g}",
        f"{usage.capacity_memory_bytes / _GIB:.1f} GiB",
        str(usage.capacity_gpus),
    )
    return table


def _steps_table(result: RunResult) -> Table:
    table = _table("step", "began", "took", "", "found", right=(1, 2))
    for step in result.steps:
        began = "-" if step.started_ns is None else f"{seconds(step.started_ns):.2f} s"
        took = "-"
        if step.started_ns is not None and step.ended_ns is not None:
            took = f"{seconds(step.ended_ns - step.started_ns):.2f} s"
        table.add_row(step.title, began, took, _STEP_MARKS[step.state], step.detail)
    return table


def _expectations_table(result: RunResult) -> Table:
    table = _table("expectation", "verdict", "found")
    for one in result.expectations:
        found = one.detail if one.verdict is Verdict.PASS or not one.where else f"{one.detail} ({one.where})"
        table.add_row(one.title, Text(_WORDS[one.verdict], _STYLES[one.verdict]), found)
    return table


def _verdict_line(result: RunResult) -> Text:
    speed = seconds(result.simulated_ns) / result.wall_s if result.wall_s else 0.0
    line = Text.assemble(
        (_WORDS[result.verdict].upper(), _STYLES[result.verdict]),
        f"  {seconds(result.simulated_ns):.1f} s simulated in {result.wall_s:.2f} s ({speed:,.0f} times real time)",
    )
    if result.cut_short:
        line.append(f"; cut short: {result.cut_short}", "yellow")
    return line
