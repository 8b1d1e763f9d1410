"""The `KubernetesClient` port over HTTP, with httpx: any API server."""

from __future__ import annotations

import asyncio
import json
from random import Random
from urllib.parse import quote

import httpx

from rayrig_backends.cluster.connection import Connection
from rayrig_backends.cluster.requests import as_http_failure, in_own_task
from rayrig_backends.cluster.watch_stream import HttpWatchStream, status_of
from rayrig_core.errors import api_error
from rayrig_core.http import HttpResponse
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import ObjectList, PatchType, Preconditions, PropagationPolicy, WatchStream
from rayrig_core.resource_types import ResourceType

#: client-go's: how often a request is sent again that was answered with Retry-After, and how long a watch is asked for.
_TRIES = 10
_WATCH_S = (300, 600)
_TIMEOUT_S = 30.0
_PATCH_TYPES: dict[PatchType, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class HttpKubernetesClient:
    """One user's connections to an API server; to be made and used inside a running loop. All verbs raise `ApiError` when the
    server refuses and `HttpFailure` when no answer comes.
    """

    def __init__(self, connection: Connection, rng: Random, *, user_agent: str) -> None:
        """`rng` spreads the lengths of watches."""
        self._connection = connection
        self._rng = rng
        self._http = httpx.AsyncClient(
            base_url=connection.server,
            verify=connection.tls if connection.tls is not None else True,
            headers={"user-agent": user_agent, "accept": "application/json"},
            # As in Go, no proxy stands between a machine and itself.
            trust_env=not connection.is_loopback,
            # As many connections as there are informers and workers.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            timeout=_TIMEOUT_S,
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    # Reading

    async def get(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject:
        return await self._call("GET", resource.path(namespace, name))

    async def list(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        query = _selectors(label_selector, field_selector)
        if limit:
            query["limit"] = str(limit)
        if continue_token:
            query["continue"] = continue_token
        answer = await self._call("GET", resource.path(namespace), query)
        items = answer.get("items") or []
        for item in items:
            # An API server leaves these out of the items of a typed list.
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        metadata = answer.get("metadata") or {}
        return ObjectList(items, metadata.get("resourceVersion", ""), metadata.get("continue", ""))

    async def watch(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> WatchStream:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._rng.randint(*_WATCH_S)),
            **_selectors(label_selector, field_selector),
        }
        if resource_version:
            query["resourceVersion"] = resource_version
        stream = HttpWatchStream(self._http, resource.path(namespace), query, self._headers())
        await stream.opened()
        return stream

    async def raw(self, path: str) -> JsonObject:
        """The JSON object at any path, such as a discovery document."""
        return await self._call("GET", path)

    # Writing

    async def create(
        self, resource: ResourceType, obj: JsonObject, namespace: str = "", *, dry_run: bool = False
    ) -> JsonObject:
        namespace = namespace or str((obj.get("metadata") or {}).get("namespace") or "")
        return await self._call("POST", resource.path(namespace), _dry_run(dry_run), obj)

    async def update(
        self, resource: ResourceType, obj: JsonObject, *, subresource: str = "", dry_run: bool = False
    ) -> JsonObject:
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._call("PUT", path, _dry_run(dry_run), obj)

    async def patch(
        self,
        resource: ResourceType,
        name: str,
        patch: Json,
        namespace: str = "",
        *,
        patch_type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> JsonObject:
        query = _dry_run(dry_run)
        if field_manager:
            query["fieldManager"] = field_manager
        if force:
            query["force"] = "true"
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, query, patch, _PATCH_TYPES[patch_type])

    async def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str = "",
        *,
        propagation_policy: PropagationPolicy | None = None,
        grace_period_seconds: int | None = None,
        preconditions: Preconditions | None = None,
    ) -> JsonObject:
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if preconditions is not None:
            given = {"uid": preconditions.uid, "resourceVersion": preconditions.resource_version}
            options["preconditions"] = {key: value for key, value in given.items() if value is not None}
        return await self._call("DELETE", resource.path(namespace, name), {}, options)

    async def delete_collection(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        await self._call("DELETE", resource.path(namespace), _selectors(label_selector, field_selector))

    async def create_subresource(
        self, resource: ResourceType, name: str, subresource: str, body: JsonObject, namespace: str = ""
    ) -> JsonObject:
        return await self._call("POST", resource.path(namespace, name, subresource), {}, body)

    # The server as a proxy to what runs in its cluster

    async def proxy(
        self, method: str, target: str, *, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> HttpResponse:
        """A request to `target` (path with query) of the server as it is. Raises `HttpFailure`."""
        return await in_own_task(self._proxy(method, target, body, headers, timeout_s))

    async def _proxy(
        self, method: str, target: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> HttpResponse:
        with as_http_failure():
            async with asyncio.timeout(timeout_s):
                answer = await self._http.request(method, target, content=body, headers={**self._headers(), **headers})
        return HttpResponse(answer.status_code, answer.content, dict(answer.headers), answer.reason_phrase)

    # Sending

    def _headers(self) -> dict[str, str]:
        authorization = self._connection.authorization()
        return {"authorization": authorization} if authorization else {}

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        return await in_own_task(self._send(method, path, query or {}, body, content_type))

    async def _send(self, method: str, path: str, query: dict[str, str], body: Json, content_type: str) -> JsonObject:
        headers = self._headers()
        # A name that somebody made up may hold anything.
        path = quote(path, safe="/:")
        content = None
        if body is not None:
            headers["content-type"] = content_type
            content = json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(1, _TRIES + 1):
            with as_http_failure():
                answer = await self._http.request(method, path, params=query, headers=headers, content=content)
            if answer.is_success:
                answered: JsonObject = answer.json()
                return answered
            wait = answer.headers.get("retry-after", "")
            if attempt < _TRIES and wait.isdigit() and (answer.status_code == 429 or answer.status_code >= 500):
                await asyncio.sleep(int(wait))
                continue
            break
        raise api_error(status_of(answer.status_code, answer.content))


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    given = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in given.items() if value}


def _dry_run(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
