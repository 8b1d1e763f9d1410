"""The work queue in virtual time."""

from rayrig_controllers.reconciler import Request
from rayrig_controllers.workqueue import WorkQueue
from rayrig_core.timestamps import NS
from rayrig_sim.kernel import Actor, Kernel

A, B = Request("default", "a"), Request("default", "b")


def consume(kernel: Kernel, queue: WorkQueue, *, busy_s: float = 0.0) -> list[tuple[float, str]]:
    """A worker that notes when it got which key."""
    got: list[tuple[float, str]] = []

    async def work() -> None:
        while True:
            request = await queue.get()
            got.append((kernel.monotonic_ns() / NS, request.name))
            if busy_s:
                await kernel.sleep(busy_s)
            queue.done(request)

    kernel.spawn("worker", work())
    return got


def at(kernel: Kernel, *steps: tuple[float, object]) -> None:
    async def play() -> None:
        for time_s, step in steps:
            await kernel.sleep(time_s - kernel.monotonic_ns() / NS)
            step()  # type: ignore[operator]

    kernel.spawn("story", play())


def test_keys_collapse_while_they_wait_and_run_once_more_when_added_during_a_run() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    got = consume(kernel, queue, busy_s=1.0)
    at(
        kernel,
        (0.0, lambda: [queue.add(A), queue.add(A), queue.add(B)]),
        (0.5, lambda: [queue.add(A), queue.add(A)]),
    )
    kernel.run(until_s=10)
    assert got == [(0.0, "a"), (1.0, "b"), (2.0, "a")]


def test_one_key_is_never_with_two_workers_at_once() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    first = consume(kernel, queue, busy_s=1.0)
    second = consume(kernel, queue, busy_s=1.0)
    at(kernel, (0.0, lambda: queue.add(A)), (0.2, lambda: queue.add(A)), (0.3, lambda: queue.add(B)))
    kernel.run(until_s=5)
    assert sorted(first + second) == [(0.0, "a"), (0.3, "b"), (1.0, "a")]


def test_an_earlier_run_takes_the_place_of_a_pending_requeue() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    got = consume(kernel, queue)
    at(kernel, (0.0, lambda: queue.add_after(A, 2.0)), (1.0, lambda: queue.add(A)))
    kernel.run(until_s=10)
    assert got == [(1.0, "a")]


def test_a_later_requeue_does_not_put_off_an_earlier_one() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    got = consume(kernel, queue)
    at(
        kernel,
        (0.0, lambda: [queue.add_after(A, 2.0), queue.add_after(A, 5.0)]),
        (4.0, lambda: queue.add_after(A, 5.0)),
    )
    kernel.run(until_s=20)
    assert got == [(2.0, "a"), (9.0, "a")]


def test_back_off_doubles_from_5_ms_to_1000_s_per_key_until_it_is_forgotten() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    backoffs = [queue.add_rate_limited(A) for _ in range(20)]
    assert backoffs[:4] == [0.005, 0.01, 0.02, 0.04]
    assert backoffs[17:] == [655.36, 1000.0, 1000.0]
    assert queue.add_rate_limited(B) == 0.005
    queue.forget(A)
    assert queue.add_rate_limited(A) == 0.005


def test_a_key_carries_the_first_cause_that_put_it_there() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    causes: list[int | None] = []

    async def work() -> None:
        while True:
            request = await queue.get()
            causes.append(kernel.cause)
            queue.done(request)

    async def wake() -> None:
        kernel.cause = 7
        queue.add(A)
        kernel.cause = 8
        queue.add(A)
        await kernel.sleep(1)
        kernel.cause = 9
        queue.add_after(A, 5.0)
        kernel.cause = 10
        queue.add(A)

    kernel.spawn("source", wake())
    kernel.spawn("worker", work())
    kernel.run(until_s=20)
    assert causes == [7, 10]


def test_depth_counts_what_is_due() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    queue.add(A)
    queue.add_after(B, 3.0)
    assert (queue.depth, len(queue)) == (1, 2)


