"""The node lifecycle controller: nodes whose kubelet fell silent become Unknown, their pods unready, and taints say so.

Two actors: one keeps the NoSchedule taints as conditions and cordon ask, as soon as a node changes; one makes the passes of the
monitor, on a fixed grid of 5 s, but only those passes in which something can happen. Source: kubelet.md 2 and 13.
"""

from __future__ import annotations

from random import Random

from rayrig_core.errors import ApiError, Conflict, NotFound
from rayrig_core.objects import JsonObject, condition_of, labels_of, name_of, namespace_of
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.nodes.heartbeats import NodeLiveness
from rayrig_sim.kubernetes.nodes.pods_by_node import PodsByNode
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.scheduling.cluster import REGION, ZONE
from rayrig_sim.kubernetes.taints import NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, UNSCHEDULABLE

MONITOR_PERIOD_NS = 5 * NS
GRACE_NS = 50 * NS
STARTUP_GRACE_NS = 60 * NS
#: One node in 10 s gets the NoExecute taint; one in 100 s when most of a large zone is unhealthy (kubelet.md 2).
EVICTION_NS = 10 * NS
SLOW_EVICTION_NS = 100 * NS
LARGE_ZONE = 50
#: From the pass that finds a node Unknown to its NoExecute taint: measured 0.02–0.07 s (kubelet.md 13).
TAINT_QUEUE_S = 0.05
UNHEALTHY_SHARE = 0.55

_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
#: Taint key by the status of the condition Ready.
_KEY_BY_STATUS = {"False": NOT_READY, "Unknown": UNREACHABLE}
_OWN_KEYS = (NOT_READY, UNREACHABLE)
#: Taint key of the conditions that are bad when they are True.
_KEY_BY_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_NO_SCHEDULE_KEYS = (*_OWN_KEYS, UNSCHEDULABLE, *_KEY_BY_PRESSURE.values())

_Zone = tuple[str, str]


