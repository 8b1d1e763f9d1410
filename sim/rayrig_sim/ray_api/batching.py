"""`@serve.batch`: calls that arrive within a moment are one call with lists (ray-serve.md 9, SV-158, SV-159).

A replica collects one batch after the other, also while earlier ones run: the wait for more begins with the first item of each.
What is collected waits for its turn; it grows no more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextvars import copy_context
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary

from rayrig_sim.ray_api.exceptions import RayServeException
from rayrig_sim.ray_api.multiplexing import BATCH_MODEL, get_multiplexed_model_id
from rayrig_sim.serve.asyncio_code.instance import INSTANCE
from rayrig_sim.serve.asyncio_code.virtual_loop import CALL

#: In a list that a generator yields: nothing more comes for this item.
_ENDS = (StopIteration, StopAsyncIteration)


def batch(
    function: Callable[..., Any] | None = None,
    /,
    *,
    max_batch_size: int = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: int = 1,
    batch_size_fn: Callable[[list[Any]], int] | None = None,
) -> Any:
    """Of an async method or function that takes lists and returns one of the same length, or yields such lists.

    A batch goes when it is full, or `batch_wait_timeout_s` after its first item was there. `batch_size_fn` says how large a list of
    first arguments is; None: its length. The decorated function has `set_max_batch_size` and `set_batch_wait_timeout_s`, which
    hold for the replica that calls them. Raises `TypeError` for code that is not async, `TypeError` and `ValueError` for sizes
    and times that cannot be.
    """
    if function is not None and not inspect.iscoroutinefunction(function):
        raise TypeError("Functions decorated with @serve.batch must be 'async def'")
    _check_size(max_batch_size)
    _check_timeout(batch_wait_timeout_s)
    if not isinstance(max_concurrent_batches, int) or max_concurrent_batches < 1:
        raise TypeError(f"max_concurrent_batches must be an integer >= 1, got {max_concurrent_batches}")
    if batch_size_fn is not None and not callable(batch_size_fn):
        raise TypeError(f"batch_size_fn must be a callable or None, got {type(batch_size_fn)}")

    def decorate(code: Callable[..., Any]) -> Callable[..., Any]:
        is_generator = inspect.isasyncgenfunction(code)
        if not is_generator and not inspect.iscoroutinefunction(code):
            raise TypeError("Functions decorated with @serve.batch must be 'async def'")
        signature = inspect.signature(code)
        is_method = next(iter(signature.parameters), "") == "self"
        by_loop: WeakKeyDictionary[Any, _Queue] = WeakKeyDictionary()

        def queue() -> _Queue:
            # Of the replica, as far as one is there: synchronous code of its sets sizes and times, too.
            instance = INSTANCE.get()
            loop: asyncio.AbstractEventLoop = asyncio.get_running_loop() if instance is None else instance.loop
            if loop not in by_loop:
                by_loop[loop] = _Queue(
                    loop, code, max_batch_size, batch_wait_timeout_s, max_concurrent_batches, batch_size_fn
                )
            return by_loop[loop]

        def submitted(args: tuple[Any, ...], kwargs: dict[str, Any]) -> asyncio.Future[Any]:
            signature.bind(*args, **kwargs)
            owner, args = (args[:1], args[1:]) if is_method else ((), args)
            return queue().submit(_Item(owner, args, kwargs))

        @wraps(code)
        async def one(*args: Any, **kwargs: Any) -> Any:
            return await submitted(args, kwargs)

        @wraps(code)
        def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            return _values(submitted(args, kwargs))

        wrapper: Any = stream if is_generator else one
        wrapper.set_max_batch_size = lambda size: queue().set_size(size)
        wrapper.set_batch_wait_timeout_s = lambda timeout_s: queue().set_timeout(timeout_s)
        return wrapper  # type: ignore[no-any-return]

    return decorate if function is None else decorate(function)


def _check_size(size: Any) -> None:
    if not isinstance(size, int) and not (isinstance(size, float) and size.is_integer()):
        raise TypeError(f"max_batch_size must be integer >= 1, got {size}")
    if size < 1:
        raise ValueError(f"max_batch_size must be an integer >= 1, got {size}")


def _check_timeout(timeout_s: Any) -> None:
    if not isinstance(timeout_s, (float, int)):
        raise TypeError(f"batch_wait_timeout_s must be a float >= 0, got {timeout_s}")
    if timeout_s < 0:
        raise ValueError(f"batch_wait_timeout_s must be a float >= 0, got {timeout_s}")


async def _values(first: asyncio.Future[Any]) -> AsyncIterator[Any]:
    """What comes for one item of a generator's batches: each value brings the future of the next."""
    following = first
    while True:
        try:
            value, following = await following
        except StopAsyncIteration:
            return
        yield value


