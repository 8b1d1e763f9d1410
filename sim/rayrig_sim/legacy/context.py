"""What a backend's code may ask about the call it is in: `serve.context`, and how it says that it takes batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rayrig_sim.legacy.queries import Work
from rayrig_sim.serve.user_code import running

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "ray_serve_accept_batch"


class ServeContext:
    """`web`: the request came over HTTP, not by a handle; `batch_size`: how many requests this call has, None without batches."""

    @property
    def web(self) -> bool:
        work = running.call
        return isinstance(work, Work) and work.queries[0].is_web

    @property
    def batch_size(self) -> int | None:
        work = running.call
        return len(work.queries) if isinstance(work, Work) and work.is_batch else None


context = ServeContext()


def accept_batch(function: F) -> F:
    """Mark a function or a method `__call__` as one that takes a list of requests and returns a list of the same length."""
    setattr(function, _MARK, True)
    return function


def accepts_batch(behaviour: object) -> bool:
    """Whether a backend's function, or its class's `__call__`, is so marked."""
    function = behaviour.__call__ if isinstance(behaviour, type) else behaviour
    return bool(getattr(function, _MARK, False))
