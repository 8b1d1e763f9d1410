"""The `autoscaler` sidecar of a head pod: the Ray autoscaler, reading the GCS and the RayCluster, writing the RayCluster.

Every 5 s it looks at the demand of the Ray cluster and at the worker pods, and edits `replicas` and `workersToDelete` of worker
groups. While a worker that it named is still there it decides nothing, as Ray does. Looks that would find what the last one found
are passed over (docs/design/idle-time.md).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from rayrig_core.errors import ApiError
from rayrig_core.http import HttpFailure
from rayrig_core.idle import Repetition, Turn
from rayrig_core.objects import JsonObject, is_being_deleted, labels_of, name_of
from rayrig_core.ports import KubernetesClient, Signal
from rayrig_core.resource_types import POD, RAY_CLUSTER
from rayrig_core.resources.quantities import parse_quantity
from rayrig_core.timestamps import to_ns
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.kubelet.scripted_containers import ScriptedContainer
from rayrig_sim.ray.autoscaling import Decision, Group, UpscalingMode, Worker, decide
from rayrig_sim.ray.cluster import RayCluster, RayNode
from rayrig_sim.ray.resources import Amounts, amounts
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.start_command import StartCommand, node_resources

#: How often Ray looks, and after how long an idle worker goes unless told otherwise.
INTERVAL_S = 5.0
IDLE_TIMEOUT_S = 60
_INTERVAL_NS = to_ns(INTERVAL_S)
#: Reads of one look.
_READS = 2
_NEVER_NS = 1 << 62
_MOST = 2_147_483_647
#: How many CPUs a worker is taken to offer that states none.
_CPUS_UNSTATED = 1.0
#: Accelerators by the resource of the container and that of Ray (kuberay-operator 3.16).
_ACCELERATORS = (("google.com/tpu", "TPU"), ("aws.amazon.com/neuroncore", "neuron_cores"))


class AutoscalerContainer(ScriptedContainer):
    """Runs until its pod ends; its actor ends with it."""

    def __init__(
        self, platform: RayPlatform, client: KubernetesClient, namespace: str, cluster: str, pod: str, ip: str
    ) -> None:
        super().__init__(platform.kernel, f"{namespace}/{pod}", {}, 0, ip)
        scaler = Autoscaler(platform, client, namespace, cluster, self.exited)
        platform.kernel.spawn(f"ray-autoscaler/{namespace}/{cluster}", scaler.run())


@dataclass(frozen=True, slots=True)
class _IdleLook:
    """A look that led to nothing. It found `ray`, and nothing in it comes due before `until_ns`."""

    ray: object
    repetitions: tuple[Repetition, ...]
    until_ns: int = _NEVER_NS

    @property
    def most_ns(self) -> int:
        return sum(repetition.most_ns for repetition in self.repetitions)


class Autoscaler:
    """The actor. `ended` happens when its container has exited. Between looks it rests (port `Recurrence`)."""

    is_instant = False

    def __init__(
        self, platform: RayPlatform, client: KubernetesClient, namespace: str, cluster: str, ended: Signal[Any]
    ) -> None:
        self._platform = platform
        self._kernel: Kernel = platform.kernel
        self._client = client
        self._namespace = namespace
        self._name = cluster
        self._ended = ended
        #: Since when nothing has used a worker, by node id.
        self._idle_since: dict[str, int] = {}
        #: The last look, if the next one would be like it.
        self._idle: _IdleLook | None = None
        #: After how long idle workers go, by what the last look saw.
        self._timeouts_ns: list[int] = []
        self._rng: Random = platform.kernel.streams.stream(f"ray-autoscaler/{namespace}/{cluster}")

    async def run(self) -> None:
        # Clusters made together do not look together.
        await self._kernel.sleep(INTERVAL_S * self._rng.random())
        while not self._ended.is_set:
            self._idle = None
            cluster = self._cluster
            if cluster is None:
                self._idle = _IdleLook(None, ())
            else:
                # Ray logs what goes wrong and looks again.
                with suppress(ApiError, HttpFailure):
                    await self._turn(cluster)
            await self._kernel.rest(INTERVAL_S, self, self._ended)

    @property
    def _cluster(self) -> RayCluster | None:
        """The Ray cluster, while its GCS answers."""
        cluster = self._platform.cluster(self._namespace, self._name)
        return cluster if cluster is not None and cluster.is_gcs_up else None

    async def _turn(self, cluster: RayCluster) -> None:
        """A look, and whether the next one would be like it."""
        kernel, began_ns = self._kernel, self._kernel.monotonic_ns()
        kernel.turn = Turn()
        try:
            changes = await self._look(cluster)
        finally:
            turn, kernel.turn = kernel.turn, None
        repetitions = turn.repetitions(began_ns, kernel.monotonic_ns()) if turn is not None and not changes else None
        if repetitions is not None and len(repetitions) == _READS:
            self._idle = _IdleLook(_ray_as_seen(cluster), repetitions, self._first_timeout_ns(kernel.monotonic_ns()))

    def _first_timeout_ns(self, now_ns: int) -> int:
        """When one of the idle workers may have been idle for as long as its group allows."""
        dues = [since_ns + timeout_ns for since_ns in self._idle_since.values() for timeout_ns in self._timeouts_ns]
        return min((due_ns for due_ns in dues if due_ns > now_ns), default=_NEVER_NS)

    # Looks that are passed over

    def holds(self) -> bool:
        idle, cluster = self._idle, self._cluster
        if idle is None or (cluster is None) != (idle.ray is None):
            return False
        return cluster is None or (
            all(repetition.holds() for repetition in idle.repetitions) and _ray_as_seen(cluster) == idle.ray
        )

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        assert self._idle is not None
        idle, ended_ns = self._idle, due_ns
        draws = [draw for repetition in idle.repetitions for draw in repetition.draws]
        last_ns = min(before_ns, idle.until_ns) - idle.most_ns
        while due_ns < last_ns:
            ended_ns = due_ns
            for draw in draws:
                ended_ns += draw()
            due_ns = ended_ns + _INTERVAL_NS
        return due_ns, ended_ns

    async def _look(self, cluster: RayCluster) -> bool:
        """Whether anything was changed."""
        resource = await self._client.get(RAY_CLUSTER, self._name, self._namespace)
        spec = resource["spec"]
        selector = f"ray.io/cluster={self._name},ray.io/node-type=worker"
        listed = (await self._client.list(POD, self._namespace, label_selector=selector)).items
        pods = {name_of(pod): pod for pod in listed if not is_being_deleted(pod)}
        named = [name for group in spec.get("workerGroupSpecs") or () for name in _named(group)]
        if any(name_of(pod) in named for pod in listed):
            return False
        options = spec.get("autoscalerOptions") or {}
        groups = [group_of(group, options) for group in spec.get("workerGroupSpecs") or ()]
        self._timeouts_ns = [group.idle_timeout_ns for group in groups]
        head = cluster.head
        decision = decide(
            groups,
            [self._worker(pod, cluster) for pod in pods.values()],
            head.ledger.available if head is not None else {},
            [amounts(each) for each in cluster.demand()],
            UpscalingMode(options.get("upscalingMode") or UpscalingMode.DEFAULT),
        )
        patch = patch_of(spec, decision)
        if decision:
            self._kernel.cause = cluster.emit("autoscaler", "scales", _told(groups, decision))
        if patch:
            await self._client.patch(RAY_CLUSTER, self._name, patch, self._namespace, patch_type="json")
        return bool(decision or patch)

    def _worker(self, pod: JsonObject, cluster: RayCluster) -> Worker:
        labels = labels_of(pod)
        group, replica = labels.get("ray.io/group", ""), labels.get("ray.io/worker-group-replica-name", "")
        node = _node_of(pod, cluster)
        if node is None:
            return Worker(name_of(pod), group, None, replica=replica)
        now = self._kernel.monotonic_ns()
        if not node.ledger.is_idle:
            self._idle_since.pop(node.node_id, None)
            return Worker(name_of(pod), group, node.ledger.available, replica=replica)
        since = self._idle_since.setdefault(node.node_id, now)
        return Worker(name_of(pod), group, node.ledger.available, now - since, replica)


def _told(groups: list[Group], decision: Decision) -> str:
    """`stalls from 1 to 5`; `stalls from 2 to 1: POD goes`."""
    parts = []
    for group in groups:
        gone = decision.delete.get(group.name, [])
        if group.name in decision.replicas or gone:
            to = decision.replicas.get(group.name, group.replicas)
            parts.append(f"{group.name} from {group.replicas} to {to}" + (f": {', '.join(gone)} goes" if gone else ""))
    return "; ".join(parts)


def _ray_as_seen(cluster: RayCluster) -> object:
    """All of the Ray cluster that a look goes by."""
    nodes = [(node.node_id, node.ip, dict(node.ledger.available)) for node in cluster.nodes.values()]
    return cluster, cluster.head, cluster.demand(), nodes


def _node_of(pod: JsonObject, cluster: RayCluster) -> RayNode | None:
    ip = (pod.get("status") or {}).get("podIP")
    return next((node for node in cluster.nodes.values() if node.ip == ip), None) if ip else None


def _named(group: JsonObject) -> list[str]:
    return list((group.get("scaleStrategy") or {}).get("workersToDelete") or ())


def group_of(group: JsonObject, options: JsonObject) -> Group:
    """What the autoscaler knows of a worker group from the RayCluster."""
    idle_s = group.get("idleTimeoutSeconds")
    if idle_s is None:
        idle_s = options.get("idleTimeoutSeconds")
    maximum = group.get("maxReplicas")
    return Group(
        group["groupName"],
        worker_resources(group),
        group.get("replicas") or 0,
        group.get("minReplicas") or 0,
        _MOST if maximum is None else maximum,
        to_ns(IDLE_TIMEOUT_S if idle_s is None else idle_s),
        group.get("numOfHosts") or 1,
        group.get("priority") or 0,
    )


def worker_resources(group: JsonObject) -> Amounts:
    """Logical resources that one worker will have: its start parameters, the group's own list, the limits of its container."""
    params = {key: str(value).strip("'\"") for key, value in (group.get("rayStartParams") or {}).items()}
    custom = str((group.get("rayStartParams") or {}).get("resources", ""))
    if custom:
        params["resources"] = _unquoted(custom)
    containers = ((group.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    resources = containers[0].get("resources") or {}
    limits = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    found = node_resources(StartCommand(False, "", params), {"resources": {"limits": limits}}, host_cpus=_CPUS_UNSTATED)
    # KubeRay puts these into the start parameters of pods only.
    found |= {
        ray: float(parse_quantity(limits[name])) for name, ray in _ACCELERATORS if name in limits and ray not in found
    }
    found |= {name: float(amount) for name, amount in (group.get("resources") or {}).items()}
    return amounts(found)


def _unquoted(text: str) -> str:
    """`"{\\"Custom\\": 1}"` in quotes for a shell, as manifests have it."""
    text = text.strip("'")
    if text.startswith('"'):
        text = json.loads(text)
    return text


def patch_of(spec: JsonObject, decision: Decision) -> list[JsonObject]:
    """Operations of a JSON patch; lists of workers that are gone are emptied on the way."""
    patch: list[JsonObject] = []
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        name, path = group["groupName"], f"/spec/workerGroupSpecs/{index}"
        if name in decision.replicas:
            patch.append({"op": "add", "path": f"{path}/replicas", "value": decision.replicas[name]})
        if name in decision.delete or _named(group):
            value = {"workersToDelete": decision.delete.get(name, [])}
            patch.append({"op": "add", "path": f"{path}/scaleStrategy", "value": value})
    return patch
