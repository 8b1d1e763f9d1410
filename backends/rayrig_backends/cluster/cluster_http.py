"""The `HttpClient` port outside a cluster: pods by their addresses, Services by name, or both through the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.requests import as_http_failure, in_own_task
from rayrig_backends.cluster.service_names import ServiceNames
from rayrig_core.http import HttpResponse


class ClusterHttp:
    """To be made and used inside a running loop. URLs of the scheme `kubernetes` go to the API server."""

    def __init__(self, kubernetes: HttpKubernetesClient) -> None:
        self._kubernetes = kubernetes
        #: Asked before the machine's own resolver, when there is one.
        self.names: ServiceNames | None = None
        # Pods are reached as they are: a proxy of this machine does not know them.
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None), timeout=None)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        sent = dict(headers or {})
        if url.startswith("kubernetes:"):
            target = url.removeprefix("kubernetes:").removeprefix("//")
            return await self._kubernetes.proxy(method, target, body=body, headers=sent, timeout_s=timeout_s)
        if self.names is not None:
            parts = urlsplit(url)
            found = await self.names.resolve(parts.hostname or "", parts.port or 80)
            if found is not None:
                address, port = found
                sent.setdefault("host", parts.netloc)
                url = parts._replace(netloc=f"[{address}]:{port}" if ":" in address else f"{address}:{port}").geturl()
        return await in_own_task(self._send(method, url, body, sent, timeout_s))

    async def _send(
        self, method: str, url: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> HttpResponse:
        with as_http_failure():
            async with asyncio.timeout(timeout_s):
                answer = await self._http.request(method, url, content=body, headers=headers)
        return HttpResponse(answer.status_code, answer.content, dict(answer.headers), answer.reason_phrase)
