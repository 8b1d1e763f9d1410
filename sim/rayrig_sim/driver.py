"""Calls from outside the simulation, as a script makes them: each lets virtual time pass until its result is there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

from rayrig_core.timestamps import NS
from rayrig_sim.kernel import Actor, Kernel

T = TypeVar("T")


class Pending(Generic[T]):
    """Something under way."""

    __slots__ = ("_driver", "_task")

    def __init__(self, driver: Driver, task: Actor) -> None:
        self._driver = driver
        self._task = task

    @property
    def is_done(self) -> bool:
        return self._task.is_done

    def result(self, timeout_s: float | None = None) -> T:
        """Let time pass until it is there. Raises what went wrong, and `TimeoutError` when it takes longer, which leaves it under
        way.
        """
        if not self._task.is_done:
            driver = self._driver
            until_s = None if timeout_s is None else driver.now_s + timeout_s
            with driver.passing():
                driver.kernel.run(until=self._task, until_s=until_s)
        if not self._task.is_done:
            raise TimeoutError(f"no result within {timeout_s} s")
        outcome: Any = self._task.value
        ok, value = outcome
        if not ok:
            raise value
        result: T = value
        return result


class Driver:
    """Time stands still between its calls."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        """Let time pass until the coroutine has its result. Raises what it raises."""
        return self.begin(function, *args, **kwargs).result()

    def begin(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> Pending[T]:
        """What `run` does, without waiting for the result."""

        async def caught() -> tuple[bool, Any]:
            try:
                return True, await function(*args, **kwargs)
            except Exception as error:
                return False, error

        return Pending(self, self.kernel.spawn("driver", caught()))

    def advance(self, seconds: float) -> None:
        """Let that much time pass. Raises `ValueError` unless it is positive."""
        with self.passing():
            self.kernel.run(until_s=self.now_s + seconds)

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.kernel.monotonic_ns() / NS

    def passing(self) -> AbstractContextManager[None]:
        """Around time that passes."""
        return nullcontext()
