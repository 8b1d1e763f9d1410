"""Label selectors and node selectors, compiled once and asked often (Kubernetes API, "LabelSelector", "NodeSelector")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayrig_core.objects import JsonObject


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `key operator values` term. Gt and Lt compare integers and are for node selectors only."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator == "In":
            return value is not None and value in self.values
        if operator == "NotIn":
            return value is None or value not in self.values
        if operator == "Exists":
            return value is not None
        if operator == "DoesNotExist":
            return value is None
        if value is None or not self.values:
            return False
        try:
            return int(value) > int(self.values[0]) if operator == "Gt" else int(value) < int(self.values[0])
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements hold. `matches_nothing` is the selector that is absent where absence selects nothing."""

    requirements: tuple[Requirement, ...] = ()
    matches_nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.matches_nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)


NOTHING = LabelSelector(matches_nothing=True)


def equality_selector(wanted: Mapping[str, str] | None) -> LabelSelector:
    """From a plain map, as `spec.selector` of a Service; an absent or empty one selects nothing there."""
    if not wanted:
        return NOTHING
    return LabelSelector(tuple(Requirement(key, "In", (value,)) for key, value in wanted.items()))


def label_selector(selector: JsonObject | None) -> LabelSelector:
    """From `matchLabels` and `matchExpressions`: absent selects nothing, empty everything."""
    if selector is None:
        return NOTHING
    requirements = [Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    requirements += [_requirement(entry) for entry in selector.get("matchExpressions") or ()]
    return LabelSelector(tuple(requirements))


@dataclass(frozen=True, slots=True)
class NodeSelectorTerm:
    """Label expressions and field expressions (`metadata.name` only), all of which must hold; an empty term matches nothing."""

    expressions: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.expressions and not self.fields:
            return False
        if not all(requirement.matches(labels) for requirement in self.expressions):
            return False
        return all(requirement.matches({"metadata.name": name}) for requirement in self.fields)


def node_selector_term(term: JsonObject) -> NodeSelectorTerm:
    return NodeSelectorTerm(
        tuple(_requirement(entry) for entry in term.get("matchExpressions") or ()),
        tuple(_requirement(entry) for entry in term.get("matchFields") or ()),
    )


def _requirement(entry: Mapping[str, Any]) -> Requirement:
    return Requirement(entry.get("key") or "", entry.get("operator") or "", tuple(entry.get("values") or ()))
