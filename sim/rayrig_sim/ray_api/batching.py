"""`@serve.batch`: calls that arrive within a moment are one call with a list (ray-serve.md 9, SV-158, SV-159)."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from rayrig_sim.ray_api.multiplexing import get_multiplexed_model_id


def batch(
    function: Callable[..., Any] | None = None,
    /,
    *,
    max_batch_size: int = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: int = 1,
) -> Any:
    """Of an async method or function that takes a list and returns one of the same length, or yields such lists.

    A batch goes when it is full, or `batch_wait_timeout_s` after its first item. Raises `TypeError` for code that is not async,
    `ValueError` for sizes below 1 and negative times.
    """
    if max_batch_size < 1 or max_concurrent_batches < 1:
        raise ValueError("max_batch_size and max_concurrent_batches must be at least 1")
    if batch_wait_timeout_s < 0:
        raise ValueError("batch_wait_timeout_s must not be negative")

    def decorate(code: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(code):
            raise TypeError("Functions decorated with @serve.batch must be 'async def'")
        is_method = next(iter(inspect.signature(code).parameters), "") == "self"
        queues = _Queues(code, max_batch_size, batch_wait_timeout_s, max_concurrent_batches)

        @wraps(code)
        async def one(*args: Any) -> Any:
            owner, items = (args[0], args[1:]) if is_method else (None, args)
            if len(items) != 1:
                raise ValueError("@serve.batch functions take exactly one item")
            return await queues.of(owner).submit(items[0])

        return one

    return decorate if function is None else decorate(function)


class _Queues:
    """A queue for each object whose method it is, and for each event loop."""

    def __init__(self, code: Callable[..., Any], size: int, timeout_s: float, at_once: int) -> None:
        self._settings = (code, size, timeout_s, at_once)
        self._by_loop: WeakKeyDictionary[Any, dict[int, _Queue]] = WeakKeyDictionary()

    def of(self, owner: Any) -> _Queue:
        queues = self._by_loop.setdefault(asyncio.get_running_loop(), {})
        found = queues.get(id(owner))
        if found is None:
            found = queues[id(owner)] = _Queue(owner, *self._settings)
        return found


class _Item:
    __slots__ = ("future", "model_id", "since_s", "value")

    def __init__(self, value: Any, future: asyncio.Future[Any], since_s: float) -> None:
        self.value = value
        self.future = future
        self.since_s = since_s
        self.model_id = get_multiplexed_model_id()


class _Queue:
    def __init__(self, owner: Any, code: Callable[..., Any], size: int, timeout_s: float, at_once: int) -> None:
        self._owner = owner
        self._code = code
        self._size = size
        self._timeout_s = timeout_s
        self._free = at_once
        self._items: deque[_Item] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def submit(self, value: Any) -> Any:
        loop = asyncio.get_running_loop()
        item = _Item(value, loop.create_future(), loop.time())
        self._items.append(item)
        self._look(loop)
        return await item.future

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start what is due; wake up when the first of the others is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free and self._items:
            due_in_s = self._items[0].since_s + self._timeout_s - loop.time()
            if len(self._items) < self._size and due_in_s > 0:
                self._timer = loop.call_later(due_in_s, self._look, loop)
                return
            items = self._take()
            if items:
                self._free -= 1
                # A batch belongs to no single caller: it is not cancelled with one.
                loop.create_task(self._run(items, loop))

    def _take(self) -> list[_Item]:
        """The next items of one model, without those whose callers have left."""
        taken: list[_Item] = []
        left: deque[_Item] = deque()
        while self._items:
            item = self._items.popleft()
            if item.future.cancelled():
                continue
            if len(taken) < self._size and (not taken or taken[0].model_id == item.model_id):
                taken.append(item)
            else:
                left.append(item)
        self._items = left
        return taken

    async def _run(self, items: list[_Item], loop: asyncio.AbstractEventLoop) -> None:
        values = [item.value for item in items]
        try:
            results = await (self._code(values) if self._owner is None else self._code(self._owner, values))
            count = len(results)
            if count != len(values):
                raise ValueError(
                    f"Batched function doesn't preserve batch size. The input list has length {len(values)} but the "
                    f"returned list has length {count}."
                )
        except Exception as error:
            for item in items:
                if not item.future.done():
                    item.future.set_exception(error)
        else:
            for item, result in zip(items, results, strict=True):
                if not item.future.done():
                    item.future.set_result(result)
        finally:
            self._free += 1
            self._look(loop)
