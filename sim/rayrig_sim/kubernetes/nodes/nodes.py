"""Nodes: what one has, how it registers, and what can be done to it (cordon, drain, loss and return)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rayrig_core.errors import AlreadyExists, ApiError, NotFound
from rayrig_core.objects import JsonObject, condition_of, name_of, uid_of
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, Task, WatchType
from rayrig_core.resource_types import NODE
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.nodes.drain import Drain, DrainOptions, set_unschedulable
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats, renew_lease
from rayrig_sim.kubernetes.object_cache import ObjectCache
from rayrig_sim.kubernetes.taints import Taint

#: What a node has of the resources its description leaves out. Guess: room that does not get in the way.
DEFAULT_CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
#: A kubelet that comes back finds its runtime state too old first and is Ready with the next heartbeat (kubelet.md 13).
READY_AFTER_RETURN_S = 10.0

#: What a kubelet says of its node when it first finds one of the conditions well, or no longer unknown.
PRESSURE_EVENTS = {
    "MemoryPressure": "NodeHasSufficientMemory",
    "DiskPressure": "NodeHasNoDiskPressure",
    "PIDPressure": "NodeHasSufficientPID",
}

_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to be. `capacity` is in Kubernetes quantities (`{"cpu": "16", "nvidia.com/gpu": 4}`); what it leaves out is defaulted.

    All of the capacity is allocatable. `images` are those already present.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Taint] = ()
    capacity: Mapping[str, str | int] = field(default_factory=dict)
    address: str = ""
    images: Sequence[str] = ()


def node_object(spec: NodeSpec, unix_ns: int) -> JsonObject:
    """The Node as its kubelet reports it, Ready."""
    capacity = {name: str(amount) for name, amount in {**DEFAULT_CAPACITY, **spec.capacity}.items()}
    taints = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in spec.taints]
    for taint in taints:
        if not taint["value"]:
            del taint["value"]
    labels = {
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        **spec.labels,
    }
    addresses = [{"type": "Hostname", "address": spec.name}]
    if spec.address:
        addresses.insert(0, {"type": "InternalIP", "address": spec.address})
    node: JsonObject = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": labels},
        "spec": {"taints": taints} if taints else {},
        "status": {
            "capacity": capacity,
            "allocatable": dict(capacity),
            "addresses": addresses,
            "conditions": healthy_conditions(unix_ns),
            "nodeInfo": {"kubeletVersion": "v1.36.2", "operatingSystem": "linux", "architecture": "amd64"},
        },
    }
    if spec.images:
        node["status"]["images"] = [{"names": [image]} for image in spec.images]
    return node


def node_reference(name: str) -> JsonObject:
    """What a kubelet's events about its node refer to: a Node by name, whose name stands for its uid."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}


def healthy_conditions(unix_ns: int) -> list[JsonObject]:
    """The four conditions of a node that is well."""
    return [_condition(kind, status, reason, text, unix_ns) for kind, status, reason, text in _HEALTHY]


def _condition(kind: str, status: str, reason: str, message: str, unix_ns: int) -> JsonObject:
    now = rfc3339(unix_ns)
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


#: How often a kubelet tries to report its node's status at once, and how long until it does so again.
_STATUS_TRIES = 5
_STATUS_PERIOD_S = 10.0


