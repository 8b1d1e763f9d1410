"""Status of a RayCluster, computed from what the cache shows (kuberay-operator 3.15, 1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rayrig_controllers.raycluster.cluster import MAX_INT32, Cluster
from rayrig_controllers.raycluster.ray_start import is_gpu_key
from rayrig_controllers.raycluster.scaling import desired_pods, hosts, replica_bounds
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject, has_condition, labels_of, name_of
from rayrig_core.resources import labels
from rayrig_core.resources.quantities import QuantityFormat, format_quantity, parse_quantity, quantity_format
from rayrig_core.timestamps import rfc3339

# Conditions
HEAD_POD_READY = "HeadPodReady"
PROVISIONED = "RayClusterProvisioned"
REPLICA_FAILURE = "ReplicaFailure"
SUSPENDING = "RayClusterSuspending"
SUSPENDED = "RayClusterSuspended"

# Reasons
HEAD_POD_NOT_FOUND = "HeadPodNotFound"
HEAD_POD_RUNNING_AND_READY = "HeadPodRunningAndReady"
UNKNOWN = "Unknown"
ALL_PODS_READY_FIRST_TIME = "AllPodRunningAndReadyFirstTime"
PODS_PROVISIONING = "RayClusterPodsProvisioning"

# States
READY = "ready"
SUSPENDED_STATE = "suspended"

_TPU = "google.com/tpu"
#: A change in any of these is written; in others (totals, generation, times) it waits for one of these.
_COMPARED = (
    "state",
    "reason",
    "readyWorkerReplicas",
    "availableWorkerReplicas",
    "desiredWorkerReplicas",
    "minWorkerReplicas",
    "maxWorkerReplicas",
    "endpoints",
    "head",
    "conditions",
)
#: Fields left out when they are zero or empty.
_OMITTED_WHEN_EMPTY = (
    "state",
    "reason",
    "readyWorkerReplicas",
    "availableWorkerReplicas",
    "desiredWorkerReplicas",
    "minWorkerReplicas",
    "maxWorkerReplicas",
    "endpoints",
    "observedGeneration",
)


class PodFailure(ReconcileError):
    """Creating or deleting pods failed. `reason` is what condition ReplicaFailure shows."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}\n{message}")


@dataclass(frozen=True, slots=True)
class Counts:
    """What follows from the spec alone."""

    desired: int
    low: int
    high: int
    totals: dict[str, str]


def is_running(pod: JsonObject) -> bool:
    return bool((pod.get("status") or {}).get("phase") == "Running")


def is_unready(pod: JsonObject) -> bool:
    """A Ready condition that is not True; a pod without one counts as ready."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return bool(condition.get("status") != "True")
    return False


def are_all_running(pods: Sequence[JsonObject]) -> bool:
    """At least one pod, all Running and none unready."""
    return bool(pods) and all(is_running(pod) and not is_unready(pod) for pod in pods)


def counts(cluster: Cluster) -> Counts:
    """Desired, least and most workers, and resource totals (of unclamped replicas)."""
    desired = low = high = 0
    templates: list[tuple[JsonObject, int]] = [(cluster.head.get("template") or {}, 1)]
    for group in cluster.groups:
        if group.get("suspend"):
            continue
        least, most = replica_bounds(group)
        desired += desired_pods(group)
        low += least * hosts(group)
        high += most * hosts(group)
        templates.append((group.get("template") or {}, max(0, int(group.get("replicas") or 0) * hosts(group))))
    return Counts(desired, min(low, MAX_INT32), min(high, MAX_INT32), totals(templates))


def totals(templates: Iterable[tuple[JsonObject, int]]) -> dict[str, str]:
    """Status fields desiredCPU, -Memory, -GPU, -TPU of so many pods of each template: requests before limits."""
    sums: dict[str, tuple[Fraction, QuantityFormat]] = {}
    fields = ("desiredCPU", "desiredMemory", "desiredGPU", "desiredTPU")
    for template, count in templates:
        if not count:
            continue
        for container in (template.get("spec") or {}).get("containers") or ():
            resources = container.get("resources") or {}
            wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
            for key, value in wanted.items():
                if key == "cpu":
                    name = fields[0]
                elif key == "memory":
                    name = fields[1]
                elif is_gpu_key(key):
                    name = fields[2]
                elif key == _TPU:
                    name = fields[3]
                else:
                    continue
                amount, form = sums.get(name, (Fraction(0), QuantityFormat.DECIMAL_SI))
                if amount == 0:
                    form = quantity_format(value)
                sums[name] = (amount + parse_quantity(value) * count, form)
    return {name: format_quantity(*sums[name]) if name in sums else "0" for name in fields}


@dataclass(frozen=True, slots=True)
class Observed:
    """What the cache shows of a cluster's children, and how this pass went."""

    pods: Sequence[JsonObject]
    head_services: Sequence[JsonObject]
    error: Exception | None


