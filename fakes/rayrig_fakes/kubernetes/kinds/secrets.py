"""Secrets: each type has keys it cannot do without."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.kinds.plain import DataRules, drop_empty
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE
from rayrig_fakes.kubernetes.status import Cause

_DOCKER = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_ACCOUNT = "kubernetes.io/service-account.name"
_REDACTED = "<secret contents redacted>"


class SecretRules(DataRules):
    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        self._encode(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self._encode(obj)

    def _encode(self, obj: JsonObject) -> None:
        plain = obj.pop("stringData", None)
        if plain:
            # What was not patched is the old object's own.
            data = obj["data"] = dict(obj.get("data") or {})
            for key, value in plain.items():
                data[key] = base64.b64encode(value.encode()).decode()
        if not obj.get("type"):
            obj["type"] = "Opaque"
        drop_empty(obj, "data")

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        return [*super().validate(obj, admission), *_type_problems(obj)]

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = list(super().validate_update(obj, old, admission))
        if obj.get("type") != old.get("type"):
            causes.append(status.invalid_value("type", obj.get("type"), IMMUTABLE))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if obj.get("type") != "kubernetes.io/tls":
            return
        certificate = base64.b64decode((obj.get("data") or {}).get("tls.crt", ""))
        if b"-----BEGIN" not in certificate:
            admission.warnings.append("tls: failed to find any PEM data in certificate input")


def _type_problems(obj: JsonObject) -> list[Cause]:
    kind, data = obj.get("type"), obj.get("data") or {}
    needed: tuple[str, ...] = ()
    if kind in _DOCKER:
        return _docker_problems(data, _DOCKER[kind])
    if kind == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get(_ACCOUNT):
            return [status.required(f"metadata.annotations[{_ACCOUNT}]")]
    elif kind == "kubernetes.io/basic-auth":
        if not any(key in data for key in ("username", "password")):
            needed = ("username", "password")
    elif kind == "kubernetes.io/ssh-auth":
        needed = () if data.get("ssh-privatekey") else ("ssh-privatekey",)
    elif kind == "kubernetes.io/tls":
        needed = tuple(key for key in ("tls.crt", "tls.key") if key not in data)
    return [status.required(f"data[{key}]") for key in needed]


def _docker_problems(data: JsonObject, key: str) -> list[Cause]:
    """It has to be JSON; what it says is nobody's to see."""
    field = f"data[{key}]"
    if key not in data:
        return [status.required(field)]
    text = base64.b64decode(data[key]).decode("utf-8", "replace")
    try:
        json.loads(text)
    except ValueError:
        problem = "unexpected end of JSON input"
        if text.strip():
            problem = f"invalid character '{text.strip()[0]}' looking for beginning of value"
        return [status.invalid_value(field, _REDACTED, problem)]
    return []
