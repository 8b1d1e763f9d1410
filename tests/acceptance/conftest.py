"""Walks through the guides: a world is taken through a guide once, and pictures of it are kept for the tests to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import ObjectTable, World, WorldSpec
from rayrig_core.objects import JsonObject, copy_json, has_condition, labels_of, name_of
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_scenarios.api import Rig
from rayrig_scenarios.resource_kinds import KINDS

SAMPLES = Path(__file__).parents[3] / "shared" / "kuberay" / "samples"
_KEPT = ("RayService", "RayCluster", "Pod", "Service", "EndpointSlice", "Event")


@dataclass(frozen=True)
class Picture:
    """The objects of a world at one moment."""

    t_s: float
    objects: Mapping[str, list[JsonObject]]
    tables: Mapping[str, ObjectTable]

    def names(self, kind: str) -> list[str]:
        return [name_of(obj) for obj in self.objects[kind]]

    def one(self, kind: str, name: str) -> JsonObject:
        (found,) = (obj for obj in self.objects[kind] if name_of(obj) == name)
        return found

    def rows(self, kind: str) -> list[dict[str, str]]:
        """What `kubectl get` prints of the kind, a dictionary by column for each object."""
        table = self.tables[kind]
        columns = [column.upper() for column in table.columns]
        return [dict(zip(columns, row, strict=True)) for row in table.rows]

    @property
    def service(self) -> JsonObject:
        (found,) = self.objects["RayService"]
        return found

    @property
    def clusters(self) -> list[str]:
        return self.names("RayCluster")

    @property
    def active(self) -> str:
        return str(self.service["status"]["activeServiceStatus"].get("rayClusterName") or "")

    def pods(self, cluster: str = "", role: str = "") -> list[JsonObject]:
        return [
            pod
            for pod in self.objects["Pod"]
            if labels_of(pod).get("ray.io/cluster", "") in (cluster or labels_of(pod).get("ray.io/cluster", ""))
            and labels_of(pod).get("ray.io/node-type", "") in (role or labels_of(pod).get("ray.io/node-type", ""))
        ]

    def selected_cluster(self, service: str) -> str:
        return str(self.one("Service", service)["spec"]["selector"]["ray.io/cluster"])

    def endpoints(self, service: str) -> dict[str, bool]:
        """Names of the pods in the Service's slices, and whether each is ready."""
        return {
            endpoint["targetRef"]["name"]: endpoint["conditions"]["ready"]
            for slice_ in self.objects["EndpointSlice"]
            if labels_of(slice_)["kubernetes.io/service-name"] == service
            for endpoint in slice_.get("endpoints") or ()
        }

    def events(self, about: str, reason: str) -> list[JsonObject]:
        return [
            event
            for event in self.objects["Event"]
            if event["regarding"]["name"] == about and event["reason"] == reason
        ]


def is_ready(pod: JsonObject) -> bool:
    return has_condition(pod, "Ready")


def ready_column(pod: JsonObject) -> str:
    statuses = pod["status"]["containerStatuses"]
    return f"{sum(status['ready'] for status in statuses)}/{len(statuses)}"


def take(rig: Rig) -> Picture:
    world = rig.world
    objects = {kind: [copy_json(obj) for obj in world.objects(KINDS[kind])] for kind in _KEPT}
    tables = {kind: world.object_table(KINDS[kind]) for kind in _KEPT}
    return Picture(rig.now_s, objects, tables)


@dataclass
class Walk:
    """A rig on its way through a guide, the pictures taken on it and the answers given, by the step they belong to."""

    rig: Rig
    name: str
    group: str
    pictures: dict[str, Picture] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    def take(self, step: str) -> Picture:
        self.pictures[step] = picture = take(self.rig)
        return picture

    def __getitem__(self, step: str) -> Picture:
        return self.pictures[step]

    def fruit(self) -> Any:
        return self.rig.request(f"{self.name}-serve-svc", "/fruit/", json=["MANGO", 2]).json()

    def pizzas(self) -> str:
        return self.rig.request(f"{self.name}-serve-svc", "/calc/", json=["MUL", 3]).body.decode()

    def applications(self) -> dict[str, Any]:
        """What the dashboard behind the RayService's head Service says of the applications."""
        response = self.rig.request(f"{self.name}-head-svc", "/api/serve/applications/", port=8265)
        assert response.status == 200
        found: dict[str, Any] = response.json()["applications"]
        return found

    def change(self, changes: Mapping[str, Any]) -> None:
        assert self.rig.apply(f"RayService/{self.name}", changes) == [f"RayService/{self.name} configured"]

    def mango_stand(self, field: str) -> str:
        return f"spec.serveConfigV2.applications[fruit_app].deployments[MangoStand].{field}"

    def worker_group(self, field: str) -> str:
        return f"spec.rayClusterConfig.workerGroupSpecs[{self.group}].{field}"

    def events(self, *kinds: Kind) -> Iterator[TraceEvent]:
        return self.rig.trace.select(*kinds)

    def when(self, kind: Kind, subject: str = "", **data: Any) -> list[float]:
        """Virtual seconds of the trace events of this kind whose subject holds the text and whose data are these."""
        return [
            event.t_ns / NS
            for event in self.events(kind)
            if subject in event.subject and all(event[name] == value for name, value in data.items())
        ]


def guide_manifest(which: str) -> tuple[str | Path, str, str]:
    """(manifest, name of the RayService, name of its worker group)."""
    if which == "bundled":
        return "fruit-stand", "fruit-stand", "stalls"
    sample = SAMPLES / "ray-service.sample.yaml"
    if not sample.exists():
        pytest.skip("KubeRay's samples are not here")
    return sample, "rayservice-sample", "small-group"


def world_1_1(spec: WorldSpec) -> World:
    """A world whose operator behaves as that of the guide does."""
    return MemoryWorld(replace(spec, profile="v1.1.0"))


@pytest.fixture(scope="session")
def begin_walk() -> Callable[..., Walk]:
    """Makes a walk whose RayService has just been applied: `begin_walk("bundled" | "sample", cpu=…)`."""

    def begin(which: str, *, cpu: int = 16, seed: int = 0, profile: str = "v1.7.0") -> Walk:
        manifest, name, group = guide_manifest(which)
        rig = Rig(seed=seed, world_factory=world_1_1 if profile == "v1.1.0" else None)
        rig.node("kind", cpu=cpu)
        assert rig.apply(manifest) == [f"RayService/{name} created"]
        return Walk(rig, name, group)

    return begin
