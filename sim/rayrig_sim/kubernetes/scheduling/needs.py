"""Everything the scheduler looks at in a pod, parsed once."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.objects import JsonObject, is_being_deleted, labels_of, name_of, namespace_of, uid_of
from rayrig_sim.kubernetes.scheduling.requests import Requests, pod_requests
from rayrig_sim.kubernetes.selectors import (
    LabelSelector,
    NodeSelectorTerm,
    Requirement,
    label_selector,
    node_selector_term,
)
from rayrig_sim.kubernetes.taints import Toleration, tolerations_of

_REMEMBERED = 1024
#: Fields of a spec that say what a pod needs: all but where it is.
_TELLING = (
    "containers",
    "initContainers",
    "affinity",
    "tolerations",
    "nodeSelector",
    "topologySpreadConstraints",
    "volumes",
    "resources",
    "overhead",
    "priority",
    "preemptionPolicy",
    "hostNetwork",
)
HostPort = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class PodTerm:
    """One pod affinity or anti-affinity term. `namespaces` None means all namespaces."""

    selector: LabelSelector
    namespaces: tuple[str, ...] | None
    topology_key: str
    weight: int = 0

    def matches(self, namespace: str, labels: dict[str, str]) -> bool:
        return (self.namespaces is None or namespace in self.namespaces) and self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One topology spread constraint; `hard` is DoNotSchedule."""

    topology_key: str
    max_skew: int
    selector: LabelSelector
    hard: bool
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


@dataclass(frozen=True, slots=True)
class PodNeeds:
    """What a pod asks for. `uid` is its identity; the rest depends on the object alone."""

    uid: str
    namespace: str
    name: str
    labels: dict[str, str]
    priority: int
    can_preempt: bool
    requests: Requests
    tolerations: tuple[Toleration, ...]
    node_selector: tuple[Requirement, ...]
    required_terms: tuple[NodeSelectorTerm, ...] | None
    preferred_terms: tuple[tuple[int, NodeSelectorTerm], ...]
    host_ports: tuple[HostPort, ...]
    affinity: tuple[PodTerm, ...]
    anti_affinity: tuple[PodTerm, ...]
    preferred_affinity: tuple[PodTerm, ...]
    preferred_anti_affinity: tuple[PodTerm, ...]
    spread: tuple[SpreadConstraint, ...]
    images: tuple[str, ...]
    claims: tuple[str, ...] = ()
    is_terminating: bool = False

    def of(self, pod: JsonObject) -> PodNeeds:
        """Those of another pod with the same labels in the same namespace, which asks for the same."""
        return PodNeeds(
            uid_of(pod),
            self.namespace,
            name_of(pod),
            self.labels,
            self.priority,
            self.can_preempt,
            self.requests,
            self.tolerations,
            self.node_selector,
            self.required_terms,
            self.preferred_terms,
            self.host_ports,
            self.affinity,
            self.anti_affinity,
            self.preferred_affinity,
            self.preferred_anti_affinity,
            self.spread,
            self.images,
            self.claims,
            is_being_deleted(pod),
        )


def pod_needs(pod: JsonObject) -> PodNeeds:
    """Parse a pod. Nothing is looked up elsewhere."""
    spec = pod.get("spec") or {}
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    namespace = namespace_of(pod)
    labels = labels_of(pod)
    near, far = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    return PodNeeds(
        uid=uid_of(pod),
        namespace=namespace,
        name=name_of(pod),
        labels=labels,
        priority=int(spec.get("priority") or 0),
        can_preempt=spec.get("preemptionPolicy") != "Never",
        requests=pod_requests(pod),
        tolerations=tolerations_of(pod),
        node_selector=tuple(
            Requirement(key, "In", (value,)) for key, value in (spec.get("nodeSelector") or {}).items()
        ),
        required_terms=(
            tuple(node_selector_term(term) for term in required.get("nodeSelectorTerms") or ())
            if required is not None
            else None
        ),
        preferred_terms=tuple(
            (int(entry["weight"]), node_selector_term(entry["preference"]))
            for entry in node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ),
        host_ports=host_ports(spec),
        affinity=_required_terms(near, namespace, labels),
        anti_affinity=_required_terms(far, namespace, labels),
        preferred_affinity=_preferred_terms(near, namespace, labels),
        preferred_anti_affinity=_preferred_terms(far, namespace, labels),
        spread=tuple(_spread(entry, labels) for entry in spec.get("topologySpreadConstraints") or ()),
        images=tuple(container["image"] for container in spec.get("containers") or () if container.get("image")),
        claims=claim_names(pod),
        is_terminating=is_being_deleted(pod),
    )


