"""Calls without HTTP: `serve.get_handle(endpoint).remote(...)` and the object that stands for its result."""

from __future__ import annotations

from typing import Any

from rayrig_sim.driver import Pending
from rayrig_sim.legacy.flask_request import FlaskRequest
from rayrig_sim.legacy.instance import LegacyServe
from rayrig_sim.legacy.queries import Query


class ObjectID:
    """What `ray.get` waits for."""

    __slots__ = ("pending",)

    def __init__(self, pending: Pending[Any]) -> None:
        self.pending = pending


class RayServeHandle:
    """Queries an endpoint. The request that the backend's code gets is empty; keyword arguments come beside it."""

    def __init__(
        self, instance: LegacyServe, endpoint: str, method: str = "__call__", shard_key: str | None = None
    ) -> None:
        self._instance = instance
        self._endpoint = endpoint
        self._method = method
        self._shard_key = shard_key

    def options(self, method_name: str | None = None, *, shard_key: str | None = None) -> RayServeHandle:
        """A handle that calls another method, or goes to the same backend for the same key."""
        return RayServeHandle(self._instance, self._endpoint, method_name or self._method, shard_key or self._shard_key)

    def remote(self, **kwargs: Any) -> ObjectID:
        """Send the query; `ray.get` waits for its result."""
        instance = self._instance
        query = Query(
            instance.kernel.signal(),
            FlaskRequest(),
            is_web=False,
            kwargs=kwargs,
            method=self._method,
            shard_key=self._shard_key,
        )
        instance.send(self._endpoint, query)
        return ObjectID(instance.begin(_result, query))


async def _result(query: Query) -> Any:
    ok, value = await query.done
    if not ok:
        raise value
    return value
