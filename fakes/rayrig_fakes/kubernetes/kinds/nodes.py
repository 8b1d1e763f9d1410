"""Nodes: created with their status, as kubelets register themselves (`kubernetes-api.md` section 12)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rayrig_core.kubernetes_names import label_value, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules
from rayrig_fakes.kubernetes.kinds.checks import each
from rayrig_fakes.kubernetes.kinds.container_resources import amount_problems_of
from rayrig_fakes.kubernetes.kinds.quantities import in_thousandths, normalise_amounts
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


@lru_cache(maxsize=1024)
def cidr_problems(text: str) -> tuple[str, ...]:
    import ipaddress

    try:
        if "/" not in text:
            raise ValueError
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    return ()


class NodeRules(KindRules):
    looks = Looks(2, 2, 2)
    has_status = True

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        spec = obj.setdefault("spec", {})
        node_status = obj.setdefault("status", {})
        node_status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
        node_status["nodeInfo"] = dict.fromkeys(_NODE_INFO, "") | (node_status.get("nodeInfo") or {})
        self._normalise(obj)
        spec.pop("configSource", None)
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        taints = spec.get("taints") or []
        if not any(
            present.get("key") == taint["key"] and present.get("effect") == taint["effect"] for present in taints
        ):
            spec["taints"] = [*taints, taint]

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self._normalise(obj)

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        obj.setdefault("status", {})
        for field in ("daemonEndpoints", "nodeInfo"):
            if field not in obj["status"] and field in old.get("status", {}):
                obj["status"][field] = old["status"][field]
        self._normalise(obj)

    def _normalise(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("podCIDR") and (spec.get("podCIDRs") or [""])[0] != spec["podCIDR"]:
            spec["podCIDRs"] = [spec["podCIDR"]]
        elif spec.get("podCIDRs") and not spec.get("podCIDR"):
            spec["podCIDR"] = spec["podCIDRs"][0]
        node_status = obj.setdefault("status", {})
        for part in ("capacity", "allocatable"):
            amounts = node_status.get(part)
            normalise_amounts(amounts, "Node")
            for name, value in (amounts or {}).items():
                if value.endswith(("u", "n")):
                    amounts[name] = in_thousandths(value)
        if node_status.get("capacity") and not node_status.get("allocatable"):
            node_status["allocatable"] = dict(node_status["capacity"])

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes = _taint_problems(spec.get("taints") or ())
        ranges = spec.get("podCIDRs") or []
        wrong: list[Cause] = []
        for index, text in enumerate(ranges):
            wrong += each(f"spec.podCIDRs[{index}]", text, cidr_problems(text))
        families = [":" in text for text in ranges]
        if not wrong and len(families) > len(dict.fromkeys(families)):
            text = "may specify no more than one CIDR for each IP family"
            wrong.append(status.invalid_value("spec.podCIDRs", ranges, text))
        return [*causes, *wrong, *_amount_problems(obj)]

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec, had = obj.get("spec") or {}, old.get("spec") or {}
        causes: list[Cause] = []
        if had.get("podCIDRs") and spec.get("podCIDRs") != had["podCIDRs"]:
            causes.append(
                status.forbidden_field("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
            )
        if had.get("providerID") and spec.get("providerID") != had["providerID"]:
            text = 'node updates may not change providerID except from "" to valid'
            causes.append(status.forbidden_field("spec.providerID", text))
        # Taints are looked at twice in an update.
        return causes + _taint_problems(spec.get("taints") or ())

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return _amount_problems(obj)

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if (obj.get("spec") or {}).get("externalID"):
            text = "this field is deprecated, and is unused by Kubernetes"
            admission.warnings.append(f"spec.externalID: {text}")


def _amount_problems(obj: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("capacity", "allocatable"):
        for name, value in (obj["status"].get(part) or {}).items():
            causes += amount_problems_of(name, value, f"status.{part}.{name}")
    return causes


def _taint_problems(taints: Sequence[JsonObject]) -> list[Cause]:
    causes: list[Cause] = []
    seen: list[tuple[str, str]] = []
    for index, taint in enumerate(taints):
        at = f"metadata.taints[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        causes += each(f"{at}.key", key, qualified_name(key))
        causes += each(f"{at}.value", value, label_value(value))
        if not effect:
            causes.append(status.required(f"{at}.effect"))
        elif effect not in _EFFECTS:
            causes.append(status.not_supported(f"{at}.effect", effect, _EFFECTS))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            found = status.duplicate(at, shown)
            text = f"{found.message}: taints must be unique by key and effect pair"
            causes.append(Cause(found.field, found.reason, text))
        seen.append((key, effect))
    return causes
