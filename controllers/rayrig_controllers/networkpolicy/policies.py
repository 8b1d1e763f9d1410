"""The NetworkPolicies a RayCluster asks for, as values (kuberay-operator 3.14)."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import NETWORK_POLICY
from rayrig_core.resources import labels

#: `spec.networkPolicy.mode` → directions in which only what is allowed passes.
POLICY_TYPES: dict[str, tuple[str, ...]] = {
    "DenyAll": ("Ingress", "Egress"),
    "DenyAllIngress": ("Ingress",),
    "DenyAllEgress": ("Egress",),
}
_DEFAULT_MODE = "DenyAll"
#: Direction → field of the policy, of one of its rules, and of the user's own rules.
_FIELDS = {"Ingress": ("ingress", "from", "ingressRules"), "Egress": ("egress", "to", "egressRules")}


def policies(cluster: Cluster) -> list[JsonObject]:
    """One for the head and one for each worker group; none when the spec asks for none."""
    options = cluster.spec.get("networkPolicy")
    if options is None:
        return []
    found = [
        _policy(
            cluster, f"{cluster.name}-head", labels.HEAD_GROUP, {labels.NODE_TYPE: labels.HEAD}, options.get("head")
        )
    ]
    own_rules = {rules["groupName"]: rules for rules in options.get("workerGroups") or ()}
    for group in cluster.groups:
        name: str = group["groupName"]
        selected = {labels.NODE_TYPE: labels.WORKER, labels.GROUP: name}
        # A group's own rules take the place of those for all workers.
        rules = own_rules.get(name, options.get("worker"))
        found.append(_policy(cluster, f"{cluster.name}-workers-{name}", name, selected, rules))
    return found


def _policy(cluster: Cluster, name: str, group: str, selected: dict[str, str], rules: JsonObject | None) -> JsonObject:
    """Traffic among the cluster's own pods always passes; nothing else does but what the user's rules say."""
    of_cluster = {labels.CLUSTER: cluster.name}
    own_labels = {
        labels.CLUSTER: cluster.name,
        labels.GROUP: group,
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
    }
    mode = (cluster.spec.get("networkPolicy") or {}).get("mode") or _DEFAULT_MODE
    spec: JsonObject = {"podSelector": {"matchLabels": {**of_cluster, **selected}}}
    for direction in POLICY_TYPES[mode]:
        field, peers, given = _FIELDS[direction]
        among_themselves = {peers: [{"podSelector": {"matchLabels": of_cluster}}]}
        spec[field] = [among_themselves, *map(_with_protocols, (rules or {}).get(given) or ())]
    spec["policyTypes"] = list(POLICY_TYPES[mode])
    return {
        "apiVersion": NETWORK_POLICY.api_version,
        "kind": NETWORK_POLICY.kind,
        "metadata": cluster.child_metadata(name, own_labels),
        "spec": spec,
    }


def _with_protocols(rule: JsonObject) -> JsonObject:
    """As the API server stores it, which takes TCP for a port without protocol."""
    if not rule.get("ports"):
        return rule
    return {**rule, "ports": [{"protocol": "TCP", **port} for port in rule["ports"]]}


def has_drifted(desired: JsonObject, present: JsonObject) -> bool:
    """Labels or spec are not what is wanted."""
    return bool(
        (present["metadata"].get("labels") or {}) != desired["metadata"]["labels"]
        or present.get("spec") != desired["spec"]
    )


def surplus(desired: Iterable[JsonObject], owned: Iterable[JsonObject]) -> list[JsonObject]:
    """Those of removed groups, or all when the spec asks for none any more."""
    wanted = {policy["metadata"]["name"] for policy in desired}
    return [policy for policy in owned if policy["metadata"]["name"] not in wanted]
