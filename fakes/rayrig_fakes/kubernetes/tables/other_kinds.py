"""Columns of networking, of roles, and of what administrators configure (K8-011)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.tables.cells import (
    Cell,
    first_few,
    or_none,
)
from rayrig_fakes.kubernetes.tables.layouts import (
    CREATED,
    Layout,
    age_of,
    columns,
    layout_of,
    selector_text,
    spec_of,
    status_of,
)

_ADMISSION, _RBAC = "admissionregistration.k8s.io", "rbac.authorization.k8s.io"


def _ingress(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    given = (status_of(obj).get("loadBalancer") or {}).get("ingress") or ()
    return [
        or_none(spec.get("ingressClassName")),
        first_few(hosts, "*"),
        ",".join(each.get("ip") or each.get("hostname") or "" for each in given),
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now),
    ]


def _ingress_class(obj: JsonObject, now: int) -> list[Cell]:
    parameters = spec_of(obj).get("parameters")
    named = "<none>"
    if parameters:
        group = parameters.get("apiGroup")
        named = f"{parameters['kind']}.{group}" if group else parameters["kind"]
        named = f"{named}/{parameters['name']}"
    return [spec_of(obj).get("controller", ""), named, age_of(obj, now)]


def _quota(obj: JsonObject, now: int) -> list[Cell]:
    state = status_of(obj)
    hard, used = state.get("hard") or {}, state.get("used") or {}

    def amounts(limits: bool) -> str:
        names = [name for name in sorted(hard) if name.startswith("limits") == limits]
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return [amounts(False), amounts(True), age_of(obj, now)]


def _binding(obj: JsonObject, now: int) -> list[Cell]:
    reference = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name, namespace = subject.get("name", ""), subject.get("namespace", "")
        is_account = subject.get("kind") == "ServiceAccount"
        subjects.setdefault(subject.get("kind", ""), []).append(f"{namespace}/{name}" if is_account else name)
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    named = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [role, age_of(obj, now), *named]


def _flow_schema(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    dangling = next(
        (each.get("status") for each in status_of(obj).get("conditions") or () if each["type"] == "Dangling"), "?"
    )
    method = (spec.get("distinguisherMethod") or {}).get("type")
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    return [level, spec.get("matchingPrecedence", 0), or_none(method), age_of(obj, now), dangling]


def _resource_claim(obj: JsonObject, now: int) -> list[Cell]:
    state = status_of(obj)
    words = ["deleted"] if obj["metadata"].get("deletionTimestamp") else []
    words.append("allocated" if state.get("allocation") else "pending")
    if state.get("reservedFor"):
        words.append("reserved")
    return [",".join(words), age_of(obj, now)]


def _resource_slice(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    pool = (spec.get("pool") or {}).get("name", "")
    return [spec.get("nodeName") or "<unset>", spec.get("driver", ""), pool, age_of(obj, now)]


def _admission_policy(obj: JsonObject, now: int) -> list[Cell]:
    kind = spec_of(obj).get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else "<unset>"
    return [len(spec_of(obj).get("validations") or ()), shown, age_of(obj, now)]


def _admission_binding(obj: JsonObject, now: int) -> list[Cell]:
    reference = spec_of(obj).get("paramRef")
    shown = "<unset>"
    if reference:
        namespace = reference.get("namespace")
        shown = f"{namespace}/{reference.get('name', '')}" if namespace else reference.get("name", "")
    return [spec_of(obj).get("policyName", ""), shown, age_of(obj, now)]


_WEBHOOKS = layout_of(
    columns("Webhooks:integer", "Age"), lambda obj, now: [len(obj.get("webhooks") or ()), age_of(obj, now)]
)
_BINDINGS = layout_of(columns("Role", "Age", "+Users", "+Groups", "+ServiceAccounts"), _binding)

LAYOUTS: dict[str, Layout] = {
    "ingresses.networking.k8s.io": layout_of(columns("Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "ingressclasses.networking.k8s.io": layout_of(columns("Controller", "Parameters", "Age"), _ingress_class),
    "networkpolicies.networking.k8s.io": layout_of(
        columns("Pod-Selector", "Age"),
        lambda obj, now: [selector_text(spec_of(obj).get("podSelector")), age_of(obj, now)],
    ),
    "servicecidrs.networking.k8s.io": layout_of(
        columns("CIDRs", "Age"), lambda obj, now: [",".join(spec_of(obj).get("cidrs") or ()), age_of(obj, now)]
    ),
    "resourcequotas": layout_of(columns("Request", "Limit", "Age"), _quota),
    "limitranges": CREATED,
    f"roles.{_RBAC}": CREATED,
    f"clusterroles.{_RBAC}": CREATED,
    f"rolebindings.{_RBAC}": _BINDINGS,
    f"clusterrolebindings.{_RBAC}": _BINDINGS,
    "priorityclasses.scheduling.k8s.io": layout_of(
        columns("Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"),
        lambda obj, now: [
            obj.get("value", 0),
            bool(obj.get("globalDefault")),
            age_of(obj, now),
            obj.get("preemptionPolicy", ""),
        ],
    ),
    "runtimeclasses.node.k8s.io": layout_of(
        columns("Handler", "Age"), lambda obj, now: [obj.get("handler", ""), age_of(obj, now)]
    ),
    f"validatingwebhookconfigurations.{_ADMISSION}": _WEBHOOKS,
    f"mutatingwebhookconfigurations.{_ADMISSION}": _WEBHOOKS,
    f"validatingadmissionpolicies.{_ADMISSION}": layout_of(
        columns("Validations:integer", "ParamKind", "Age"), _admission_policy
    ),
    f"validatingadmissionpolicybindings.{_ADMISSION}": layout_of(
        columns("PolicyName", "ParamRef", "Age"), _admission_binding
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": layout_of(
        columns("PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"), _flow_schema
    ),
    "resourceclaims.resource.k8s.io": layout_of(columns("State", "Age"), _resource_claim),
    "resourceslices.resource.k8s.io": layout_of(columns("Node", "Driver", "Pool", "Age"), _resource_slice),
}
