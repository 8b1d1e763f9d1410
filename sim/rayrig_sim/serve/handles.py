"""Handles: how deployments call one another (`reference/ray-serve.md` 7.1 and 9).

`handle.method.remote(...)` returns a response at once; awaiting it gives the value or raises. Responses given as
arguments are awaited first. A call that is made in user code is cancelled when the call around it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from rayrig_core.timestamps import to_ns
from rayrig_sim.serve.calls import Call, CallCancelled
from rayrig_sim.serve.user_code import running, until

if TYPE_CHECKING:
    from rayrig_sim.serve.router import Router


class HandleCall(Call):
    """A call through a handle."""

    __slots__ = ("args", "kwargs", "model_id", "response")

    model_id: str

    def __init__(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], model_id: str = "") -> None:
        Call.__init__(self, method)
        self.args = args
        self.kwargs = kwargs
        self.model_id = model_id
        self.response = DeploymentResponse(self)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.args, self.kwargs

    def finished(self, ok: bool, value: Any) -> None:
        self.is_done = True
        response = self.response
        response._ok = ok
        response._value = value
        callbacks, response.callbacks = response.callbacks, None
        assert callbacks is not None
        for callback in callbacks:
            callback(response)


class DeploymentResponse:
    """The answer to come; await it. Has the face of a kernel event, so that actors and user code alike can wait for
    it.
    """

    __slots__ = ("_call", "_defused", "_ok", "_value", "callbacks")

    def __init__(self, call: HandleCall) -> None:
        self._call = call
        self._ok = True
        self._value: Any = None
        self._defused = False
        self.callbacks: list[Any] | None = []

    def __await__(self) -> Generator[Any, Any, Any]:
        if self.callbacks is None:
            if self._ok:
                return self._value
            raise self._value
        return (yield from until(self))

    def cancel(self) -> None:
        """Cancel the call; awaiting it raises `CallCancelled`. Nothing when it has ended."""
        call = self._call
        if not call.is_done:
            call.cancel()
            call.finished(False, CallCancelled())

    def result(self, timeout_s: float | None = None) -> Any:
        """Block until it is there. Raises `RuntimeError` inside an event loop, where one must await it (SV-162), and
        `TimeoutError` when it takes longer, which leaves the call running.
        """
        thread = running.thread
        if thread is None:
            raise RuntimeError(
                "Sync methods should not be called from within an `asyncio` event loop. Use `await response` instead."
            )
        if self.callbacks is not None:
            thread.block(lambda go_on: _first_of(self, timeout_s, go_on))
        if self.callbacks is not None:
            raise TimeoutError(f"no result within {timeout_s} s")
        if self._ok:
            return self._value
        raise self._value


def _first_of(response: DeploymentResponse, timeout_s: float | None, go_on: Callable[[], None]) -> None:
    """Go on, once, when the response is there or the time has passed."""
    is_over = False

    def once(_: object) -> None:
        nonlocal is_over
        if not is_over:
            is_over = True
            go_on()

    context = running.context
    assert response.callbacks is not None
    response.callbacks.append(once)
    if timeout_s is not None and context is not None:
        context.kernel.call_later(to_ns(timeout_s), once)


class StreamingCall(HandleCall):
    """A call of a generator: values come before its end."""

    __slots__ = ("stream",)

    def __init__(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], model_id: str = "") -> None:
        super().__init__(method, args, kwargs, model_id)
        self.stream = DeploymentResponseGenerator(self)

    def yielded(self, value: Any) -> None:
        """The replica hands on a value."""
        self.stream.received(value)

    def finished(self, ok: bool, value: Any) -> None:
        super().finished(ok, value)
        self.stream.ended()


class DeploymentResponseGenerator:
    """What a call with `stream=True` gives: iterate over it with `async for`, or with `for` where code may block."""

    __slots__ = ("_call", "_values", "_waiting")

    def __init__(self, call: StreamingCall) -> None:
        self._call = call
        self._values: deque[Any] = deque()
        #: Whoever waits for the next value, as an event.
        self._waiting: _Next | None = None

    def received(self, value: Any) -> None:
        self._values.append(value)
        self.ended()

    def ended(self) -> None:
        """There is something to see."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.happen()

    def __aiter__(self) -> DeploymentResponseGenerator:
        return self

    async def __anext__(self) -> Any:
        while True:
            if self._values:
                return self._values.popleft()
            self._raise_if_over(StopAsyncIteration)
            self._waiting = _Next()
            await self._waiting

    def __iter__(self) -> DeploymentResponseGenerator:
        return self

    def __next__(self) -> Any:
        while True:
            if self._values:
                return self._values.popleft()
            self._raise_if_over(StopIteration)
            thread = running.thread
            if thread is None:
                raise RuntimeError("Use `async for` inside an `asyncio` event loop.")
            waiting = self._waiting = _Next()
            thread.block(waiting.then)

    def _raise_if_over(self, end: type[Exception]) -> None:
        response = self._call.response
        if response.callbacks is None:
            if response._ok:
                raise end
            raise response._value

    def cancel(self) -> None:
        """The generator is cancelled where it waits. Nothing when it has ended."""
        self._call.response.cancel()


