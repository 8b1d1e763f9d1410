"""What a replica does: accepts or rejects calls by its limit, runs user code on them, drains and dies.

`ReplicaExecution` is the data plane's half of a replica; when it is started, stopped and replaced is the control
plane's business. A call whose deployment only takes time costs one event of the kernel and no coroutine. User code is
driven in place; it costs an event only where it really waits. Source: reference/ray-serve.md 5.5, 7.1, 9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sized
from dataclasses import replace
from enum import Enum
from heapq import heappush
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol, cast

from rayrig_core.ports import Cancelled
from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.application_code import DeploymentCode
from rayrig_sim.serve.calls import Call, CallFailed, ReplicaDied, TaskFailed
from rayrig_sim.serve.service_times import ServiceTimes
from rayrig_sim.serve.user_code import Machine, ProcessExit, ReplicaContext, awaiting, running, sleep
from rayrig_sim.serve.user_instance import UserInstance

if TYPE_CHECKING:
    from rayrig_sim.agenda import KernelSignal
    from rayrig_sim.kernel import Kernel
    from rayrig_sim.serve.asyncio_code.instance import AsyncioInstance


class HealthFault(Enum):
    """What a fault makes of `check_health`, whatever the user code says."""

    NONE = "none"
    RAISES = "raises"
    HANGS = "hangs"


class SlotWatcher(Protocol):
    """Who has calls that wait for a slot: a router."""

    @property
    def waiting(self) -> Sized: ...

    def slot_freed(self) -> None:
        """A slot got free, or the replica died."""


class ReplicaExecution:
    """One replica at work.

    It accepts calls once `initialize` has returned. `handles` gives what the constructor gets for a child: a handle of
    another deployment of the application, by name. `on_exit` hears the code when user code ends the process in a call;
    elsewhere `ProcessExit` leaves, too. Errors of user code leave `initialize`, `reconfigure` and
    `check_health` as they were raised.
    """

    __slots__ = (
        "_asyncio",
        "_context",
        "_env",
        "_health_fault",
        "_idle",
        "_is_accepting",
        "_is_constructed",
        "_is_initialized",
        "_is_timed_only",
        "_line",
        "_methods",
        "_on_exit",
        "_on_resume",
        "_on_time_up",
        "_result",
        "_running",
        "_times",
        "_user",
        "_working",
        "app",
        "code",
        "death",
        "deployment",
        "is_dark",
        "kernel",
        "max_ongoing_requests",
        "node_id",
        "pod_ip",
        "replica_id",
        "watchers",
    )

    def __init__(
        self,
        kernel: Kernel,
        *,
        replica_id: str,
        deployment: str,
        app: str,
        node_id: str,
        pod_ip: str,
        code: DeploymentCode,
        max_ongoing_requests: int = 5,
        handles: Callable[[str], object] | None = None,
        env: Mapping[str, str] | None = None,
        machine: Machine | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        self.kernel = kernel
        self.replica_id = replica_id
        self.deployment = deployment
        self.app = app
        self.node_id = node_id
        self.pod_ip = pod_ip
        self.code = code
        self.max_ongoing_requests = max_ongoing_requests
        #: Routers that hold this replica in their list; those with waiting calls are told when a slot gets free.
        self.watchers: list[SlotWatcher] = []
        #: Why it is dead; None while it lives.
        self.death: ReplicaDied | None = None
        #: Its machine is off the air: it answers nobody, and nobody is told.
        self.is_dark = False
        self._on_exit = on_exit
        stream = kernel.streams.stream(f"replica/{app}/{deployment}/{replica_id}")
        self._context = ReplicaContext(app, deployment, replica_id, node_id, stream, kernel, dict(env or {}), machine)
        self._is_timed_only = code.is_timed_only
        latency = cast(Any, code.behaviour) if code.is_timed_only else code.latency
        times = kernel.streams.stream(f"replica/{app}/{deployment}/{replica_id}/service-times")
        self._times = None if latency is None else ServiceTimes(times, latency)
        self._result = code.result
        self._env: Any = kernel.env
        self._running: dict[Call, None] = {}
        self._line: deque[Call] = deque()
        self._working = 0
        self._methods: dict[str, Callable[..., Any]] = {}
        self._asyncio: AsyncioInstance | None = None
        self._user: UserInstance | AsyncioInstance
        if code.is_asyncio:
            # Other code does not wait for its import.
            from rayrig_sim.serve.asyncio_code.instance import AsyncioInstance

            self._user = self._asyncio = AsyncioInstance(code, self._context, handles, self._asyncio_ended)
        else:
            self._user = UserInstance(code, self._context, handles)
        self._is_constructed = False
        self._is_initialized = False
        self._is_accepting = False
        self._health_fault = HealthFault.NONE
        self._idle: KernelSignal[None] | None = None
        self._on_time_up = (self._time_up,)
        self._on_resume = (self._slept,)

    def __repr__(self) -> str:
        return f"Replica(id={self.replica_id!r}, deployment={self.deployment!r}, app={self.app!r})"

    @property
    def ongoing(self) -> int:
        """Accepted calls that have not ended."""
        return len(self._running)

    @property
    def models(self) -> Collection[str]:
        """Multiplexed models that are loaded."""
        return self._asyncio.models if self._asyncio is not None else ()

    @property
    def is_alive(self) -> bool:
        return self.death is None

    @property
    def is_accepting(self) -> bool:
        return self._is_accepting

    # Life, as the control plane calls it

    async def initialize(self, user_config: Any = None) -> None:
        """Constructor, `reconfigure` when there is a `user_config`, one `check_health`; then calls are accepted."""
        code = self.code
        if code.startup is not None:
            await self.kernel.sleep_ns(code.startup.draw_ns(self._context.rng))
        if code.constructor_error:
            raise RuntimeError(code.constructor_error)
        if self._asyncio is not None:
            await self._asyncio.construct()
        elif isinstance(self._user, UserInstance) and not self._is_timed_only:
            self._user.construct()
        self._is_constructed = True
        if user_config is not None:
            await self.reconfigure(user_config)
        await self.check_health()
        if self.death is None:
            self._is_initialized = self._is_accepting = True

    async def reconfigure(self, user_config: Any) -> None:
        """The user's `reconfigure`. Raises `ValueError` when the class has none."""
        if self._is_timed_only or user_config is None:
            return
        await self._user.reconfigure(user_config)

    async def check_health(self) -> None:
        """The user's `check_health`, if there is one. Raises what it raises; may never return."""
        if self._health_fault is HealthFault.RAISES:
            raise RuntimeError("health check failed")
        if self._health_fault is HealthFault.HANGS:
            await self.kernel.signal()
        await self._user.check_health()

    def set_health_fault(self, fault: HealthFault) -> None:
        """From now on health checks raise, hang, or are the user's again."""
        self._health_fault = fault

    def set_max_ongoing(self, limit: int) -> None:
        """New `max_ongoing_requests`. Calls beyond a lower limit go on."""
        was_full = len(self._running) >= self.max_ongoing_requests
        self.max_ongoing_requests = limit
        if was_full and len(self._running) < limit:
            self._tell_routers()

    async def drain(self, wait_loop_s: float, timeout_s: float) -> bool:
        """Graceful shutdown: wait loops until no call is under way, then reject and run the user's `__del__`.

        Calls that still arrive meanwhile are served. A replica without a constructed instance does not wait. False when
        `timeout_s` passed first: the caller is to kill it.
        """
        kernel = self.kernel
        deadline = kernel.monotonic_ns() + to_ns(timeout_s)
        while self._is_constructed and self.death is None:
            left = deadline - kernel.monotonic_ns()
            await kernel.sleep_ns(min(to_ns(wait_loop_s), max(left, 0)))
            if to_ns(wait_loop_s) > left:
                return False
            if not self._running:
                break
            if not wait_loop_s and not await self._until_idle(left):
                return False
        self._is_accepting = False
        if self._is_initialized and self.death is None:
            self._user.finalize()
        return True

    def go_dark(self) -> None:
        """Its machine goes silent: calls hang, new ones with them, until `kill` or until their callers leave."""
        if self.death is not None or self.is_dark:
            return
        self.is_dark = True
        silence = _Silence(self)
        for call in self._running:
            call.execution = silence
        # Who is still sent here waits for a turn that never comes.
        self.code = replace(self.code, concurrency=0)
        self._line.clear()

    def leave_dark(self, call: Call) -> None:
        """The caller of a call on a silent machine leaves."""
        if call in self._running:
            del self._running[call]
            call.execution = None
            call.candidate.ended += 1

    def kill(self, reason: str = "The actor is dead because its process was killed.", cause: int | None = None) -> None:
        """The process ends at once: calls under way fail, later ones are not accepted. A second call does nothing."""
        if self.death is not None:
            return
        self.death = ReplicaDied(reason, self.kernel.cause if cause is None else cause)
        self._is_accepting = False
        calls, self._running = self._running, {}
        self._line.clear()
        for call in calls:
            self._abandon(call)
            call.execution = None
            call.candidate.ended += 1
        if calls:
            # Callers learn of it after all else of this instant: a proxy of the same pod has ended by then, too.
            self.kernel.call_later(0, lambda _: self._report_death(calls))
        self._user.forget()
        self._methods.clear()
        if self._idle is not None:
            self._idle.set(None)
        self._tell_routers()

    def _exit(self, code: int) -> None:
        """User code ended the process in the midst of a call."""
        if self._on_exit is not None:
            self._on_exit(code)
        self.kill(f"The actor is dead because its process ended with exit code {code}.")

    def _report_death(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if not call.is_done:
                call.finished(False, self.death)

    async def _until_idle(self, timeout_ns: int) -> bool:
        self._idle = self.kernel.signal()
        return await self.kernel.wait(self._idle, timeout_ns / NS)

    # Calls, as routers make them

    def accept(self, call: Call) -> bool:
        """Take the call and begin, or reject it (the rejection protocol of 7.1)."""
        active = self._running
        if len(active) >= self.max_ongoing_requests or not self._is_accepting:
            return False
        active[call] = None
        call.execution = self
        if self.code.concurrency is not None:
            if self._working >= self.code.concurrency:
                self._line.append(call)
                return True
            self._working += 1
        self._begin(call)
        return True

    def cancel(self, call: Call) -> None:
        """The caller left: the task is cancelled, with the calls that it made, and its slot is free."""
        if self.is_dark:
            self.leave_dark(call)
        elif call in self._running:
            waited = call in self._line
            if waited:
                self._line.remove(call)
            self._abandon(call)
            self._release(call, had_turn=not waited)

    def _begin(self, call: Call) -> None:
        service_ns = call.service_ns
        if service_ns < 0:
            times = self._times
            if times is None:
                self._run(call)
                return
            stock = times.stock
            if not stock:
                times.refill()
            service_ns = stock.pop()
        env = self._env
        call.callbacks = self._on_time_up
        heappush(env._queue, (env._now + service_ns, 1, next(env._eid), call))

    def _time_up(self, call: Call) -> None:
        if call.execution is not self:
            return
        if self._is_timed_only:
            self._release(call)
            call.finished(True, self._result)
        else:
            self._run(call)

    def _run(self, call: Call) -> None:
        if self._is_timed_only:
            self._release(call)
            call.finished(True, self._result)
            return
        if not isinstance(self._user, UserInstance):
            self._user.begin(call)
            return
        context_before, call_before = running.context, running.call
        running.context, running.call = self._context, call
        try:
            method = self._methods.get(call.method)
            if method is None:
                method = self._methods[call.method] = self._user.bound(call.method)
            args, kwargs = call.arguments()
            value = method(*args, **kwargs)
        except Exception as error:
            self._end(call, False, _escaped(error))
            return
        except ProcessExit as exit_:
            self._exit(exit_.code)
            return
        finally:
            running.context, running.call = context_before, call_before
        if type(value) is CoroutineType:
            call.coroutine = value
        elif hasattr(value, "__await__"):
            call.coroutine = awaiting(value)
        else:
            self._end(call, True, value)
            return
        self._step(call, None, None)

    def _step(self, call: Call, value: Any, error: BaseException | None) -> None:
        """Drive the user's coroutine until it has to wait."""
        coroutine = call.coroutine
        assert coroutine is not None
        context_before, call_before = running.context, running.call
        running.context, running.call = self._context, call
        try:
            while True:
                target = coroutine.send(value) if error is None else coroutine.throw(error)
                if type(target) is sleep:
                    env = self._env
                    call.target = None
                    call.callbacks = self._on_resume
                    heappush(env._queue, (env._now + target.duration_ns, 1, next(env._eid), call))
                    return
                if target.callbacks is not None:
                    call.target = target
                    target.callbacks.append(_Resume(self, call))
                    return
                value, error = (target._value, None) if target._ok else (None, target._value)
        except StopIteration as end:
            call.coroutine = None
            value, error = end.value, None
        except (Exception, Cancelled) as raised:
            call.coroutine = None
            error = raised
        except ProcessExit as exit_:
            call.coroutine = None
            self._exit(exit_.code)
            return
        finally:
            running.context, running.call = context_before, call_before
        if call.execution is self:
            self._end(call, error is None, value if error is None else _escaped(error))

    def _asyncio_ended(self, call: Call, ok: bool, value: Any) -> None:
        if isinstance(value, ProcessExit):
            self._exit(value.code)
        else:
            self._end(call, ok, value if ok else _escaped(value))

    def _slept(self, call: Call) -> None:
        if call.execution is self:
            self._step(call, None, None)

    def _end(self, call: Call, ok: bool, value: Any) -> None:
        if call.execution is not self:
            return
        self._release(call)
        call.finished(ok, value)

    def _release(self, call: Call, *, had_turn: bool = True) -> None:
        """The call leaves: its slot, its place in the router's count, and its turn are free."""
        active = self._running
        was_full = len(active) >= self.max_ongoing_requests
        del active[call]
        call.execution = None
        candidate = call.candidate
        candidate.ended += 1
        if candidate.queue_len > 0:
            candidate.queue_len -= 1
        candidate.seen_ns = self._env._now
        if was_full:
            for router in self.watchers:
                if router.waiting:
                    router.slot_freed()
        if self.code.concurrency is not None and had_turn:
            if self._line:
                self._begin(self._line.popleft())
            else:
                self._working -= 1
        if not active and self._idle is not None:
            self._idle.set(None)

    def _abandon(self, call: Call) -> None:
        """Take the user's task down where it waits, and the calls that it made."""
        if self._asyncio is not None:
            self._asyncio.cancel(call)
        coroutine, call.coroutine = call.coroutine, None
        if coroutine is not None:
            target = call.target
            if target is not None and target.callbacks is not None:
                target.callbacks[:] = [c for c in target.callbacks if not (type(c) is _Resume and c.call is call)]
            context_before, call_before = running.context, running.call
            running.context, running.call = self._context, call
            try:
                if self.death is None:
                    coroutine.throw(Cancelled())
                coroutine.close()
            except (StopIteration, Cancelled, Exception, RuntimeError):
                pass
            finally:
                running.context, running.call = context_before, call_before
        children, call.children = call.children, None
        for child in children or ():
            child.cancel()

    def _tell_routers(self) -> None:
        for router in self.watchers:
            if router.waiting:
                router.slot_freed()


def _escaped(error: BaseException) -> BaseException:
    return TaskFailed(error) if isinstance(error, CallFailed) else error


class _Silence:
    """Stands for a replica on a silent machine in the calls that were under way there."""

    __slots__ = ("_execution", "deployment")

    def __init__(self, execution: ReplicaExecution) -> None:
        self._execution = execution
        self.deployment = execution.deployment

    def cancel(self, call: Call) -> None:
        self._execution.leave_dark(call)


class _Resume:
    """Continues a suspended call when what it awaits has happened."""

    __slots__ = ("call", "execution")

    def __init__(self, execution: ReplicaExecution, call: Call) -> None:
        self.execution = execution
        self.call = call

    def __call__(self, event: Any) -> None:
        call, execution = self.call, self.execution
        if call.execution is not execution:
            return
        if event._ok:
            execution._step(call, event._value, None)
        else:
            event._defused = True
            execution._step(call, None, event._value)
