"""RayClusters for the tests, as values and in a world of fake API server, garbage collector of one line, and scripted pods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.manager import Manager
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.controller import controller
from rayrig_core.faultpoints import ErrorBefore, Reaction
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import EVENT, POD, RAY_CLUSTER, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel


def container(name: str, cpu: str = "1", memory: str = "2Gi", **fields: Any) -> JsonObject:
    resources = {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": cpu, "memory": memory}}
    return {"name": name, "image": "rayproject/ray:2.52.0", "resources": resources, **fields}


def group(name: str = "w", replicas: int | None = 1, **fields: Any) -> JsonObject:
    spec: JsonObject = {
        "groupName": name,
        "minReplicas": 0,
        "maxReplicas": 5,
        "rayStartParams": {},
        "template": {"spec": {"containers": [container("ray-worker")]}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {**spec, **fields}


def ray_cluster(*groups: JsonObject, name: str = "rc", head: JsonObject | None = None, **spec: Any) -> JsonObject:
    """A RayCluster; `head` fields go over the head group's, the rest over the spec's; `metadata` over the metadata."""
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", **spec.pop("metadata", {})}
    head_group = {"rayStartParams": {}, "template": {"spec": {"containers": [container("ray-head")]}}, **(head or {})}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": metadata,
        "spec": {"rayVersion": "2.52.0", "headGroupSpec": head_group, "workerGroupSpecs": list(groups), **spec},
    }


@dataclass
class Values:
    """Builders of RayClusters."""

    container: Callable[..., JsonObject]
    group: Callable[..., JsonObject]
    ray_cluster: Callable[..., JsonObject]

    def cluster(self, *groups: JsonObject, options: OperatorOptions | None = None, **fields: Any) -> Cluster:
        return Cluster.of(ray_cluster(*groups, **fields), options or OperatorOptions())


@pytest.fixture
def values() -> Values:
    return Values(container, group, ray_cluster)


class Refusals:
    """Calls of the operator that the API server answers with an error: by verb and beginning of `plural/namespace/name`."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, str, ErrorBefore]] = []

    def add(self, verb: str, target: str, code: int, reason: str, message: str) -> None:
        self._rules.append((verb, target, ErrorBefore(code, reason, message)))

    def clear(self) -> None:
        self._rules.clear()

    def pass_through(self, actor: str, verb: str, target: str) -> Reaction | None:
        for refused, start, reaction in self._rules:
            if verb == refused and target.startswith(start):
                return reaction
        return None


