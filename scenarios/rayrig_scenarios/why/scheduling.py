"""Why no node takes a pod: the scheduler's verdict, and for each node what stands in the way, in numbers.

The verdict is what the scheduler wrote; the particulars are worked out again, with its filters, from the nodes and pods of that
moment.
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject, condition_of, name_of, namespace_of
from rayrig_core.trace import Kind
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, key_text
from rayrig_scenarios.wording import one_line
from rayrig_sim.kubernetes.scheduling.cluster import NodeState
from rayrig_sim.kubernetes.scheduling.filters import Filter, Rejection, fit
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds, pod_needs
from rayrig_sim.kubernetes.taints import NO_EXECUTE, NO_SCHEDULE, tolerated
from rayrig_sim.kubernetes.volumes.claims import is_bound

#: What stands between a scheduler's reasons and what it says of preemption.
_PREEMPTION = " no new claims to deallocate, preemption:"
DEFAULT_SCHEDULER = "default-scheduler"
#: Groups of nodes that are told one by one, and names in a group.
_MOST_LINES, _MOST_NAMES = 8, 3
_BINARY = (("Ti", 1024**4), ("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))


def why_unscheduled(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """From the scheduler's verdict to what each node lacks."""
    versions = evidence.versions(key_text(pod))
    condition = condition_of(pod, "PodScheduled")
    created_ns = versions[0].t_ns if versions else None
    scheduler = pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER
    if condition is None or condition.get("status") != "False":
        if scheduler != DEFAULT_SCHEDULER:
            text = f"no scheduler called {scheduler} has looked at it"
            return [Link(text, created_ns, ("pods are left to the scheduler that their schedulerName names",))]
        return [Link("the scheduler has not looked at it yet", created_ns)]
    since_ns = evidence.condition_since(versions, "PodScheduled")
    if condition.get("reason") == "SchedulingGated":
        gates = ", ".join(gate["name"] for gate in pod["spec"].get("schedulingGates") or ())
        return [Link(f"its scheduling gates are closed: {gates}", since_ns)]
    told = evidence.trace_events(f"pods/{key_text(pod)}", Kind.UNSCHEDULABLE)
    message = str(condition.get("message") or condition.get("reason") or "")
    text, _, more = message.partition(_PREEMPTION)
    details = (f"preemption:{more}",) if more else ()
    verdict = Link(f"no node takes it: {text}".rstrip(". "), since_ns, details, told[-1].seq if told else None)
    links = [verdict, *(_open_claims(pod, evidence) or _per_node(pod, evidence))]
    nominated = (pod.get("status") or {}).get("nominatedNodeName")
    if nominated:
        links.append(Link(f"pods of lower priority are being removed from {nominated} to make room for it"))
    return links


def _open_claims(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """Claims of the pod that keep it from any node: those that are not there, and those that must be bound before."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name is None and "ephemeral" in volume:
            name = f"{name_of(pod)}-{volume['name']}"
        if name is None:
            continue
        claim = evidence.claim(name, namespace_of(pod))
        if claim is None:
            found.append(Link(f"there is no PersistentVolumeClaim {name}"))
            continue
        events = evidence.events(claim)
        if is_bound(claim) or (events and events[-1].reason == "WaitForFirstConsumer"):
            continue
        asked = claim["spec"].get("storageClassName")
        by_class = f"its storage class is {asked}" if asked else "it has no storage class"
        told = tuple(f"{event.reason}: {one_line(event.message)}" for event in events[-1:])
        since_ns = events[-1].first_ns if events else None
        found.append(Link(f"PersistentVolumeClaim {name} is not bound: {by_class}", since_ns, told))
    return found


def _per_node(pod: JsonObject, evidence: Evidence) -> list[Link]:
    if not evidence.nodes:
        return [Link("there is no node")]
    cluster = evidence.cluster_state
    needs = pod_needs(pod)
    found = fit(needs, cluster)
    groups: dict[str, list[str]] = {}
    kinds: dict[str, None] = {}
    for name, rejection in sorted(found.rejections.items()):
        node = cluster.node(name)
        assert node is not None
        groups.setdefault(_in_the_way(needs, node, rejection, evidence), []).append(name)
        kinds.update(dict.fromkeys(rejection.reasons))
    if found.feasible:
        names = _names([node.name for node in found.feasible])
        groups[f"would take it now: the scheduler tries again when its back-off ends ({names})"] = []
    lines = [f"{_names(names)}: {what}" if names else what for what, names in groups.items()]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more kinds of nodes"]
    asks = f"it asks for {_asked(needs)}" if needs.requests.amounts else "it fits nowhere"
    if len(lines) == 1:
        return [Link(f"{asks}; {lines[0]}")]
    return [Link(f"{asks}, and each node lacks something", None, tuple(lines))] if lines else []


def _in_the_way(needs: PodNeeds, node: NodeState, rejection: Rejection, evidence: Evidence) -> str:
    match rejection.filter:
        case Filter.RESOURCES:
            return "; ".join(_shortages(needs, node))
        case Filter.TAINTS:
            taints = [
                f"{taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect}"
                for taint in node.taints
                if taint.effect in (NO_SCHEDULE, NO_EXECUTE) and not tolerated(taint, needs.tolerations)
            ]
            return f"has the taint {', '.join(taints)}, which it does not tolerate"
        case Filter.NODE_AFFINITY:
            return _wrong_labels(needs, node)
        case Filter.UNSCHEDULABLE:
            return "is cordoned"
        case Filter.PORTS:
            taken = ", ".join(str(port) for _, _, port in needs.host_ports)
            return f"a host port it wants is taken ({taken})"
        case _:
            return ", ".join(reason.removeprefix("node(s) ") for reason in rejection.reasons)


def _shortages(needs: PodNeeds, node: NodeState) -> list[str]:
    found = []
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        found.append(f"has its {node.allocatable.get('pods', 0)} pods")
    for name, asked in needs.requests.amounts.items():
        has, free = node.allocatable.get(name, 0), node.free(name)
        if asked <= free:
            continue
        if not has:
            found.append(f"has no {name}")
            continue
        users = [pod.name for pod in node.pods.values() if pod.requests.amounts.get(name)]
        taken = f", taken by {_names(users)}" if users else ""
        found.append(f"{name}: {amount(name, free)} of {amount(name, has)} free{taken}")
    return found


def _wrong_labels(needs: PodNeeds, node: NodeState) -> str:
    wanted = []
    for requirement in needs.node_selector:
        if not requirement.matches(node.labels):
            has = node.labels.get(requirement.key)
            wanted.append(f"{requirement.key}={requirement.values[0]} (it has {has or 'no such label'})")
    if wanted:
        return f"is not {' and '.join(wanted)}"
    return "does not match its required node affinity"


def _asked(needs: PodNeeds) -> str:
    return ", ".join(f"{name} {amount(name, value)}" for name, value in needs.requests.amounts.items())


def amount(name: str, value: int) -> str:
    """A resource's amount as manifests write it: `500m`, `8`, `1.5Gi`."""
    if name == "cpu":
        return f"{value // 1000}" if value % 1000 == 0 else f"{value}m"
    if name == "memory" or name.endswith("storage"):
        for unit, size in _BINARY:
            if value >= size:
                return f"{value / size:.1f}".removesuffix(".0") + unit
    return str(value)


def _names(names: list[str]) -> str:
    if len(names) <= _MOST_NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
