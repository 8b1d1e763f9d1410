"""Does a condition hold? Each kind of condition has one function, from what is observed to a finding with what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rayrig_core.objects import JsonObject, condition_of, has_condition, key_of, labels_of, name_of
from rayrig_core.resource_types import ENDPOINT_SLICE, ResourceType
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.cluster_readiness import cluster_readiness
from rayrig_scenarios.endpoint_history import endpoint_counts, ready_over_time
from rayrig_scenarios.language.conditions import (
    ApplicationOf,
    ClusterRef,
    ClustersOf,
    Condition,
    ConditionOf,
    DeploymentOf,
    EndpointsOf,
    EventOf,
    FieldOf,
    HappeningOf,
    ObjectRef,
    ObjectsOf,
    PeakOf,
    PodsOf,
    RequestsOf,
    ServiceRef,
    WorkloadRef,
)
from rayrig_scenarios.language.paths import lookup, shown
from rayrig_scenarios.language.units import Bound
from rayrig_scenarios.observations import Observations, active_cluster, pending_cluster
from rayrig_scenarios.resource_kinds import KINDS
from rayrig_scenarios.rollouts import rollout_of


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether it holds, and what was found, in one line."""

    holds: bool
    detail: str


def judge(condition: Condition, seen: Observations) -> Finding:
    """Judge one condition on what is so now. Raises `InputError` when it is ambiguous."""
    return _JUDGES[condition.chosen](getattr(condition, condition.chosen), seen)


_UNWATCHED = ("event", "happened", "requests", "peak")


def is_watched(condition: Condition) -> bool:
    """Whether a watch reports all that can make it true. Others, such as why a pod is not ready, must be looked at again."""
    return condition.chosen not in _UNWATCHED and not (condition.pods is not None and condition.pods.reason)


def resources_of(conditions: Iterable[Condition]) -> list[ResourceType]:
    """Kinds, beside those that are always watched, whose changes can make one of these conditions true."""
    found = []
    for condition in conditions:
        value = getattr(condition, condition.chosen)
        if isinstance(value, (FieldOf, ConditionOf, ObjectRef, ObjectsOf)):
            found.append(KINDS[value.kind])
        elif isinstance(value, EndpointsOf):
            found.append(ENDPOINT_SLICE)
    return found


def describe(condition: Condition) -> str:
    """A condition in words, for timelines."""
    chosen = condition.chosen
    value = getattr(condition, chosen)
    words = chosen.rstrip("_").replace("_", " ")
    match value:
        case ServiceRef():
            return f"{words} {value.service}".strip()
        case ClusterRef():
            return f"RayCluster {value.cluster} ready".replace("  ", " ")
        case ObjectRef():
            return f"{value.kind}/{value.name} {words}"
        case ConditionOf():
            return f"{value.kind}/{value.name} {value.type}={value.status}"
        case FieldOf():
            return f"{value.kind}/{value.name} {value.path} {_comparison(value)}"
        case ApplicationOf():
            return f"application {value.name} {value.status}"
        case DeploymentOf():
            return f"deployment {value.application}/{value.name} {value.status}"
        case ObjectsOf():
            labels = ",".join(f"{name}={wanted}" for name, wanted in value.labels.items())
            return f"{value.count} {value.kind} {labels}".strip()
        case str():
            return f"{words} {value}"
        case _:
            return f"{words} {_bounds(value)}".strip()


def _comparison(value: FieldOf) -> str:
    if "equals" in value.model_fields_set:
        return f"= {shown(value.equals)}"
    if "differs" in value.model_fields_set:
        return f"differs from {shown(value.differs)}"
    if "contains" in value.model_fields_set:
        return f"contains {shown(value.contains)}"
    if value.is_ is not None:
        return f"is {value.is_}"
    return "exists" if value.exists else "does not exist"


def _bounds(value: Any) -> str:
    parts = []
    for name in type(value).model_fields:
        written = getattr(value, name)
        if name not in value.model_fields_set or written in ("", None) or name == "namespace":
            continue
        if isinstance(written, dict):
            parts += [f"{key} {inner}" for key, inner in written.items()]
        else:
            parts.append(f"{name.rstrip('_')} {written}")
    return ", ".join(parts)


def _missing(kind: str, name: str) -> Finding:
    return Finding(False, f"no {kind} {name}".rstrip())


# RayService


def _service(ref: Any, seen: Observations) -> JsonObject | None:
    return seen.service(ref.service, ref.namespace)


def _is_ready(service: JsonObject) -> bool:
    """By its condition; KubeRay 1.1 has none, and says `Running` when all applications do."""
    status = service.get("status") or {}
    return has_condition(service, "Ready") or ("conditions" not in status and status.get("serviceStatus") == "Running")


