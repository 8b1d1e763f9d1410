"""Who deleted a pod, or ended it, and why."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, condition_of, controller_of, labels_of, name_of, namespace_of, uid_of
from rayrig_core.resources.labels import CLUSTER, GROUP
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_scenarios.why.causes import as_link, causes_of, with_causes
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, key_text, time_of
from rayrig_scenarios.why.nodes import is_looked_after, why_node_is_not_ready
from rayrig_scenarios.why.scripts import why_script_ends_it
from rayrig_scenarios.wording import one_line

#: Reasons of the condition DisruptionTarget, in words.
_DISRUPTIONS = {
    "EvictionByEvictionAPI": "it was evicted by a request (a drain, or another tool that asks for evictions)",
    "DeletionByTaintManager": "its node has a NoExecute taint that it does not tolerate any longer",
    "DeletionByPodGC": "its node does not exist any more",
    "PreemptionByScheduler": "the scheduler made room for a pod of higher priority",
    "TerminationByKubelet": "its kubelet ended it",
}
_ACTORS = {
    "generic-garbage-collector": "the garbage collector",
    "operator": "the operator",
    "taint-eviction-controller": "the taint eviction controller",
    "kube-scheduler": "the scheduler",
    "default-scheduler": "the scheduler",
    "faults": "a fault",
    "scenario": "the scenario",
    "test": "the test",
    "kubelet": "its kubelet",
    "drain": "a drain",
}
_CONTROLLERS = {
    "replicaset-controller": "the ReplicaSet controller",
    "statefulset-controller": "the StatefulSet controller",
    "daemonset-controller": "the DaemonSet controller",
    "job-controller": "the Job controller",
    "kube-controller-manager/pod-gc": "the garbage collector of pods",
}
_EVENT_NEAR_NS = NS
#: Actors that write what a user asks for.
_USERS = ("scenario/", "test")


def why_deleted(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """It is being deleted, or gone: since when, by whom, for what reason."""
    subject = f"pods/{key_text(pod)}"
    deletions = [
        event
        for event in evidence.trace_events(subject, Kind.API_WRITE)
        if event["verb"] == "delete" and not event.actor.startswith("kubelet/")
    ]
    asked = _first_of_this_life(deletions, pod, evidence)
    versions = evidence.versions(key_text(pod))
    is_gone = bool(versions) and versions[-1].is_gone
    deleted_ns = evidence.since(
        [v for v in versions if not v.is_gone], lambda obj: "deletionTimestamp" in obj["metadata"]
    )
    grace_s = pod["metadata"].get("deletionGracePeriodSeconds")
    if evidence.clock.is_live:
        stamp_ns = time_of(pod["metadata"].get("deletionTimestamp"))
        deleted_ns = None if stamp_ns is None else stamp_ns - int(grace_s or 0) * NS
    if deleted_ns is None and asked is not None:
        deleted_ns = asked.t_ns
    who = f" by {_who(asked.actor)}" if asked is not None else ""
    if is_gone:
        links = [Link(f"it is gone: deleted{who}", versions[-1].t_ns, (), asked.seq if asked is not None else None)]
    else:
        details = _what_holds_it(pod, grace_s, deleted_ns, evidence)
        links = [Link(f"it is being deleted{who}", deleted_ns, details, asked.seq if asked is not None else None)]
        if not is_looked_after(pod, evidence):
            links += [
                Link("nobody stops its containers, so it stays"),
                *why_node_is_not_ready(pod, evidence),
            ]
            return links
    disrupted = condition_of(pod, "DisruptionTarget")
    if disrupted is not None and disrupted.get("status") == "True":
        why = _DISRUPTIONS.get(str(disrupted.get("reason")), str(disrupted.get("reason")))
        links.append(
            Link(why, evidence.condition_since(versions, "DisruptionTarget"), (one_line(disrupted.get("message")),))
        )
        if disrupted.get("reason") == "PreemptionByScheduler":
            links += _preemptor(pod, evidence)
        if disrupted.get("reason") in ("DeletionByTaintManager", "DeletionByPodGC") and pod["spec"].get("nodeName"):
            return [*links, *why_node_is_not_ready(pod, evidence)]
    if asked is not None:
        links += _reasons(asked, pod, evidence)
    else:
        links += _owner(pod, evidence)
    return links


def _preemptor(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """The pod that the room is for, as the Event tells."""
    for event in evidence.events(pod, "Preempted"):
        for other in evidence.pods:
            if uid_of(other) in event.message:
                priority = other["spec"].get("priority") or 0
                own = pod["spec"].get("priority") or 0
                text = f"pod {name_of(other)} needs the room: its priority is {priority}, that of this one {own}"
                return [Link(text, event.first_ns)]
    return []


def _first_of_this_life(deletions: list[TraceEvent], pod: JsonObject, evidence: Evidence) -> TraceEvent | None:
    versions = evidence.versions(key_text(pod))
    born_ns = versions[0].t_ns if versions else 0
    return next((event for event in deletions if event.t_ns >= born_ns), None)


def _who(actor: str) -> str:
    for begin, name in _CONTROLLERS.items():
        if actor.startswith(begin):
            return name
    first = actor.partition("/")[0]
    return _ACTORS.get(first, actor)


def _what_holds_it(pod: JsonObject, grace_s: int | None, deleted_ns: int | None, evidence: Evidence) -> tuple[str, ...]:
    details = []
    running = [
        status["name"]
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if (status.get("state") or {}).get("running") is not None
    ]
    if running and deleted_ns is not None and grace_s is not None:
        until = evidence.tell(deleted_ns + int(grace_s) * NS)
        details.append(f"{', '.join(running)} may run until {until}, the end of its grace of {grace_s} s")
    finalizers = pod["metadata"].get("finalizers") or ()
    if finalizers:
        details.append(f"it stays until its finalizers are removed: {', '.join(finalizers)}")
    ready = condition_of(pod, "Ready")
    if ready is not None and ready.get("status") == "True":
        details.append("its condition Ready is True still, but no Service sends new connections to it")
    return tuple(details)


def _reasons(asked: TraceEvent, pod: JsonObject, evidence: Evidence) -> list[Link]:
    """What the operator said, or what led the deleter to it."""
    links: list[Link] = []
    cluster = labels_of(pod).get(CLUSTER, "")
    name = name_of(pod)
    for event in evidence.trace_select(Kind.EVENT):
        is_near = abs(event.t_ns - asked.t_ns) <= _EVENT_NEAR_NS and event.subject.startswith("rayclusters/")
        # "Deleted Pod x" says nothing new; of a pod that failed or a group that is suspended the operator says so.
        message = str(event["message"])
        is_telling = any(f"{name}{more}" in message for more in (";", " for group"))
        is_telling |= event.subject.endswith(f"/{cluster}") and any(
            words in message for words in (" due to ", "suspended")
        )
        if is_near and is_telling and str(event["reason"]).startswith("Deleted"):
            links.append(Link(one_line(event["message"]), event.t_ns, (), event.seq))
            break
    links += _fewer_wanted(pod, asked, evidence) or _scaled(pod, asked, evidence)
    causes = causes_of(evidence, asked.seq)
    retired = why_retired(cluster, evidence) if cluster else []
    if retired and any(f"RayCluster {cluster}:" in link.text for link in causes):
        return [*links, *[link for link in causes if f"RayCluster {cluster}:" in link.text], *retired]
    return [*links, *causes]


def _fewer_wanted(pod: JsonObject, asked: TraceEvent, evidence: Evidence) -> list[Link]:
    """Its worker group was made smaller, or the pod was named to go."""
    group, cluster = labels_of(pod).get(GROUP), labels_of(pod).get(CLUSTER)
    before: JsonObject = {}
    found: list[Link] = []
    for version in evidence.ray_cluster_versions(f"{namespace_of(pod)}/{cluster}"):
        if version.t_ns > asked.t_ns:
            break
        groups = (version.object.get("spec") or {}).get("workerGroupSpecs") or ()
        now: JsonObject = next((one for one in groups if one.get("groupName") == group), {})
        named = (now.get("scaleStrategy") or {}).get("workersToDelete") or ()
        if name_of(pod) in named and name_of(pod) not in (
            (before.get("scaleStrategy") or {}).get("workersToDelete") or ()
        ):
            found = [Link(f"it is named in workersToDelete of worker group {group}", version.t_ns)]
        elif before and int(now.get("replicas") or 0) < int(before.get("replicas") or 0):
            text = f"worker group {group} is to have {now.get('replicas') or 0} replicas instead of {before.get('replicas')}"
            found = [Link(text, version.t_ns)]
        before = now or before
    return found


def _scaled(pod: JsonObject, asked: TraceEvent, evidence: Evidence) -> list[Link]:
    """What the Deployment said of its ReplicaSet last: a roll-out, or a smaller size."""
    owner = controller_of(pod)
    if owner is None or owner.get("kind") != "ReplicaSet":
        return []
    said = [
        event
        for event in evidence.trace_select(Kind.EVENT)
        if event["reason"] == "ScalingReplicaSet" and f"down replica set {owner['name']} " in str(event["message"])
    ]
    near = [event for event in said if event.t_ns <= asked.t_ns + _EVENT_NEAR_NS]
    if not near:
        return []
    last = near[-1]
    deployment = last.subject.rpartition("/")[2]
    text = f"Deployment {deployment} has " + str(last["message"])[:1].lower() + str(last["message"])[1:]
    return [Link(text, last.t_ns, (), last.seq), *_step_behind(last, evidence)]


def _step_behind(event: TraceEvent, evidence: Evidence) -> list[Link]:
    """The step that an event goes back to."""
    assert evidence.trace is not None
    for cause in evidence.trace.causes_of(event.seq):
        if cause.kind is Kind.STEP:
            return [Link(f"the scenario took the step: {cause['detail']}", cause.t_ns, (), cause.seq)]
    return []


def why_retired(cluster: str, evidence: Evidence) -> list[Link]:
    """Why the operator no longer uses a Ray cluster: another has taken over, which the user's change brought about."""
    notes = evidence.trace_select(Kind.NOTE)
    unused = [e for e in notes if f"RayCluster {cluster} is no longer used" in str(e["detail"])]
    if not unused:
        return []
    links = [as_link(unused[-1])]
    taken = [e for e in notes if f" is active now instead of {cluster}" in str(e["detail"])]
    if not taken:
        return links
    links.append(as_link(taken[-1]))
    successor = str(taken[-1]["detail"]).removeprefix("RayCluster ").partition(" ")[0]
    namespace = taken[-1].subject.split("/")[1]
    for event in evidence.trace_events(f"rayclusters/{namespace}/{successor}", Kind.API_WRITE):
        if event["verb"] == "create":
            text = f"RayCluster {successor} was created for a changed RayService"
            return [
                *links,
                Link(text, event.t_ns, (), event.seq),
                *_step_that_changed(taken[-1].subject, event, evidence),
            ]
    return links


