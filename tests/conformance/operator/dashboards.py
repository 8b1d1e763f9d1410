"""Scripted Ray dashboards and Serve proxies, one pair per head pod, reached over an HTTP port without any socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, annotations_of, labels_of, name_of, uid_of
from rayrig_core.ports import Runtime
from rayrig_core.resources import labels

_DEFAULTS: JsonObject = {"mode": "ok", "deploy_gets": 1, "apps": None, "proxy": "auto"}
_HOP_S = 0.001
_TEXT = "text/plain"


@dataclass(slots=True)
class _Head:
    cluster: str
    name: str
    ip: str
    labels: dict[str, str]
    dashboard_ports: frozenset[int]
    proxy_ports: frozenset[int]
    #: Where its configuration is kept: by pod, with GCS fault tolerance by cluster.
    memory: str


@dataclass(slots=True)
class _Memory:
    config: JsonObject | None = None
    gets: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that reached a dashboard or proxy. `status` and `response` are None when it never answered."""

    at_ns: int
    cluster: str
    role: str
    method: str
    path: str
    body: str
    status: int | None
    response: str | None

    def fields(self) -> JsonObject:
        """As a recording tells it, before placeholders."""
        return {
            "cluster": self.cluster,
            "role": self.role,
            "method": self.method,
            "path": self.path,
            "body": _parsed(self.body),
            "status": "no answer" if self.status is None else self.status,
            "response": _parsed(self.response),
        }


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text else text
    except ValueError:
        return text