def calculate(cluster: Cluster, known: Counts, observed: Observed, unix_ns: int) -> JsonObject:
    """The new status. Raises `ReconcileError` when there is not exactly one head Service or more than one head pod."""
    before: JsonObject = cluster.obj.get("status") or {}
    pods = observed.pods
    status = dict(before)
    now = rfc3339(unix_ns)
    ready = available = 0
    heads: list[JsonObject] = []
    for pod in pods:
        node_type = labels_of(pod).get(labels.NODE_TYPE)
        if node_type == labels.WORKER and is_running(pod):
            available += 1
            ready += has_condition(pod, "Ready")
        elif node_type == labels.HEAD:
            heads.append(pod)
    status["readyWorkerReplicas"] = ready
    status["availableWorkerReplicas"] = available
    status["desiredWorkerReplicas"] = known.desired
    status["minWorkerReplicas"] = known.low
    status["maxWorkerReplicas"] = known.high
    status["observedGeneration"] = cluster.obj["metadata"].get("generation", 0)
    status.update(known.totals)
    is_all_running = are_all_running(pods)
    if observed.error is None and len(pods) == known.desired + 1 and is_all_running:
        status["state"] = READY
        status["reason"] = ""
    if len(heads) > 1:
        raise ReconcileError(f"found multiple heads. cluster name {cluster.name}, namespace {cluster.namespace}")
    head = heads[0] if heads else None
    if cluster.options.gates.ray_cluster_status_conditions:
        conditions = _Conditions(before.get("conditions") or (), now)
        _set_conditions(conditions, cluster, head, len(pods), is_all_running, observed.error)
        status["conditions"] = conditions.entries
    if cluster.suspend and not pods:
        status["state"] = SUSPENDED_STATE
    service = _head_service(cluster, observed.head_services)
    endpoints = {**(before.get("endpoints") or {}), **endpoints_of(service)}
    status["endpoints"] = endpoints
    status["head"] = _head_info(service, head)
    if status.get("state", "") != before.get("state", ""):
        status["stateTransitionTimes"] = {**(before.get("stateTransitionTimes") or {}), status["state"]: now}
    for key in _OMITTED_WHEN_EMPTY:
        if not status.get(key):
            status.pop(key, None)
    status["lastUpdateTime"] = now
    return status


def must_write(before: JsonObject | None, now: JsonObject) -> bool:
    """Something that is compared differs."""
    old = before or {}
    return any((old.get(key) or None) != (now.get(key) or None) for key in _COMPARED)


class _Conditions:
    """A condition list under change; entries keep their place, and their time as long as their status stays."""

    def __init__(self, entries: Iterable[JsonObject], now: str) -> None:
        self.entries: list[JsonObject] = list(entries)
        self._now = now

    def is_true(self, kind: str) -> bool:
        return any(entry["type"] == kind and entry["status"] == "True" for entry in self.entries)

    def set(self, kind: str, status: str, reason: str, message: str = "") -> None:
        for place, entry in enumerate(self.entries):
            if entry["type"] != kind:
                continue
            time = entry["lastTransitionTime"] if entry["status"] == status else self._now
            self.entries[place] = _condition(kind, status, reason, message, time)
            return
        self.entries.append(_condition(kind, status, reason, message, self._now))

    def remove(self, kind: str) -> None:
        self.entries = [entry for entry in self.entries if entry["type"] != kind]


def _condition(kind: str, status: str, reason: str, message: str, time: str) -> JsonObject:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time}


