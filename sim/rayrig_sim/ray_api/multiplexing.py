"""`@serve.multiplexed`: a replica holds a few models at a time and unloads the one used longest ago (ray-serve.md 9, SV-160)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from rayrig_sim.serve.asyncio_code.instance import INSTANCE
from rayrig_sim.serve.user_code import running

#: The model of the batch that runs; None elsewhere.
BATCH_MODEL: ContextVar[str | None] = ContextVar("batch model", default=None)


def get_multiplexed_model_id() -> str:
    """The model that the current request or batch asks for; empty when it asks for none."""
    model_id = BATCH_MODEL.get()
    if model_id is not None:
        return model_id
    call = running.call
    return call.model_id if call is not None else ""


def multiplexed(function: Callable[..., Any] | None = None, /, *, max_num_models_per_replica: int = 3) -> Any:
    """Of an async method that loads the model of an id. Its results are kept, at most so many of them.

    Raises `TypeError` for code that is not async, `ValueError` for a number that is not positive; the loader raises
    `ValueError` for an id that is empty or no text.
    """
    if max_num_models_per_replica == 0 or max_num_models_per_replica < -1:
        raise ValueError("max_num_models_per_replica must be positive, or -1 for no limit")

    def decorate(code: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(code):
            raise TypeError("@serve.multiplexed can only be used to decorate async functions or methods.")
        is_method = next(iter(inspect.signature(code).parameters), "") == "self"
        by_loop: WeakKeyDictionary[Any, dict[int, _Models]] = WeakKeyDictionary()

        @wraps(code)
        async def load(*args: Any) -> Any:
            owner, ids = (args[0], args[1:]) if is_method else (None, args)
            kept = by_loop.setdefault(asyncio.get_running_loop(), {})
            if id(owner) not in kept:
                kept[id(owner)] = _Models(owner, code, max_num_models_per_replica)
            return await kept[id(owner)].model(ids[0] if ids else get_multiplexed_model_id())

        return load

    return decorate if function is None else decorate(function)


class _Models:
    """Loaded models by id, the one used longest ago first."""

    def __init__(self, owner: Any, code: Callable[..., Any], limit: int) -> None:
        self._owner = owner
        self._code = code
        self._limit = limit
        self._loaded: dict[str, Any] = {}
        self._awaited: dict[str, None] = {}
        self._finalizers: dict[str, Callable[[Any], Any] | None] = {}
        self._lock = asyncio.Lock()

    async def model(self, model_id: Any) -> Any:
        if not isinstance(model_id, str):
            raise TypeError("The model ID must be a string.")
        if not model_id:
            raise ValueError("The model ID cannot be empty.")
        if model_id in self._loaded:
            self._loaded[model_id] = self._loaded.pop(model_id)
            return self._loaded[model_id]
        # Told before it is there, so that others who want it come here, too.
        self._awaited[model_id] = None
        self._tell()
        async with self._lock:
            try:
                if model_id not in self._loaded:
                    if 0 < self._limit <= len(self._loaded):
                        await self._unload(next(iter(self._loaded)))
                    model = await (self._code(model_id) if self._owner is None else self._code(self._owner, model_id))
                    self._finalizers[model_id] = _take_finalizer(model)
                    self._loaded[model_id] = model
                return self._loaded[model_id]
            finally:
                self._awaited.pop(model_id, None)
                self._tell()

    async def _unload(self, model_id: str) -> None:
        """Its `__del__` is waited for."""
        model = self._loaded.pop(model_id)
        self._tell()
        finalizer = self._finalizers.pop(model_id)
        if finalizer is not None:
            outcome = finalizer(model)
            if inspect.isawaitable(outcome):
                await outcome

    def _tell(self) -> None:
        """Routers look at this."""
        instance = INSTANCE.get()
        if instance is not None:
            instance.models = dict.fromkeys((*self._loaded, *self._awaited))


def _take_finalizer(model: Any) -> Callable[[Any], Any] | None:
    """Its `__del__`, which from now on only unloading calls: a process that is killed never does, and Python would whenever
    the object is freed.
    """
    cls = type(model)
    finalizer: Callable[[Any], Any] | None = getattr(cls, "__del__", None)
    if finalizer is None:
        return None
    muted = type(cls.__name__, (cls,), {"__del__": _nothing, "__module__": cls.__module__, "__slots__": ()})
    try:
        model.__class__ = muted
    except TypeError:
        # Of a built-in layout: Python calls it once more.
        return finalizer
    return finalizer


def _nothing(_: Any) -> None:
    """Stands in the way of Python's own call."""