def _ready(ref: ServiceRef, seen: Observations) -> Finding:
    service = _service(ref, seen)
    if service is None:
        return _missing("RayService", ref.service)
    condition = condition_of(service, "Ready")
    if condition is None:
        word = (service.get("status") or {}).get("serviceStatus")
        shown_ = f"has the status {word}" if word else "has no condition Ready yet"
        return Finding(_is_ready(service), f"{name_of(service)} {shown_}")
    return Finding(condition.get("status") == "True", f"Ready is {condition.get('status')}: {condition.get('reason')}")


def _upgrade_started(ref: ServiceRef, seen: Observations) -> Finding:
    service = _service(ref, seen)
    if service is None:
        return _missing("RayService", ref.service)
    active, pending = active_cluster(service), pending_cluster(service)
    if active and pending:
        return Finding(True, f"active {active}, pending {pending}")
    return Finding(False, f"active {active or 'none'}, no pending cluster")


def _upgrade_complete(ref: ServiceRef, seen: Observations) -> Finding:
    service = _service(ref, seen)
    if service is None:
        return _missing("RayService", ref.service)
    active, pending = active_cluster(service), pending_cluster(service)
    before = seen.active_before.get(key_of(service), "")
    if pending:
        return Finding(False, f"{pending} is still pending, {active or 'none'} active")
    if not active:
        return Finding(False, "there is no active cluster")
    if active == before or (not before and seen.history(key_of(service)).switches == 0):
        return Finding(False, f"{active} is still the active cluster")
    if not _is_ready(service):
        return Finding(False, f"{active} is active, but the service is not ready")
    return Finding(True, f"{active} took over from {before or 'the cluster before'}")


def _old_cluster_gone(ref: ServiceRef, seen: Observations) -> Finding:
    service = _service(ref, seen)
    if service is None:
        return _missing("RayService", ref.service)
    active = active_cluster(service)
    others = [name_of(cluster) for cluster in seen.clusters_of(service) if name_of(cluster) != active]
    if others or not active:
        return Finding(False, f"still there: {', '.join(others)}" if others else "there is no active cluster")
    return Finding(True, f"only {active} is left")


def _clusters(wanted: ClustersOf, seen: Observations) -> Finding:
    service = _service(wanted, seen)
    key = key_of(service) if service is not None else (wanted.namespace, wanted.service)
    history = seen.history(key)
    count = len(seen.clusters_of(service)) if service is not None else len(history.live)
    return _compare(
        wanted,
        {"count": count, "peak": history.peak, "created": len(history.created), "switches": history.switches},
    )


def _application_statuses(wanted: ApplicationOf | DeploymentOf, seen: Observations) -> JsonObject | None:
    service = _service(wanted, seen)
    if service is None:
        return None
    slot = (service.get("status") or {}).get(f"{wanted.cluster}ServiceStatus") or {}
    statuses: JsonObject = slot.get("applicationStatuses") or {}
    return statuses


def _application(wanted: ApplicationOf, seen: Observations) -> Finding:
    statuses = _application_statuses(wanted, seen)
    if statuses is None:
        return _missing("RayService", wanted.service)
    status = (statuses.get(wanted.name) or {}).get("status")
    return Finding(status == wanted.status, f"{wanted.name} is {status or 'not in the status'}")


def _deployment(wanted: DeploymentOf, seen: Observations) -> Finding:
    statuses = _application_statuses(wanted, seen)
    if statuses is None:
        return _missing("RayService", wanted.service)
    deployments = (statuses.get(wanted.application) or {}).get("serveDeploymentStatuses") or {}
    status = (deployments.get(wanted.name) or {}).get("status")
    return Finding(status == wanted.status, f"{wanted.application}/{wanted.name} is {status or 'not in the status'}")


# RayCluster


def _cluster_ready(ref: ClusterRef, seen: Observations) -> Finding:
    cluster = seen.cluster(ref.cluster, ref.namespace)
    if cluster is None:
        return _missing("RayCluster", ref.cluster)
    readiness = cluster_readiness(cluster, seen)
    return Finding(readiness.is_ready, readiness.text)


# Any object


def _condition(wanted: ConditionOf, seen: Observations) -> Finding:
    obj = seen.object(KINDS[wanted.kind], wanted.name, wanted.namespace)
    if obj is None:
        return _missing(wanted.kind, wanted.name)
    condition = condition_of(obj, wanted.type)
    if condition is None:
        return Finding(False, f"{wanted.name} has no condition {wanted.type}")
    status, reason = condition.get("status"), condition.get("reason") or ""
    holds = status == wanted.status and (not wanted.reason or reason == wanted.reason)
    return Finding(holds, f"{wanted.type} is {status}: {reason}")


