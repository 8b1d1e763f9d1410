"""What writes of built-in kinds do where kinds differ in nothing else (K8-022, K8-023, K8-036)."""

from __future__ import annotations

from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import KindRules

#: A PUT to a name that is not there creates.
_CREATED_BY_PUT = frozenset(
    (
        "clusterrolebindings",
        "clusterroles",
        "endpoints",
        "events",
        "leases",
        "limitranges",
        "rolebindings",
        "roles",
        "runtimeclasses",
        "services",
    )
)
#: The answer to a delete is the object.
_SHOWN_WHEN_DELETED = frozenset(
    (
        "csidrivers",
        "jobs",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "replicationcontrollers",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "storageclasses",
    )
)
#: An update has to say of which version.
_BY_VERSION_ONLY = frozenset(
    (
        "csidrivers",
        "leases",
        "mutatingwebhookconfigurations",
        "poddisruptionbudgets",
        "runtimeclasses",
        "validatingwebhookconfigurations",
    )
)


def take_on_habits(kind: ResourceType, rules: KindRules) -> None:
    if kind.plural in _CREATED_BY_PUT:
        rules.create_on_update = True
    if kind.plural in _SHOWN_WHEN_DELETED:
        rules.returns_deleted = True
    if kind.plural in _BY_VERSION_ONLY:
        rules.unconditional_update = False
