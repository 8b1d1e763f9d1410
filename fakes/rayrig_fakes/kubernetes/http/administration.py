"""What only a fake has, below `/rayrig/`: forgetting history, faults, past requests, logs of containers.

The same users may use it who may use other paths without a resource: with RBAC, those with the group `system:masters` or a role
that allows these `nonResourceURLs`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from rayrig_core.http import HttpRequest
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.fault_rules import FaultRule, FaultRules
from rayrig_fakes.kubernetes.http.audit import AuditLog
from rayrig_fakes.kubernetes.pod_streams import container_named
from rayrig_fakes.kubernetes.rest.handler import ApiResponse
from rayrig_fakes.kubernetes.rest.requests import number, one
from rayrig_fakes.kubernetes.server import ApiServer

PREFIX = "/rayrig/"


class Administration:
    """Answers requests for paths below `/rayrig/`."""

    __slots__ = ("_audit", "_faults", "_server")

    def __init__(self, server: ApiServer, faults: FaultRules, audit: AuditLog) -> None:
        self._server = server
        self._faults = faults
        self._audit = audit

    def answer(self, request: HttpRequest) -> ApiResponse:
        """Raises `ApiError`."""
        first, _, rest = request.path.removeprefix(PREFIX).rstrip("/").partition("/")
        handlers: dict[str, Callable[[HttpRequest, str], ApiResponse]] = {
            "compact": self._compact,
            "faults": self._rule,
            "logs": self._log,
            "requests": self._requests,
        }
        handler = handlers.get(first)
        if handler is None:
            raise status.unknown_resource()
        return handler(request, rest)

    def _compact(self, request: HttpRequest, rest: str) -> ApiResponse:
        if rest:
            raise status.unknown_resource()
        if request.method != "POST":
            raise status.method_not_allowed()
        text = one(request.query, "revision")
        if text and not text.isdecimal():
            raise status.bad_request(f'revision: Invalid value: "{text}": must be a number')
        now = self._server.revision
        revision = int(text) if text else now
        if revision > now:
            raise status.bad_request(f"revision: {revision} is not reached yet; the present one is {now}")
        self._server.compact(revision)
        return _json(200, {"compacted": revision})

    # Faults

    def _rule(self, request: HttpRequest, rest: str) -> ApiResponse:
        if rest:
            rule = self._faults.find(int(rest)) if rest.isdecimal() else None
            if rule is None:
                raise status.error(404, "NotFound", f'faults "{rest}" not found', {"name": rest, "kind": "faults"})
            return self._one_rule(request, rule)
        if request.method == "POST":
            try:
                spec = json.loads(request.body)
            except ValueError as problem:
                raise status.bad_request(f"the fault is no JSON: {problem}") from None
            return _json(201, self._faults.add(spec).as_json())
        if request.method == "GET":
            return _json(200, {"items": [rule.as_json() for rule in self._faults.all()]})
        if request.method == "DELETE":
            self._faults.clear()
            return _json(200, status.success())
        raise status.method_not_allowed()

    def _one_rule(self, request: HttpRequest, rule: FaultRule) -> ApiResponse:
        if request.method == "DELETE":
            self._faults.remove(rule)
        elif request.method != "GET":
            raise status.method_not_allowed()
        return _json(200, rule.as_json())

    # Requests

    def _requests(self, request: HttpRequest, rest: str) -> ApiResponse:
        if rest:
            raise status.unknown_resource()
        if request.method == "DELETE":
            self._audit.clear()
            return _json(200, status.success())
        if request.method != "GET":
            raise status.method_not_allowed()
        query = request.query
        wanted = {
            name: one(query, name) for name in ("user", "verb", "resource", "namespace", "name", "code", "auditID")
        }
        found = [event for event in self._audit.events() if _fits(event, wanted)]
        limit = number(query, "limit")
        if limit is not None and limit > 0:
            found = found[-limit:]
        return _json(200, {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": found})

    # Logs

    def _log(self, request: HttpRequest, rest: str) -> ApiResponse:
        """`POST /rayrig/logs/NAMESPACE/POD[/CONTAINER]`: the body's lines are what the container writes now."""
        namespace, _, rest = rest.partition("/")
        name, _, container = rest.partition("/")
        if not name or "/" in container:
            raise status.unknown_resource()
        if request.method != "POST":
            raise status.method_not_allowed()
        pod = self._server.object(POD, name, namespace)
        if pod is None:
            raise status.not_found(POD, name)
        container = container_named(pod, container)
        state = self._server.state
        uid = pod["metadata"]["uid"]
        if one(request.query, "restart") in ("true", "1"):
            state.pod_logs.restart(uid, container)
        lines = request.body.decode("utf-8", "replace").splitlines()
        state.pod_logs.write(uid, container, lines, state.now_unix_ns())
        return _json(200, {"written": len(lines)})


def _fits(event: JsonObject, wanted: dict[str, str]) -> bool:
    reference = event.get("objectRef") or {}
    found = {
        "user": (event.get("impersonatedUser") or event["user"]).get("username", ""),
        "verb": event["verb"],
        "resource": reference.get("resource", ""),
        "namespace": reference.get("namespace", ""),
        "name": reference.get("name", ""),
        "code": str((event.get("responseStatus") or {}).get("code", "")),
        "auditID": event["auditID"],
    }
    return all(not value or found[name] == value for name, value in wanted.items())


def _json(code: int, value: Json) -> ApiResponse:
    return ApiResponse(code, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
