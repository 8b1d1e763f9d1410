"""A control plane without nodes on virtual time: the API server with the built-in controllers and the scheduler beside it."""

from __future__ import annotations

from random import Random
from typing import Any

from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.authorization.bootstrap import enforce_rbac
from rayrig_fakes.kubernetes.bootstrap import add_own_objects
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import ControlPlane
from rayrig_sim.kubernetes.nodes.heartbeats import LeaseHeartbeats
from rayrig_sim.kubernetes.object_cache import ObjectCaches


class Cluster:
    """Time stands still but for `advance`."""

    def __init__(self, definitions: list[dict[str, Any]], seed: int = 0) -> None:
        self._kernel = kernel = Kernel(seed)
        self.server = ApiServer(kernel.unix_ns, Random(seed + 1), trace=kernel.trace)
        self.server.add_definitions(definitions)
        add_own_objects(self.server, 6443)
        enforce_rbac(self.server.state)
        leases = ObjectCaches(kernel, self._connect("node-leases"), component="node-leases")
        self._plane = ControlPlane(
            kernel,
            kernel.streams,
            self._connect,
            Calibration(),
            liveness=LeaseHeartbeats(kernel, leases),
            ownable=self._ownable(),
            workloads=True,
        )
        self._plane.start()
        served = ObjectCaches(kernel, self._connect("custom-resources"), component="custom-resources")
        served.of(CUSTOM_RESOURCE_DEFINITION).on_change(lambda *_: self._plane.follow(self._ownable()))
        self.advance(1.0)

    def _connect(self, actor: str) -> InProcessClient:
        return InProcessClient(self.server, self._kernel, actor=actor)

    def _ownable(self) -> list[ResourceType]:
        """Everything that is served, each resource in one version."""
        types: dict[str, ResourceType] = {}
        for served in self.server.state.registry:
            if not served.verbs:
                types.setdefault(served.storage, served.type)
        return list(types.values())

    def advance(self, seconds: float) -> None:
        """Let everyone work for so long."""
        kernel = self._kernel
        kernel.run(until_s=(kernel.monotonic_ns() + round(seconds * NS)) / NS)
