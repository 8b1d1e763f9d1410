"""Pods from templates: their hash, their making, and when they count as running and available."""

from __future__ import annotations

import json

from rayrig_core.objects import Json, JsonObject, condition_of, is_being_deleted, namespace_of
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import NS, parse_rfc3339
from rayrig_sim.kubernetes.controlled_objects import controller_reference

#: Letters and digits that form no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_OVER = ("Succeeded", "Failed")


def short_hash(value: Json, collisions: int | None = None) -> str:
    """Of a JSON value: 32 bits in an alphabet that forms no words, up to ten letters. `collisions` makes another one."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    number = 0x811C9DC5
    for byte in data:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def pod_of(owner: JsonObject, owner_type: ResourceType, template: JsonObject) -> JsonObject:
    """A pod to be created; whoever makes it names it."""
    metadata = template.get("metadata") or {}
    made: JsonObject = {"namespace": namespace_of(owner)}
    for part in ("labels", "annotations"):
        if metadata.get(part):
            made[part] = dict(metadata[part])
    if metadata.get("finalizers"):
        made["finalizers"] = list(metadata["finalizers"])
    made["ownerReferences"] = [controller_reference(owner, owner_type)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template.get("spec") or {}}


def phase_of(pod: JsonObject) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_active(pod: JsonObject) -> bool:
    """Neither over nor on its way out."""
    return phase_of(pod) not in _OVER and not is_being_deleted(pod)


def is_terminating(pod: JsonObject) -> bool:
    return is_being_deleted(pod) and phase_of(pod) not in _OVER


def is_ready(pod: JsonObject) -> bool:
    return (condition_of(pod, "Ready") or {}).get("status") == "True"


def available_in_s(pod: JsonObject, min_ready_s: int, now_ns: int) -> float | None:
    """Seconds until a pod counts as available: 0 when it does, None when it is not even ready."""
    condition = condition_of(pod, "Ready") or {}
    if condition.get("status") != "True":
        return None
    since = condition.get("lastTransitionTime")
    if not min_ready_s:
        return 0.0
    if not since:
        return None
    return max(0.0, min_ready_s - (now_ns - parse_rfc3339(since)) / NS)
