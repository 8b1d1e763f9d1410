"""What is wrong with the parts of a pod spec that say where it may run: affinity, tolerations, spread, gates."""

from __future__ import annotations

from rayrig_core.kubernetes_names import dns_label, dns_subdomain, label_value, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import (
    POSITIVE,
    each,
    labels_problems,
    one_of,
    operator_values_problems,
    selector_problems,
)
from rayrig_fakes.kubernetes.status import Cause

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_WHEN = ("DoNotSchedule", "ScheduleAnyway")
_SPREAD_POLICIES = ("Honor", "Ignore")


def scheduling_problems(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("nodeSelector"):
        causes += labels_problems(spec["nodeSelector"], f"{field}.nodeSelector")
    if spec.get("affinity"):
        causes += _affinity(spec["affinity"], f"{field}.affinity")
    causes += toleration_problems(spec.get("tolerations") or [], f"{field}.tolerations")
    if spec.get("topologySpreadConstraints"):
        causes += _spread(spec["topologySpreadConstraints"], f"{field}.topologySpreadConstraints")
    names: list[str] = []
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name, at = gate.get("name") or "", f"{field}.schedulingGates[{index}]"
        causes += each(at, name, qualified_name(name))
        if name in names:
            causes.append(status.duplicate(at, name))
        names.append(name)
    return causes


def toleration_problems(tolerations: list[JsonObject], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        at = f"{field}[{index}]"
        key, value = toleration.get("key") or "", toleration.get("value") or ""
        operator, effect = toleration.get("operator"), toleration.get("effect")
        if key:
            causes += each(f"{at}.key", key, qualified_name(key))
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            causes.append(status.invalid_value(f"{at}.operator", operator or "", text))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            causes.append(status.invalid_value(f"{at}.effect", effect or "", text))
        if operator in (None, "Equal"):
            causes += each(f"{at}.operator", value, label_value(value))
        elif operator == "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                causes.append(status.invalid_value(f"{at}.operator", value, text))
        else:
            # The two that compare numbers are named only to those who know of them.
            known = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
            causes.append(status.not_supported(f"{at}.operator", operator, known))
        causes += one_of(f"{at}.effect", effect, _EFFECTS)
    return causes


def node_selector_problems(selector: JsonObject, field: str) -> list[Cause]:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        return [status.required(f"{field}.nodeSelectorTerms", "must have at least one node selector term")]
    causes: list[Cause] = []
    for index, term in enumerate(terms):
        causes += _node_term(term, f"{field}.nodeSelectorTerms[{index}]")
    return causes


def _node_term(term: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        at = f"{field}.matchExpressions[{index}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or ()
        found = operator_values_problems(at, operator, values)
        if found is not None:
            causes += found
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                causes.append(status.required(f"{at}.values", text))
        else:
            causes.append(status.invalid_value(f"{at}.operator", operator, "not a valid selector operator"))
        key = requirement.get("key") or ""
        causes += each(f"{at}.key", key, qualified_name(key))
        for position, value in enumerate(values):
            causes += each(f"{at}.values[{position}]", value, label_value(value))
    for index, requirement in enumerate(term.get("matchFields") or ()):
        at = f"{field}.matchFields[{index}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or ()
        if operator in ("In", "NotIn"):
            if len(values) != 1:
                text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
                causes.append(status.required(f"{at}.values", text))
        else:
            causes.append(status.invalid_value(f"{at}.operator", operator, "not a valid selector operator"))
        key = requirement.get("key") or ""
        if key == "metadata.name":
            for position, value in enumerate(values):
                causes += each(f"{at}.values[{position}]", value, dns_subdomain(value))
        else:
            causes.append(status.invalid_value(f"{at}.key", key, "not a valid field selector key"))
    return causes


def _affinity(affinity: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    nodes = affinity.get("nodeAffinity")
    if nodes:
        if nodes.get(_REQUIRED) is not None:
            causes += node_selector_problems(nodes[_REQUIRED], f"{field}.nodeAffinity.{_REQUIRED}")
        for index, term in enumerate(nodes.get(_PREFERRED) or ()):
            at = f"{field}.nodeAffinity.{_PREFERRED}[{index}]"
            causes += _weight(term, at)
            causes += _node_term(term.get("preference") or {}, f"{at}.preference")
    for part in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(part)
        if not pods:
            continue
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            causes += _pod_term(term, f"{field}.{part}.{_REQUIRED}[{index}]")
        for index, term in enumerate(pods.get(_PREFERRED) or ()):
            at = f"{field}.{part}.{_PREFERRED}[{index}]"
            causes += _weight(term, at)
            causes += _pod_term(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return causes


def _weight(term: JsonObject, field: str) -> list[Cause]:
    weight = term.get("weight") or 0
    if 1 <= weight <= 100:
        return []
    return [status.invalid_value(f"{field}.weight", weight, "must be in the range 1-100")]


def _pod_term(term: JsonObject, field: str) -> list[Cause]:
    selector = term.get("labelSelector")
    causes = selector_problems(selector, f"{field}.labelSelector")
    causes += selector_problems(term.get("namespaceSelector"), f"{field}.namespaceSelector")
    for name in term.get("namespaces") or ():
        causes += each(f"{field}.namespace", name, dns_label(name))
    keys, others = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    if selector is None:
        for part, listed in (("matchLabelKeys", keys), ("mismatchLabelKeys", others)):
            if listed:
                text = "must not be specified when labelSelector is not set"
                causes.append(status.forbidden_field(f"{field}.{part}", text))
    else:
        causes += _label_keys(keys, f"{field}.matchLabelKeys")
        causes += _label_keys(others, f"{field}.mismatchLabelKeys")
        for index, key in enumerate(keys):
            if key in others:
                text = "exists in both matchLabelKeys and mismatchLabelKeys"
                causes.append(status.invalid_value(f"{field}.matchLabelKeys[{index}]", key, text))
    topology = term.get("topologyKey") or ""
    if not topology:
        causes.append(status.required(f"{field}.topologyKey", "can not be empty"))
    return causes + each(f"{field}.topologyKey", topology, qualified_name(topology))


def _label_keys(keys: list[str], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, key in enumerate(keys):
        causes += each(f"{field}[{index}]", key, qualified_name(key))
    return causes


def _spread(constraints: list[JsonObject], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, constraint in enumerate(constraints):
        at = f"{field}[{index}]"
        skew, key = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
        when = constraint.get("whenUnsatisfiable") or ""
        if skew <= 0:
            causes.append(status.invalid_value(f"{at}.maxSkew", skew, POSITIVE))
        if not key:
            causes.append(status.required(f"{at}.topologyKey", "can not be empty"))
        if when not in _WHEN:
            causes.append(status.not_supported(f"{at}.whenUnsatisfiable", when, _WHEN))
        for later in constraints[index + 1 :]:
            if (later.get("topologyKey"), later.get("whenUnsatisfiable")) == (key, when):
                causes.append(status.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
                break
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                causes.append(status.invalid_value(f"{at}.minDomains", domains, POSITIVE))
            if when != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                causes.append(status.invalid_value(f"{at}.minDomains", domains, text))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            causes += one_of(f"{at}.{policy}", constraint.get(policy), _SPREAD_POLICIES)
        selector, keys = constraint.get("labelSelector"), constraint.get("matchLabelKeys") or []
        if keys and selector is None:
            text = "must not be specified when labelSelector is not set"
            causes.append(status.forbidden_field(f"{at}.matchLabelKeys", text))
        else:
            causes += _label_keys(keys, f"{at}.matchLabelKeys")
        causes += selector_problems(selector, f"{at}.labelSelector")
    return causes
