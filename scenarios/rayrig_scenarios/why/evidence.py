"""What is known of a cluster at a moment: objects and how they came to be as they are, events, probes, a trace if there is one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from rayrig_core.objects import JsonObject, condition_of, labels_of, name_of, namespace_of, uid_of
from rayrig_core.resources.labels import CLUSTER, HEAD, NODE_TYPE
from rayrig_core.timestamps import parse_rfc3339
from rayrig_core.trace import Kind, Trace, TraceEvent
from rayrig_scenarios.why.chain import Clock
from rayrig_scenarios.why.ray_picture import RayPicture
from rayrig_scenarios.why.stages import ENDED_PHASES
from rayrig_sim.kubernetes.kubelet.container_scripts import Script
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, Verdict
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRules
from rayrig_sim.kubernetes.kubelet.scripted_containers import annotated_script
from rayrig_sim.kubernetes.scheduling.cluster import ClusterState
from rayrig_sim.kubernetes.scheduling.needs import pod_needs

#: Kubernetes Events by the beginning of their message.
_PROBE_WORDS = {f"{kind.word} probe failed: ": kind for kind in ProbeKind}


class Version(NamedTuple):
    """The state of an object from `t_ns` on; `is_gone`: it was the last."""

    t_ns: int
    object: JsonObject
    is_gone: bool = False


class SeenEvent(NamedTuple):
    """A Kubernetes Event about a pod or a claim. `container` is the one it is about, or empty."""

    first_ns: int
    last_ns: int
    times: int
    type: str
    reason: str
    message: str
    container: str


Histories = Mapping[str, Mapping[str, Sequence[Version]]]


class Evidence:
    """Everything up to `at_ns`. `histories` are by plural and `namespace/name`, oldest first; without a trace `probes` are told by
    Events, and of `scripts` only those are known that pods carry."""

    def __init__(
        self,
        at_ns: int,
        histories: Histories,
        clock: Clock,
        probes: Mapping[str, Sequence[ProbeRun]] | None = None,
        trace: Trace | None = None,
        scripts: ScriptRules | None = None,
    ) -> None:
        self.at_ns = at_ns
        self.clock = clock
        self.trace = trace
        self._histories = histories
        self._probes = probes
        self._scripts = scripts
        self._pictures: dict[tuple[str, str], RayPicture] = {}

    def tell(self, t_ns: int) -> str:
        return self.clock.tell(t_ns)

    # Objects

    def _present(self, plural: str) -> list[JsonObject]:
        histories = self._histories.get(plural) or {}
        return [versions[-1].object for _, versions in sorted(histories.items()) if not versions[-1].is_gone]

    @cached_property
    def pods(self) -> list[JsonObject]:
        return self._present("pods")

    @cached_property
    def nodes(self) -> list[JsonObject]:
        return self._present("nodes")

    @cached_property
    def ray_services(self) -> list[JsonObject]:
        return self._present("rayservices")

    def claim(self, name: str, namespace: str) -> JsonObject | None:
        """A PersistentVolumeClaim."""
        versions = (self._histories.get("persistentvolumeclaims") or {}).get(f"{namespace}/{name}")
        return None if not versions or versions[-1].is_gone else versions[-1].object

    def node(self, name: str) -> JsonObject | None:
        return next((node for node in self.nodes if name_of(node) == name), None)

    @cached_property
    def cluster_state(self) -> ClusterState:
        """The nodes as the scheduler sees them, with the pods on them."""
        cluster = ClusterState()
        for node in self.nodes:
            cluster.put_node(node)
        for pod in self.pods:
            node_name = pod["spec"].get("nodeName")
            if node_name and (pod.get("status") or {}).get("phase") not in ENDED_PHASES:
                cluster.put_pod(pod_needs(pod), node_name)
        return cluster

    def lives(self, key: str) -> Sequence[Version]:
        """All versions of the pods of that name."""
        return (self._histories.get("pods") or {}).get(key) or ()

    def versions(self, key: str) -> list[Version]:
        """Those of the pod that has the name now, or had it last."""
        versions = self.lives(key)
        if not versions:
            return []
        uid = uid_of(versions[-1].object)
        return [version for version in versions if uid_of(version.object) == uid]

    def ray_cluster_versions(self, key: str) -> Sequence[Version]:
        return (self._histories.get("rayclusters") or {}).get(key) or ()

    def node_versions(self, name: str) -> Sequence[Version]:
        return (self._histories.get("nodes") or {}).get(name) or ()

    def head_of(self, pod: JsonObject) -> JsonObject | None:
        """The head pod of a Ray pod's cluster, one that is not being deleted if there are two."""
        cluster = labels_of(pod).get(CLUSTER)
        heads = [
            other
            for other in self.pods
            if labels_of(other).get(CLUSTER) == cluster
            and labels_of(other).get(NODE_TYPE) == HEAD
            and namespace_of(other) == namespace_of(pod)
        ]
        return min(heads, key=lambda head: bool(head["metadata"].get("deletionTimestamp")), default=None)

    def since(self, versions: Sequence[Version], holds: Callable[[JsonObject], bool]) -> int | None:
        """Since when it holds, if it does and that is known: on a real cluster only the present is."""
        if self.clock.is_live:
            return None
        since: int | None = None
        for version in reversed(versions):
            if version.is_gone or not holds(version.object):
                break
            since = version.t_ns
        return since

    def condition_since(self, versions: Sequence[Version], kind: str) -> int | None:
        """Since when a condition has the status it has."""
        if not versions:
            return None
        last = condition_of(versions[-1].object, kind)
        if last is None:
            return None
        if self.clock.is_live:
            return time_of(last.get("lastTransitionTime"))
        status = last.get("status")
        return self.since(versions, lambda obj: (condition_of(obj, kind) or {}).get("status") == status)

    def scripts_of(self, pod: JsonObject) -> Script | None:
        """The scripts of a pod's containers by name; None when nobody knows, or what it carries is none."""
        try:
            own = annotated_script(pod)
            return own or None if self._scripts is None else self._scripts.script_of(pod)
        except ValueError:
            return None

    # Events and probes

    @cached_property
    def _events_by_uid(self) -> dict[str, list[SeenEvent]]:
        found: dict[str, list[SeenEvent]] = {}
        for versions in (self._histories.get("events") or {}).values():
            event = versions[-1].object
            about = event.get("involvedObject") or {}
            if about.get("kind") not in ("Pod", "PersistentVolumeClaim"):
                continue
            first_ns, last_ns = versions[0].t_ns, versions[-1].t_ns
            if self.clock.is_live:
                first_ns = time_of(event.get("firstTimestamp") or event.get("eventTime")) or first_ns
                series = event.get("series") or {}
                last_ns = time_of(event.get("lastTimestamp") or series.get("lastObservedTime")) or first_ns
            count = int(event.get("count") or (event.get("series") or {}).get("count") or 1)
            container = str(about.get("fieldPath") or "").partition("{")[2].rstrip("}")
            seen = SeenEvent(
                first_ns,
                last_ns,
                count,
                event.get("type", ""),
                event.get("reason", ""),
                event.get("message", ""),
                container,
            )
            found.setdefault(str(about.get("uid") or ""), []).append(seen)
        for events in found.values():
            events.sort(key=lambda one: (one.last_ns, one.first_ns))
        return found

    def events(self, about: JsonObject, *reasons: str) -> list[SeenEvent]:
        """Those about a pod or claim, of these reasons if any are given, by the time they were last seen."""
        found = self._events_by_uid.get(uid_of(about), [])
        return [event for event in found if not reasons or event.reason in reasons]

    def probes(self, pod: JsonObject, container: str, kind: ProbeKind) -> list[ProbeRun]:
        """What that probe got, oldest first. Without a record of probes: the failures that Events tell of."""
        if self._probes is None:
            return self._probes_from_events(pod, container, kind)
        runs = [run.until(self.at_ns) for run in self._probes.get(uid_of(pod)) or ()]
        return [run for run in runs if run is not None and run.container == container and run.kind is kind]

    def _probes_from_events(self, pod: JsonObject, container: str, kind: ProbeKind) -> list[ProbeRun]:
        found = []
        for event in self.events(pod, "Unhealthy"):
            for words, told in _PROBE_WORDS.items():
                if told is kind and event.container == container and event.message.startswith(words):
                    text = event.message.removeprefix(words)
                    found.append(
                        ProbeRun(container, kind, Verdict.FAILURE, text, "", event.first_ns, event.last_ns, event.times)
                    )
        return found

    @property
    def has_all_probes(self) -> bool:
        """Whether successes are known too."""
        return self._probes is not None

    # The trace

    @cached_property
    def _end(self) -> int:
        """Number of trace events up to the moment."""
        if self.trace is None:
            return 0
        return bisect_right(self.trace.records(), self.at_ns, key=lambda record: record[0])

    @cached_property
    def _places(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Where in the trace events of a subject, and of a kind, are."""
        by_subject: dict[str, list[int]] = {}
        by_kind: dict[str, list[int]] = {}
        if self.trace is not None:
            request = Kind.REQUEST.label
            for seq, (_, _, label, subject, _, _) in enumerate(self.trace.records()[: self._end]):
                if label != request:
                    by_subject.setdefault(subject, []).append(seq)
                    by_kind.setdefault(label, []).append(seq)
        return by_subject, by_kind

    def trace_events(self, subject: str, *kinds: Kind) -> list[TraceEvent]:
        """Of one subject, in order; nothing without a trace."""
        if self.trace is None:
            return []
        events = [self.trace[seq] for seq in self._places[0].get(subject, ())]
        return [event for event in events if not kinds or event.kind in kinds]

    def trace_select(self, *kinds: Kind) -> list[TraceEvent]:
        """Of all subjects, in order; not of requests."""
        if self.trace is None:
            return []
        places = self._places[1]
        return [self.trace[seq] for seq in sorted(seq for kind in kinds for seq in places.get(kind.label, ()))]

    def ray(self, namespace: str, cluster: str) -> RayPicture | None:
        """What Ray and Serve look like in a Ray cluster; None without a trace."""
        if self.trace is None:
            return None
        key = (namespace, cluster)
        if key not in self._pictures:
            picture = self._pictures[key] = RayPicture(namespace, cluster)
            for event in self.trace_select(Kind.RAY, Kind.PROXY, Kind.REPLICA, Kind.DEPLOYMENT, Kind.APPLICATION):
                picture.see(event)
        return self._pictures[key]


def time_of(text: object) -> int | None:
    """Unix nanoseconds of an RFC 3339 text; None for anything else."""
    try:
        return parse_rfc3339(str(text)) if text else None
    except ValueError:
        return None


def key_text(pod: JsonObject) -> str:
    """`namespace/name`."""
    return f"{namespace_of(pod)}/{name_of(pod)}"
