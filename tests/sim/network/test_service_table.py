"""The service table, and the proxy that brings changes into it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant, instant
from rayrig_sim.kubernetes.endpoints.service_proxy import Backend, ServiceName, ServiceTable
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec


def _table() -> ServiceTable:
    table = ServiceTable()
    service: JsonObject = {
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "serve", "port": 80}, {"name": "dash", "port": 8265}]},
    }
    table.put_service(service)
    table.put_slice("ns", "svc", _slice("svc-b", "10.0.0.3", serve=8000))
    table.put_slice("ns", "svc", _slice("svc-a", "10.0.0.1", "10.0.0.2", serve=8000, dash=8265))
    return table


def _slice(slice_name: str, *ips: str, **ports: int) -> JsonObject:
    return {
        "metadata": {"name": slice_name, "namespace": "ns"},
        "ports": [{"name": name, "port": port} for name, port in ports.items()],
        "endpoints": [
            {
                "addresses": [ip],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"name": f"p-{ip[-1]}", "namespace": "ns"},
                "nodeName": "n1",
            }
            for ip in ips
        ],
    }


def test_backends_are_in_slice_order_with_the_ports_of_their_slice() -> None:
    table = _table()
    assert table.backends("ns", "svc", 80) == (
        Backend("10.0.0.1", "p-1", 8000, "ns", "n1"),
        Backend("10.0.0.2", "p-2", 8000, "ns", "n1"),
        Backend("10.0.0.3", "p-3", 8000, "ns", "n1"),
    )
    assert [backend.port for backend in table.backends("ns", "svc", "dash")] == [8265, 8265]
    assert table.backends("ns", "svc", 81) == ()
    assert table.backends("ns", "other", 80) == ()


def test_the_same_tuple_is_handed_out_until_the_version_grows() -> None:
    table = _table()
    before, version = table.backends("ns", "svc", 80), table.version
    assert table.backends("ns", "svc", 80) is before
    assert table.version == version
    table.remove_slice("ns", "svc", "svc-b")
    assert table.version > version
    assert len(table.backends("ns", "svc", 80)) == 2


def test_names_and_cluster_ips_resolve_while_their_service_exists() -> None:
    table = _table()
    name = ServiceName("ns", "svc")
    for host in ("svc.ns", "svc.ns.svc", "svc.ns.svc.cluster.local", "10.96.0.9"):
        assert table.resolve(host) == name
    assert table.resolve("svc") is None
    assert table.resolve("svc", "ns") == name
    table.remove_service("ns", "svc")
    assert table.resolve("10.96.0.9") is None
    assert table.resolve("svc.ns") is None
    assert table.backends("ns", "svc", 80) == ()


def test_picks_are_even_and_come_from_the_given_stream() -> None:
    table = _table()
    rng = Random(11)
    counts: dict[str, int] = {}
    for _ in range(3000):
        picked = table.pick(rng, "ns", "svc", 80)
        assert picked is not None
        counts[picked.pod_ip] = counts.get(picked.pod_ip, 0) + 1
    assert all(900 < count < 1100 for count in counts.values())
    assert table.pick(rng, "ns", "svc", 9) is None


@pytest.mark.accepts("K8-078")
def test_a_change_takes_effect_one_propagation_delay_after_the_slice(make_hollow_cluster: Callable[..., Any]) -> None:
    world = make_hollow_cluster(
        instant().with_overrides({"service_proxy_latency": Constant(0.4), "endpoints_latency": Constant(0.02)})
    )

    async def story() -> None:
        await world.add_nodes(NodeSpec("n1"))
        await world.add_service("svc", {"app": "a"})
        await world.add_pod("p", labels={"app": "a"}, nodeName="n1")
        await world.sleep(0.9)
        await world.run_pod("p", "10.244.0.2")
        await world.sleep(0.4)
        assert world.table.backends("default", "svc", 80) == ()
        await world.sleep(0.05)
        assert world.table.backends("default", "svc", 80) == (Backend("10.244.0.2", "p", 8000, "default", "n1"),)
        assert world.table.resolve("svc") == ServiceName("default", "svc")

    world.run(story())
    told = [(t, data) for t, data in world.happened(Kind.ENDPOINTS, "services/default/svc") if data[0]]
    assert told == [(1.02, (1, "p ready")), (1.42, (1, "in effect"))]
    effect = world.kernel.trace[world.table.cause_of("default", "svc")]
    assert [event.kind for event in world.kernel.trace.causes_of(effect.seq)[:3]] == [
        Kind.API_WRITE,
        Kind.ENDPOINTS,
        Kind.API_WRITE,
    ]
