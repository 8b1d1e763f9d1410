"""Why a node does not look after its pods: it is gone, silent, or says itself that it is not ready."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, condition_of, has_condition
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.why.causes import fault_before, with_causes
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, time_of
from rayrig_sim.kubernetes.taints import NO_EXECUTE, taints_of, tolerated_for_s, tolerations_of


def is_looked_after(pod: JsonObject, evidence: Evidence) -> bool:
    """Whether the pod's node is there and ready; true also when nothing is known of nodes."""
    name = pod["spec"].get("nodeName")
    if not name or not evidence.nodes:
        return True
    node = evidence.node(name)
    return node is not None and has_condition(node, "Ready")


def why_node_is_not_ready(pod: JsonObject, evidence: Evidence) -> list[Link]:
    name = pod["spec"]["nodeName"]
    node = evidence.node(name)
    versions = evidence.node_versions(name)
    if node is None:
        since_ns = versions[-1].t_ns if versions and versions[-1].is_gone else None
        then = ("the garbage collector removes pods of nodes that are gone, 40 to 80 s later",)
        return [Link(f"its node {name} does not exist", since_ns, then), *_what_happened(name, evidence, since_ns)]
    condition = condition_of(node, "Ready")
    if condition is None:
        return [Link(f"its node {name} has not reported yet", versions[0].t_ns if versions else None)]
    since_ns = evidence.condition_since(versions, "Ready")
    reason, message = str(condition.get("reason") or ""), str(condition.get("message") or "")
    details = [f"{reason}: {message}".strip(": ")] if reason or message else []
    eviction = _eviction(pod, node, evidence)
    if eviction:
        details.append(eviction)
    text = f"its node {name} is not ready"
    if condition.get("status") == "Unknown":
        text = f"its node {name} is silent: its kubelet reports nothing any more"
    return [Link(text, since_ns, tuple(details)), *_what_happened(name, evidence, since_ns)]


def _eviction(pod: JsonObject, node: JsonObject, evidence: Evidence) -> str:
    """When the pod is deleted because of the node's taints."""
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    taints = [taint for taint in taints_of(node) if taint.effect == NO_EXECUTE]
    if not taints:
        return ""
    tolerated_s = tolerated_for_s(taints, tolerations_of(pod))
    keys = ", ".join(taint.key for taint in taints)
    if tolerated_s is None:
        return f"it tolerates the node's taint {keys} without limit, so nobody deletes it"
    for entry in (node.get("spec") or {}).get("taints") or ():
        added_ns = time_of(entry.get("timeAdded"))
        if entry.get("effect") == NO_EXECUTE and added_ns is not None:
            due_ns = (
                added_ns - (0 if evidence.clock.is_live else evidence.clock.origin_unix_ns) + round(tolerated_s * NS)
            )
            return f"it is deleted at {evidence.tell(due_ns)}, when its toleration of {keys} ends ({tolerated_s:g} s)"
    return f"it is deleted {tolerated_s:g} s after the node's taint {keys}"


def _what_happened(name: str, evidence: Evidence, since_ns: int | None) -> list[Link]:
    subject = f"nodes/{name}"
    told = [
        event
        for event in evidence.trace_events(subject, Kind.NODE)
        if event["state"] in ("lost", "draining", "registered", "restored")
    ]
    if told and told[-1]["state"] == "lost":
        lost = told[-1]
        links = with_causes(evidence, lost)
        if len(links) == 1:
            links += fault_before(evidence, lost.t_ns, subject)
        return links
    deleted = [event for event in evidence.trace_events(subject, Kind.API_WRITE) if event["verb"] == "delete"]
    if evidence.node(name) is None and deleted:
        return with_causes(evidence, deleted[-1])
    return fault_before(evidence, since_ns, subject) if since_ns is not None else []
