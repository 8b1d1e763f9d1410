"""The simulation's actors at an API server, on wall time: what every process that runs some of them does alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.connection import Connection
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_core.errors import ApiError, InputError, api_error
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchStream
from rayrig_core.resource_types import ResourceType

_TRACE_KEEP = 20_000
_UNAVAILABLE = 503


class ActorsProcess:
    """To be made anywhere, run inside an event loop."""

    def __init__(self, connection: Connection, *, seed: int, user_agent: str) -> None:
        """`seed` decides the lengths of watches."""
        self.connection = connection
        self._seed = seed
        self._user_agent = user_agent
        self._stopped: asyncio.Event | None = None
        self._failure: tuple[str, Exception] | None = None

    async def run(
        self,
        start: Callable[[AsyncioRuntime, HttpKubernetesClient], Awaitable[None]],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Works until `stop`. `start` spawns the actors; `on_ready` is called when it is through.

        Raises `InputError` when `start` is refused or gets no answer, `RuntimeError` for what left an actor.
        """
        self._stopped = asyncio.Event()
        runtime = AsyncioRuntime(trace_keep=_TRACE_KEEP, on_failure=self._failed)
        client = ActorsClient(self.connection, Random(self._seed), user_agent=self._user_agent)
        try:
            try:
                await start(runtime, client)
            except ApiError as refused:
                remedy = "check the URL, and that the API server runs" if refused.code == _UNAVAILABLE else ""
                raise InputError(refused.message, where=self.connection.server, remedy=remedy) from None
            on_ready()
            await self._stopped.wait()
        finally:
            await runtime.stop()
            await client.aclose()
        if self._failure is not None:
            raise RuntimeError(f"actor {self._failure[0]} failed") from self._failure[1]

    def _failed(self, name: str, error: Exception) -> None:
        self._failure = (name, error)
        self.stop()

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        if self._stopped is not None:
            self._stopped.set()


class ActorsClient(HttpKubernetesClient):
    """An API server that does not answer is one that refuses for now (503): actors know `ApiError` only, and try again."""

    async def watch(self, resource: ResourceType, namespace: str = "", **options: str) -> WatchStream:
        try:
            return await super().watch(resource, namespace, **options)
        except HttpFailure as failure:
            raise _unavailable(failure) from None

    async def _call(self, *args: Any, **options: Any) -> JsonObject:
        try:
            return await super()._call(*args, **options)
        except HttpFailure as failure:
            raise _unavailable(failure) from None


def _unavailable(failure: HttpFailure) -> ApiError:
    return api_error({"code": _UNAVAILABLE, "reason": "ServiceUnavailable", "message": f"no answer: {failure}"})
