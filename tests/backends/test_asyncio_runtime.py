"""The `Runtime` port on asyncio: what actors may rely on in both kinds of time."""

from __future__ import annotations

import asyncio

import pytest

from rayrig_backends.asyncio_runtime import AsyncioRuntime, RecentTrace
from rayrig_core.idle import Turn
from rayrig_core.ports import Cancelled
from rayrig_core.trace import Kind


def run(story):
    """Run `story(runtime)` to its end on a loop of its own."""

    async def main():
        runtime = AsyncioRuntime()
        try:
            return await story(runtime)
        finally:
            await runtime.stop()

    return asyncio.run(main())


def test_an_actor_is_awaited_for_its_result():
    async def story(runtime):
        async def actor():
            await runtime.sleep(0)
            return 42

        task = runtime.spawn("answer", actor())
        assert not task.is_done
        result = await task
        return result, task.is_done

    assert run(story) == (42, True)


def test_a_signal_wakes_everyone_who_waits_and_those_who_come_later():
    async def story(runtime):
        signal = runtime.signal()

        async def actor():
            return await signal

        tasks = [runtime.spawn("waiter", actor()) for _ in range(3)]
        await runtime.sleep(0)
        signal.set("now")
        signal.set("again")
        return [await task for task in tasks], await signal

    assert run(story) == (["now"] * 3, "now")


def test_a_callback_is_called_for_a_signal_and_after_a_sleep():
    async def story(runtime):
        signal, heard = runtime.signal(), []
        runtime.when(signal, "heard", heard.append)
        runtime.when(runtime.sleep(0), "slept", heard.append)
        await runtime.sleep(0.01)
        signal.set("now")
        await runtime.sleep(0.01)
        return heard

    assert run(story) == [None, "now"]


def test_one_waiters_cancellation_leaves_the_others_waiting():
    async def story(runtime):
        signal = runtime.signal()

        async def actor():
            return await signal

        one, other = runtime.spawn("one", actor()), runtime.spawn("other", actor())
        await runtime.sleep(0)
        one.cancel()
        await runtime.sleep(0)
        signal.set(1)
        return await one, await other

    assert run(story) == (None, 1)


@pytest.mark.parametrize(("comes", "expected"), [(True, True), (False, False)])
def test_waiting_with_a_limit_says_whether_it_happened(comes, expected):
    async def story(runtime):
        signal = runtime.signal()
        if comes:
            asyncio.get_running_loop().call_soon(signal.set, None)
        return await runtime.wait(signal, 10.0 if comes else 0.001)

    assert run(story) is expected


@pytest.mark.parametrize("comes", [True, False])
def test_on_real_time_a_rest_only_waits(comes):
    async def story(runtime):
        signal = runtime.signal()
        if comes:
            asyncio.get_running_loop().call_soon(signal.set, None)
        runtime.turn = Turn()
        await runtime.rest(10.0 if comes else 0.001, None, signal)
        await runtime.rest(0.001, None)
        return signal.is_set, runtime.turn

    assert run(story) == (comes, None)


def test_a_cancelled_actor_sees_the_ports_cancelled_where_it_waits():
    seen = []

    async def story(runtime):
        async def actor():
            try:
                await runtime.signal()
            except Cancelled:
                seen.append("cancelled")
                raise
            finally:
                seen.append("cleaned up")

        task = runtime.spawn("stuck", actor())
        await runtime.sleep(0)
        task.cancel()
        return await task

    assert run(story) is None
    assert seen == ["cancelled", "cleaned up"]


def test_an_actor_that_is_cancelled_before_it_began_never_begins():
    seen = []

    async def story(runtime):
        async def actor():
            seen.append("began")

        task = runtime.spawn("late", actor())
        task.cancel()
        return await task

    assert run(story) is None
    assert seen == []


def test_an_actor_may_cancel_itself():
    async def story(runtime):
        async def actor():
            task.cancel()

        task = runtime.spawn("quits", actor())
        return await task

    assert run(story) is None


def test_the_first_exception_that_leaves_an_actor_is_told():
    told = []

    async def main():
        runtime = AsyncioRuntime(on_failure=lambda name, error: told.append((name, str(error))))

        async def actor(text):
            raise ValueError(text)

        tasks = [runtime.spawn(f"breaks-{text}", actor(text)) for text in "ab"]
        with pytest.raises(ValueError, match="a"):
            await tasks[0]
        await runtime.stop()

    asyncio.run(main())
    assert told == [("breaks-a", "a")]


def test_causes_and_names_travel_with_the_actor():
    async def story(runtime):
        async def child():
            runtime.trace.emit(Kind.NOTE, "things/a", "child")

        async def parent():
            runtime.cause = 7
            await runtime.spawn("child", child())
            runtime.trace.emit(Kind.NOTE, "things/a", "parent")

        await runtime.spawn("parent", parent())
        return [(event.actor, event["detail"], event.cause) for event in runtime.trace]

    assert run(story) == [("child", "child", 7), ("parent", "parent", 7)]


def test_stopping_ends_actors_and_those_they_start_while_ending():
    seen = []

    async def main():
        runtime = AsyncioRuntime()

        async def last():
            try:
                await runtime.signal()
            finally:
                seen.append("last")

        async def first():
            try:
                await runtime.signal()
            finally:
                runtime.spawn("last", last())
                seen.append("first")

        runtime.spawn("first", first())
        await runtime.sleep(0)
        await runtime.stop()

    asyncio.run(main())
    assert seen[0] == "first"


def test_a_recent_trace_forgets_and_keeps_its_numbers():
    trace = RecentTrace(10)
    for number in range(25):
        assert trace.emit(Kind.NOTE, "things/a", str(number), cause=number - 1 if number else None) == number
    assert len(trace) == 25
    assert trace.first == 10
    assert [event.seq for event in trace] == list(range(10, 25))
    assert trace[24]["detail"] == "24"
    assert [event.seq for event in trace.causes_of(12)] == [11, 10]
    assert len(trace.records(20)) == 5
    with pytest.raises(IndexError):
        trace[9]
