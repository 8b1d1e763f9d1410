"""Who asked for what, when, and how it ended: the last requests, and an audit log as the real server writes one (K8-083).

Both show events of audit.k8s.io/v1 at level Metadata: a `ResponseComplete` for each request, and for one whose answer goes on (a
watch, a followed log) a `ResponseStarted` before it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO
from urllib.parse import quote, urlencode

from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339_micro
from rayrig_fakes.kubernetes.http.request_info import request_info
from rayrig_fakes.kubernetes.identity import UserInfo

STARTED, COMPLETE = "ResponseStarted", "ResponseComplete"
_API = "audit.k8s.io/v1"
#: Of a body only its beginning is kept: that is where the name stands.
_KEPT_BODY = 600
_KEPT_ANSWER = 1_000
_NAME = re.compile(rb'"metadata"\s*:\s*\{[^{}]*?"name"\s*:\s*"([^"\\]*)"')


@dataclass(slots=True)
class Exchange:
    """A request under way, and what came of it."""

    request: HttpRequest
    audit_id: str
    received_ns: int
    source: str = ""
    user: UserInfo | None = None
    impersonated: UserInfo | None = None
    #: Kind of the fault that struck it.
    fault: str = ""
    code: int = 0
    answer: bytes = b""
    stage: str = COMPLETE
    ended_ns: int = 0


class AuditLog:
    """The last `kept` events, and a file that gets all of them."""

    __slots__ = ("_events", "_file", "_numbers", "_prefix")

    def __init__(self, prefix: str, kept: int = 2_000) -> None:
        """`prefix` (8 hexadecimal digits) tells the audit ids of this server from another's."""
        self._prefix = prefix
        self._numbers = 0
        self._events: deque[Exchange] = deque(maxlen=kept)
        self._file: TextIO | None = None

    def __len__(self) -> int:
        return len(self._events)

    @property
    def count(self) -> int:
        """Requests that have come."""
        return self._numbers

    def write_to(self, file: TextIO) -> None:
        """Append a line of JSON for each event from now on."""
        self._file = file

    def next_id(self) -> str:
        self._numbers += 1
        return f"{self._prefix}-0000-4000-8000-{self._numbers:012x}"

    def record(self, exchange: Exchange) -> None:
        """Take an exchange that has ended, or begun to be answered; its body is let go."""
        request = exchange.request
        if request.body:
            body = request.body[:_KEPT_BODY] if request.method == "POST" else b""
            exchange.request = HttpRequest(request.method, request.path, request.query, request.headers, body)
        exchange.answer = exchange.answer[:_KEPT_ANSWER] if exchange.code >= 400 else b""
        self._events.append(exchange)
        if self._file is not None:
            self._file.write(json.dumps(as_event(exchange), separators=(",", ":"), ensure_ascii=False) + "\n")
            self._file.flush()

    def events(self) -> Iterator[JsonObject]:
        """Oldest first."""
        return (as_event(each) for each in self._events)

    def clear(self) -> None:
        self._events.clear()


def as_event(exchange: Exchange) -> JsonObject:
    """As an Event of audit.k8s.io/v1."""
    request = exchange.request
    info = request_info(request.method, request.path, request.query)
    query = urlencode([(name, value) for name, values in request.query.items() for value in values])
    event: JsonObject = {
        "kind": "Event",
        "apiVersion": _API,
        "level": "Metadata",
        "auditID": exchange.audit_id,
        "stage": exchange.stage,
        "requestURI": quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else ""),
        "verb": info.verb,
        "user": exchange.user.as_json() if exchange.user is not None else {},
    }
    if exchange.impersonated is not None:
        event["impersonatedUser"] = exchange.impersonated.as_json()
    event["sourceIPs"] = [exchange.source] if exchange.source else []
    agent = request.headers.get("user-agent")
    if agent:
        event["userAgent"] = agent
    if info.resource:
        event["objectRef"] = _reference(exchange, info.resource, info.namespace, info.name, info.group, info.version)
        if info.subresource:
            event["objectRef"]["subresource"] = info.subresource
    if exchange.code:
        event["responseStatus"] = _response_status(exchange)
    event["requestReceivedTimestamp"] = rfc3339_micro(exchange.received_ns)
    event["stageTimestamp"] = rfc3339_micro(exchange.ended_ns)
    decision = "forbid" if exchange.code == 403 else "allow"
    annotations = {"authorization.k8s.io/decision": decision} if exchange.user is not None else {}
    if exchange.fault:
        annotations["rayrig/fault"] = exchange.fault
    if annotations:
        event["annotations"] = annotations
    return event


def _reference(exchange: Exchange, resource: str, namespace: str, name: str, group: str, version: str) -> JsonObject:
    reference: JsonObject = {"resource": resource}
    if namespace:
        reference["namespace"] = namespace
    if not name and exchange.request.body:
        found = _NAME.search(exchange.request.body)
        name = found.group(1).decode("utf-8", "replace") if found is not None else ""
    if name:
        reference["name"] = name
    if group:
        reference["apiGroup"] = group
    reference["apiVersion"] = version
    return reference


def _response_status(exchange: Exchange) -> JsonObject:
    shown: JsonObject = {"metadata": {}, "code": exchange.code}
    if exchange.code < 400:
        return shown
    try:
        told = json.loads(exchange.answer)
    except ValueError:
        return shown
    if isinstance(told, dict) and told.get("kind") == "Status":
        shown |= {field: told[field] for field in ("status", "message", "reason", "details") if field in told}
    return shown