class NeedsParser:
    """`pod_needs`, which remembers what it made of specs whose parts pods share."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[JsonObject, PodNeeds]] = {}

    def needs(self, pod: JsonObject) -> PodNeeds:
        spec = pod.get("spec")
        if spec is None:
            return pod_needs(pod)
        key = (namespace_of(pod), *labels_of(pod).items(), *map(id, map(spec.get, _TELLING)))
        found = self._known.get(key)
        if found is not None:
            # What is remembered holds its spec: no other part has the address of one of its parts.
            return found[1].of(pod)
        needs = pod_needs(pod)
        if not needs.claims:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (spec, needs)
        return needs


def claim_names(pod: JsonObject) -> tuple[str, ...]:
    """Names of the PersistentVolumeClaims that a pod's volumes come from; those of ephemeral volumes are named after the pod."""
    found = []
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append(str(volume["persistentVolumeClaim"].get("claimName") or ""))
        elif volume.get("ephemeral"):
            found.append(f"{name_of(pod)}-{volume['name']}")
    return tuple(found)


def host_ports(spec: JsonObject) -> tuple[HostPort, ...]:
    """(protocol, address, port) of every port a pod wants on its node."""
    found: list[HostPort] = []
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if spec.get("hostNetwork") else None)
            if number:
                found.append((port.get("protocol") or "TCP", port.get("hostIP") or "0.0.0.0", int(number)))
    return tuple(found)


def _term(entry: JsonObject, namespace: str, labels: dict[str, str], weight: int = 0) -> PodTerm:
    names = tuple(entry.get("namespaces") or ())
    everywhere = entry.get("namespaceSelector") == {}
    selector = label_selector(entry.get("labelSelector"))
    extra = [Requirement(key, "In", (labels[key],)) for key in entry.get("matchLabelKeys") or () if key in labels]
    extra += [
        Requirement(key, "NotIn", (labels[key],)) for key in entry.get("mismatchLabelKeys") or () if key in labels
    ]
    if extra and not selector.matches_nothing:
        selector = LabelSelector((*selector.requirements, *extra))
    return PodTerm(selector, None if everywhere else (names or (namespace,)), entry["topologyKey"], weight)


def _required_terms(affinity: JsonObject, namespace: str, labels: dict[str, str]) -> tuple[PodTerm, ...]:
    entries = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(entry, namespace, labels) for entry in entries)


def _preferred_terms(affinity: JsonObject, namespace: str, labels: dict[str, str]) -> tuple[PodTerm, ...]:
    entries = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(entry["podAffinityTerm"], namespace, labels, int(entry["weight"])) for entry in entries)


def _spread(entry: JsonObject, labels: dict[str, str]) -> SpreadConstraint:
    selector = label_selector(entry.get("labelSelector"))
    keys = [Requirement(key, "In", (labels[key],)) for key in entry.get("matchLabelKeys") or () if key in labels]
    if keys and not selector.matches_nothing:
        selector = LabelSelector((*selector.requirements, *keys))
    return SpreadConstraint(
        entry["topologyKey"],
        int(entry["maxSkew"]),
        selector,
        entry.get("whenUnsatisfiable") != "ScheduleAnyway",
        int(entry.get("minDomains") or 1),
        entry.get("nodeAffinityPolicy") != "Ignore",
        entry.get("nodeTaintsPolicy") == "Honor",
    )
