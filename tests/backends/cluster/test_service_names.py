"""Names of Services lead to ready pods, for an operator that stands outside the cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rayrig_backends.cluster.service_names import ServiceNames
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import SERVICE, ResourceType


class Known:
    """The objects of one namespace."""

    def __init__(self, spec: JsonObject, *endpoints: JsonObject) -> None:
        self.spec = spec
        self.slices = [{"ports": [{"name": "dashboard", "port": 8265}], "endpoints": list(endpoints)}]

    async def find(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject | None:
        return {"spec": self.spec} if (resource, name, namespace) == (SERVICE, "head", "ns") else None

    async def select(self, resource: ResourceType, namespace: str = "", labels: Any = None) -> list[JsonObject]:
        return self.slices if labels == {"kubernetes.io/service-name": "head"} else []


READY: JsonObject = {"addresses": ["10.0.0.2"], "conditions": {"ready": True}}
UNREADY: JsonObject = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}}
HEADLESS: JsonObject = {"clusterIP": "None", "ports": [{"name": "dashboard", "port": 8265}]}
WITH_ADDRESS: JsonObject = {"clusterIP": "10.96.0.7", "ports": [{"name": "dashboard", "port": 80}]}


@pytest.mark.parametrize(
    ("known", "host", "port", "expected"),
    [
        (Known(HEADLESS, UNREADY, READY), "head.ns.svc.cluster.local", 8265, ("10.0.0.2", 8265)),
        (Known(HEADLESS, READY), "head.ns.svc", 9999, ("10.0.0.2", 9999)),
        (Known({**HEADLESS, "publishNotReadyAddresses": True}, UNREADY), "head.ns.svc", 8265, ("10.0.0.1", 8265)),
        (Known(HEADLESS, UNREADY), "head.ns.svc.cluster.local", 8265, None),
        (Known(WITH_ADDRESS, READY), "head.ns.svc.cluster.local", 80, ("10.0.0.2", 8265)),
        (Known(WITH_ADDRESS, READY), "head.ns.svc.cluster.local", 81, None),
        (Known(HEADLESS, READY), "other.ns.svc.cluster.local", 8265, None),
        (Known(HEADLESS, READY), "example.com", 80, None),
    ],
)
def test_a_name_leads_to(known: Known, host: str, port: int, expected: tuple[str, int] | None) -> None:
    assert asyncio.run(ServiceNames(known).resolve(host, port)) == expected
