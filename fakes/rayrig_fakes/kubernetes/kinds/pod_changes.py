"""What an update may not change in a pod spec (`kubernetes-api.md` section 3)."""

from __future__ import annotations

from rayrig_core.kubernetes_names import dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject, copy_json
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import each, ip_problems
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE
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
    early = _gates(spec, old)
    if early:
        return causes + early
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
    causes = []
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        if gate.get("name") not in had:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            causes.append(status.forbidden_field(f"spec.schedulingGates[{index}].name", text))
    labels = spec.get("nodeSelector") or {}
    if had and not _only_more(labels, old.get("nodeSelector") or {}):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        causes.append(status.invalid_value("spec.nodeSelector", labels, text))
    return causes


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
        free.append("nodeSelector")
        _free_node_affinity(allowed, old.get("affinity"))
    for field in free:
        if field in old:
            allowed[field] = old[field]
        else:
            allowed.pop(field, None)
    return allowed


def _free_node_affinity(allowed: JsonObject, had: JsonObject | None) -> None:
    """Put the node affinity back as it was."""
    before, affinity = (had or {}).get("nodeAffinity"), allowed.get("affinity")
    if affinity is None:
        if before is not None:
            allowed["affinity"] = {"nodeAffinity": before}
    elif had is None and "podAffinity" not in affinity and "podAntiAffinity" not in affinity:
        del allowed["affinity"]
    elif before is None:
        affinity.pop("nodeAffinity", None)
    else:
        affinity["nodeAffinity"] = before


def _only_more(labels: JsonObject, had: JsonObject) -> bool:
    return all(labels.get(key) == value for key, value in had.items())


def pod_status_problems(new: JsonObject, old: JsonObject) -> list[Cause]:
    """What is wrong with the status of a pod."""
    causes: list[Cause] = []
    name, generation = new.get("nominatedNodeName"), new.get("observedGeneration") or 0
    if name:
        causes += each("status.nominatedNodeName", name, dns_subdomain(name))
    if generation < 0:
        text = "must be a non-negative integer"
        causes.append(status.invalid_value("status.observedGeneration", generation, text))
    for index, condition in enumerate(new.get("conditions") or ()):
        kind = condition.get("type") or ""
        causes += each(f"status.conditions[{index}].Type", kind, qualified_name(kind))
    if new.get("qosClass") != old.get("qosClass"):
        causes.append(status.invalid_value("status.qosClass", new.get("qosClass"), IMMUTABLE))
    for part, single in (("podIPs", "podIP"), ("hostIPs", "hostIP")):
        addresses = [address.get("ip") or "" for address in new.get(part) or ()]
        if not addresses and new.get(single):
            addresses = [new[single]]
        wrong: list[Cause] = []
        for index, address in enumerate(addresses):
            wrong += each(f"status.{part}[{index}]", address, ip_problems(address))
        families = [":" in address for address in addresses]
        if not wrong and len(families) > len(dict.fromkeys(families)):
            shown = [{"IP": address} for address in addresses]
            text = "may specify no more than one IP for each IP family"
            wrong.append(status.invalid_value(f"status.{part}", shown, text))
        causes += wrong
    return causes