class Rig:
    """The RayCluster controller alone in a world where pods change only as the test says."""

    controllers: Mapping[str, Callable[[ControllerContext], Controller]] = {"raycluster-controller": controller}

    def __init__(self, **options: Any) -> None:
        self.kernel = Kernel(seed=1)
        self.server = ApiServer(self.kernel.unix_ns, self.kernel.streams.stream("server"), trace=self.kernel.trace)
        self.watch_lag_s = options.pop("watch_lag_s", 0.0)
        self.options = OperatorOptions(**options)
        self.server.add_definitions(custom_resource_definitions(self.options.release.version))
        self.refusals = Refusals()
        self.manager = self.start()

    def start(self) -> Manager:
        client = InProcessClient(
            self.server, self.kernel, actor="operator", watch_lag_s=self.watch_lag_s, faults=self.refusals
        )
        rng = self.kernel.streams.stream("operator")
        manager = Manager(self.kernel, client, http=None, rng=rng, options=self.options)  # type: ignore[arg-type]
        for name, make in self.controllers.items():
            manager.add(make(manager.context(name)))
        manager.start()
        return manager

    def run(self, seconds: float = 1.0) -> None:
        """Let `seconds` pass."""
        self.kernel.run(until_s=self.kernel.monotonic_ns() / 1e9 + seconds)

    # What a user and the kubelets do

    def create(self, obj: JsonObject, resource: ResourceType = RAY_CLUSTER) -> JsonObject:
        return self.server.call(ApiCall("create", resource, "default", body=obj)).own()

    def get(self, name: str = "rc", resource: ResourceType = RAY_CLUSTER) -> JsonObject:
        return self.server.call(ApiCall("get", resource, "default", name)).own()

    def patch(self, body: JsonObject, name: str = "rc", resource: ResourceType = RAY_CLUSTER) -> None:
        self.server.call(ApiCall("patch", resource, "default", name, body=body, patch_type="merge"))

    def change_group(self, place: int = 0, **fields: Any) -> None:
        groups = self.get()["spec"]["workerGroupSpecs"]
        groups[place].update(fields)
        self.patch({"spec": {"workerGroupSpecs": groups}})

    def delete(self, name: str, resource: ResourceType = POD) -> None:
        self.server.call(ApiCall("delete", resource, "default", name, grace_period_seconds=0))

    def objects(self, resource: ResourceType) -> list[JsonObject]:
        return [stored.copy() for stored in self.server.list(ApiCall("list", resource, "default")).items]

    def pods(self, node_type: str = "", group: str = "") -> list[JsonObject]:
        """In order of creation."""
        found = [
            pod
            for pod in self.objects(POD)
            if (not node_type or pod["metadata"]["labels"].get("ray.io/node-type") == node_type)
            and (not group or pod["metadata"]["labels"].get("ray.io/group") == group)
        ]
        order = [event.subject for event in self.kernel.trace.select(Kind.API_WRITE) if event["verb"] == "create"]
        return sorted(found, key=lambda pod: order.index(f"pods/default/{pod['metadata']['name']}"))

    def names(self, node_type: str = "", group: str = "") -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods(node_type, group)]

    def set_pod(self, name: str, phase: str = "Running", ready: bool | None = True, **status: Any) -> None:
        pod = self.get(name, POD)
        pod["status"] = {"phase": phase, "podIP": "10.1.0.1", **status}
        if ready is not None:
            reason = {} if ready else {"reason": "ContainersNotReady", "message": "containers with unready status"}
            condition = {"type": "Ready", "status": "True" if ready else "False", **reason}
            pod["status"].setdefault("conditions", [condition])
        self.server.call(ApiCall("update", POD, "default", name, "status", body=pod))

    def set_status(self, name: str = "rc", **fields: Any) -> None:
        """Write into a cluster's status what the operator did not."""
        obj = self.get(name)
        obj["status"] = {**(obj.get("status") or {}), **fields}
        self.server.call(ApiCall("update", RAY_CLUSTER, "default", name, "status", body=obj))

    def all_ready(self) -> None:
        for name in self.names():
            self.set_pod(name)

    def ready(self, obj: JsonObject) -> None:
        """Create a cluster and let all its pods become ready."""
        self.create(obj)
        self.run(1)
        self.all_ready()
        self.run(5)

    # What came of it

    @property
    def status(self) -> JsonObject:
        return self.get().get("status") or {}

    def condition(self, kind: str) -> tuple[str, str] | None:
        for entry in self.status.get("conditions") or ():
            if entry["type"] == kind:
                return entry["status"], entry["reason"]
        return None

    def events(self, reason: str = "") -> list[str]:
        """Notes of the stored Events (of one reason)."""
        return [event["note"] for event in self.objects(EVENT) if not reason or event["reason"] == reason]

    def told(self, reason: str) -> list[tuple[str, str, str]]:
        """Type, action and note of the stored Events of a reason, each once."""
        found = [
            (each["type"], each["action"], each["note"]) for each in self.objects(EVENT) if each["reason"] == reason
        ]
        return list(dict.fromkeys(found))

    def refuse(
        self, verb: str, target: str, code: int = 403, reason: str = "Forbidden", message: str = "not today"
    ) -> None:
        """From now on the API server refuses the operator's calls of that verb whose target begins so."""
        self.refusals.add(verb, target, code, reason, message)

    def outcomes(self, since_s: float = 0.0) -> list[str]:
        """How the reconciles ended."""
        return [str(event["outcome"]) for event in self.kernel.trace.select(Kind.RECONCILE) if event.t_s >= since_s]

    def requeues_ms(self, since_s: float = 0.0) -> list[Any]:
        """After how many milliseconds each reconcile asked to be run again."""
        return [event["requeue_ms"] for event in self.kernel.trace.select(Kind.RECONCILE) if event.t_s >= since_s]

    def writes(self, since_s: float = 0.0) -> list[str]:
        """The operator's own writes as `verb plural`."""
        return [
            f"{event['verb']} {event['resource']}" + (f"/{event['detail']}" if event["detail"] == "status" else "")
            for event in self.kernel.trace.select(Kind.API_WRITE)
            if event.actor.startswith("operator") and event.t_s >= since_s
        ]

    @property
    def now(self) -> float:
        return self.kernel.monotonic_ns() / 1e9


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def make_rig() -> type[Rig]:
    return Rig