class _Item:
    """One call: `owner` is its object, when it is one of a method."""

    __slots__ = ("args", "future", "kwargs", "model_id", "owner")

    def __init__(self, owner: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.owner = owner
        self.args = args
        self.kwargs = kwargs
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.model_id = get_multiplexed_model_id()


class _Queue:
    """The items of one replica, and what becomes of them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        code: Callable[..., Any],
        size: int,
        timeout_s: float,
        at_once: int,
        size_of: Callable[[list[Any]], int] | None,
    ) -> None:
        self._code = code
        self._size = size
        self._timeout_s = timeout_s
        self._size_of = size_of
        self._turns = asyncio.Semaphore(at_once)
        self._items: deque[_Item] = deque()
        self._has_items = asyncio.Event()
        # Batches belong to no single caller: they are not cancelled with one.
        self._context = copy_context()
        self._context.run(CALL.set, None)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._collector = loop.create_task(self._collect(), context=self._context)

    def set_size(self, size: int) -> None:
        _check_size(size)
        self._size = size

    def set_timeout(self, timeout_s: float) -> None:
        _check_timeout(timeout_s)
        self._timeout_s = timeout_s

    def submit(self, item: _Item) -> asyncio.Future[Any]:
        self._items.append(item)
        self._has_items.set()
        return item.future

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch()
            if batch:
                task = loop.create_task(self._in_turn(batch))
                self._tasks[task] = None
                task.add_done_callback(self._tasks.pop)

    async def _next_batch(self) -> list[_Item]:
        """Wait for items, at most for the time-out from the first of them. Empty when that alone is too large."""
        while not self._items:
            self._has_items.clear()
            await self._has_items.wait()
        size, timeout_s = self._size, self._timeout_s
        batch = [self._items.popleft()]
        if self._size_of is not None and self._measured(batch) > size:
            batch[0].future.set_exception(
                RuntimeError(
                    "Size of item is greater than max_batch_size. Please increase the max_batch_size or check the "
                    "implementation of the batch_size_fn."
                )
            )
            return []
        loop = asyncio.get_running_loop()
        due_s = loop.time() + timeout_s
        is_over = not timeout_s
        while True:
            # What is measured is taken until one is too much, which goes to the end of the queue.
            while self._items and (self._size_of is not None or len(batch) < size):
                batch.append(self._items.popleft())
                if self._measured(batch) > size:
                    self._items.append(batch.pop())
                    return batch
            if is_over or self._measured(batch) >= size:
                return batch
            self._has_items.clear()
            try:
                await asyncio.wait_for(self._has_items.wait(), due_s - loop.time())
            except TimeoutError:
                is_over = True

    def _measured(self, batch: list[_Item]) -> int:
        return len(batch) if self._size_of is None else self._size_of([_first_argument(item) for item in batch])

    async def _in_turn(self, batch: list[_Item]) -> None:
        by_model: dict[str, list[_Item]] = {}
        for item in batch:
            by_model.setdefault(item.model_id, []).append(item)
        async with self._turns:
            await asyncio.gather(*(self._run(model_id, items) for model_id, items in by_model.items()))

    async def _run(self, model_id: str, items: list[_Item]) -> None:
        """Items of one model, without those whose callers have left."""
        items = [item for item in items if not item.future.cancelled()]
        if not items:
            return
        futures: list[asyncio.Future[Any] | None] = [item.future for item in items]
        BATCH_MODEL.set(model_id)
        try:
            outcome = _joined(self._code, items)()
            if inspect.isasyncgen(outcome):
                await _hand_on(outcome, futures)
                return
            results = await outcome
            _check_length(results, len(items))
        except Exception as error:
            for item in items:
                _fail(item.future, error)
            return
        for item, result in zip(items, results, strict=True):
            if not item.future.done():
                item.future.set_result(result)


def _first_argument(item: _Item) -> Any:
    return item.args[0] if item.args else next(iter(item.kwargs.values()))


def _joined(code: Callable[..., Any], items: list[_Item]) -> Callable[[], Any]:
    """The call with a list for each argument."""
    first = items[0]
    if len({(len(item.args), len(item.kwargs)) for item in items}) > 1:
        raise AssertionError("All batch requests should have the same number of parameters.")
    columns = [[item.args[position] for item in items] for position in range(len(first.args))]
    named = {name: [item.kwargs[name] for item in items] for name in first.kwargs}
    return partial(code, *first.owner, *columns, **named)


async def _hand_on(lists: Any, futures: list[asyncio.Future[Any] | None]) -> None:
    """Each value to whom it belongs; None stands for an item for which nothing more comes."""
    loop = asyncio.get_running_loop()
    try:
        async for results in lists:
            _check_length(results, len(futures))
            for position, result in enumerate(results):
                future = futures[position]
                if future is None:
                    continue
                if result in _ENDS:
                    futures[position] = None
                    _fail(future, StopAsyncIteration())
                    continue
                following: asyncio.Future[Any] = loop.create_future()
                futures[position] = following
                if not future.done():
                    future.set_result((result, following))
        end: Exception = StopAsyncIteration()
    except Exception as error:
        end = error
    for future in futures:
        if future is not None:
            _fail(future, end)


def _check_length(results: Any, count: int) -> None:
    if len(results) != count:
        raise RayServeException(
            f"Batched function doesn't preserve batch size. The input list has length {count} but the returned list has "
            f"length {len(results)}."
        )


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
