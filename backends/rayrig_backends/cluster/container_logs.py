"""Logs of hollow containers, for an API server that keeps them: `rayrig kube` takes what a container writes at `/rayrig/logs/`.

Any other API server asks the node itself for a log, where nobody listens.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import quote

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, key_of

_TIMEOUT_S = 10.0


class ServedLogs:
    """Hands lines on in the order in which they were written; a server that does not take them goes without."""

    def __init__(self, runtime: AsyncioRuntime, client: HttpKubernetesClient) -> None:
        self._runtime = runtime
        self._client = client
        self._turn = asyncio.Lock()

    def write(self, pod: JsonObject, container: str, text: str, begins: bool) -> None:
        """Of a container of a pod; `begins`: with it a new run begins."""
        if text or begins:
            path = "/".join(quote(part) for part in (*key_of(pod), container))
            restart = "?restart=true" if begins else ""
            self._runtime.spawn(f"logs/{path}", self._hand_on(f"/rayrig/logs/{path}{restart}", text.encode()))

    async def _hand_on(self, target: str, lines: bytes) -> None:
        async with self._turn:
            with suppress(HttpFailure):
                await self._client.proxy("POST", target, body=lines, headers={}, timeout_s=_TIMEOUT_S)