def _field(wanted: FieldOf, seen: Observations) -> Finding:
    obj = seen.object(KINDS[wanted.kind], wanted.name, wanted.namespace)
    if obj is None:
        return _missing(wanted.kind, wanted.name)
    value = lookup(obj, wanted.parsed, _ABSENT)
    found = "absent" if value is _ABSENT else shown(value)
    detail = f"{wanted.path} is {found}"
    if wanted.exists is not None:
        return Finding((value is not _ABSENT) == wanted.exists, detail)
    if wanted.is_ is not None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return Finding(is_number and wanted.is_.holds(value), detail)
    if "differs" in wanted.model_fields_set:
        return Finding(value is not _ABSENT and value != wanted.differs, detail)
    if "contains" in wanted.model_fields_set:
        if isinstance(value, str):
            return Finding(str(wanted.contains) in value, detail)
        return Finding(isinstance(value, (list, dict)) and wanted.contains in value, detail)
    return Finding(value is not _ABSENT and value == wanted.equals, detail)


_ABSENT = object()


def _gone(wanted: ObjectRef, seen: Observations) -> Finding:
    there = seen.object(KINDS[wanted.kind], wanted.name, wanted.namespace) is not None
    return Finding(not there, f"{wanted.kind}/{wanted.name} is {'still there' if there else 'gone'}")


def _objects(wanted: ObjectsOf, seen: Observations) -> Finding:
    resource = KINDS[wanted.kind]
    found = [
        obj
        for obj in seen.world.objects(resource, wanted.namespace if resource.namespaced else "")
        if all(labels_of(obj).get(name) == value for name, value in wanted.labels.items())
    ]
    names = f": {', '.join(name_of(obj) for obj in found[:3])}" if found else ""
    return Finding(wanted.count.holds(len(found)), f"{len(found)} {wanted.kind}{names}")


def _endpoints(wanted: EndpointsOf, seen: Observations) -> Finding:
    there = seen.endpoints(wanted.name, wanted.namespace)
    since_seq = seen.changed_seq if wanted.since == "change" else 0
    now_ns = seen.world.runtime.monotonic_ns()
    over_time = ready_over_time(seen.trace, wanted.name, wanted.namespace, since_seq=since_seq, now_ns=now_ns)
    observed: dict[str, float] = {
        **endpoint_counts(seen.world, wanted.name, wanted.namespace),
        "fewest": over_time.fewest,
        "most": over_time.most,
        "unavailable": round(over_time.unavailable_ns / NS, 3),
    }
    finding = _compare(wanted, observed)
    if wanted.without and wanted.without in there:
        return Finding(False, f"{finding.detail}; {wanted.without} is still among them".removeprefix("; "))
    return Finding(finding.holds, finding.detail or f"{wanted.without} is not among {len(there)}")


def _rolled_out(wanted: WorkloadRef, seen: Observations) -> Finding:
    workload = seen.object(KINDS[wanted.kind], wanted.name, wanted.namespace)
    if workload is None:
        return _missing(wanted.kind, wanted.name)
    is_all_there, detail = rollout_of(workload)
    if is_all_there:
        return Finding(True, detail)
    if wanted.kind == "Pod":
        pods = [workload]
    else:
        selector = (workload["spec"].get("selector") or {}).get("matchLabels")
        pods = seen.pods(wanted.namespace, labels=selector) if selector else []
    for pod in pods:
        reason = seen.world.why_unready(pod)
        if reason:
            return Finding(False, f"{detail}; {name_of(pod)}: {reason}")
    return Finding(False, detail)


# Pods


def _restarts(pod: JsonObject) -> int:
    status = pod.get("status") or {}
    parts = ("initContainerStatuses", "containerStatuses")
    return sum(each.get("restartCount", 0) for part in parts for each in status.get(part) or ())


def _pods(wanted: PodsOf, seen: Observations) -> Finding:
    clusters: list[str] | None = None
    service = _service(wanted, seen) if wanted.service or wanted.cluster != "any" else None
    if wanted.service or wanted.cluster != "any":
        if service is None:
            return _missing("RayService", wanted.service)
        if wanted.cluster == "any":
            clusters = [name_of(cluster) for cluster in seen.clusters_of(service)]
        else:
            clusters = [active_cluster(service) if wanted.cluster == "active" else pending_cluster(service)]
    pods = seen.pods(wanted.namespace, clusters=clusters, role=wanted.role, group=wanted.group, labels=wanted.labels)
    ready = [pod for pod in pods if has_condition(pod, "Ready")]
    unready = [pod for pod in pods if not has_condition(pod, "Ready")]
    pending = [pod for pod in pods if (pod.get("status") or {}).get("phase", "Pending") == "Pending"]
    counts = {"total": len(pods), "ready": len(ready), "unready": len(unready), "pending": len(pending)}
    finding = _compare(wanted, {**counts, "restarts": sum(_restarts(pod) for pod in pods)})
    if not wanted.reason or not finding.holds:
        return finding
    reasons = [(name_of(pod), seen.world.why_unready(pod)) for pod in unready]
    other = [f"{name}: {reason or 'no reason'}" for name, reason in reasons if wanted.reason not in reason]
    if other:
        return Finding(False, f"another reason for {other[0]}")
    if not reasons:
        return Finding(False, "no pod is unready")
    return Finding(True, f"{finding.detail}; {reasons[0][1]}")


