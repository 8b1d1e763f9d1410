"""What an update may not change in a pod spec (K8-066)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, copy_json
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.inside import spec_changes

_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_change_problems(spec: JsonObject, old: JsonObject) -> list[Cause]:
    for part in ("containers", "initContainers"):
        if len(spec.get(part) or ()) != len(old.get(part) or ()):
            return [status.forbidden_field(f"spec.{part}", "pod updates may not add or remove containers")]
    causes = _deadline(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    causes += _tolerations(spec.get("tolerations") or [], old.get("tolerations") or [])
    causes += _gates(spec, old)
    allowed = _with_old_where_free(spec, old)
    if allowed != old:
        changes = spec_changes(old, allowed, "PodSpec")
        causes.append(status.forbidden_field("spec", f"{_IMMUTABLE}\n{changes}"))
    return causes


def _deadline(value: int | None, had: int | None) -> list[Cause]:
    at = "spec.activeDeadlineSeconds"
    if value == had or had is None:
        return []
    if value is None:
        return [status.invalid_value(at, value, "must not update from a positive integer to nil value")]
    if value > had:
        return [status.invalid_value(at, value, "must be less than or equal to previous value")]
    return []


def _tolerations(tolerations: list[JsonObject], had: list[JsonObject]) -> list[Cause]:
    """Those there were stay, but for how long they tolerate."""

    def identity(toleration: JsonObject) -> JsonObject:
        return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}

    present = [identity(toleration) for toleration in tolerations]
    if all(identity(toleration) in present for toleration in had):
        return []
    text = "existing toleration can not be modified except its tolerationSeconds"
    return [status.forbidden_field("spec.tolerations", text)]


def _gates(spec: JsonObject, old: JsonObject) -> list[Cause]:
    """Scheduling gates may only be taken away."""
    had = [gate.get("name") for gate in old.get("schedulingGates") or ()]
    added = [gate["name"] for gate in spec.get("schedulingGates") or () if gate.get("name") not in had]
    if not added:
        return []
    text = f"only deletion is allowed, but found new scheduling gate '{added[0]}'"
    return [status.forbidden_field("spec.schedulingGates", text)]


def _with_old_where_free(spec: JsonObject, old: JsonObject) -> JsonObject:
    """The new spec with everything that may change as it was."""
    allowed = copy_json(spec)
    for part in ("containers", "initContainers"):
        for container, before in zip(allowed.get(part) or (), old.get(part) or (), strict=True):
            container["image"] = before.get("image", "")
    free = ["activeDeadlineSeconds", "tolerations"]
    if spec.get("terminationGracePeriodSeconds") == 1 and (old.get("terminationGracePeriodSeconds") or 0) < 0:
        free.append("terminationGracePeriodSeconds")
    if old.get("schedulingGates"):
        free.append("schedulingGates")
        if _only_more(spec.get("nodeSelector") or {}, old.get("nodeSelector") or {}):
            free.append("nodeSelector")
        if not (old.get("affinity") or {}).get("nodeAffinity"):
            free.append("affinity")
    for field in free:
        if field in old:
            allowed[field] = old[field]
        else:
            allowed.pop(field, None)
    return allowed


def _only_more(labels: JsonObject, had: JsonObject) -> bool:
    return all(labels.get(key) == value for key, value in had.items())