class NodePresence:
    """The part of a kubelet that speaks for its node: registration, heartbeats and the Ready condition."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        spec: NodeSpec,
        heartbeats: VirtualHeartbeats,
        recorder: EventRecorder | None = None,
        *,
        writes_lease: bool = False,
    ) -> None:
        self.spec = spec
        self._runtime = runtime
        self._client = client
        self._heartbeats = heartbeats
        self._recorder = recorder
        self._writes_lease = writes_lease
        self._lease: Task[None] | None = None
        self._return: Task[None] | None = None
        self._uid = ""
        #: When the kubelet came up: its reports lie a whole number of periods after that.
        self._began_ns = 0
        #: Whether the node is cordoned, what was last told of that, and whether there is something to tell.
        self._is_cordoned = self._told_cordoned = False
        self._telling: Task[None] | None = None

    async def register(self, *, tells: bool = True) -> JsonObject:
        """Create the Node (take over one that exists) and begin to renew; `tells` the events of a start. Raises `ApiError`.

        The API server gives a new Node the not-ready taint; the node lifecycle controller takes it away.
        """
        node = node_object(self.spec, self._runtime.unix_ns())
        was_ready = False
        try:
            made = await self._client.create(NODE, node)
        except AlreadyExists:
            was_ready = _ready_status(await self._client.get(NODE, self.spec.name)) == "True"
            made = await self._client.patch(
                NODE, self.spec.name, {"status": node["status"]}, patch_type="strategic", subresource="status"
            )
        else:
            if not (made.get("status") or {}).get("conditions"):
                made = await self._client.patch(
                    NODE, self.spec.name, {"status": node["status"]}, patch_type="strategic", subresource="status"
                )
        self._uid = uid_of(made)
        self._runtime.trace.emit(Kind.NODE, f"nodes/{self.spec.name}", "registered", "")
        self._beat()
        if tells:
            self._tell_of_start(was_ready)
        return made

    def _tell_of_start(self, was_ready: bool) -> None:
        """What a kubelet says as it starts (kubelet.md 16)."""
        if self._recorder is None:
            return
        node = node_reference(self.spec.name)
        self._recorder.event(node, "Normal", "Starting", "Starting kubelet.")
        for reason in PRESSURE_EVENTS.values():
            self._say(reason)
        text = "Updated Node Allocatable limit across pods"
        self._recorder.event(node, "Normal", "NodeAllocatableEnforced", text)
        if not was_ready:
            self._say("NodeReady")

    def observe(self, node: JsonObject) -> None:
        """The Node as it is now: that it was cordoned, or no longer is, is told with the next report of its status."""
        self._is_cordoned = bool((node.get("spec") or {}).get("unschedulable"))
        if self._is_cordoned != self._told_cordoned and self._telling is None:
            self._telling = self._runtime.spawn(f"kubelet/{self.spec.name}/cordoned", self._tell_of_cordon())

    async def _tell_of_cordon(self) -> None:
        now_ns, period_ns = self._runtime.monotonic_ns(), round(_STATUS_PERIOD_S * NS)
        await self._runtime.sleep((period_ns - (now_ns - self._began_ns) % period_ns) / NS)
        self._telling = None
        if self._is_cordoned != self._told_cordoned:
            self._told_cordoned = self._is_cordoned
            self._say("NodeNotSchedulable" if self._is_cordoned else "NodeSchedulable")

    def silence(self) -> None:
        """The kubelet stops: no more renewals, nothing reported."""
        self._heartbeats.stop(self.spec.name)
        for task in (self._lease, self._return, self._telling):
            if task is not None:
                task.cancel()
        self._lease = self._return = self._telling = None

    def resume(self) -> None:
        """The kubelet is back: it renews at once, reports itself not ready, and Ready with its next heartbeat."""
        self._beat()
        self._return = self._runtime.spawn(f"kubelet/{self.spec.name}/return", self._come_back())

    def _beat(self) -> None:
        self._began_ns = self._runtime.monotonic_ns()
        self._heartbeats.start(self.spec.name)
        if self._writes_lease and self._lease is None:
            body = renew_lease(self._runtime, self._client, self.spec.name, self._uid)
            self._lease = self._runtime.spawn(f"kubelet/{self.spec.name}/lease", body)

    async def _come_back(self) -> None:
        name = self.spec.name
        try:
            node = await self._until_answered(lambda: self._client.get(NODE, name))
            if _ready_status(node) == "True":
                return  # nobody noticed that it was away
            unix_ns = self._runtime.unix_ns()
            await self._report([_condition("Ready", "False", "KubeletNotReady", "container runtime is down", unix_ns)])
            await self._runtime.sleep(READY_AFTER_RETURN_S)
            conditions = healthy_conditions(self._runtime.unix_ns())
            for condition in conditions:
                before = next(
                    (c for c in node["status"].get("conditions") or () if c.get("type") == condition["type"]), None
                )
                if before is not None and before.get("status") == condition["status"]:
                    condition["lastTransitionTime"] = before["lastTransitionTime"]
            await self._report(conditions)
            self._runtime.trace.emit(Kind.NODE, f"nodes/{name}", "ready", "")
            for kind, reason in PRESSURE_EVENTS.items():
                if (condition_of(node, kind) or {}).get("status") == "Unknown":
                    self._say(reason)
            self._say("NodeReady")
        except NotFound:
            # The Node was deleted: a running kubelet doesn't register again (kubelet.md 13).
            return

    def _say(self, reason: str) -> None:
        if self._recorder is not None:
            name = self.spec.name
            self._recorder.event(node_reference(name), "Normal", reason, f"Node {name} status is now: {reason}")

    async def _report(self, conditions: list[JsonObject]) -> None:
        body: JsonObject = {"status": {"conditions": conditions}}
        await self._until_answered(
            lambda: self._client.patch(NODE, self.spec.name, body, patch_type="strategic", subresource="status")
        )

    async def _until_answered(self, ask: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        """What a refused update of a node's status leads to: five tries, and as many with each later heartbeat.

        Raises `NotFound`.
        """
        while True:
            for _ in range(_STATUS_TRIES):
                try:
                    return await ask()
                except NotFound:
                    raise
                except ApiError:
                    continue
            await self._runtime.sleep(_STATUS_PERIOD_S)


def follow_cordons(nodes: ObjectCache, presences: Mapping[str, NodePresence]) -> None:
    """Let the kubelets that these speak for notice when their node is cordoned."""

    def on_node(type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        presence = presences.get(name_of(new))
        if presence is not None and type_ is not WatchType.DELETED:
            presence.observe(new)

    nodes.on_change(on_node)


def _ready_status(node: JsonObject) -> str:
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return str(condition.get("status"))
    return ""


class NodeMachine(Protocol):
    """The machine under a node: what runs on it, and its place in the network. Given by whoever builds the world."""

    def power_off(self) -> None:
        """Everything on it stops without a word: kubelet, containers, packets."""
        ...

    def power_on(self) -> None:
        """The kubelet comes up again; containers that ran are gone."""
        ...


class NodeControl:
    """What operators, clouds and faults do to nodes."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        presences: Mapping[str, NodePresence],
        machines: Mapping[str, NodeMachine] | None = None,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._presences = presences
        self._machines = {} if machines is None else machines

    def lose(self, node: str, reason: str = "power lost") -> None:
        """The machine goes silent at once; what follows (Unknown, taints, evictions) is for others to notice. Raises `KeyError`."""
        presence = self._presences[node]
        self._runtime.cause = self._runtime.trace.emit(Kind.NODE, f"nodes/{node}", "lost", reason)
        presence.silence()
        machine = self._machines.get(node)
        if machine is not None:
            machine.power_off()

    def restore(self, node: str) -> None:
        """The machine is back. Raises `KeyError`."""
        presence = self._presences[node]
        self._runtime.cause = self._runtime.trace.emit(Kind.NODE, f"nodes/{node}", "restored", "")
        machine = self._machines.get(node)
        if machine is not None:
            machine.power_on()
        presence.resume()

    async def remove(self, node: str, reason: str = "removed") -> None:
        """The machine goes for good and its Node object with it, as when a cloud reclaims it. Raises `ApiError`."""
        self.lose(node, reason)
        await self._client.delete(NODE, node)

    async def cordon(self, node: str) -> None:
        """No new pods. Raises `ApiError`."""
        await set_unschedulable(self._client, self._runtime, node, True)

    async def uncordon(self, node: str) -> None:
        """New pods again. Raises `ApiError`."""
        await set_unschedulable(self._client, self._runtime, node, False)

    async def drain(self, node: str, *, grace_period_s: int | None = None, timeout_s: float | None = None) -> bool:
        """As `kubectl drain` with all its consents (`--force --ignore-daemonsets --delete-emptydir-data`); whether it succeeded."""
        options = DrainOptions(
            ignore_daemonsets=True,
            delete_emptydir_data=True,
            force=True,
            grace_period_s=grace_period_s,
            timeout_s=timeout_s or 0.0,
        )
        return (await Drain(self._runtime, self._client, node, options).run()).is_drained