class NodeLifecycleController:
    """Start `run_taints` and `run_monitor` as actors."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        liveness: NodeLiveness,
        recorder: EventRecorder,
        *,
        rng: Random,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._liveness = liveness
        self._recorder = recorder
        self._phase_ns = rng.randrange(MONITOR_PERIOD_NS)
        self._nodes = caches.of(NODE)
        self._pods = caches.shared(PodsByNode)
        #: When each node came.
        self._came_ns: dict[str, int] = {}
        #: Nodes that no pass has seen yet, and what made them.
        self._unregistered: dict[str, int | None] = {}
        #: Nodes that are gone since the last pass.
        self._removed: dict[str, JsonObject] = {}
        #: Nodes that may need a pass: of the others nothing has changed since it was found that they don't.
        self._restless: dict[str, None] = {}
        self._dirty: dict[str, int | None] = {}
        self._taint_wake = runtime.signal()
        self._monitor_wake = runtime.signal()
        self._next_eviction_ns: dict[_Zone, int] = {}
        self._last_pass_ns = -1
        self._all_down = False
        self._zones: dict[_Zone, list[int]] = {}
        #: Trace event of what made a node fall silent, or renew again.
        self._silenced_by: dict[str, int | None] = {}
        liveness.on_change(self._on_liveness)
        self._nodes.on_change(self._on_node)

    # Watching

    def _on_liveness(self, node: str) -> None:
        self._silenced_by[node] = self._runtime.cause
        self._restless[node] = None
        self._monitor_wake.set(None)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        if type_ is WatchType.DELETED:
            self._came_ns.pop(name, None)
            self._unregistered.pop(name, None)
            self._dirty.pop(name, None)
            self._removed[name] = new
            self._monitor_wake.set(None)
            return
        if type_ is WatchType.ADDED:
            self._came_ns[name] = self._runtime.monotonic_ns()
            self._unregistered[name] = cause
        self._dirty[name] = cause
        self._restless[name] = None
        self._taint_wake.set(None)
        if old is None or _ready_of(old) != _ready_of(new) or old.get("spec") != new.get("spec"):
            self._monitor_wake.set(None)

    # NoSchedule taints

    async def run_taints(self) -> None:
        """Keep NoSchedule taints in step with the conditions and with cordons."""
        await self._caches.wait_synced()
        while True:
            while self._dirty:
                name = next(iter(self._dirty))
                self._runtime.cause = self._dirty.pop(name)
                node = self._nodes.get(name)
                if node is not None:
                    await self._sync_no_schedule(node)
            self._taint_wake = self._runtime.signal()
            await self._taint_wake

    async def _sync_no_schedule(self, node: JsonObject) -> None:
        key = _KEY_BY_STATUS.get(_ready_of(node))
        wanted = [key] if key is not None else []
        for condition in (node.get("status") or {}).get("conditions") or ():
            if condition["status"] == "True" and condition["type"] in _KEY_BY_PRESSURE:
                wanted.append(_KEY_BY_PRESSURE[condition["type"]])
        if (node.get("spec") or {}).get("unschedulable"):
            wanted.append(UNSCHEDULABLE)
        await self._write_taints(node, NO_SCHEDULE, wanted, _NO_SCHEDULE_KEYS)

    async def _write_taints(self, node: JsonObject, effect: str, wanted: list[str], owned: tuple[str, ...]) -> bool:
        """Make the taints of one effect and of our keys those wanted. False when the node is gone or refused."""
        name = name_of(node)
        for _ in range(5):
            present = (node.get("spec") or {}).get("taints") or []
            have = [taint["key"] for taint in present if taint["effect"] == effect and taint["key"] in owned]
            if sorted(have) == sorted(wanted):
                return True
            kept = [
                taint
                for taint in present
                if taint["effect"] != effect or taint["key"] not in owned or taint["key"] in wanted
            ]
            now = rfc3339(self._runtime.unix_ns())
            added = [{"key": key, "effect": effect, "timeAdded": now} for key in wanted if key not in have]
            body = {
                "metadata": {"resourceVersion": node["metadata"].get("resourceVersion")},
                "spec": {"taints": [*kept, *added] or None},
            }
            try:
                await self._client.patch(NODE, name, body, patch_type="merge")
                return True
            except Conflict:
                try:
                    node = await self._client.get(NODE, name)
                except NotFound:
                    return False
            except ApiError:
                return False
        return False

    # The monitor

    async def run_monitor(self) -> None:
        """Make those of the monitor's passes that can have an effect."""
        runtime = self._runtime
        await self._caches.wait_synced()
        while True:
            self._monitor_wake = runtime.signal()
            now = runtime.monotonic_ns()
            due = self._next_pass_ns(now)
            if due is None:
                await self._monitor_wake
                continue
            if due > now and await runtime.wait(self._monitor_wake, (due - now) / NS):
                continue  # look again: it may be due earlier, or not at all
            runtime.cause = None
            self._last_pass_ns = runtime.monotonic_ns()
            await self._pass()
            self._restless.update((name_of(node), None) for node in self._nodes)

    def _tick_at_or_after(self, at_ns: int) -> int:
        return at_ns + (self._phase_ns - at_ns) % MONITOR_PERIOD_NS

    def _next_pass_ns(self, now: int) -> int | None:
        """The tick at which something can happen; None while all nodes are well."""
        now = max(now, self._last_pass_ns + 1)
        due = self._tick_at_or_after(now) if self._removed else None
        for name in list(self._restless):
            node = self._nodes.get(name)
            at = self._node_due_ns(node, now) if node is not None else None
            if at is None:
                del self._restless[name]
            elif due is None or at < due:
                due = at
        return due

    def _node_due_ns(self, node: JsonObject, now: int) -> int | None:
        name = name_of(node)
        ready = _ready_of(node)
        if name in self._unregistered:
            return self._tick_at_or_after(now)
        pending = self._pending_no_execute(node)
        if pending is not None:
            return pending if pending > now else self._tick_at_or_after(now)
        if ready == "Unknown" or self._liveness.is_renewing(name):
            return None
        return max(self._overdue_ns(node), self._tick_at_or_after(now))

    def _overdue_ns(self, node: JsonObject) -> int:
        """The tick at which a silent node becomes Unknown: the grace after the tick that saw its last sign of life."""
        last = self._liveness.last_renewal_ns(name_of(node))
        if last is None:
            last = self._came_ns.get(name_of(node), 0)
            grace = GRACE_NS if _ready_of(node) else STARTUP_GRACE_NS
            return self._tick_at_or_after(last) + grace
        return self._tick_at_or_after(last) + GRACE_NS

    def _pending_no_execute(self, node: JsonObject) -> int | None:
        """When the NoExecute taint of this node is to be changed; None when it is as it should be."""
        key = _KEY_BY_STATUS.get(_ready_of(node))
        have = _no_execute_keys(node)
        if key is None:
            return 0 if have else None
        if self._all_down:
            return 0 if have else None
        if have == [key]:
            return None
        if have:
            return 0
        return self._next_eviction_ns.get(_zone_of(node), 0)

    async def _pass(self) -> None:
        now = self._runtime.monotonic_ns()
        marked = False
        for name, node in self._removed.items():
            text = f"Node {name} event: Removing Node {name} from Controller"
            self._recorder.event(node, "Normal", "RemovingNode", text)
        self._removed.clear()
        for node in list(self._nodes):
            name = name_of(node)
            if name in self._unregistered:
                self._runtime.cause = self._unregistered.pop(name)
                text = f"Node {name} event: Registered Node {name} in Controller"
                self._recorder.event(node, "Normal", "RegisteredNode", text)
                self._runtime.cause = None
            if not self._liveness.is_renewing(name) and _ready_of(node) != "Unknown" and self._overdue_ns(node) <= now:
                await self._mark_unknown(node)
                marked = True
        if marked:
            # The queue of NoExecute taints has a tick of its own; by then the new conditions have come back through the watch.
            await self._runtime.sleep(TAINT_QUEUE_S)
        self._weigh_zones()
        for node in list(self._nodes):
            due = self._pending_no_execute(node)
            if due is not None and due <= self._runtime.monotonic_ns():
                await self._sync_no_execute(node)

    async def _mark_unknown(self, node: JsonObject) -> None:
        name = name_of(node)
        runtime = self._runtime
        runtime.cause = runtime.trace.emit(
            Kind.NODE,
            f"nodes/{name}",
            "unknown",
            "Kubelet stopped posting node status.",
            cause=self._silenced_by.get(name),
        )
        conditions = [_unknown_condition(node, kind, runtime.unix_ns()) for kind in _CONDITIONS]
        try:
            await self._client.patch(
                NODE, name, {"status": {"conditions": conditions}}, patch_type="strategic", subresource="status"
            )
        except ApiError:
            return
        if _ready_of(node) != "True":
            return
        # What a kubelet says of itself is left to it; its pods are marked when it says nothing any more.
        self._recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        for pod in self._pods.on(name):
            await self._mark_pod_unready(pod)

    async def _mark_pod_unready(self, pod: JsonObject) -> None:
        ready = condition_of(pod, "Ready")
        if ready is None or ready.get("status") != "True":
            return
        condition = {**ready, "status": "False", "lastTransitionTime": rfc3339(self._runtime.unix_ns())}
        try:
            await self._client.patch(
                POD,
                name_of(pod),
                {"status": {"conditions": [condition]}},
                namespace_of(pod),
                patch_type="strategic",
                subresource="status",
            )
        except ApiError:
            return
        self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    # NoExecute taints

    def _weigh_zones(self) -> None:
        """Where all nodes are down nobody is evicted: the fault is more likely here than there (kubelet.md 2)."""
        counts: dict[_Zone, list[int]] = {}
        for node in self._nodes:
            count = counts.setdefault(_zone_of(node), [0, 0])
            count[0] += 1
            count[1] += _ready_of(node) != "True"
        self._all_down = bool(counts) and all(total == down for total, down in counts.values())
        self._zones = counts

    def _eviction_period_ns(self, zone: _Zone) -> int | None:
        """Distance between two nodes of a zone that get the taint; None for never."""
        total, down = self._zones.get(zone, (0, 0))
        if down > 2 and total != down and down / total >= UNHEALTHY_SHARE:
            return SLOW_EVICTION_NS if total > LARGE_ZONE else None
        return EVICTION_NS

    async def _sync_no_execute(self, node: JsonObject) -> None:
        key = None if self._all_down else _KEY_BY_STATUS.get(_ready_of(node))
        if key is not None and not _no_execute_keys(node):
            zone, now = _zone_of(node), self._runtime.monotonic_ns()
            period = self._eviction_period_ns(zone)
            if period is None:
                # Looked at again with the next pass: nodes may come back.
                self._next_eviction_ns[zone] = now + MONITOR_PERIOD_NS
                return
            self._next_eviction_ns[zone] = now + period
        await self._write_taints(node, NO_EXECUTE, [key] if key is not None else [], _OWN_KEYS)


def _ready_of(node: JsonObject) -> str:
    """Status of the condition Ready, empty when there is none yet."""
    condition = condition_of(node, "Ready")
    return str(condition.get("status")) if condition is not None else ""


def _no_execute_keys(node: JsonObject) -> list[str]:
    return [
        taint["key"]
        for taint in (node.get("spec") or {}).get("taints") or ()
        if taint["effect"] == NO_EXECUTE and taint["key"] in _OWN_KEYS
    ]


def _zone_of(node: JsonObject) -> _Zone:
    labels = labels_of(node)
    return labels.get(REGION, ""), labels.get(ZONE, "")


def _unknown_condition(node: JsonObject, kind: str, unix_ns: int) -> JsonObject:
    before = condition_of(node, kind)
    now = rfc3339(unix_ns)
    if before is None:
        return {
            "type": kind,
            "status": "Unknown",
            "reason": "NodeStatusNeverUpdated",
            "message": "Kubelet never posted node status.",
            "lastHeartbeatTime": node["metadata"].get("creationTimestamp") or now,
            "lastTransitionTime": now,
        }
    return {
        "type": kind,
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastTransitionTime": now,
    }
