"""Turns that nobody would notice are passed over; what is noticed comes at the same time and in the same order as without."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Distribution, Uniform, drawing
from rayrig_sim.kernel import Kernel


@dataclass
class Board:
    """What everybody looks at, and the log of who saw it change."""

    kernel: Kernel
    value: int = 0
    log: list[tuple[int, str, int]] = field(default_factory=list)
    taken: int = 0

    def note(self, who: str) -> None:
        self.log.append((self.kernel.monotonic_ns(), who, self.value))


class Watcher:
    """Looks at the board at equal distances and notes when it sees another value than before."""

    is_instant = True

    def __init__(self, board: Board, name: str, period_ns: int, phase_ns: int) -> None:
        self.board, self.name, self.period_ns, self.phase_ns = board, name, period_ns, phase_ns
        self.seen = 0
        self.looks = 0
        self.wake: Any = None

    def holds(self) -> bool:
        return self.board.value == self.seen

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        count = (before_ns - 1 - due_ns) // self.period_ns + 1
        self.looks += count
        return due_ns + count * self.period_ns, due_ns + (count - 1) * self.period_ns

    async def run(self) -> None:
        kernel = self.board.kernel
        await kernel.sleep_ns(self.phase_ns)
        while True:
            self.looks += 1
            self.board.taken += 1
            if self.board.value != self.seen:
                self.seen = self.board.value
                self.board.note(self.name)
            await kernel.rest(self.period_ns / NS, self, self.wake)


class WakeableWatcher(Watcher):
    """Rests with something that may wake it, which takes it one more step to go on."""

    async def run(self) -> None:
        self.wake = self.board.kernel.signal()
        await super().run()


class Worker:
    """Works for as long as it draws, rests, and works again; notes what it found when that was new."""

    is_instant = False

    def __init__(self, board: Board, name: str, length: Distribution, rng: Random, rest_ns: int) -> None:
        self.board, self.name, self.length, self.rng, self.rest_ns = board, name, length, rng, rest_ns
        self.seen = 0
        self.turns = 0

    def holds(self) -> bool:
        return self.board.value == self.seen

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        known = drawing(self.length, self.rng)
        assert known is not None
        draw, most_ns = known
        since_ns = due_ns
        while due_ns + most_ns < before_ns:
            since_ns = due_ns + draw()
            due_ns = since_ns + self.rest_ns
            self.turns += 1
        return due_ns, since_ns

    async def run(self) -> None:
        kernel = self.board.kernel
        while True:
            self.turns += 1
            self.board.taken += 1
            await kernel.sleep_ns(self.length.draw_ns(self.rng))
            if self.board.value != self.seen:
                self.seen = self.board.value
                self.board.note(self.name)
            await kernel.rest(self.rest_ns / NS, self)


@dataclass(frozen=True)
class World:
    """What is generated. Times in tenths of a second, so that many coincide."""

    watchers: list[tuple[int, int, bool]]
    workers: list[tuple[int, int, int]]
    changes: list[int]
    ends: int


tenths = st.integers(1, 100)
worlds = st.builds(
    World,
    watchers=st.lists(st.tuples(tenths, st.integers(0, 50), st.booleans()), max_size=5),
    workers=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), tenths), max_size=2),
    changes=st.lists(st.integers(0, 2000), max_size=8).map(sorted),
    ends=st.integers(1, 3000),
)


def play(world: World, *, elide_idle: bool) -> tuple[Any, int]:
    kernel = Kernel(3, elide_idle=elide_idle)
    board = Board(kernel)
    shared = kernel.streams.stream("shared")
    actors: list[Any] = []
    for number, (period, phase, wakeable) in enumerate(world.watchers):
        kind = WakeableWatcher if wakeable else Watcher
        actors.append(kind(board, f"watcher {number}", period * NS // 10, phase * NS // 10))
    for number, (low, more, rest) in enumerate(world.workers):
        length = Uniform(low / 10, (low + more) / 10)
        actors.append(Worker(board, f"worker {number}", length, shared, rest * NS // 10))

    async def change() -> None:
        for at in world.changes:
            await kernel.sleep_ns(max(0, at * NS // 10 - kernel.monotonic_ns()))
            board.value += 1
            board.note("change")

    for actor in actors:
        kernel.spawn(actor.name, actor.run())
    kernel.spawn("change", change())
    kernel.run(until_s=world.ends / 10)
    turns = [getattr(actor, "looks", 0) or getattr(actor, "turns", 0) for actor in actors]
    result = (board.log, turns, kernel.monotonic_ns(), shared.getstate())
    kernel.close()
    return result, board.taken


@settings(max_examples=300, deadline=None)
@given(worlds)
def test_what_is_noticed_comes_at_the_same_time_in_the_same_order(world: World) -> None:
    assert play(world, elide_idle=True)[0] == play(world, elide_idle=False)[0]


def test_a_year_of_turns_that_nobody_notices_is_a_few_turns() -> None:
    year = 365 * 24 * 36_000
    world = World([(50, 0, False), (50, 0, True), (30, 7, False)], [(1, 2, 20_000)], [], year)
    (log, turns, now_ns, _), taken = play(world, elide_idle=True)
    assert not log
    assert now_ns == year * NS // 10
    assert turns[:3] == [year // 50, year // 50, (year - 7) // 30 + 1]
    assert taken < 10


def test_a_turn_at_the_very_instant_of_an_event_is_taken_in_its_order() -> None:
    """The watcher's clock was set before the change's: it looks first, and sees the change a period later."""
    for elide_idle in (True, False):
        (log, _, _, _), _ = play(World([(10, 0, False)], [], [500], 600), elide_idle=elide_idle)
        assert log == [(50 * NS, "change", 1), (50 * NS, "watcher 0", 1)] or log == [
            (50 * NS, "change", 1),
            (51 * NS, "watcher 0", 1),
        ]


def _set(signal: Any, _: object) -> None:
    signal.set(None)


class Sleeper:
    """Would rest for ever."""

    is_instant = True

    def holds(self) -> bool:
        return True

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        count = (before_ns - 1 - due_ns) // NS + 1
        return due_ns + count * NS, due_ns + (count - 1) * NS


def test_a_rest_ends_when_it_is_woken() -> None:
    kernel = Kernel()
    wake = kernel.signal()
    ended: list[int] = []

    async def sleeper() -> None:
        await kernel.rest(1.0, Sleeper(), wake)
        ended.append(kernel.monotonic_ns())

    kernel.spawn("sleeper", sleeper())
    kernel.call_later(7 * NS // 2, lambda _: wake.set(None))
    kernel.run()
    assert ended == [7 * NS // 2]


def test_a_rest_that_was_to_be_woken_before_it_began_is_none() -> None:
    kernel = Kernel()
    wake = kernel.signal()
    ended: list[int] = []

    async def sleeper() -> None:
        wake.set(None)
        await kernel.sleep(0.5)
        await kernel.rest(1.0, Sleeper(), wake)
        ended.append(kernel.monotonic_ns())

    kernel.spawn("sleeper", sleeper())
    kernel.run()
    assert ended == [NS // 2]


@pytest.mark.parametrize("is_woken", [True, False])
def test_an_actor_at_rest_can_be_cancelled(is_woken: bool) -> None:
    kernel = Kernel()

    async def sleeper() -> None:
        await kernel.rest(1.0, Sleeper(), kernel.signal() if is_woken else None)

    actor = kernel.spawn("sleeper", sleeper())
    kernel.call_later(10 * NS, lambda _: actor.cancel())
    kernel.run()
    assert actor.is_done
    assert kernel.monotonic_ns() == 10 * NS


def test_closing_a_kernel_ends_who_rests() -> None:
    kernel = Kernel()
    ended: list[str] = []

    async def sleeper() -> None:
        try:
            await kernel.rest(1.0, Sleeper())
        finally:
            ended.append("sleeper")

    kernel.spawn("sleeper", sleeper())
    kernel.run(until_s=0.5)
    kernel.close()
    assert ended == ["sleeper"]


def test_a_wait_that_was_answered_leaves_the_end_of_time_where_it_was() -> None:
    """A run to the end of all events ends at the last of them, a time limit that nobody needed any more included."""
    times = []
    for elide_idle in (True, False):
        kernel = Kernel(elide_idle=elide_idle)
        signal = kernel.signal()

        async def waiter(kernel: Kernel = kernel, signal: Any = signal) -> None:
            await kernel.wait(signal, 30.0)

        async def sleeper(kernel: Kernel = kernel) -> None:
            wake = kernel.signal()
            kernel.call_later(5 * NS, lambda _: wake.set(None))
            await kernel.rest(1.0, Sleeper(), wake)

        kernel.spawn("waiter", waiter())
        kernel.spawn("sleeper", sleeper())
        kernel.call_later(2 * NS, partial(_set, signal))
        kernel.run()
        times.append(kernel.monotonic_ns())
    assert times == [30 * NS, 30 * NS]