class _Next:
    """An event that has no value."""

    __slots__ = ("_defused", "_ok", "_value", "callbacks")

    def __init__(self) -> None:
        self._ok = True
        self._value = None
        self._defused = False
        self.callbacks: list[Callable[[Any], None]] | None = []

    def __await__(self) -> Generator[Any, Any, None]:
        yield from until(self)

    def then(self, go_on: Callable[[], None]) -> None:
        assert self.callbacks is not None
        self.callbacks.append(lambda _: go_on())

    def happen(self) -> None:
        callbacks, self.callbacks = self.callbacks, None
        for callback in callbacks or ():
            callback(self)


class HandleMethod:
    """`handle.method`."""

    __slots__ = ("_model_id", "_name", "_router", "_stream")

    def __init__(self, router: Router, name: str, *, stream: bool = False, model_id: str = "") -> None:
        self._router = router
        self._name = name
        self._stream = stream
        self._model_id = model_id

    def options(self, *, stream: bool | None = None, multiplexed_model_id: str | None = None, **_: Any) -> HandleMethod:
        """The same method, called otherwise."""
        return HandleMethod(
            self._router,
            self._name,
            stream=self._stream if stream is None else stream,
            model_id=self._model_id if multiplexed_model_id is None else multiplexed_model_id,
        )

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """A `DeploymentResponse`; with `stream` a `DeploymentResponseGenerator`, which no call takes (`RuntimeError`)."""
        call = (StreamingCall if self._stream else HandleCall)(self._name, args, kwargs, self._model_id)
        answer = call.stream if isinstance(call, StreamingCall) else call.response
        parent = running.call
        if parent is not None:
            if parent.children is None:
                parent.children = [call]
            else:
                parent.children.append(call)
        for argument in (*args, *kwargs.values()) if kwargs else args:
            if type(argument) is DeploymentResponse:
                _Gathering(self._router, call)
                return answer
            if type(argument) is DeploymentResponseGenerator:
                raise RuntimeError("Streaming deployment handle results cannot be passed to downstream handle calls.")
        self._router.assign(call)
        return answer


class DeploymentHandle:
    """Client of a deployment, with a router of its own. `handle.remote()` calls `__call__`, `handle.method.remote()`
    a method.
    """

    __slots__ = ("_methods", "_model_id", "_name", "_router", "_stream")

    def __init__(self, router: Router, *, name: str = "__call__", stream: bool = False, model_id: str = "") -> None:
        self._router = router
        self._name = name
        self._stream = stream
        self._model_id = model_id
        self._methods: dict[str, HandleMethod] = {}

    @property
    def deployment_name(self) -> str:
        return self._router.deployment.name

    @property
    def app_name(self) -> str:
        return self._router.deployment.app

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str | None = None,
        **_: Any,
    ) -> DeploymentHandle:
        """The same deployment, called otherwise. Options that only change how Ray sends are ignored."""
        return DeploymentHandle(
            self._router,
            name=self._name if method_name is None else method_name,
            stream=self._stream if stream is None else stream,
            model_id=self._model_id if multiplexed_model_id is None else multiplexed_model_id,
        )

    def __getattr__(self, name: str) -> HandleMethod:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._methods.get(name)
        if found is None:
            found = self._methods[name] = HandleMethod(self._router, name, stream=self._stream, model_id=self._model_id)
        return found

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """As `HandleMethod.remote`."""
        return HandleMethod(self._router, self._name, stream=self._stream, model_id=self._model_id).remote(
            *args, **kwargs
        )


class _Gathering:
    """Waits for the arguments that are responses, then lets the call go. The first failure fails the call."""

    __slots__ = ("_call", "_missing", "_router")

    def __init__(self, router: Router, call: HandleCall) -> None:
        self._router = router
        self._call = call
        arguments = [*call.args, *call.kwargs.values()]
        waiting = [a for a in arguments if type(a) is DeploymentResponse and a.callbacks is not None]
        self._missing = len(waiting)
        for response in waiting:
            assert response.callbacks is not None
            response.callbacks.append(self._arrived)
        if not waiting:
            self._go()

    def _arrived(self, _: DeploymentResponse) -> None:
        self._missing -= 1
        if not self._missing:
            self._go()

    def _go(self) -> None:
        call = self._call
        if call.is_done:
            return
        for argument in (*call.args, *call.kwargs.values()):
            if type(argument) is DeploymentResponse and not argument._ok:
                call.finished(False, argument._value)
                return
        call.args = tuple(_value(argument) for argument in call.args)
        call.kwargs = {name: _value(argument) for name, argument in call.kwargs.items()}
        self._router.assign(call)


def _value(argument: Any) -> Any:
    return argument._value if type(argument) is DeploymentResponse else argument
