"""The object of user code in a replica: its constructor, `reconfigure`, `check_health`, methods and `__del__`.

Calls of its methods are driven by `rayrig_sim.serve.execution`; what is awaited here lets an actor of the control plane wait.
Source: reference/ray-serve.md 5.5, 9.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any, cast

from rayrig_sim.serve.application_code import Child, DeploymentCode
from rayrig_sim.serve.user_code import ReplicaContext, awaiting, driven, running


class UserInstance:
    """`handles` gives what the constructor gets for a child. Errors of user code leave as they were raised."""

    __slots__ = ("_children_of", "_code", "_context", "_instance")

    def __init__(self, code: DeploymentCode, context: ReplicaContext, handles: Callable[[str], object] | None) -> None:
        self._code = code
        self._context = context
        self._children_of = handles
        self._instance: Any = None

    def construct(self) -> None:
        """Call the constructor. A function is its own instance."""
        code = self._code
        behaviour = cast(Any, code.behaviour)
        if not isinstance(behaviour, type):
            self._instance = behaviour
            return
        args = [self._argument(argument) for argument in code.init_args]
        kwargs = {name: self._argument(argument) for name, argument in code.init_kwargs.items()}
        behaviour = without_finalizer(behaviour)
        context_before, running.context = running.context, self._context
        try:
            self._instance = behaviour(*args, **kwargs)
        finally:
            running.context = context_before

    async def reconfigure(self, user_config: Any) -> None:
        """Raises `ValueError` when the class has no `reconfigure`."""
        method = getattr(self._instance, "reconfigure", None)
        if method is None:
            deployment = self._context.deployment
            raise ValueError(f"user_config specified but deployment {deployment} missing reconfigure method.")
        await self._call(method, user_config)

    async def check_health(self) -> None:
        """Nothing when there is no `check_health`."""
        method = getattr(self._instance, "check_health", None)
        if method is not None:
            await self._call(method)

    def bound(self, name: str) -> Callable[..., Any]:
        """The method that a call means. Raises `AttributeError`."""
        if not isinstance(self._code.behaviour, type) and name == "__call__":
            return cast("Callable[..., Any]", self._instance)
        method: Callable[..., Any] = getattr(self._instance, name)
        return method

    def finalize(self) -> None:
        """`__del__`, once the replica has stopped in order."""
        finalizer = getattr(self._code.behaviour, "__del__", None)
        if finalizer is not None and self._instance is not None:
            finalizer(self._instance)

    def forget(self) -> None:
        """The process has ended."""
        self._instance = None

    def _argument(self, argument: Any) -> Any:
        if not isinstance(argument, Child):
            return argument
        if self._children_of is None:
            replica_id = self._context.replica_id
            raise RuntimeError(f"replica {replica_id} was made without handles; it cannot call {argument.name!r}")
        return self._children_of(argument.name)

    async def _call(self, method: Callable[..., Any], *args: Any) -> None:
        context_before, running.context = running.context, self._context
        try:
            value = method(*args)
        finally:
            running.context = context_before
        if hasattr(value, "__await__"):
            await driven(self._context, value if type(value) is CoroutineType else awaiting(value))


def without_finalizer(cls: type[Any]) -> type[Any]:
    """The class, with a `__del__` that does nothing if it has one: Python would run it whenever the object is freed; a killed
    process never does (SV-163).
    """
    if getattr(cls, "__del__", None) is None:
        return cls
    return type(cls.__name__, (cls,), {"__del__": _no_finalizer, "__module__": cls.__module__})


def _no_finalizer(_: Any) -> None:
    """Stands in the way of Python's own call."""
