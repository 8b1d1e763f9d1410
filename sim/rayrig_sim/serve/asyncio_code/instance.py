"""The object of user code in a replica, run as it would be in a process of its own (see `user_instance` for the light way).

`async def` runs on the replica's event loop, everything else in a thread's place, so that both may wait. Errors of user code leave
as they were raised; a `ProcessExit` among them is the end of the process. Source: ray-serve.md 9.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from rayrig_sim.serve.application_code import Child, DeploymentCode
from rayrig_sim.serve.asyncio_code.blocking import Blocking
from rayrig_sim.serve.asyncio_code.http_calls import (
    ASGI_APP,
    AsgiApp,
    answer_of,
    ask_asgi,
    each_of,
    is_generator,
    request_of,
)
from rayrig_sim.serve.asyncio_code.virtual_loop import CALL, VirtualLoop
from rayrig_sim.serve.calls import Call
from rayrig_sim.serve.exchange import HttpExchange
from rayrig_sim.serve.user_code import ReplicaContext
from rayrig_sim.serve.user_instance import without_finalizer

if TYPE_CHECKING:
    import asyncio

    from rayrig_sim.agenda import KernelSignal


#: The replica's object that the current task belongs to.
INSTANCE: ContextVar[AsyncioInstance | None] = ContextVar("instance", default=None)


class AsyncioInstance:
    """`handles` gives what the constructor gets for a child; `ended` hears the end of each call that was begun."""

    def __init__(
        self,
        code: DeploymentCode,
        context: ReplicaContext,
        handles: Callable[..., object] | None,
        ended: Callable[[Call, bool, Any], None],
    ) -> None:
        self.loop = VirtualLoop(context)  # type: ignore[abstract]
        #: The user's object; None before its constructor has returned.
        self.object: Any = None
        #: The same, but there already while its constructor runs.
        self.servable: Any = None
        self._code = code
        self._context = context
        self._children_of = handles
        self._ended = ended
        self.context = context
        self._running: dict[Call, Callable[[], None]] = {}
        self._handles: dict[tuple[str, str], object] = {}
        self._lifespan = AsyncExitStack()
        #: Multiplexed models that are loaded, the one used longest ago first.
        self.models: dict[str, None] = {}

    # Life

    async def construct(self) -> None:
        """The constructor, sync or async, then the start of an ASGI application. A function is its own instance."""
        behaviour: Any = self._code.behaviour
        if not isinstance(behaviour, type):
            self.object = self.servable = behaviour
            return
        behaviour = without_finalizer(behaviour)
        args = [self._argument(argument) for argument in self._code.init_args]
        kwargs = {name: self._argument(argument) for name, argument in self._code.init_kwargs.items()}
        self.servable = behaviour.__new__(behaviour)
        await self._call(self.servable.__init__, *args, **kwargs)
        self.object = self.servable
        app = self._asgi_app()
        lifespan = getattr(getattr(app, "router", None), "lifespan_context", None)
        if lifespan is not None:
            await self._call(partial(self._lifespan.enter_async_context, lifespan(app)))

    def handle(self, deployment: str, app: str) -> Any:
        """Of any deployment, the same each time. Raises `RuntimeError` where there are none."""
        if self._children_of is None:
            raise RuntimeError(f"replica {self._context.replica_id} was made without handles")
        found = self._handles.get((deployment, app))
        if found is None:
            found = self._handles[deployment, app] = self._children_of(deployment, app)
        return found

    async def reconfigure(self, user_config: Any) -> None:
        """Raises `ValueError` when the class has no `reconfigure`."""
        method = getattr(self.object, "reconfigure", None)
        if method is None:
            raise ValueError(
                f"user_config specified but deployment {self._context.deployment} missing reconfigure method."
            )
        await self._call(method, user_config)

    async def check_health(self) -> None:
        """Nothing when there is no `check_health`."""
        method = getattr(self.object, "check_health", None)
        if method is not None:
            await self._call(method)

    def finalize(self) -> None:
        """`__del__`, once the replica has stopped in order."""
        finalizer = getattr(self._code.behaviour, "__del__", None)
        if finalizer is not None and self.object is not None:
            finalizer(self.object)

    def forget(self) -> None:
        """The process has ended."""
        for cancel in list(self._running.values()):
            cancel()
        self._running.clear()
        self.loop.end()
        self.object = None

    # Calls

    def begin(self, call: Call) -> None:
        """Run the method of a call; its end comes by `ended`."""
        try:
            function = self._function_of(call)
        except AttributeError as error:
            self._ended(call, False, error)
            return
        self._running[call] = _nothing
        cancel = self._start(function, partial(self._call_ended, call), call)
        if call in self._running:
            self._running[call] = cancel

    def cancel(self, call: Call) -> None:
        """The caller left: an asynchronous method gets `CancelledError` where it waits; one in a thread is not disturbed."""
        cancel = self._running.pop(call, None)
        if cancel is not None:
            cancel()

    def _call_ended(self, call: Call, ok: bool, value: Any) -> None:
        if self._running.pop(call, None) is not None:
            self._ended(call, ok, value)

    def _function_of(self, call: Call) -> Callable[[], Any]:
        """What to run for it. Raises `AttributeError` for a method that is not there."""
        app = self._asgi_app()
        if isinstance(call, HttpExchange):
            if app is not None:
                return partial(ask_asgi, app, call.http, call.route_prefix)
            method = self._method("__call__")
            arguments = (request_of(call.http, call.route_prefix),) if _takes_an_argument(method) else ()
            return partial(_answered, method, arguments)
        args, kwargs = call.arguments()
        method = self._method(call.method)
        if hasattr(call, "yielded"):
            yielded: Callable[[Any], None] = call.yielded
            return partial(_streamed, method, args, kwargs, lambda value: self._outside(partial(yielded, value)))
        return partial(method, *args, **kwargs)

    def _method(self, name: str) -> Callable[..., Any]:
        if not isinstance(self._code.behaviour, type) and name == "__call__":
            function: Callable[..., Any] = self.object
            return function
        method: Callable[..., Any] = getattr(self.object, name)
        return method

    def _asgi_app(self) -> AsgiApp | None:
        app: AsgiApp | None = getattr(self._code.behaviour, ASGI_APP, None)
        return app

    # Running

    async def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Its result, for an actor of the control plane."""
        done: KernelSignal[tuple[bool, Any]] = self._context.kernel.signal()
        self._start(partial(function, *args, **kwargs), lambda ok, value: done.set((ok, value)), None)
        ok, value = await done
        if not ok:
            raise value
        return value

    def _start(
        self, function: Callable[[], Any], finished: Callable[[bool, Any], None], call: Call | None
    ) -> Callable[[], None]:
        """Begin; what cancels it."""
        if is_async(function):
            return self._start_task(function(), finished, call)
        cancels: list[Callable[[], None]] = []

        def returned(ok: bool, value: Any) -> None:
            if ok and inspect.iscoroutine(value):
                cancels.append(self._start_task(value, finished, call))
            else:
                finished(ok, value)

        thread = Blocking(self._context, function, returned, call=call)
        thread.gr_context = self._variables(call)
        thread.go()
        # A thread cannot be cancelled; what it made may be.
        return lambda: cancels[-1]() if cancels else None

    def _start_task(
        self, coroutine: Coroutine[Any, Any, Any], finished: Callable[[bool, Any], None], call: Call | None
    ) -> Callable[[], None]:
        task = self.loop.create_task(coroutine, context=self._variables(call))
        task.add_done_callback(partial(self._task_done, finished))
        return lambda: _cancel(task)

    def _variables(self, call: Call | None) -> Context:
        """Context variables of code that works on a call."""
        context = copy_context()
        context.run(CALL.set, call)
        context.run(INSTANCE.set, self)
        return context

    def _task_done(self, finished: Callable[[bool, Any], None], task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            from asyncio import CancelledError

            error = CancelledError()
        value = task.result() if error is None else error
        self._outside(partial(finished, error is None, value))

    def _outside(self, tell: Callable[[], None]) -> None:
        """Call back from outside of the loop: who hears of it may be another process."""
        self.context.kernel.call_later(0, lambda _: tell())

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Child):
            return self.handle(argument.name, self._context.app)
        if isinstance(argument, (list, tuple)):
            return type(argument)(self._argument(each) for each in argument)
        if isinstance(argument, dict):
            return {name: self._argument(each) for name, each in argument.items()}
        return argument


def _nothing() -> None:
    """What has ended before it could be cancelled."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it makes a coroutine."""
    while isinstance(function, partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    return not isinstance(function, type) and inspect.iscoroutinefunction(type(function).__call__)


def _takes_an_argument(method: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return True
    return bool(parameters)


async def _answered(method: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The ingress's own answer."""
    value = await _awaited(method, arguments, {})
    return await answer_of(value)


async def _awaited(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A synchronous method runs in a thread's place."""
    import asyncio

    if is_async(method):
        return await method(*args, **kwargs)
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        return method(*args, **kwargs)
    value = await asyncio.get_running_loop().run_in_executor(None, partial(method, *args, **kwargs))
    return await value if inspect.isawaitable(value) else value


async def _streamed(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], yielded: Callable[[Any], None]
) -> None:
    """Hand on what a generator yields."""
    values = await _awaited(method, args, kwargs)
    if not is_generator(values):
        raise TypeError(f"Called method '{_name(method)}' with stream=True but it did not return a generator.")
    async for value in each_of(values):
        yielded(value)


def _name(method: Callable[..., Any]) -> str:
    return getattr(method, "__name__", type(method).__name__)


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
