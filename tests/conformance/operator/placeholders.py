"""Stable placeholders for what differs from run to run: generated names, uids, addresses, hashes, times."""

from __future__ import annotations

import re
from typing import Any

from rayrig_core.objects import JsonObject, labels_of, name_of, uid_of
from rayrig_core.timestamps import NS, parse_rfc3339
from tests.conformance.operator.observer import Observer

HASH_KEYS = ("ray.io/hash-without-replicas-and-workers-to-delete", "ray.io/upgrade-strategy-recreate-hash")
_LEFT_OUT = ("managedFields", "resourceVersion", "selfLink")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_NODE_PORT = re.compile(r"^3[0-2]\d\d\d$")
#: Inside of sentences only.
_IN_TEXT = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC"), "<TIME>"),
    (re.compile(r'(Pod "[^"]*-)[bcdfghjklmnpqrstvwxz2456789]{5}(" is invalid)'), r"\1<POD-x>\2"),
    (re.compile(r"((?:exceeded|finalizer) after |spent initializing: )[0-9.hmnuµs]+s\b"), r"\1<DURATION>"),
)
_CLUSTER_PART = 50


class Placeholders:
    """Names of one namespace's things, numbered in their order of appearance."""

    def __init__(self, namespace: str, observer: Observer) -> None:
        self._namespace = namespace
        self._observer = observer
        self._names: dict[str, str] = {}
        self._uids: dict[str, str] = {}
        self._ips: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._numbers = {"RAYCLUSTER": 0, "POD": 0, "REPLICA": 0, "GEN": 0}
        self._registered = 0
        self._pattern: re.Pattern[str] | None = None
        self._as_of = -1
        self.zero_ns = 0

    def refresh(self) -> None:
        """Take up what appeared since. Clusters have their name before they exist: services promise it."""
        if self._as_of == self._observer.seen:
            return
        self._as_of = self._observer.seen
        for service in self._observer.list("RayService"):
            for slot in ("activeServiceStatus", "pendingServiceStatus"):
                name = ((service.get("status") or {}).get(slot) or {}).get("rayClusterName")
                if name:
                    self._register_cluster(name)
        appeared = self._observer.appeared
        for kind, obj in appeared[self._registered :]:
            self._register(kind, obj)
        self._registered = len(appeared)
        for kind, first in appeared:
            if kind == "Pod":
                pod = self._observer.get(kind, name_of(first)) or first
                ip = (pod.get("status") or {}).get("podIP")
                if ip:
                    self._add(self._ips, ip, f"<IP:{self.text(name_of(pod))}>")
            elif kind == "Service":
                ip = first["spec"].get("clusterIP")
                if ip and ip != "None":
                    self._add(self._ips, ip, f"<CLUSTERIP:{self.text(name_of(first))}>")

    def _add(self, where: dict[str, str], real: str, placeholder: str) -> None:
        if real not in where:
            where[real] = placeholder
            self._pattern = None

    def _next(self, what: str) -> str:
        self._numbers[what] += 1
        return f"<{what}-{self._numbers[what]}>"

    def _register_cluster(self, name: str) -> None:
        if name in self._names:
            return
        placeholder = self._next("RAYCLUSTER")
        # What was named after it before it was known:
        for known in (self._names, self._uids):
            for real, shown in known.items():
                known[real] = shown.replace(name, placeholder)
        self._names[name] = placeholder
        if len(name) > _CLUSTER_PART:
            self._names[name[:_CLUSTER_PART]] = f"{placeholder[:-1]},first 50>"
            self._names[name[-_CLUSTER_PART:]] = f"{placeholder[:-1]},last 50>"
        self._pattern = None

    def _register(self, kind: str, obj: JsonObject) -> None:
        if kind == "Event":
            return
        metadata = obj["metadata"]
        name, prefix = name_of(obj), metadata.get("generateName")
        owner = (metadata.get("ownerReferences") or [{}])[0]
        if kind == "RayCluster" and owner.get("kind") in ("RayService", "RayJob"):
            self._register_cluster(name)
        elif kind == "Pod" and prefix and name.startswith(prefix):
            self._add(self._names, name, self.text(prefix) + self._next("POD"))
            replica = labels_of(obj).get("ray.io/worker-group-replica-name")
            if replica and replica not in self._names:
                self._add(self._names, replica, replica[:-5] + self._next("REPLICA"))
        elif kind == "EndpointSlice" and prefix:
            service = labels_of(obj).get("kubernetes.io/service-name", "")
            self._add(self._names, name, f"{self.text(service)}-<SLICE>")
        elif kind in ("RayCluster", "RayService", "RayJob") and prefix:
            self._add(self._names, name, prefix + self._next("GEN"))
        self._add(self._uids, uid_of(obj), f"<UID:{kind}/{self.text(name)}>")

    # There and back

    def text(self, value: str) -> str:
        """With placeholders for all names, uids and addresses in it."""
        if self._pattern is None:
            known = sorted([*self._names, *self._uids, *self._ips, self._namespace], key=len, reverse=True)
            parts = (
                rf"(?<![0-9.]){re.escape(each)}(?![0-9.])" if each in self._ips else re.escape(each) for each in known
            )
            self._pattern = re.compile("|".join(parts))
        value = self._pattern.sub(self._placeholder, value)
        if " " in value:
            for rule, by in _IN_TEXT:
                value = rule.sub(by, value)
        return value

    def _placeholder(self, match: re.Match[str]) -> str:
        found = match.group(0)
        return self._names.get(found) or self._uids.get(found) or self._ips.get(found) or "<NS>"

    def value(self, value: Any) -> Any:
        """A whole JSON value with placeholders."""
        if isinstance(value, dict):
            return {self.text(key): self._field(key, item) for key, item in value.items() if key not in _LEFT_OUT}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, str):
            return value
        if _TIME.match(value):
            after_s = (parse_rfc3339(value) - self.zero_ns) / NS
            if after_s > -3600:
                return f"<T{after_s:+.{3 if '.' in value else 0}f}>"
            return value
        return self.text(value)

    def _field(self, key: str, value: Any) -> Any:
        if key in HASH_KEYS:
            return self._hashes.setdefault(value, f"<HASH-{len(self._hashes) + 1}>") if value else value
        if key == "auth_token" and isinstance(value, str):
            return "<TOKEN>"
        if key in ("nodePort", "healthCheckNodePort") and isinstance(value, int):
            return "<NODEPORT>"
        if key == "endpoints" and isinstance(value, dict):
            return {name: "<NODEPORT>" if _NODE_PORT.match(str(port)) else port for name, port in value.items()}
        return self.value(value)

    def real_name(self, shown: str) -> str | None:
        """The name behind a placeholder, or a plain name as it is. None when it is not known yet."""
        for real, placeholder in self._names.items():
            if placeholder == shown:
                return real
        if shown.startswith("<RAYCLUSTER-"):
            placeholder, _, rest = shown.partition(">")
            base = self.real_name(f"{placeholder}>") if rest else None
            return base + rest if base else None
        return shown

    def real(self, value: Any) -> Any:
        """A whole JSON value with the names for the placeholders."""
        if isinstance(value, dict):
            return {key: self.real(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.real(item) for item in value]
        if isinstance(value, str) and re.search(r"<(RAYCLUSTER|POD|NS)", value):
            value = value.replace("<NS>", self._namespace)
            for real, shown in sorted(self._names.items(), key=lambda item: -len(item[1])):
                value = value.replace(shown, real)
        return value