def test_a_worker_at_rest_sees_what_waits_in_order_and_may_put_it_off() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    c = Request("default", "c")

    async def fill() -> None:
        for request, delay_s in ((B, 2.0), (A, 2.0), (c, 1.0)):
            kernel.cause = int(delay_s)
            queue.add_after(request, delay_s)

    kernel.spawn("source", fill())
    kernel.run(until_s=0.5)
    assert queue.waiting() == [(NS, c), (2 * NS, B), (2 * NS, A)], "of equal times, who came first"
    assert queue.first() == (NS, c)
    queue.postpone(c, 2 * NS)
    queue.postpone(B, 5 * NS)
    assert queue.waiting() == [(2 * NS, A), (2 * NS, c), (5 * NS, B)]
    assert queue.first() == (2 * NS, A)
    got: list[tuple[float, str, int | None]] = []

    async def work() -> None:
        while True:
            request = await queue.get()
            got.append((kernel.monotonic_ns() / NS, request.name, kernel.cause))
            queue.done(request)

    kernel.spawn("worker", work())
    kernel.run(until_s=10)
    assert got == [(2.0, "a", 2), (2.0, "c", 1), (5.0, "b", 2)], "each with the cause it had"
    assert (queue.first(), queue.waiting(), len(queue)) == (None, [], 0)


def test_a_key_that_came_due_while_it_was_worked_on_waits_for_the_end() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    got = consume(kernel, queue, busy_s=3.0)
    at(kernel, (0.0, lambda: queue.add(A)), (0.5, lambda: [queue.add_after(A, 1.0), queue.add_after(B, 0.5)]))
    kernel.run(until_s=20)
    assert got == [(0.0, "a"), (3.0, "b"), (6.0, "a")], "by the time they came due, not by when they were added"


def test_of_two_workers_each_is_woken() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    first, second = consume(kernel, queue, busy_s=1.0), consume(kernel, queue, busy_s=1.0)
    at(kernel, (1.0, lambda: queue.add(A)), (1.25, lambda: queue.add(B)))
    kernel.run(until_s=5)
    assert sorted([*first, *second]) == [(1.0, "a"), (1.25, "b")]


def test_other_limits_of_the_back_off() -> None:
    queue = WorkQueue(Kernel(), base_backoff_s=1.0, max_backoff_s=3.0)
    assert [queue.add_rate_limited(A) for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
    for _ in range(100):
        last = queue.add_rate_limited(A)
    assert last == 3.0


class _CountingQueue(WorkQueue):
    """Counts how often a worker looks whether there is something for it."""

    looks = 0

    def _take(self) -> Request | None:
        self.looks += 1
        return super()._take()


def _workers(kernel: Kernel, queue: WorkQueue, count: int, took: list[tuple[int, str, float]]) -> list[Actor]:
    async def worker(number: int) -> None:
        while True:
            request = await queue.get()
            took.append((number, request.name, kernel.monotonic_ns() / NS))
            await kernel.sleep(1)
            queue.done(request)

    return [kernel.spawn(f"worker {number}", worker(number)) for number in range(count)]


def test_of_many_waiting_workers_as_many_wake_as_there_are_keys() -> None:
    kernel = Kernel()
    took: list[tuple[int, str, float]] = []
    queue = _CountingQueue(kernel)
    _workers(kernel, queue, 50, took)
    kernel.run(until_s=1)
    before = queue.looks
    for name in ("a", "b", "c"):
        queue.add(Request("default", name))
    queue.add_after(Request("default", "d"), 5)
    kernel.run(until_s=10)
    assert [(name, at) for _, name, at in took] == [("a", 1), ("b", 1), ("c", 1), ("d", 6)]
    assert len({number for number, _, _ in took}) == 4
    assert queue.looks - before <= 20


def test_a_worker_that_ends_while_it_watches_or_waits_leaves_the_watch_to_another() -> None:
    kernel = Kernel()
    took: list[tuple[int, str, float]] = []
    queue = WorkQueue(kernel)
    workers = _workers(kernel, queue, 4, took)
    kernel.run(until_s=1)
    workers[0].cancel()
    workers[2].cancel()
    queue.add(Request("default", "a"))
    kernel.run(until_s=2)
    workers[1].cancel()
    queue.add_after(Request("default", "b"), 3)
    kernel.run(until_s=10)
    assert [(name, at) for _, name, at in took] == [("a", 1), ("b", 5)]


def test_it_is_at_work_in_a_namespace_while_a_key_is_due_or_with_a_worker() -> None:
    kernel = Kernel()
    queue = WorkQueue(kernel)
    told: list[tuple[float, bool, bool]] = []

    def look() -> None:
        told.append((kernel.monotonic_ns() / NS, queue.is_at_work("default"), queue.is_at_work("other")))

    at(
        kernel,
        (0.0, lambda: queue.add_after(A, 1.0)),
        (0.5, look),
        (1.5, look),
        (2.0, lambda: consume(kernel, queue, busy_s=1.0)),
        (2.5, look),
        (3.5, look),
    )
    kernel.run(until_s=5)
    assert told == [(0.5, False, False), (1.5, True, False), (2.5, True, False), (3.5, False, False)]
