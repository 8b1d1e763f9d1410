"""Roles and bindings: their validation, and roles that gather the rules of others (Kubernetes API, "RBAC")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rayrig_core.kubernetes_names import dns_subdomain
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import selector_problems
from rayrig_fakes.kubernetes.names import path_segment
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.state import ServerState

_GROUP = "rbac.authorization.k8s.io"
_CLUSTER_ROLES = f"clusterroles.{_GROUP}"
_SUBJECTS = ("ServiceAccount", "User", "Group")


class RoleRules(KindRules):
    #: Who may give what it gives is looked at.
    takes_vouched = False
    looks = Looks(2, 2, 2)
    name_rule = staticmethod(path_segment)
    #: Rules may speak of paths that name no resource.
    cluster_wide = False

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        obj["rules"] = obj.get("rules") or None

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        obj["rules"] = obj.get("rules") or None

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for index, rule in enumerate(_dicts(obj.get("rules"))):
            causes += self._validate_rule(rule, f"rules[{index}]")
        return causes

    def _validate_rule(self, rule: JsonObject, field: str) -> list[Cause]:
        causes: list[Cause] = []
        if not rule.get("verbs"):
            causes.append(status.required(f"{field}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if not self.cluster_wide:
                text = "namespaced rules cannot apply to non-resource URLs"
                causes.append(status.invalid_value(f"{field}.nonResourceURLs", urls, text))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                causes.append(status.invalid_value(f"{field}.nonResourceURLs", urls, text))
            return causes
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            causes.append(status.required(f"{field}.apiGroups", text))
        if not rule.get("resources"):
            causes.append(status.required(f"{field}.resources", "resource rules must supply at least one resource"))
        return causes


class ClusterRoleRules(RoleRules):
    """A role with an aggregationRule has the rules of those its selectors match, in the order of their names."""

    cluster_wide = True

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = list(super().validate(obj, admission))
        aggregation = obj.get("aggregationRule")
        if aggregation is None:
            return causes
        at = "aggregationRule.clusterRoleSelectors"
        selectors = aggregation.get("clusterRoleSelectors") or []
        if not selectors:
            text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            causes.append(status.required(at, text))
        for index, selector in enumerate(selectors):
            wrong = selector_problems(selector, f"{at}[{index}]")
            causes += wrong
            if wrong:
                causes.append(status.invalid_value(f"{at}[{index}]", None, "invalid label selector."))
        return causes

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        self._gather()

    def after_removal(self, obj: JsonObject) -> None:
        self._gather()

    def _gather(self) -> None:
        """Until nothing changes any more: what one gathers, another may gather from it."""
        collection = self._state.store.collection(_CLUSTER_ROLES)
        for _ in range(len(collection) + 1):
            changed = False
            for key in list(collection.keys()):
                role = collection.get(key)
                if role is None or not role.obj.get("aggregationRule"):
                    continue
                rules = self._gathered(role.obj) or None
                if rules != (role.obj.get("rules") or None):
                    obj = {**role.obj, "metadata": dict(role.obj["metadata"]), "rules": rules}
                    collection.put(key, obj, self._state.now_unix_ns())
                    changed = True
            if not changed:
                return

    def _gathered(self, role: JsonObject) -> list[Json]:
        rules: list[Json] = []
        selectors = _dicts((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))
        for stored in self._state.store.collection(_CLUSTER_ROLES).scan():
            meta = stored.obj["metadata"]
            if meta["name"] == role["metadata"]["name"]:
                continue
            if any(_selects(selector, meta.get("labels") or {}) for selector in selectors):
                rules += [rule for rule in stored.obj.get("rules") or () if rule not in rules]
        return rules


class BindingRules(KindRules):
    takes_vouched = False
    looks = Looks(2, 2, 2)
    name_rule = staticmethod(path_segment)

    def __init__(self, role_kinds: tuple[str, ...]) -> None:
        """`role_kinds`: what the binding may refer to."""
        self._role_kinds = role_kinds

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        _default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        _default(obj)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        reference = obj.get("roleRef") if isinstance(obj.get("roleRef"), dict) else {}
        assert isinstance(reference, dict)
        if reference.get("apiGroup") != _GROUP:
            causes.append(status.not_supported("roleRef.apiGroup", reference.get("apiGroup") or "", [_GROUP]))
        if reference.get("kind") not in self._role_kinds:
            causes.append(status.not_supported("roleRef.kind", reference.get("kind") or "", self._role_kinds))
        if not reference.get("name"):
            causes.append(status.required("roleRef.name"))
        else:
            name = str(reference["name"])
            causes += [status.invalid_value("roleRef.name", name, text) for text in path_segment(name)]
        for index, subject in enumerate(_dicts(obj.get("subjects"))):
            causes += _validate_subject(subject, f"subjects[{index}]", len(self._role_kinds) == 1)
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj.get("roleRef") == old.get("roleRef"):
            return ()
        reference = obj.get("roleRef") or {}
        # Shown with the fields of the server's own type.
        names = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}
        shown = {name: reference.get(field) or "" for name, field in names.items()}
        return [status.invalid_value("roleRef", shown, "cannot change roleRef")]


def _selects(selector: JsonObject, labels: JsonObject) -> bool:
    """A label selector in the shape of objects: all of its parts must hold."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(expression, labels) for expression in _dicts(selector.get("matchExpressions")))


def _holds(expression: JsonObject, labels: JsonObject) -> bool:
    key, values = expression.get("key"), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def _dicts(value: Json) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _default(obj: JsonObject) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict) and not reference.get("apiGroup"):
        reference["apiGroup"] = _GROUP
    for subject in _dicts(obj.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            setdefault(subject, apiGroup=_GROUP)


def _validate_subject(subject: JsonObject, field: str, needs_namespace: bool) -> list[Cause]:
    causes: list[Cause] = []
    kind, group = subject.get("kind"), subject.get("apiGroup") or ""
    if not subject.get("name"):
        causes.append(status.required(f"{field}.name"))
    if kind not in _SUBJECTS:
        return [*causes, status.not_supported(f"{field}.kind", kind or "", _SUBJECTS)]
    allowed = "" if kind == "ServiceAccount" else _GROUP
    if group != allowed:
        causes.append(status.not_supported(f"{field}.apiGroup", group, [allowed]))
    if kind == "ServiceAccount":
        if subject.get("name"):
            causes += [
                status.invalid_value(f"{field}.name", subject["name"], text) for text in dns_subdomain(subject["name"])
            ]
        if needs_namespace and not subject.get("namespace"):
            causes.append(status.required(f"{field}.namespace"))
    return causes
