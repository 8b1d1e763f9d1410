"""One query on its way to a backend, and the call of a worker that answers one or several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rayrig_sim.legacy.flask_request import FlaskRequest
from rayrig_sim.serve.calls import Call, Place

if TYPE_CHECKING:
    from rayrig_sim.agenda import KernelSignal


class Query:
    """`done` gets (True, result) or (False, exception), once. `is_web`: it came over HTTP, else by handle."""

    __slots__ = ("done", "is_web", "kwargs", "method", "request", "retries", "shard_key")

    def __init__(
        self,
        done: KernelSignal[tuple[bool, Any]],
        request: FlaskRequest,
        *,
        is_web: bool,
        kwargs: Mapping[str, Any] | None = None,
        method: str = "__call__",
        shard_key: str | None = None,
    ) -> None:
        self.done = done
        self.request = request
        self.is_web = is_web
        self.kwargs = dict(kwargs or {})
        self.method = method
        self.shard_key = shard_key
        #: How often its worker died under it.
        self.retries = 0

    def can_share_a_batch(self, other: Query) -> bool:
        return self.is_web == other.is_web and self.method == other.method and list(self.kwargs) == list(other.kwargs)


class Work(Call):
    """What a worker does at one time: a query, or with `is_batch` a list of them."""

    __slots__ = ("is_batch", "on_end", "queries")

    def __init__(
        self, place: Place, queries: list[Query], *, is_batch: bool, on_end: Callable[[Work, bool, Any], None]
    ) -> None:
        Call.__init__(self, queries[0].method)
        self.candidate = place
        self.queries = queries
        self.is_batch = is_batch
        self.on_end = on_end

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = self.queries[0]
        if not self.is_batch:
            return (first.request,), first.kwargs
        return (
            ([query.request for query in self.queries],),
            {name: [query.kwargs[name] for query in self.queries] for name in first.kwargs},
        )

    def finished(self, ok: bool, value: Any) -> None:
        self.is_done = True
        self.on_end(self, ok, value)