def _set_conditions(
    conditions: _Conditions,
    cluster: Cluster,
    head: JsonObject | None,
    pod_count: int,
    is_all_running: bool,
    error: Exception | None,
) -> None:
    if error is None:
        conditions.remove(REPLICA_FAILURE)
    elif isinstance(error, PodFailure):
        conditions.set(REPLICA_FAILURE, "True", error.reason, str(error))
    if head is None:
        conditions.set(HEAD_POD_READY, "False", HEAD_POD_NOT_FOUND, "Head Pod not found")
    else:
        conditions.set(HEAD_POD_READY, *_head_readiness(head))
    was_suspending, was_suspended = conditions.is_true(SUSPENDING), conditions.is_true(SUSPENDED)
    if not conditions.is_true(PROVISIONED) and not was_suspended:
        if is_all_running:
            message = "All Ray Pods are ready for the first time"
            conditions.set(PROVISIONED, "True", ALL_PODS_READY_FIRST_TIME, message)
        else:
            message = "RayCluster Pods are being provisioned for first time"
            conditions.set(PROVISIONED, "False", PODS_PROVISIONING, message)
    # Suspension is atomic: once begun, it runs to its end whatever the spec says meanwhile.
    if was_suspending:
        if pod_count == 0:
            conditions.set(PROVISIONED, "False", PODS_PROVISIONING, "RayCluster has been suspended")
            conditions.set(SUSPENDED, "True", SUSPENDED)
            conditions.set(SUSPENDING, "False", SUSPENDING)
    elif was_suspended:
        if cluster.suspend is False:
            conditions.set(SUSPENDED, "False", SUSPENDED)
    else:
        conditions.set(SUSPENDED, "False", SUSPENDED)
        conditions.set(SUSPENDING, "True" if cluster.suspend else "False", SUSPENDING)


def _head_readiness(head: JsonObject) -> tuple[str, str, str]:
    """(status, reason, message) that mirror the head pod's Ready condition."""
    pod_status = head.get("status") or {}
    for condition in pod_status.get("conditions") or ():
        if condition.get("type") != "Ready":
            continue
        status = str(condition.get("status", "Unknown"))
        message = str(condition.get("message") or "")
        reason = str(condition.get("reason") or "")
        if not reason:
            reason = HEAD_POD_RUNNING_AND_READY if status == "True" else UNKNOWN
        if reason == "ContainersNotReady":
            reason, message = _container_reason(pod_status, reason, message)
        return status, reason, message
    return "False", UNKNOWN, ""


def _container_reason(pod_status: JsonObject, reason: str, message: str) -> tuple[str, str]:
    """The first container that waits or has ended says more than that containers are not ready."""
    for status in pod_status.get("containerStatuses") or ():
        state = status.get("state") or {}
        found = state.get("waiting") or state.get("terminated")
        if found is not None:
            text = f"{status['name']}: {found.get('message') or ''}"
            return str(found.get("reason") or reason), f"{message}; {text}" if message else text
    return reason, message


def _head_service(cluster: Cluster, services: Sequence[JsonObject]) -> JsonObject:
    if len(services) != 1:
        raise ReconcileError(f"expected one head service of {cluster}, found {len(services)}")
    service = services[0]
    if not (service.get("spec") or {}).get("clusterIP"):
        raise ReconcileError(f"head service {name_of(service)} of {cluster} has no cluster IP yet")
    return service


def endpoints_of(service: JsonObject) -> dict[str, str]:
    """Named ports: the node port if there is one, else the target port."""
    found: dict[str, str] = {}
    for port in service["spec"].get("ports") or ():
        if not port.get("name"):
            continue
        found[port["name"]] = str(port.get("nodePort") or port.get("targetPort") or port["port"])
    return found


def _head_info(service: JsonObject, head: JsonObject | None) -> dict[str, str]:
    info: dict[str, str] = {}
    pod_ip = str(((head or {}).get("status") or {}).get("podIP") or "")
    if pod_ip:
        info["podIP"] = pod_ip
    if head is not None:
        info["podName"] = name_of(head)
    cluster_ip = service["spec"]["clusterIP"]
    # A headless Service has no address of its own: the head pod's stands for it.
    service_ip = pod_ip if cluster_ip == "None" else cluster_ip
    if service_ip:
        info["serviceIP"] = service_ip
    info["serviceName"] = name_of(service)
    return info
