"""The run as it goes on: virtual time, the step it is at, the steps it has done. Nothing of it is left when the report comes."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rayrig_core.timestamps import seconds
from rayrig_scenarios.results import StepRecord, StepState

#: A run of milliseconds needs no thirty frames a second; drawing would take longer than simulating.
_FRAMES_PER_S = 10
#: Steps that are done stay in sight, the last of them; the screen may be low.
_STEPS_SHOWN = 12


class LiveProgress:
    """A `ProgressListener` that draws on a terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._t_ns = 0
        self._began_ns = 0
        self._step = "starting"
        self._place = ""
        self._done: list[Text] = []
        self._drawn = 0.0
        self._spinner = Spinner("dots")
        self._live = Live(self._render(), console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def step_started(self, index: int, count: int, title: str, t_ns: int) -> None:
        self._t_ns = self._began_ns = t_ns
        self._step, self._place = title, f"{index + 1}/{count}"
        self._draw()

    def step_ended(self, record: StepRecord) -> None:
        mark = ("done", "green") if record.state is StepState.DONE else ("failed", "bold red")
        took = seconds((record.ended_ns or 0) - (record.started_ns or 0))
        began = f"{seconds(record.started_ns or 0):9.2f} s  "
        self._done.append(Text.assemble(began, mark, "  ", record.title, (f"  {took:.2f} s", "dim")))
        self._draw()

    def tick(self, t_ns: int) -> None:
        self._t_ns = t_ns
        self._draw()

    def _draw(self) -> None:
        # Wall time paces the drawing only; the run never sees it.
        now = time.monotonic()
        if now - self._drawn >= 1 / _FRAMES_PER_S:
            self._drawn = now
            self._live.update(self._render(), refresh=True)

    def _render(self) -> RenderableType:
        picture = Table.grid()
        for line in self._done[-_STEPS_SHOWN:]:
            line.truncate(self._width, overflow="ellipsis")
            picture.add_row(line)
        now = Table.grid(padding=(0, 1))
        since = seconds(self._t_ns - self._began_ns)
        now.add_row(
            self._spinner,
            Text(self._title, "bold"),
            Text(f"{seconds(self._t_ns):.0f} virtual s", "cyan"),
            Text(f"{self._place} {self._step}", no_wrap=True, overflow="ellipsis"),
            Text(f"since {since:.0f} s" if since else "", "dim"),
        )
        picture.add_row(now)
        return picture

    @property
    def _width(self) -> int:
        return max(self._live.console.width, 20)
