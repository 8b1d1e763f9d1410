"""What user code may await and ask for while it runs in a replica.

`await sleep(0.2)` passes virtual time. Calls of handles, kernel events and plain coroutines can be awaited as well.
Which replica is running is kept in one place (`running`), set around every step of user code, as a thread-local would
be in a real process.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from rayrig_core.timestamps import to_ns

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel
    from rayrig_sim.serve.calls import Call


class sleep:  # noqa: N801 - used as a function: `await sleep(1)`
    """Virtual time inside user code."""

    __slots__ = ("duration_ns",)

    def __init__(self, duration_s: float) -> None:
        self.duration_ns = max(0, to_ns(duration_s))

    def __await__(self) -> Generator[Any, Any, None]:
        if running.loop is None:
            yield self
            return
        context = running.context
        assert context is not None
        yield from until(context.kernel.sleep_ns(self.duration_ns))


class ProcessExit(BaseException):
    """Raised by user code to end its own process at once, as `os._exit(code)` does."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Machine(Protocol):
    """What a replica's process can do to others from where it runs."""

    def kill_process(self, pid: int, /) -> None:
        """SIGKILL to a process of the same node. Raises `ProcessLookupError`."""

    def kill_actor(self, name: str, no_restart: bool, /) -> None:
        """`ray.kill` of a named actor of the Serve instance. Raises `ValueError` when there is none."""

    def ingress_of(self, app: str, /) -> str | None:
        """The name of an application's ingress; None when there is no such application."""


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """Whose code is running. `env` holds the merged `runtime_env.env_vars`; `rng` is a stream of this replica alone;
    `machine` is None where there is no cluster around.
    """

    app: str
    deployment: str
    replica_id: str
    node_id: str
    rng: Random
    kernel: Kernel
    env: Mapping[str, str] = field(default_factory=dict)
    machine: Machine | None = None


class FutureFactory(Protocol):
    """An event loop, as far as a wait needs it."""

    def create_future(self) -> Any: ...


class Blocker(Protocol):
    """Code in a thread's place, which may stop until something calls it back."""

    def block(self, register: Callable[[Callable[[], None]], None], /) -> None: ...


class _Running:
    """The replica and the call whose user code is on the stack, and the event loop or the thread's place it runs in, if any."""

    __slots__ = ("call", "context", "loop", "thread")

    def __init__(self) -> None:
        self.context: ReplicaContext | None = None
        self.call: Call | None = None
        self.loop: FutureFactory | None = None
        self.thread: Blocker | None = None


running = _Running()


def until(event: Any) -> Generator[Any, Any, Any]:
    """Wait for an event of the kernel, or what has its face, wherever the code runs: its value, or what it failed with."""
    loop = running.loop
    if loop is None:
        return (yield event)
    if event.callbacks is None:
        if event._ok:
            return event._value
        raise event._value
    future = loop.create_future()

    def happened(event: Any) -> None:
        if future.done():
            return
        if event._ok:
            future.set_result(event._value)
        else:
            event._defused = True
            future.set_exception(event._value)

    event.callbacks.append(happened)
    return (yield from future)


def replica_context() -> ReplicaContext:
    """The context of the replica that runs this code. Raises `RuntimeError` outside of one."""
    if running.context is None:
        raise RuntimeError("`replica_context` may only be called from within a replica's user code")
    return running.context


class driven:  # noqa: N801 - `await driven(coroutine, ...)`
    """Run a user coroutine inside an actor, as constructor, `reconfigure` and `check_health` are."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: ReplicaContext, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        value: Any = None
        error: BaseException | None = None
        while True:
            before, running.context = running.context, self._context
            try:
                target = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration as end:
                return end.value
            finally:
                running.context = before
            value = error = None
            try:
                if isinstance(target, sleep):
                    yield from self._context.kernel.sleep_ns(target.duration_ns).__await__()
                else:
                    value = yield target
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as thrown:
                error = thrown


async def awaiting(value: Any) -> Any:
    """A coroutine for anything that can be awaited."""
    return await value
