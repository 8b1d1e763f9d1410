"""A backend: its workers, and the queue of queries that wait for one.

A worker does one thing at a time. The one that has been idle longest takes the oldest query; with batching it takes as many as
wait, up to `max_batch_size`, and never waits for more. A worker that dies is started again by Ray, and its queries are tried
again. Source: ray-serve.md 13.1, SV-149, SV-150.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rayrig_core.timestamps import to_ns
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Distribution
from rayrig_sim.legacy.backend_config import BackendConfig
from rayrig_sim.legacy.queries import Query, Work
from rayrig_sim.serve.application_code import DeploymentCode
from rayrig_sim.serve.calls import ReplicaDied
from rayrig_sim.serve.execution import ReplicaExecution

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel

#: A query whose worker died is tried again after this long, so often.
_RETRY_NS = to_ns(0.1)
_RETRIES = 10


class WorkersKeepDying(Exception):
    """A query outlived more workers than it may."""

    def __init__(self) -> None:
        super().__init__("Maximum actor death retries exceeded")


class Backend:
    """`startup` is how long a worker's process takes to start, each time."""

    def __init__(
        self, kernel: Kernel, tag: str, code: DeploymentCode, config: BackendConfig, startup: Distribution
    ) -> None:
        self.tag = tag
        self.code = code
        self.config = config
        #: Queries that workers have answered.
        self.answered = 0
        self._kernel = kernel
        self._startup = startup
        self._rng = kernel.streams.stream(f"legacy/{tag}")
        self._workers: list[_Worker] = []
        self._idle: deque[_Worker] = deque()
        self._queue: deque[Query] = deque()
        self._started = 0
        self._is_dispatching = False

    @property
    def ongoing(self) -> int:
        """Calls that workers have taken and not ended."""
        return sum(worker.sent - worker.ended for worker in self._workers)

    @property
    def queued(self) -> int:
        """Queries that no worker has taken."""
        return len(self._queue)

    # Workers

    async def scale(self) -> None:
        """As many workers as the configuration says. Returns when new ones are constructed; raises what a constructor raises."""
        while len(self._workers) > self.config.num_replicas:
            idle = self._idle[0] if self._idle else self._workers[-1]
            self._workers.remove(idle)
            idle.stop()
        fresh = [self._new_worker() for _ in range(self.config.num_replicas - len(self._workers))]
        self._workers += fresh
        for worker in fresh:
            await worker.start()

    def _new_worker(self) -> _Worker:
        self._started += 1
        return _Worker(self, f"{self.tag}#{self._started}", self.code)

    def kill_worker(self, index: int = 0) -> None:
        """Its process ends at once. Ray starts it again, with the code that it had."""
        self._workers[index].kill()

    def close(self) -> None:
        """All workers end; what they were at is lost to them."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def set_idle(self, worker: _Worker, is_idle: bool) -> None:
        if not is_idle:
            if worker in self._idle:
                self._idle.remove(worker)
        elif worker in self._workers:
            self._idle.append(worker)
            self._dispatch()

    # Queries

    def put(self, query: Query) -> None:
        self._queue.append(query)
        self._dispatch()

    def _dispatch(self) -> None:
        """At the end of this instant: what arrives at once waits together, and work that takes no time makes no deep stack."""
        if not self._is_dispatching and self._idle and self._queue:
            self._is_dispatching = True
            self._kernel.call_later(0, self._hand_out)

    def _hand_out(self, _: object) -> None:
        self._is_dispatching = False
        while self._idle and self._queue:
            worker = self._idle.popleft()
            limit = self.config.max_batch_size
            queries = [self._queue.popleft()]
            while limit and len(queries) < limit and self._queue and queries[0].can_share_a_batch(self._queue[0]):
                queries.append(self._queue.popleft())
            worker.take(queries, is_batch=limit is not None)

    def worked(self, work: Work, ok: bool, value: Any) -> None:
        """A worker has come to the end of its work."""
        queries = work.queries
        if isinstance(value, ReplicaDied):
            for query in queries:
                self._try_again(query)
            return
        self.answered += len(queries)
        if not ok or not work.is_batch:
            for query in queries:
                query.done.set((ok, value))
            return
        if not isinstance(value, list) or len(value) != len(queries):
            found = f"has length {len(value)}" if isinstance(value, list) else f"is a {type(value).__name__}"
            text = f"{work.method} function doesn't preserve batch-size. The input list has length {len(queries)} but"
            for query in queries:
                query.done.set((False, ValueError(f"{text} the returned value {found}.")))
            return
        for query, result in zip(queries, value, strict=True):
            query.done.set((True, result))

    def _try_again(self, query: Query) -> None:
        query.retries += 1
        if query.retries > _RETRIES:
            query.done.set((False, WorkersKeepDying()))
            return
        self._kernel.call_later(_RETRY_NS, lambda _: self.put(query))


class _Worker:
    """An actor with one replica of the backend's code: the place (`rayrig_sim.serve.calls.Place`) of its work."""

    def __init__(self, backend: Backend, name: str, code: DeploymentCode) -> None:
        self.queue_len = 0
        self.seen_ns = 0
        self.sent = 0
        self.ended = 0
        self._backend = backend
        self._name = name
        self._code = code
        self._is_stopped = False
        self._lives = 0
        self._execution: ReplicaExecution | None = None

    async def start(self) -> None:
        """Returns when the constructor has run. Raises what it raises."""
        backend = self._backend
        kernel = backend._kernel
        self._lives += 1
        await kernel.sleep_ns(backend._startup.draw_ns(backend._rng))
        execution = ReplicaExecution(
            kernel,
            replica_id=self._name if self._lives == 1 else f"{self._name}/{self._lives}",
            deployment=backend.tag,
            app="serve",
            node_id="head",
            pod_ip="",
            code=self._code,
            max_ongoing_requests=1,
            on_exit=lambda code: self.kill(),
        )
        await execution.initialize()
        if self._is_stopped:
            execution.kill()
            return
        self._execution = execution
        self._tell("running")
        backend.set_idle(self, True)

    def take(self, queries: list[Query], *, is_batch: bool) -> None:
        assert self._execution is not None
        self.sent += 1
        self._execution.accept(Work(self, queries, is_batch=is_batch, on_end=self._ended))

    def _ended(self, work: Work, ok: bool, value: Any) -> None:
        self._backend.worked(work, ok, value)
        if self._execution is not None and self._execution.is_alive:
            self._backend.set_idle(self, True)

    def kill(self) -> None:
        if self._execution is None:
            return
        self._end_process("died")
        self._backend._kernel.spawn(f"serve worker {self._name}", self.start())

    def stop(self) -> None:
        """For good."""
        self._is_stopped = True
        if self._execution is not None:
            self._end_process("stopped")

    def _end_process(self, state: str) -> None:
        execution, self._execution = self._execution, None
        assert execution is not None
        self._backend.set_idle(self, False)
        self._tell(state)
        execution.kill()

    def _tell(self, state: str) -> None:
        self._backend._kernel.trace.emit(Kind.REPLICA, f"legacy/{self._name}", state, "head", "")
