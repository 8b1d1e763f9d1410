"""A kernel and a fake API server for the runtime's tests."""

from dataclasses import dataclass
from typing import Any

import pytest

from rayrig_core.faultpoints import FaultCounter, FaultPoint, Reaction
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Preconditions
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel


class Faults:
    """Strikes the points it is told to, by (verb, target prefix, nth)."""

    def __init__(self) -> None:
        self.plan: list[tuple[str, str, int, Reaction]] = []

    def strike(self, point: FaultPoint) -> Reaction | None:
        for verb, target, nth, reaction in self.plan:
            if point.verb == verb and point.target.startswith(target) and point.nth == nth:
                return reaction
        return None


@dataclass
class Plane:
    """Kernel, server and faults."""

    kernel: Kernel
    server: ApiServer
    faults: Faults

    def client(self, actor: str, **settings: Any) -> InProcessClient:
        return InProcessClient(self.server, self.kernel, actor=actor, faults=FaultCounter(self.faults), **settings)

    def create(self, resource: ResourceType, obj: JsonObject, namespace: str = "default") -> JsonObject:
        return self.server.call(ApiCall("create", resource, namespace, body=obj)).own()

    def get(self, resource: ResourceType, name: str, namespace: str = "default") -> JsonObject:
        return self.server.call(ApiCall("get", resource, namespace, name)).own()

    def patch(self, resource: ResourceType, name: str, body: Any, namespace: str = "default") -> JsonObject:
        return self.server.call(ApiCall("patch", resource, namespace, name, body=body, patch_type="merge")).own()

    def delete(self, resource: ResourceType, name: str, namespace: str = "default") -> None:
        self.server.call(ApiCall("delete", resource, namespace, name, preconditions=Preconditions()))

    def list(self, resource: ResourceType, namespace: str = "default") -> list[JsonObject]:
        return [stored.copy() for stored in self.server.list(ApiCall("list", resource, namespace)).items]


@pytest.fixture
def plane() -> Plane:
    kernel = Kernel(seed=1)
    server = ApiServer(kernel.unix_ns, kernel.streams.stream("server"), trace=kernel.trace)
    server.add_definitions(custom_resource_definitions())
    return Plane(kernel, server, Faults())
