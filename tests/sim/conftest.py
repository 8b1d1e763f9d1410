"""A cluster with a control plane and no kubelets, for tests of what surrounds the kubelet."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import ENDPOINT_SLICE, NODE, POD, SERVICE, ResourceType
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Calibration, instant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import BUILT_IN_OWNABLE, ControlPlane
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.nodes.nodes import NodeControl, NodePresence, NodeSpec


class HollowCluster:
    """Nodes without kubelets: pods get a node and stay Pending until a test reports their status with `run_pod`."""

    def __init__(self, calibration: Calibration | None = None, seed: int = 0, *, workloads: bool = False) -> None:
        self.kernel = kernel = Kernel(seed)
        self.server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        self.heartbeats = VirtualHeartbeats(kernel)
        self.client = self.connect("test")
        self.calibration = calibration or instant()
        self.plane = ControlPlane(
            kernel,
            kernel.streams,
            self.connect,
            self.calibration,
            liveness=self.heartbeats,
            ownable=BUILT_IN_OWNABLE if not workloads else self._served(),
            workloads=workloads,
        )
        self.table = self.plane.table
        self.presences: dict[str, NodePresence] = {}
        self.control = NodeControl(kernel, self.client, self.presences)

    def _served(self) -> list[ResourceType]:
        types = {served.storage: served.type for served in self.server.state.registry if not served.verbs}
        return list(types.values())

    def connect(self, actor: str) -> InProcessClient:
        return InProcessClient(self.server, self.kernel, actor=actor)

    @property
    def now_s(self) -> float:
        return self.kernel.monotonic_ns() / NS

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        """Play a story to its end, then stop."""
        self.plane.start()
        self.kernel.run(self.kernel.spawn("story", story))

    async def sleep(self, duration_s: float) -> None:
        await self.kernel.sleep(duration_s)

    async def add_nodes(self, *specs: NodeSpec) -> None:
        for spec in specs:
            recorder = CoreEventRecorder(self.kernel, self.client, component="kubelet", host=spec.name)
            presence = NodePresence(self.kernel, self.client, spec, self.heartbeats, recorder)
            self.presences[spec.name] = presence
            await presence.register()
        await self.sleep(0.1)

    async def add_pod(self, name: str, **spec: Any) -> JsonObject:
        """`labels`, `requests`, `annotations` and `owners` go where they belong, everything else into the pod's spec."""
        labels = spec.pop("labels", {})
        metadata: JsonObject = {"name": name, "labels": labels}
        if "owners" in spec:
            metadata["ownerReferences"] = spec.pop("owners")
        container: JsonObject = {"name": "main", "image": "app:1"}
        if "requests" in spec:
            container["resources"] = {"requests": spec.pop("requests")}
        if "limits" in spec:
            container.setdefault("resources", {})["limits"] = spec.pop("limits")
        if "ports" in spec:
            container["ports"] = spec.pop("ports")
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}
        return await self.client.create(POD, pod, "default")

    async def add_service(self, name: str, selector: dict[str, str], *ports: JsonObject, **spec: Any) -> JsonObject:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": selector, "ports": list(ports) or [{"port": 80, "targetPort": 8000}], **spec},
        }
        return await self.client.create(SERVICE, service, "default")

    async def run_pod(self, name: str, ip: str, *, ready: bool = True, phase: str = "Running") -> JsonObject:
        """Report a pod's status as its kubelet would."""
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": rfc3339(self.kernel.unix_ns()),
        }
        status = {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
        return await self.client.patch(
            POD, name, {"status": status}, "default", patch_type="strategic", subresource="status"
        )

    async def pod(self, name: str) -> JsonObject:
        return await self.client.get(POD, name, "default")

    async def node(self, name: str) -> JsonObject:
        return await self.client.get(NODE, name)

    async def names(self, resource: ResourceType, namespace: str = "default") -> list[str]:
        return [name_of(obj) for obj in (await self.client.list(resource, namespace)).items]

    async def endpoints(self, service: str) -> dict[str, str]:
        """Pod name to its conditions as `RST` with `-` for false."""
        found = await self.client.list(
            ENDPOINT_SLICE, "default", label_selector=f"kubernetes.io/service-name={service}"
        )
        return {
            endpoint["targetRef"]["name"]: "".join(
                letter if endpoint["conditions"][condition] else "-"
                for letter, condition in (("R", "ready"), ("S", "serving"), ("T", "terminating"))
            )
            for slice_ in found.items
            for endpoint in slice_.get("endpoints") or ()
        }

    def happened(self, kind: Kind, subject: str) -> list[tuple[float, tuple[Any, ...]]]:
        """(time, data) of the trace events of one kind and subject."""
        return [(event.t_s, event.data) for event in self.kernel.trace.select(kind, subject=subject)]


@pytest.fixture
def hollow_cluster() -> HollowCluster:
    """Instant everywhere: only the times that Kubernetes itself keeps pass."""
    return HollowCluster()


@pytest.fixture
def make_hollow_cluster() -> Callable[..., HollowCluster]:
    return HollowCluster
