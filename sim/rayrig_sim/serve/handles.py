"""Handles: how deployments call one another (`reference/ray-serve.md` 7.1 and 9).

`handle.method.remote(...)` returns a response at once; awaiting it gives the value or raises. Responses given as
arguments are awaited first. A call that is made in user code is cancelled when the call around it is.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from rayrig_sim.serve.calls import Call, CallCancelled
from rayrig_sim.serve.user_code import running

if TYPE_CHECKING:
    from rayrig_sim.serve.router import Router


class HandleCall(Call):
    """A call through a handle."""

    __slots__ = ("args", "kwargs", "response")

    def __init__(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        Call.__init__(self, method)
        self.args = args
        self.kwargs = kwargs
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
        return (yield self)

    def cancel(self) -> None:
        """Cancel the call; awaiting it raises `CallCancelled`. Nothing when it has ended."""
        call = self._call
        if not call.is_done:
            call.cancel()
            call.finished(False, CallCancelled())

    def result(self, timeout_s: float | None = None) -> Any:
        """Refused inside the simulation, as inside any event loop (SV-162)."""
        raise RuntimeError(
            "Sync methods should not be called from within an `asyncio` event loop. Use `await response` instead."
        )


class HandleMethod:
    """`handle.method`."""

    __slots__ = ("_name", "_router")

    def __init__(self, router: Router, name: str) -> None:
        self._router = router
        self._name = name

    def remote(self, *args: Any, **kwargs: Any) -> DeploymentResponse:
        call = HandleCall(self._name, args, kwargs)
        parent = running.call
        if parent is not None:
            if parent.children is None:
                parent.children = [call]
            else:
                parent.children.append(call)
        for argument in args:
            if type(argument) is DeploymentResponse:
                _Gathering(self._router, call)
                return call.response
        for argument in kwargs.values():
            if type(argument) is DeploymentResponse:
                _Gathering(self._router, call)
                return call.response
        self._router.assign(call)
        return call.response


class DeploymentHandle:
    """Client of a deployment, with a router of its own. `handle.remote()` calls `__call__`, `handle.method.remote()`
    a method.
    """

    __slots__ = ("_methods", "_router")

    def __init__(self, router: Router) -> None:
        self._router = router
        self._methods: dict[str, HandleMethod] = {}

    @property
    def deployment_name(self) -> str:
        return self._router.deployment.name

    @property
    def app_name(self) -> str:
        return self._router.deployment.app

    def __getattr__(self, name: str) -> HandleMethod:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._methods.get(name)
        if found is None:
            found = self._methods[name] = HandleMethod(self._router, name)
        return found

    def remote(self, *args: Any, **kwargs: Any) -> DeploymentResponse:
        return HandleMethod(self._router, "__call__").remote(*args, **kwargs)


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
