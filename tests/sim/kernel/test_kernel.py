from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_core.ports import Cancelled
from rayrig_core.trace import Kind
from rayrig_sim.kernel import ActorFailed, Kernel
from rayrig_sim.randomness import Streams

Log = list[tuple[int, str]]


def test_actors_sleep_in_virtual_time_and_wake_in_order_of_time_then_of_scheduling() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()

    async def actor(name: str, pause_s: float) -> None:
        for _ in range(2):
            await kernel.sleep(pause_s)
            log.append((kernel.monotonic_ns(), name))

    kernel.spawn("slow", actor("slow", 2.0))
    kernel.spawn("fast", actor("fast", 1.0))
    kernel.run()
    second = 1_000_000_000
    assert log == [(second, "fast"), (2 * second, "slow"), (2 * second, "fast"), (4 * second, "slow")]


def test_awaiting_an_actor_gives_its_result_also_when_it_has_ended_before() -> None:
    kernel = Kernel()

    async def child() -> str:
        await kernel.sleep(1)
        return "done"

    async def parent() -> list[str | None]:
        task = kernel.spawn("child", child())
        first = await task
        return [first, await task]

    main = kernel.spawn("parent", parent())
    kernel.run(main)
    assert main.value == ["done", "done"]


def test_a_cancelled_actor_stops_at_its_await_and_runs_its_cleanup() -> None:
    kernel, log = Kernel(), list[str]()

    async def sleeper() -> None:
        try:
            await kernel.sleep(100)
            log.append("woke")
        finally:
            log.append("cleaned up")

    async def killer() -> None:
        task = kernel.spawn("sleeper", sleeper())
        await kernel.sleep(1)
        task.cancel()
        task.cancel()
        assert await task is None
        log.append(f"gone at {kernel.monotonic_ns()}")

    kernel.run(kernel.spawn("killer", killer()))
    assert log == ["cleaned up", "gone at 1000000000"]


def test_an_actor_that_cancels_itself_ends_there() -> None:
    kernel, log = Kernel(), list[str]()

    async def suicidal() -> None:
        current = kernel.current
        assert current is not None
        try:
            current.cancel()
        except Cancelled:
            log.append("cancelled")
            raise
        log.append("survived")

    kernel.run(kernel.spawn("suicidal", suicidal()))
    assert log == ["cancelled"]


def test_an_exception_nobody_awaits_ends_the_run_and_names_actor_and_time() -> None:
    kernel = Kernel()

    async def broken() -> None:
        await kernel.sleep(1.5)
        raise KeyError("pods")

    kernel.spawn("kubelet/n1", broken())
    with pytest.raises(ActorFailed, match=r"kubelet/n1 failed at 1\.500000 s: KeyError") as failed:
        kernel.run()
    assert isinstance(failed.value.__cause__, KeyError)


def test_wait_tells_whether_the_signal_came_in_time() -> None:
    kernel, log = Kernel(), list[tuple[int, bool]]()

    async def waiter() -> None:
        early, never = kernel.signal(), kernel.signal()
        kernel.call_later(500_000_000, lambda _: early.set("x"))
        for signal in (early, never, early):
            log.append((kernel.monotonic_ns(), await kernel.wait(signal, 2.0)))

    kernel.run(kernel.spawn("waiter", waiter()))
    assert log == [(0, True), (500_000_000, False), (2_500_000_000, True)]


def test_a_signal_happens_once_and_keeps_its_first_value() -> None:
    kernel = Kernel()

    async def main() -> object:
        signal = kernel.signal()
        assert not signal.is_set
        signal.set(1)
        signal.set(2)
        return await signal

    task = kernel.spawn("main", main())
    kernel.run(task)
    assert task.value == 1


def test_an_actor_inherits_the_cause_of_whoever_starts_it_and_keeps_its_own() -> None:
    kernel = Kernel()

    async def child() -> None:
        kernel.trace.emit(Kind.NOTE, "child", "inherited")
        await kernel.sleep(1)
        kernel.cause = None
        kernel.trace.emit(Kind.NOTE, "child", "own")

    async def parent() -> None:
        kernel.cause = kernel.trace.emit(Kind.NOTE, "parent", "root")
        await kernel.spawn("child", child())
        kernel.trace.emit(Kind.NOTE, "parent", "after")

    kernel.run(kernel.spawn("parent", parent()))
    assert [(e.actor, e["detail"], e.cause) for e in kernel.trace] == [
        ("parent", "root", None),
        ("child", "inherited", 0),
        ("child", "own", None),
        ("parent", "after", 0),
    ]


