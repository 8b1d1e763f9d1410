"""Worlds in memory with a service that runs, for faults to strike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_scenarios.api import Rig
from rayrig_scenarios.rig_traffic import RigTraffic

NAME = "fruit-stand"


@dataclass
class Stand:
    """A fruit stand on nodes `n-0`, `n-1`, …, with shoppers at 20 requests a second, since `began_s`."""

    rig: Rig
    shoppers: RigTraffic
    began_s: float

    @property
    def cluster(self) -> str:
        (service,) = self.rig.objects("RayService")
        return str(service["status"]["activeServiceStatus"]["rayClusterName"])

    @property
    def service(self) -> JsonObject:
        (service,) = self.rig.objects("RayService")
        return service

    def pods(self, role: str = "") -> list[JsonObject]:
        return [pod for pod in self.rig.objects("Pod") if role in labels_of(pod).get("ray.io/node-type", "")]

    def pod(self, name: str) -> JsonObject | None:
        return next((pod for pod in self.rig.objects("Pod") if name_of(pod) == name), None)

    def events(self, *kinds: Kind) -> Iterator[TraceEvent]:
        """Trace events since the fault came."""
        return (event for event in self.rig.trace.select(*kinds) if event.t_ns >= self.began_s * NS)

    def when(self, what: Kind, subject: str = "", /, **data: Any) -> list[float]:
        """Seconds since the fault came, of the events of a kind whose subject holds the text and whose data are these."""
        return [
            round(event.t_ns / NS - self.began_s, 3)
            for event in self.events(what)
            if subject in event.subject and all(event[field] == value for field, value in data.items())
        ]

    def strike(self, kind: str, **params: Any) -> str:
        self.began_s = self.rig.now_s
        return self.rig.fault(kind, **params)

    def stop(self) -> dict[str, int]:
        """Fates of all requests; each has exactly one."""
        self.shoppers.stop()
        fates = self.shoppers.fates
        assert sum(fates.values()) == self.shoppers.sent
        return fates


@pytest.fixture
def stand() -> Callable[..., Stand]:
    """`stand(manifest, nodes=3)`: ready, all pods too, five seconds of traffic behind it."""

    def make(manifest: str = "fruit-stand-two-workers", *, nodes: int = 3, seed: int = 3, **traffic: Any) -> Stand:
        rig = Rig(seed=seed)
        rig.node("n", count=nodes, cpu=8)
        rig.apply(manifest)
        rig.wait_ready()
        rig.wait({"pods": {"service": NAME, "unready": 0}}, timeout="2m")
        rig.sleep("2s")
        shoppers = rig.traffic(f"{NAME}-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2], **traffic)
        rig.sleep("5s")
        return Stand(rig, shoppers, rig.now_s)

    return make
