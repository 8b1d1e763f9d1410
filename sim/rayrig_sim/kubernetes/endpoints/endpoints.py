"""What an EndpointSlice says of a pod: pure functions from a Service and its pods to endpoints, and how slices are laid out.

Source: kubelet.md 12, kubernetes-api.md 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayrig_core.objects import JsonObject, has_condition, is_being_deleted, name_of, namespace_of, uid_of

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
#: Endpoints in one slice at most.
SLICE_CAPACITY = 100

#: (name, protocol, number, application protocol) of each port, numbers as resolved on one pod.
Ports = tuple[tuple[str, str, int, str], ...]


def is_terminal(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def pod_ip(pod: JsonObject) -> str:
    return (pod.get("status") or {}).get("podIP") or ""


def is_listed(pod: JsonObject) -> bool:
    """A pod with an address that has not ended."""
    return bool(pod_ip(pod)) and not is_terminal(pod)


def endpoint_of(service: JsonObject, pod: JsonObject, node: JsonObject | None = None) -> JsonObject:
    """The endpoint of a pod that `is_listed`."""
    spec = pod.get("spec") or {}
    serving = has_condition(pod, "Ready")
    terminating = is_being_deleted(pod)
    always = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    endpoint: JsonObject = {
        "addresses": [pod_ip(pod)],
        "conditions": {
            "ready": always or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)},
    }
    if spec.get("nodeName"):
        endpoint["nodeName"] = spec["nodeName"]
    zone = ((node or {}).get("metadata", {}).get("labels") or {}).get("topology.kubernetes.io/zone")
    if zone:
        endpoint["zone"] = zone
    if spec.get("hostname") and spec.get("subdomain") == name_of(service):
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def resolve_ports(service: JsonObject, pod: JsonObject) -> Ports:
    """Target ports on this pod. A named one that no container has is left out."""
    found: list[tuple[str, str, int, str]] = []
    for entry in (service.get("spec") or {}).get("ports") or ():
        number = target_port(entry, pod)
        if number is not None:
            name, protocol = entry.get("name") or "", entry.get("protocol") or "TCP"
            found.append((name, protocol, number, entry.get("appProtocol") or ""))
    return tuple(found)


class PortResolver:
    """`resolve_ports`, resolved once for pods that come one after another and share their containers, as those of a template do."""

    __slots__ = ("_asked", "_ports")

    def __init__(self) -> None:
        self._asked: tuple[object, object, object] = (None, None, None)
        self._ports: Ports = ()

    def ports(self, service: JsonObject, pod: JsonObject) -> Ports:
        spec = pod.get("spec") or {}
        containers, init_containers = spec.get("containers"), spec.get("initContainers")
        asked = self._asked
        if service is not asked[0] or containers is not asked[1] or init_containers is not asked[2]:
            self._asked = service, containers, init_containers
            self._ports = resolve_ports(service, pod)
        return self._ports


def target_port(port: JsonObject, pod: JsonObject) -> int | None:
    """The number of a Service's port on this pod; None when the port has a name that the pod doesn't know."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, str) and not target.isdigit():
        return _named_port(pod, target, port.get("protocol") or "TCP")
    return int(str(target))


def _named_port(pod: JsonObject, name: str, protocol: str) -> int | None:
    spec = pod.get("spec") or {}
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def ports_of_slice(slice_: JsonObject) -> Ports:
    return tuple(
        (
            entry.get("name") or "",
            entry.get("protocol") or "TCP",
            int(entry.get("port") or 0),
            entry.get("appProtocol") or "",
        )
        for entry in slice_.get("ports") or ()
    )


def ports_json(ports: Ports) -> list[JsonObject] | None:
    """`ports` of a slice."""
    shown = []
    for name, protocol, number, application in ports:
        shown.append({"name": name, "protocol": protocol, "port": number})
        if application:
            shown[-1]["appProtocol"] = application
    return shown or None


@dataclass(slots=True)
class SlicePlan:
    """What is to be written: endpoints of new slices by ports, changed slices, and names of slices to delete."""

    create: list[tuple[Ports, list[JsonObject]]] = field(default_factory=list)
    update: list[tuple[JsonObject, list[JsonObject]]] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.create or self.update or self.delete)


def plan_slices(existing: Sequence[JsonObject], wanted: Mapping[Ports, list[JsonObject]]) -> SlicePlan:
    """Change as few slices as possible: endpoints stay where they are, new ones fill up, empty slices go.

    A service without endpoints keeps one slice without ports. Where a slice would go and another come, the one is rewritten into
    the other, so that readers never see the service without its slice.
    """
    plan = _plan_apart(existing, wanted)
    by_name = {name_of(slice_): slice_ for slice_ in existing}
    while plan.create and plan.delete:
        ports, endpoints = plan.create.pop()
        plan.update.append(({**by_name[plan.delete.pop(0)], "ports": ports_json(ports)}, endpoints))
    return plan


def _plan_apart(existing: Sequence[JsonObject], wanted: Mapping[Ports, list[JsonObject]]) -> SlicePlan:
    plan = SlicePlan()
    if not wanted:
        empty = [slice_ for slice_ in existing if not slice_.get("endpoints") and not slice_.get("ports")]
        if not empty:
            plan.create.append(((), []))
        plan.delete = [name_of(slice_) for slice_ in existing if slice_ is not (empty[0] if empty else None)]
        return plan
    by_ports: dict[Ports, list[JsonObject]] = {}
    for slice_ in existing:
        ports = ports_of_slice(slice_)
        if ports in wanted and (slice_.get("endpoints") or ports == ()):
            by_ports.setdefault(ports, []).append(slice_)
        else:
            plan.delete.append(name_of(slice_))
    for ports, endpoints in wanted.items():
        _plan_group(plan, ports, by_ports.get(ports, []), endpoints)
    return plan


def _plan_group(plan: SlicePlan, ports: Ports, slices: list[JsonObject], endpoints: list[JsonObject]) -> None:
    left = {_identity(endpoint): endpoint for endpoint in endpoints}
    drafts: list[tuple[JsonObject, list[JsonObject]]] = []
    for slice_ in slices:
        kept = []
        for present in slice_.get("endpoints") or ():
            now = left.pop(_identity(present), None)
            if now is not None:
                kept.append(now)
        drafts.append((slice_, kept))
    fresh = list(left.values())
    for _, kept in drafts:
        room = SLICE_CAPACITY - len(kept)
        if fresh and room > 0:
            kept.extend(fresh[:room])
            fresh = fresh[room:]
    for start in range(0, len(fresh), SLICE_CAPACITY):
        plan.create.append((ports, fresh[start : start + SLICE_CAPACITY]))
    for slice_, kept in drafts:
        if not kept:
            plan.delete.append(name_of(slice_))
        elif kept != slice_.get("endpoints"):
            plan.update.append((slice_, kept))


def _identity(endpoint: JsonObject) -> tuple[str, str]:
    reference = endpoint.get("targetRef") or {}
    return reference.get("uid", ""), endpoint["addresses"][0]