def test_a_callback_acts_under_its_name_and_the_cause_of_whoever_asked_for_it() -> None:
    kernel = Kernel()
    signal = kernel.signal()

    async def parent() -> None:
        kernel.cause = kernel.trace.emit(Kind.NOTE, "parent", "root")
        kernel.when(signal, "heard", lambda value: kernel.trace.emit(Kind.NOTE, "heard", value))
        kernel.when(kernel.sleep(2), "late", lambda _: kernel.trace.emit(Kind.NOTE, "late", "two seconds"))
        kernel.cause = None
        await kernel.sleep(1)
        signal.set("now")
        await signal
        kernel.when(signal, "after", lambda value: kernel.trace.emit(Kind.NOTE, "after", f"{value} too"))

    kernel.spawn("parent", parent())
    kernel.run()
    second = 1_000_000_000
    assert [(e.t_ns, e.actor, e["detail"], e.cause) for e in kernel.trace] == [
        (0, "parent", "root", None),
        (second, "heard", "now", 0),
        (second, "after", "now too", None),
        (2 * second, "late", "two seconds", 0),
    ]


def test_an_exception_in_a_callback_ends_the_run_under_its_name() -> None:
    kernel = Kernel()
    kernel.when(kernel.sleep(1), "broken", lambda _: [][0])
    with pytest.raises(ActorFailed, match=r"actor broken failed at 1\.0"):
        kernel.run()


@given(st.integers(0, 2**32), st.text(max_size=20), st.text(max_size=20))
def test_a_stream_depends_on_seed_and_name_only(seed: int, name: str, other: str) -> None:
    alone = Streams(seed).stream(name).random()
    beside = Streams(seed)
    beside.stream(other + "x").random()
    assert beside.stream(name).random() == alone


def test_streams_of_different_names_differ() -> None:
    streams = Streams(7)
    assert streams.stream("a").random() != streams.stream("b").random()


def test_timers_that_nobody_waits_for_any_more_do_not_pile_up() -> None:
    kernel = Kernel()

    async def asker() -> None:
        for _ in range(5_000):
            answered = kernel.signal()
            kernel.call_later(1_000, lambda _, answered=answered: answered.set(None))
            assert await kernel.wait(answered, 3_600)

    kernel.spawn("asker", asker())
    kernel.run(until_s=1)
    assert len(kernel.env._queue) < 2_500
    kernel.run()
    assert kernel.monotonic_ns() == 3_600 * 1_000_000_000 + 4_999 * 1_000, "as long as the last of them"


def test_what_is_done_in_the_midst_of_a_wait_is_done_by_the_actor_that_waits() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()

    def refused() -> None:
        raise ValueError("no")

    async def caller() -> None:
        who = await kernel.do_between(1, lambda: kernel.current.name, 2)
        log.append((kernel.monotonic_ns(), who))
        try:
            await kernel.do_between(1, refused, 2)
        except ValueError as error:
            log.append((kernel.monotonic_ns(), str(error)))

    kernel.spawn("caller", caller())
    kernel.run()
    assert log == [(3_000_000_000, "caller"), (6_000_000_000, "no")]


@pytest.mark.parametrize(("cancelled_s", "done"), [(0.5, []), (1.5, ["done"])])
def test_a_cancelled_actor_does_not_do_what_it_would_have_done_later(cancelled_s: float, done: list[str]) -> None:
    kernel, log = Kernel(), list[str]()

    async def caller() -> None:
        await kernel.do_between(1, lambda: log.append("done"), 1)
        log.append("went on")

    task = kernel.spawn("caller", caller())
    kernel.call_later(round(cancelled_s * 1e9), lambda _: task.cancel())
    kernel.run()
    assert log == done


def test_a_bell_lets_an_actor_react_until_it_ends() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()
    rings = []

    async def actor() -> None:
        rings.append(kernel.bell(lambda: log.append((kernel.monotonic_ns(), kernel.current.name))))
        await kernel.sleep(2.5)

    kernel.spawn("hearer", actor())
    for second in (1, 2, 3):
        kernel.call_later(second * 1_000_000_000, lambda _: rings[0]())
    kernel.run()
    assert log == [(1_000_000_000, "hearer"), (2_000_000_000, "hearer")]


def test_an_actor_that_cancels_itself_in_a_reaction_runs_its_cleanup() -> None:
    kernel, log = Kernel(), list[str]()
    rings = []

    async def actor() -> None:
        def react() -> None:
            task.cancel()
            log.append("went on")

        rings.append(kernel.bell(react))
        try:
            await kernel.sleep(10)
        finally:
            log.append("cleaned up")

    task = kernel.spawn("hearer", actor())
    kernel.call_later(1_000_000_000, lambda _: rings[0]())
    kernel.run(task)
    assert (log, task.was_cancelled, kernel.monotonic_ns()) == (["cleaned up"], True, 1_000_000_000)


def test_what_happens_at_once_comes_after_what_was_due_now_already() -> None:
    kernel, log = Kernel(), list[str]()
    signal = kernel.signal()

    async def waiter() -> None:
        await signal
        log.append("signal")

    kernel.spawn("waiter", waiter())
    kernel.call_later(1, lambda _: signal.set(None))
    kernel.call_later(1, lambda _: log.append("due"))
    kernel.run()
    assert log == ["due", "signal"]
