"""The result of a run as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rayrig.report.objects import object_tables
from rayrig.report.timeline import Row, Tone, timeline
from rayrig.report.why import plain_lines
from rayrig_backends.world import Usage
from rayrig_core.timestamps import seconds
from rayrig_scenarios.accounting import total
from rayrig_scenarios.results import RunResult, StepState, Verdict
from rayrig_sim.traffic.accounting import Accounting

_GIB = 1024**3
_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.UNKNOWN: "bold yellow"}
_WORDS = {Verdict.PASS: "held", Verdict.FAIL: "broken", Verdict.UNKNOWN: "unknown"}
_STEP_MARKS = {
    StepState.DONE: ("done", "green"),
    StepState.FAILED: ("failed", "bold red"),
    StepState.RUNNING: ("broken off", "yellow"),
    StepState.SKIPPED: ("not reached", "yellow"),
}
_TONES = {Tone.STEP: "bold cyan", Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red"}
#: Narrower than this, reasons go below what they explain instead of beside it.
_WIDE = 110
_MOST_UNREADY = 20
#: So many different reasons are told with their particulars.
_MOST_CHAINS = 3


def print_result(console: Console, result: RunResult) -> None:
    """Everything a person wants to know of a run, the verdict last, where the eye is."""
    scenario = result.scenario
    console.print(Text(scenario.name, "bold"))
    console.print(Text(" ".join(scenario.description.split()), "dim"))
    _section(console, "Timeline", timeline_table(timeline(result.trace), console.width))
    for title, table in object_tables(result):
        _section(console, title, table)
    if result.unready:
        _section(console, "Pods that are not ready", _unready_table(result))
        console.print(Text("`rayrig why POD` tells all of it, with --at of any time of the run", "dim"))
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


def _table(*columns: str, right: tuple[int, ...] = (), whole: tuple[int, ...] = ()) -> Table:
    """A plain table. Columns in `right` are flush right, those in `whole` are never folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(columns):
        whole_line = index in right or index in whole
        table.add_column(name, justify="right" if index in right else "left", overflow="fold", no_wrap=whole_line)
    return table


def at(t_ns: int) -> str:
    """Virtual time as a table shows it."""
    return f"{seconds(t_ns):.2f} s"


def timeline_table(rows: list[Row], width: int) -> Table:
    """The story, fitted to `width` columns."""
    wide = width >= _WIDE
    table = _table("time", "what", *(("why",) if wide else ()), right=(0,))
    clusters = [row.subjects[0] for row in rows if row.subjects and row.subjects[0].startswith("rayclusters/")]
    names = list(dict.fromkeys(cluster.rpartition("/")[2] for cluster in clusters))
    told = [(row, *_shortened(row, names)) for row in rows]
    if wide:
        room = width - 15
        # A reason is short; what it leaves goes to the thing that happened.
        table.columns[2].width = min(max((len(why) for _, _, why in told), default=0) or 3, room * 2 // 5)
        table.columns[1].max_width = room - table.columns[2].width
    said = ""
    for row, what, why in told:
        line = Text(what, _TONES[row.tone])
        if row.subjects:
            line = Text.assemble((f"{row.subject}: ", "dim"), line)
        # The same reason as the line above needs no second telling.
        again = row.why == said
        said = row.why
        if wide:
            table.add_row(at(row.t_ns), line, Text('"' if why and again else why, "dim"))
        else:
            table.add_row(at(row.t_ns), Text.assemble(line, (f"\nbecause {why}", "dim")) if why and not again else line)
    return table


def _shortened(row: Row, clusters: list[str]) -> tuple[str, str]:
    """What and why without the name of the Ray cluster where the line says it already: `…-head-x` for `fruit-stand-a-head-x`."""
    what, why, text = row.what, row.why, row.text
    for name in clusters:
        if name not in text:
            continue
        if f"RayCluster {name}" in text:
            what = what.replace(f"{name}-", "…-")
        if why != f"RayCluster {name}":
            why = why.removeprefix(f"RayCluster {name}: ").replace(f" in {name}:", ":").replace(f"{name}-", "…-")
    return what, why


def _unready_table(result: RunResult) -> Table:
    """Each with its chain, the first ones with all particulars; alike ones are told once."""
    table = _table("pod", "why", whole=(0,))
    said: dict[str, None] = {}
    for chain in result.why_unready()[:_MOST_UNREADY]:
        why = chain.short()
        is_first, is_same = why not in said, next(reversed(said), None) == why
        said[why] = None
        if is_first and len(said) <= _MOST_CHAINS:
            why = "\n".join(plain_lines(chain))
        table.add_row(chain.pod, '"' if is_same else why)
    if len(result.unready) > _MOST_UNREADY:
        table.add_row(f"… and {len(result.unready) - _MOST_UNREADY} more", "")
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
        lost = one.failed
        table.add_row(
            name,
            str(one.sent),
            *(str(one.fates.get(fate, 0)) for fate in fates),
            str(one.in_flight),
            Text(str(lost), "bold red" if lost else "green"),
            _ms(one.quantile_ns(0.5)),
            _ms(one.quantile_ns(0.99)),
        )
    return table


def _causes_table(accountings: Iterable[Accounting]) -> Table | None:
    causes = total(accountings).causes
    if not causes:
        return None
    table = _table("fate", "count", "cause", right=(1,), whole=(0,))
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
    table = _table("step", "began", "took", "", "found", right=(1, 2), whole=(3,))
    for step in result.steps:
        began = "-" if step.started_ns is None else at(step.started_ns)
        took = "-"
        if step.started_ns is not None and step.ended_ns is not None:
            took = at(step.ended_ns - step.started_ns)
        table.add_row(step.title, began, took, Text(*_STEP_MARKS[step.state]), step.detail)
    return table


def _expectations_table(result: RunResult) -> Table:
    table = _table("expectation", "verdict", "found", whole=(1,))
    # A scenario made for a manifest has no lines of its own.
    is_written = bool(result.scenario.document.lines)
    for one in result.expectations:
        found = f"{one.detail} ({one.where})" if is_written and one.verdict is not Verdict.PASS else one.detail
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
