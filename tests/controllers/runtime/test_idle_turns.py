"""Which keys of a worker at rest are known to be idle, and what is made up for when their turns are passed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from rayrig_controllers.idle_turns import CountedHttp, IdleTurns
from rayrig_controllers.reconciler import Request, Result
from rayrig_controllers.workqueue import WorkQueue
from rayrig_core.idle import Turn

MS = 1_000_000
A, B, C = Request("ns", "z-first"), Request("ns", "m-second"), Request("ns", "a-third")


class StillRuntime:
    """A clock that the test moves. `passes_over` False: one that gives no turns, as on wall time."""

    def __init__(self, *, passes_over: bool = True) -> None:
        self.now_ms = 0
        self.cause: int | None = None
        self._turn: Turn | None = None
        self._passes_over = passes_over

    def monotonic_ns(self) -> int:
        return self.now_ms * MS

    @property
    def turn(self) -> Turn | None:
        return self._turn

    @turn.setter
    def turn(self, turn: Turn | None) -> None:
        self._turn = turn if self._passes_over else None


@dataclass
class Exchange:
    """A request that took `lengths_ms` in turn, each drawn anew, and never longer than `most_ms`."""

    name: str
    lengths_ms: tuple[int, ...]
    most_ms: int
    log: list[str]
    answers_the_same: bool = True

    @property
    def draws(self) -> tuple[Callable[[], int], ...]:
        return tuple(self._draw(length) for length in self.lengths_ms)

    def _draw(self, length_ms: int) -> Callable[[], int]:
        def draw() -> int:
            self.log.append(self.name)
            return length_ms * MS

        return draw

    @property
    def most_ns(self) -> int:
        return self.most_ms * MS

    def holds(self) -> bool:
        return self.answers_the_same


@dataclass
class Desk:
    """A worker's queue and what its turns look at."""

    runtime: StillRuntime = field(default_factory=StillRuntime)
    client: Any = field(default_factory=lambda: SimpleNamespace(cache=SimpleNamespace(version=7), calls=3))
    http: Any = field(default_factory=lambda: SimpleNamespace(requests=11))
    events: int = 5
    passed: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.runtime)  # type: ignore[arg-type]
        self.idle = IdleTurns(
            self.runtime,  # type: ignore[arg-type]
            self.queue,
            self.client,
            self.http,
            events_recorded=lambda: self.events,
            passed=self.passed.append,
        )

    def exchange(self, name: str, *lengths_ms: int, most_ms: int | None = None) -> Exchange:
        """Do one now."""
        made = Exchange(name, lengths_ms, sum(lengths_ms) if most_ms is None else most_ms, self.log)
        began_ns = self.runtime.monotonic_ns()
        self.runtime.now_ms += sum(lengths_ms)
        if self.runtime.turn is not None:
            self.runtime.turn.add(began_ns, self.runtime.monotonic_ns(), made)
        self.http.requests += 1
        return made

    def learn(
        self, request: Request, due_ms: int, requeue_ms: int, *lengths_ms: int, most_ms: int | None = None
    ) -> Exchange:
        """Reconcile a key with one exchange; it is due again at `due_ms`, whatever the time is now."""
        self.idle.begin(request)
        made = self.exchange(request.name, *lengths_ms, most_ms=most_ms)
        self.idle.end(Result(requeue_ms / 1000, is_settled=True), was_noted=False)
        self.await_at(request, due_ms)
        return made

    def await_at(self, request: Request, due_ms: int) -> None:
        """The key waits in the queue until then."""
        now_ms, self.runtime.now_ms = self.runtime.now_ms, due_ms
        self.queue.add(request)
        self.runtime.now_ms = now_ms

    def skip(self, due_ms: int, before_ms: int) -> tuple[float, float]:
        due_ns, since_ns = self.idle.skip(due_ms * MS, before_ms * MS)
        return due_ns / MS, since_ns / MS

    @property
    def waiting(self) -> list[tuple[float, str]]:
        return [(due_ns / MS, request.name) for due_ns, request in self.queue.waiting()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# What is known to be idle


def test_a_reconcile_of_which_all_is_known_can_be_passed_over(desk: Desk) -> None:
    assert not desk.idle.is_instant
    desk.learn(A, 100, 100, 10)
    assert desk.idle.holds()
    assert desk.runtime.turn is None


def test_exchanges_one_after_the_other_explain_a_reconcile(desk: Desk) -> None:
    desk.idle.begin(A)
    desk.exchange("one", 10)
    desk.exchange("two", 20)
    desk.idle.end(Result(0.1, is_settled=True), was_noted=False)
    desk.await_at(A, 100)
    assert desk.idle.holds()
    assert desk.skip(100, 1000) == (1010.0, 910.0)
    assert desk.log == ["one", "two"] * 7


def write(desk: Desk) -> None:
    desk.client.calls += 1


def record(desk: Desk) -> None:
    desk.events += 1


def see_a_change(desk: Desk) -> None:
    desk.client.cache.version += 1


def take_up_a_cause(desk: Desk) -> None:
    desk.runtime.cause = 4


def take_time(desk: Desk) -> None:
    desk.runtime.now_ms += 1


def ask_somebody_else(desk: Desk) -> None:
    desk.http.requests += 1


@pytest.mark.parametrize(
    "act", [write, record, see_a_change, take_up_a_cause, take_time, ask_somebody_else], ids=lambda act: act.__name__
)
@pytest.mark.parametrize("first", [False, True])
def test_one_that_did_something_else_as_well_is_not(desk: Desk, act: Callable[[Desk], None], first: bool) -> None:
    desk.idle.begin(A)
    if first:
        act(desk)
    desk.exchange("x", 10)
    if not first:
        act(desk)
    desk.idle.end(Result(0.1, is_settled=True), was_noted=False)
    desk.await_at(A, 100)
    assert not desk.idle.holds()


@pytest.mark.parametrize(
    ("result", "was_noted"),
    [
        (None, False),
        (Result(0.1), False),
        (Result(None, is_settled=True), False),
        (Result(0.0, is_settled=True), False),
        (Result(0.1, is_settled=True), True),
    ],
)
def test_one_that_failed_was_told_or_is_not_settled_is_not(desk: Desk, result: Result | None, was_noted: bool) -> None:
    desk.idle.begin(A)
    desk.exchange("x", 10)
    desk.idle.end(result, was_noted=was_noted)
    assert desk.runtime.turn is None
    desk.await_at(A, 100)
    assert not desk.idle.holds()


def test_where_nothing_is_ever_passed_over_nothing_is_learnt() -> None:
    desk = Desk(StillRuntime(passes_over=False))
    desk.idle.begin(A)
    desk.http.requests -= 1
    desk.exchange("x", 0)
    desk.idle.end(Result(0.1, is_settled=True), was_noted=False)
    desk.await_at(A, 100)
    assert not desk.idle.holds()
    desk.idle.end(Result(0.1, is_settled=True), was_noted=False)
    assert not desk.idle.holds()


def test_a_turn_that_somebody_took_away_teaches_nothing(desk: Desk) -> None:
    desk.idle.begin(A)
    desk.runtime.turn = None
    desk.idle.end(Result(0.1, is_settled=True), was_noted=False)
    desk.await_at(A, 100)
    assert not desk.idle.holds()


def test_it_is_known_only_while_caches_and_answers_stay_as_they_were(desk: Desk) -> None:
    exchange = desk.learn(A, 100, 100, 10)
    desk.client.cache.version += 1
    assert not desk.idle.holds()
    assert desk.skip(100, 1000) == (100.0, 100.0)
    desk.client.cache.version -= 1
    assert desk.idle.holds()
    exchange.answers_the_same = False
    assert not desk.idle.holds()
    assert desk.skip(100, 1000) == (100.0, 100.0)
    assert desk.passed == []


def test_what_was_known_is_forgotten_when_the_next_reconcile_begins(desk: Desk) -> None:
    desk.learn(A, 100, 100, 10)
    desk.idle.begin(A)
    assert not desk.idle.holds()
    desk.idle.end(None, was_noted=True)
    assert not desk.idle.holds()


def test_only_the_key_that_comes_next_matters(desk: Desk) -> None:
    assert not desk.idle.holds()
    desk.learn(A, 100, 100, 10)
    desk.await_at(B, 200)
    assert desk.idle.holds()
    desk.await_at(C, 50)
    assert not desk.idle.holds()


# Passing over the turns of one key


def test_turns_follow_each_other_by_the_times_that_are_drawn(desk: Desk) -> None:
    desk.learn(A, 100, 100, 4, 6)
    # At 100, 210, 320, ... each 10 long; one that might not end before 1000 is taken.
    assert desk.skip(100, 1000) == (1090.0, 990.0)
    assert desk.passed == [9]
    assert desk.log == [A.name] * 18
    assert desk.waiting == [(1090.0, A.name)]


@pytest.mark.parametrize(("before_ms", "passed"), [(130, 0), (131, 1)])
def test_a_turn_that_may_last_until_then_is_not_passed_over(desk: Desk, before_ms: int, passed: int) -> None:
    desk.learn(A, 100, 100, 10, most_ms=30)
    assert desk.skip(100, before_ms) == ((210.0, 110.0) if passed else (100.0, 100.0))
    assert sum(desk.passed) == passed
    assert desk.waiting == [(210.0 if passed else 100.0, A.name)]


@pytest.mark.parametrize(("most_ms", "is_passed"), [(99, True), (100, False)])
def test_one_that_may_last_as_long_as_the_pause_is_not(desk: Desk, most_ms: int, is_passed: bool) -> None:
    desk.learn(A, 100, 100, 10, most_ms=most_ms)
    assert (desk.skip(100, 1000) != (100.0, 100.0)) is is_passed
    assert bool(desk.passed) is is_passed


def test_nothing_is_passed_over_that_is_not_due_or_not_there(desk: Desk) -> None:
    assert desk.skip(100, 1000) == (100.0, 100.0)
    desk.learn(A, 100, 100, 10)
    assert desk.skip(99, 1000) == (99.0, 99.0)
    assert desk.skip(101, 1000) == (101.0, 101.0)
    assert desk.waiting == [(100.0, A.name)]
    assert (desk.passed, desk.log) == ([], [])


@pytest.mark.parametrize(
    ("foreign_ms", "expected", "next_ms"), [(400, (400.0, 330.0), 430.0), (2000, (980.0, 880.0), 980.0)]
)
def test_turns_end_before_a_key_that_is_not_known(
    desk: Desk, foreign_ms: int, expected: tuple[float, float], next_ms: float
) -> None:
    desk.learn(A, 100, 100, 10)
    desk.await_at(B, foreign_ms)
    # What comes after it is not looked at, not even how long it may take.
    desk.learn(C, foreign_ms + 1, 100, 10, most_ms=500)
    assert desk.skip(100, 900) == expected
    assert sorted(desk.waiting) == sorted([(next_ms, A.name), (foreign_ms, B.name), (foreign_ms + 1, C.name)])


# Passing over the turns of several


def test_the_turns_of_two_keys_take_each_other_into_account(desk: Desk) -> None:
    desk.learn(A, 0, 100, 10)
    desk.learn(B, 5, 100, 20)
    # A at 0; B, due while A is worked on, at 10; then A at 110, B at 130, and so on.
    assert desk.skip(0, 300) == (330.0, 270.0)
    assert desk.log == [A.name, B.name] * 3
    assert desk.passed == [6]
    assert desk.waiting == [(330.0, A.name), (370.0, B.name)]


def test_a_key_that_rests_for_long_stops_no_other(desk: Desk) -> None:
    desk.learn(A, 0, 100, 10)
    desk.learn(B, 5000, 100, 20)
    assert desk.skip(0, 1000) == (990.0, 890.0)
    assert desk.waiting == [(990.0, A.name), (5000.0, B.name)]
    assert desk.passed == [9]


@pytest.mark.parametrize(("due_ms", "expected"), [(10, (110.0, 30.0)), (11, (11.0, 10.0))])
def test_one_that_comes_due_while_another_is_worked_on_follows_at_once(
    desk: Desk, due_ms: int, expected: tuple[float, float]
) -> None:
    desk.learn(A, 0, 100, 10)
    desk.learn(B, due_ms, 100, 20)
    assert desk.skip(0, 31) == expected
    assert desk.passed == [2 if due_ms == 10 else 1]


def test_none_is_begun_when_not_all_could_end_in_time(desk: Desk) -> None:
    desk.learn(A, 0, 100, 10)
    desk.learn(B, 5, 100, 20)
    assert desk.skip(0, 30) == (0.0, 0.0)
    assert (desk.passed, desk.log) == ([], [])
    assert desk.waiting == [(0.0, A.name), (5.0, B.name)]


@pytest.mark.parametrize("pauses", [(30, 100), (100, 30)])
def test_keys_that_keep_the_worker_busy_are_not_passed_over(desk: Desk, pauses: tuple[int, int]) -> None:
    desk.learn(A, 0, pauses[0], 10)
    desk.learn(B, 5, pauses[1], 20)
    assert desk.skip(0, 1000) == (0.0, 0.0)
    assert desk.passed == []


def test_keys_that_are_due_together_keep_their_order(desk: Desk) -> None:
    desk.learn(A, 0, 100, 10)
    desk.learn(B, 0, 90, 10)
    # Both are due again at 110, and A was done first.
    assert desk.skip(0, 200) == (220.0, 130.0)
    assert desk.log == [A.name, B.name] * 2
    assert desk.waiting == [(220.0, A.name), (220.0, B.name)]


def test_the_one_done_last_comes_last_of_those_due_together(desk: Desk) -> None:
    desk.learn(A, 0, 10, 0)
    desk.learn(B, 5, 35, 0)
    assert desk.skip(0, 40) == (40.0, 30.0)
    assert desk.log == [A.name, B.name, A.name, A.name, A.name]
    assert desk.waiting == [(40.0, B.name), (40.0, A.name)]


def test_each_key_keeps_the_cause_it_waits_with(desk: Desk) -> None:
    desk.runtime.cause = 42
    desk.learn(A, 0, 100, 10)
    desk.runtime.cause = None
    desk.skip(0, 500)
    assert desk.passed == [5]
    desk.runtime.now_ms = 10_000
    assert desk.queue._take() == A
    assert desk.runtime.cause == 42


# Counting requests


def test_requests_are_counted_and_passed_on() -> None:
    asked: list[Any] = []

    class Http:
        def request(self, *what: Any, **how: Any) -> str:
            asked.append((what, how))
            return "answer"

    http = CountedHttp(Http())  # type: ignore[arg-type]
    assert http.requests == 0
    answer: Any = http.request("PUT", "http://a/b", body=b"x", headers={"k": "v"}, timeout_s=2.0)
    http.request("GET", "http://a")
    assert answer == "answer"
    assert http.requests == 2
    assert asked == [
        (("PUT", "http://a/b"), {"body": b"x", "headers": {"k": "v"}, "timeout_s": 2.0}),
        (("GET", "http://a"), {"body": b"", "headers": None, "timeout_s": 10.0}),
    ]
