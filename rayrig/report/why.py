"""What `rayrig why` prints: the chain from the verdict to the cause, and when the pod was not ready. Readable in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rayrig_core.timestamps import seconds
from rayrig_scenarios.why.chain import Chain, Span, Unready
from rayrig_scenarios.why.stages import Stage

#: Stages over before anybody could look are between two writes of the same actor.
_WORTH_TELLING_NS = 50_000_000
#: So many of the latest times of unreadiness are shown.
_MOST_TIMES = 6


def print_chain(console: Console, chain: Chain) -> None:
    """Head line, the chain with its particulars, the times at which the pod was not ready."""
    console.print(head_line(chain))
    console.print()
    console.print(_links_table(chain))
    # On a real cluster only the present is known, and that stands above.
    if chain.unready and not chain.clock.is_live:
        console.print()
        console.print(Text("Not ready", "bold underline"))
        console.print(_unready_table(chain))


def head_line(chain: Chain) -> Text:
    """Which pod, where, at what time, and the verdict."""
    tell = chain.clock.tell
    words, style = _state(chain)
    node = f" on {chain.node}" if chain.node else ""
    line = Text.assemble((chain.pod, "bold"), f"{node}\nat {tell(chain.at_ns)}: ", (words, style))
    if chain.since_ns is not None and chain.stage not in (Stage.ABSENT, Stage.GONE):
        line.append(f" since {tell(chain.since_ns)}, for {lasted(chain.at_ns - chain.since_ns)}")
    return line


def _state(chain: Chain) -> tuple[str, str]:
    match chain.stage:
        case Stage.READY:
            return "ready", "bold green"
        case Stage.ABSENT:
            return "not there yet", "bold yellow"
        case Stage.GONE:
            return "gone", "bold yellow"
        case Stage.DELETION:
            return "being deleted", "bold yellow"
        case Stage.ENDED:
            return "ended", "bold red"
        case Stage.DONE:
            return "done", "bold green"
        case _:
            return "not ready", "bold red"


def _links_table(chain: Chain) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    last = len(chain.links) - 1
    for index, link in enumerate(chain.links):
        at = "" if link.t_ns is None else chain.clock.tell(link.t_ns)
        style = "bold" if index in (0, last) else ""
        table.add_row(Text(at), Text.assemble((chain.word(index), "dim"), (link.text, style)))
        for detail in link.details:
            table.add_row("", Padding(Text(detail, "dim"), (0, 0, 0, 4)))
    return table


def _unready_table(chain: Chain) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("from", justify="right", no_wrap=True)
    table.add_column("to", justify="right", no_wrap=True)
    table.add_column("lasted", justify="right", no_wrap=True)
    table.add_column("stages", overflow="fold")
    tell = chain.clock.tell
    shown = chain.unready[-_MOST_TIMES:]
    if len(shown) < len(chain.unready):
        table.add_row("", "", "", f"({len(chain.unready) - len(shown)} earlier times not shown)")
    for one in shown:
        to_ns = chain.at_ns if one.to_ns is None else one.to_ns
        to = "now" if one.to_ns is None else tell(one.to_ns)
        table.add_row(tell(one.from_ns), to, lasted(to_ns - one.from_ns), _stages(one, chain.at_ns))
    return table


def _stages(one: Unready, at_ns: int) -> str:
    spans = [(span, (at_ns if span.to_ns is None else span.to_ns) - span.from_ns) for span in one.spans]
    long = [(span, took) for span, took in spans if took >= _WORTH_TELLING_NS] or spans
    if len(long) == 1:
        return span_words(long[0][0])
    return ", ".join(f"{span_words(span)} {lasted(took)}" for span, took in long)


def span_words(span: Span) -> str:
    """`readiness probe of ray-worker`, `init container wait-gcs-ready`, `waits for a node`."""
    if not span.what:
        return span.stage.value
    match span.stage:
        case Stage.INITIALIZING:
            return f"init container {span.what}"
        case Stage.STARTING:
            return f"{span.what} not started"
        case Stage.CRASHED:
            return f"{span.what} ended"
        case _:
            return f"{span.stage.value} of {span.what}"


def lasted(ns: int) -> str:
    """A duration: `0.14 s`, `62.83 s`, `1 h 3 min`."""
    value = seconds(ns)
    if value < 600:
        return f"{value:.2f} s"
    minutes = round(value / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def plain_lines(chain: Chain) -> list[str]:
    """The chain without a terminal: a line for each link, its particulars indented."""
    lines = []
    for index, link in enumerate(chain.links):
        at = "" if link.t_ns is None else f"{chain.clock.tell(link.t_ns)}: "
        lines.append(f"{at}{chain.word(index)}{link.text}")
        lines += [f"    {detail}" for detail in link.details]
    return lines


def print_overview(console: Console, chains: Sequence[Chain], others: int) -> None:
    """Pods that are not ready with their chains in short, all of it if there is one only, and how many are ready."""
    if len(chains) == 1:
        print_chain(console, chains[0])
        console.print()
        console.print(f"{others} ready or done, 1 not ready")
        return
    if chains:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("pod", overflow="fold")
        table.add_column("since", justify="right", no_wrap=True)
        table.add_column("why", overflow="fold")
        for chain in chains:
            since = "" if chain.since_ns is None else chain.clock.tell(chain.since_ns)
            table.add_row(chain.pod, since, chain.short())
        console.print(table)
        console.print()
    console.print(
        f"{others} ready or done, {len(chains)} not ready" + ("; rayrig why POD tells all of it" if chains else "")
    )