def _step_that_changed(service: str, created: TraceEvent, evidence: Evidence) -> list[Link]:
    """The step whose write of the RayService came last before a cluster was created."""
    writes = [
        event
        for event in evidence.trace_events(service, Kind.API_WRITE)
        if event.actor.startswith(_USERS) and event.seq < created.seq
    ]
    return _step_behind(writes[-1], evidence) if writes else []


def _owner(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """Without a trace: whether its owner is there still."""
    owner = controller_of(pod)
    if owner is None or not evidence.clock.is_live:
        return []
    return [Link(f"its owner is {owner.get('kind')} {owner.get('name')}; its Events may say why (kubectl describe)")]


def why_ended(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """Its phase is terminal: it was rejected or evicted, ran out of time, or its containers have ended."""
    status = pod.get("status") or {}
    phase, reason = status.get("phase"), status.get("reason")
    since_ns = evidence.since(
        evidence.versions(key_text(pod)), lambda obj: (obj.get("status") or {}).get("phase") == phase
    )
    ends, scripted = [], []
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        ended = (container.get("state") or {}).get("terminated")
        if ended is not None:
            words = f": {one_line(ended['message'])}" if ended.get("message") else ""
            ends.append(f"{container['name']} ended with code {ended.get('exitCode')} ({ended.get('reason')}){words}")
            if ended.get("exitCode"):
                scripted += why_script_ends_it(pod, container["name"], evidence)
    policy = pod["spec"].get("restartPolicy", "Always")
    if reason:
        details = (one_line(status.get("message")),) if status.get("message") else ()
        if reason == "DeadlineExceeded":
            details = (*details, f"activeDeadlineSeconds is {pod['spec'].get('activeDeadlineSeconds')}")
        links = [
            Link(f"it has {'failed' if phase == 'Failed' else 'succeeded'}: {reason}", since_ns, (*details, *ends))
        ]
    else:
        text = "it has failed: a container ended with an error" if phase == "Failed" else "it has succeeded: it is done"
        links = [Link(f"{text}, and restartPolicy is {policy}", since_ns, tuple(ends)), *scripted]
    disrupted = condition_of(pod, "DisruptionTarget")
    if disrupted is not None and disrupted.get("status") == "True":
        links.append(Link(_DISRUPTIONS.get(str(disrupted.get("reason")), str(disrupted.get("reason")))))
    told = [
        event
        for event in evidence.trace_events(f"pods/{key_text(pod)}", Kind.CONTAINER)
        if event["state"] == "terminated" and event["exit_code"] not in (0, None)
    ]
    if told:
        links += with_causes(evidence, told[-1])[1:]
    return links