@dataclass(slots=True)
class Dashboards:
    """`HttpClient` port. `service_selector(name, namespace)` gives a Service's selector, None when there is no such Service."""

    runtime: Runtime
    service_selector: Callable[[str, str], Mapping[str, str] | None]
    log: list[Exchange] = field(default_factory=list)
    _settings: dict[str, JsonObject] = field(default_factory=dict)
    _heads: dict[str, _Head] = field(default_factory=dict)
    _memories: dict[str, _Memory] = field(default_factory=dict)

    def configure(self, cluster: str, settings: JsonObject) -> None:
        """Settings of the recordings' README for one cluster, `*` for all."""
        self._settings.setdefault(cluster, {}).update(settings)

    def head_up(self, pod: JsonObject, ip: str) -> None:
        ports = pod["spec"]["containers"][0].get("ports") or []
        cluster = labels_of(pod).get(labels.CLUSTER, "")
        persists = annotations_of(pod).get(labels.FT_ENABLED) == "true"
        self._heads[uid_of(pod)] = _Head(
            cluster,
            name_of(pod),
            ip,
            labels_of(pod),
            frozenset(p["containerPort"] for p in ports if p.get("name") == "dashboard") or frozenset((8265,)),
            frozenset(p["containerPort"] for p in ports if p.get("name") == "serve") or frozenset((8000,)),
            f"cluster/{cluster}" if persists else f"pod/{uid_of(pod)}",
        )

    def head_down(self, uid: str) -> None:
        self._heads.pop(uid, None)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        target = urlsplit(url)
        path = f"{target.path}?{target.query}" if target.query else target.path
        head = self._find(target.hostname or "")
        await self.runtime.sleep(_HOP_S)
        role = self._role(head, target.port or 80) if head is not None else None
        if head is None or role is None:
            raise HttpFailure(Failure.REFUSED, url)
        answer = self._answer(head, role, method, path, body)
        if answer is not None:
            # The status line of the recorded servers.
            answer = replace(answer, reason="X")
        self.log.append(
            Exchange(
                self.runtime.unix_ns(),
                head.cluster,
                role,
                method,
                path,
                body.decode(),
                answer.status if answer else None,
                answer.body.decode() if answer else None,
            )
        )
        if answer is None:
            await self.runtime.sleep(timeout_s)
            raise HttpFailure(Failure.TIMEOUT, url)
        return answer

    def _find(self, host: str) -> _Head | None:
        """The newest head pod behind a Service's name, or that with the address."""
        found = None
        if host.endswith(".svc.cluster.local"):
            service, namespace = host.split(".")[:2]
            selector = self.service_selector(service, namespace)
            if selector is None:
                raise HttpFailure(Failure.UNRESOLVED, host)
            for head in self._heads.values():
                if all(head.labels.get(key) == value for key, value in selector.items()):
                    found = head
            return found
        for head in self._heads.values():
            if head.ip == host:
                found = head
        return found

    def _settings_of(self, cluster: str) -> JsonObject:
        return {**_DEFAULTS, **self._settings.get("*", {}), **self._settings.get(cluster, {})}

    def _role(self, head: _Head, port: int) -> str | None:
        """What listens on a port of the head, if anything does."""
        settings = self._settings_of(head.cluster)
        if port in head.dashboard_ports and settings["mode"] != "refuse":
            return "dashboard"
        memory = self._memories.get(head.memory)
        has_proxy = settings["proxy"] in ("ok", "fail", "hang") or (
            settings["proxy"] == "auto" and memory is not None and memory.config is not None
        )
        return "proxy" if port in head.proxy_ports and has_proxy else None

    def _answer(self, head: _Head, role: str, method: str, path: str, body: bytes) -> HttpResponse | None:
        """None: it takes the request and never answers."""
        settings = self._settings_of(head.cluster)
        memory = self._memories.setdefault(head.memory, _Memory())
        if role == "proxy":
            if settings["proxy"] == "hang":
                return None
            is_up = settings["proxy"] in ("auto", "ok")
            return HttpResponse.text(200, "success", _TEXT) if is_up else HttpResponse.text(503, "unavailable", _TEXT)
        mode = settings["mode"]
        if mode == "hang":
            return None
        if mode in ("500", "503", "404"):
            return HttpResponse.text(int(mode), "scripted failure", _TEXT)
        if mode == "put500" and method == "PUT":
            return HttpResponse.text(500, "scripted failure", _TEXT)
        if mode == "garbage":
            return HttpResponse.text(200, "<html>not json</html>", "text/html")
        if not path.startswith("/api/serve/applications"):
            return HttpResponse.text(404, "404: Not Found", _TEXT)
        if method == "PUT":
            memory.config, memory.gets = json.loads(body), 0
            return HttpResponse.text(200, "", _TEXT)
        is_running = memory.gets >= settings["deploy_gets"]
        memory.gets += 1
        details: JsonObject = {
            "controller_info": {},
            "proxy_location": "EveryNode",
            "http_options": {"host": "0.0.0.0", "port": 8000},
            "grpc_options": {},
            "proxies": {},
            "deploy_mode": "MULTI_APP",
            "applications": applications(memory.config, is_running, settings["apps"]),
        }
        if memory.config and "target_capacity" in memory.config:
            details["target_capacity"] = memory.config["target_capacity"]
        return HttpResponse.of_json(200, details)


def applications(config: JsonObject | None, is_running: bool, override: JsonObject | None) -> JsonObject:
    """Statuses of a configuration's applications; `override` by application name or `*`, `{}` for none at all."""
    if override == {}:
        return {}
    shown: JsonObject = {}
    for app in (config or {}).get("applications") or []:
        name = app.get("name", "default")
        said = (override or {}).get(name, (override or {}).get("*")) or {}
        deployment = {
            "status": said.get("deployment_status", "HEALTHY" if is_running else "UPDATING"),
            "status_trigger": "CONFIG_UPDATE_COMPLETED",
            "message": said.get("deployment_message", ""),
            "replicas": [],
        }
        shown[name] = {
            "name": name,
            "route_prefix": app.get("route_prefix", "/"),
            "docs_path": None,
            "status": said.get("status", "RUNNING" if is_running else "DEPLOYING"),
            "message": said.get("message", ""),
            "last_deployed_time_s": 0.0,
            "source": "declarative",
            "deployments": {
                each["name"]: {"name": each["name"], **deployment}
                for each in app.get("deployments") or [{"name": "Main"}]
            },
        }
    return shown