# Trace, requests, usage


def _event(wanted: EventOf, seen: Observations) -> Finding:
    count = 0
    first = seen.changed_seq if wanted.since == "change" else 0
    for event in seen.trace.select(Kind.EVENT):
        if (
            event.seq >= first
            and event["reason"] == wanted.reason
            and wanted.about in event.subject
            and wanted.message in str(event["message"])
            and (not wanted.type or event["type"] == wanted.type)
        ):
            # An event that is written again carries its new count.
            count += 1
    return Finding(wanted.count.holds(count), f"{count} events {wanted.reason}")


def _happened(wanted: HappeningOf, seen: Observations) -> Finding:
    kind = next(kind for kind in Kind if kind.label == wanted.what)
    first = seen.changed_seq if wanted.since == "change" else 0
    count = sum(
        1
        for event in seen.trace.select(kind)
        if event.seq >= first
        and wanted.subject in event.subject
        and all(str(event[name]) == str(value) for name, value in wanted.with_.items())
    )
    return Finding(wanted.count.holds(count), f"{count} times {wanted.what} {wanted.subject}".rstrip())


def _requests(wanted: RequestsOf, seen: Observations) -> Finding:
    accounting = seen.accounting(wanted.traffic)
    observed: dict[str, float | None] = {"sent": accounting.sent, "failed": accounting.failed}
    if any(getattr(wanted, name) is not None for name in _QUANTILES):
        for name, share in _QUANTILES.items():
            latency = accounting.quantile_ns(share)
            observed[name] = None if latency is None else latency / 1e9
    finding = _compare(wanted, observed)
    details, holds = [finding.detail] if finding.detail else [], finding.holds
    for fate, bound in wanted.fates.items():
        count = accounting.fates.get(fate, 0)
        holds = holds and bound.holds(count)
        details.append(_observed(fate, count, bound))
    for words in wanted.causes:
        if not any(words in cause for _, cause in accounting.causes):
            holds = False
            causes = sorted({cause for _, cause in accounting.causes})
            details.append(f'no failure is caused by "{words}"; causes: {"; ".join(causes) or "none"}')
    if not holds and accounting.causes:
        (fate, cause), count = max(accounting.causes.items(), key=lambda item: item[1])
        details.append(f"most frequent failure: {count} x {fate}, {cause}")
    return Finding(holds, "; ".join(details))


_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _peak(wanted: PeakOf, seen: Observations) -> Finding:
    usage = seen.world.usage()
    return _compare(
        wanted,
        {
            "nodes": usage.peak("nodes"),
            "cpus": usage.peak("cpu_millis") / 1000,
            "gpus": usage.peak("gpus"),
            "pods": usage.peak("pods"),
        },
    )


# Bounds


def _compare(wanted: Any, observed: dict[str, Any]) -> Finding:
    """Every bound that is given against what was observed under the same name."""
    details, holds = [], True
    for name, value in observed.items():
        bound = getattr(wanted, name)
        if bound is None:
            continue
        if value is None:
            holds = False
            details.append(f"{name}: nothing to measure")
            continue
        holds = holds and bound.holds(value)
        details.append(_observed(name, value, bound, seconds=name in _QUANTILES))
    return Finding(holds, ", ".join(details))


def _observed(name: str, value: float, bound: Bound, *, seconds: bool = False) -> str:
    if name == "unavailable":
        return f"{name} {value:g} s" + ("" if bound.holds(value) else f", wanted {bound} s")
    number = f"{value * 1000:.1f} ms" if seconds else f"{value:g}"
    if bound.holds(value):
        return f"{name} {number}"
    wanted = f"{bound.operator} {bound.value * 1000:g} ms" if seconds else str(bound)
    return f"{name} {number}, wanted {wanted}"


_JUDGES: dict[str, Callable[[Any, Observations], Finding]] = {
    "ready": _ready,
    "upgrade_started": _upgrade_started,
    "upgrade_complete": _upgrade_complete,
    "old_cluster_gone": _old_cluster_gone,
    "cluster_ready": _cluster_ready,
    "rolled_out": _rolled_out,
    "gone": _gone,
    "condition": _condition,
    "field": _field,
    "application": _application,
    "deployment": _deployment,
    "objects": _objects,
    "pods": _pods,
    "endpoints": _endpoints,
    "clusters": _clusters,
    "event": _event,
    "happened": _happened,
    "requests": _requests,
    "peak": _peak,
}
