"""Environment variables of containers, from messages and back (`kuberay-apiserver.md` 6.6, 7.2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rayrig.apiserver.clusters.messages import ENV_SOURCE
from rayrig_core.objects import JsonObject

CONFIGMAP, SECRET, RESOURCE_FIELD, FIELD = range(len(ENV_SOURCE.values))
#: By source: the field of `valueFrom`, and in it those of a message's name and key.
_FIELDS = {
    CONFIGMAP: ("configMapKeyRef", "name", "key"),
    SECRET: ("secretKeyRef", "name", "key"),
    RESOURCE_FIELD: ("resourceFieldRef", "containerName", "resource"),
    FIELD: ("fieldRef", "", "fieldPath"),
}


def value_of(name: str, value: str) -> JsonObject:
    """An entry of `env`."""
    return {"name": name, "value": value} if value else {"name": name}


def reference_to(name: str, source: int, of: str, key: str) -> JsonObject:
    """An entry of `env` that takes its value from elsewhere: from a field of the pod when the source is unknown."""
    field, name_field, key_field = _FIELDS.get(source, _FIELDS[FIELD])
    reference = {key_field: key}
    if field == "resourceFieldRef":
        # Written by every client in Go, asked for or not.
        reference["divisor"] = "0"
    if name_field and of:
        reference[name_field] = of
    return {"name": name, "valueFrom": {field: reference}}


def env_of(environment: JsonObject | None) -> list[JsonObject]:
    """Values first, then references, each in the order given. Nothing says that names differ from those of other lists."""
    given = environment or {}
    values = [value_of(name, value) for name, value in given.get("values", {}).items()]
    references = [
        reference_to(name, each.get("source", CONFIGMAP), each.get("name", ""), each.get("key", ""))
        for name, each in given.get("valuesFrom", {}).items()
    ]
    return values + references


def environment_of(env: Sequence[JsonObject], reserved: Collection[str]) -> JsonObject:
    """The message, without the variables every such container has."""
    values: JsonObject = {}
    references: JsonObject = {}
    for variable in env:
        name = variable["name"]
        if name in reserved:
            continue
        if not variable.get("valueFrom"):
            values[name] = variable.get("value", "")
            continue
        for source, (field, name_field, key_field) in _FIELDS.items():
            if reference := variable["valueFrom"].get(field):
                of, key = reference.get(name_field, ""), reference.get(key_field, "")
                references[name] = {"source": source, "name": of, "key": key}
                break
    return {"values": values, "valuesFrom": references}
