"""The world in memory as scenarios see it: nodes, names, tables, applications, clients."""

from __future__ import annotations

import pytest

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import NodeSpec, TrafficSpec, World, WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.objects import has_condition, name_of
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, NODE, POD, RAY_SERVICE
from rayrig_scenarios.api import Rig


def started(*nodes: NodeSpec) -> MemoryWorld:
    world = MemoryWorld(WorldSpec(nodes=nodes or (NodeSpec(),)))
    world.start()
    return world


def run(world: World, seconds: float) -> None:
    async def test() -> None:
        await world.runtime.sleep(seconds)

    world.run_until(world.spawn("test", test()))


def test_nodes_are_there_at_the_start_with_what_they_have() -> None:
    gpu = NodeSpec("gpu", count=2, extended={"nvidia.com/gpu": "4"}, labels={"accelerator": "l4"})
    world = started(NodeSpec("head", exact_name=True), gpu)
    run(world, 1)
    nodes = {name_of(node): node for node in world.objects(NODE)}
    assert list(nodes) == ["gpu-0", "gpu-1", "head"]
    assert nodes["gpu-0"]["status"]["capacity"]["nvidia.com/gpu"] == "4"
    assert nodes["gpu-0"]["metadata"]["labels"]["accelerator"] == "l4"
    assert all(has_condition(node, "Ready") for node in nodes.values())
    assert (world.usage().capacity_nodes, world.usage().capacity_gpus) == (3, 8)


def test_a_node_can_join_later_and_names_are_taken_once() -> None:
    world = started(NodeSpec("n"))
    run(world, 5)
    assert world.add_nodes(NodeSpec("late", count=2)) == ("late-0", "late-1")
    run(world, 1)
    assert [name_of(node) for node in world.objects(NODE)] == ["late-0", "late-1", "n-0"]
    with pytest.raises(InputError, match='a node "n-0" already'):
        world.add_nodes(NodeSpec("n"))


def test_a_pending_worker_moves_to_a_node_that_joins() -> None:
    rig = Rig(seed=2)
    rig.node("small", cpu=2)
    rig.apply("fruit-stand")
    rig.wait({"pods": {"service": "fruit-stand", "pending": 1, "unready": ">= 1"}}, timeout="1m")
    rig.sleep("30s")
    (pending,) = (pod for pod in rig.objects("Pod") if not pod["spec"].get("nodeName"))
    assert "Insufficient cpu" in rig.why_unready(pending)
    assert rig.node("big", cpu=8) == ("big-0",)
    rig.wait({"pods": {"service": "fruit-stand", "pending": 0}}, timeout="1m")
    rig.wait_ready("fruit-stand", timeout="5m")
    nodes = {pod["spec"]["nodeName"] for pod in rig.objects("Pod")}
    assert nodes == {"small-0", "big-0"}


def test_traffic_has_a_name_of_its_own() -> None:
    world = started()
    run(world, 1)
    world.traffic(TrafficSpec("shoppers", "svc", rate_per_s=1.0))
    with pytest.raises(InputError, match='traffic "shoppers" already'):
        world.traffic(TrafficSpec("shoppers", "svc", rate_per_s=1.0))


def test_ray_kinds_are_served_from_the_start_and_tables_have_their_columns() -> None:
    world = started()
    run(world, 1)
    definitions = [name_of(definition) for definition in world.objects(CUSTOM_RESOURCE_DEFINITION)]
    assert {"rayclusters.ray.io", "rayservices.ray.io"} <= set(definitions)
    table = world.object_table(RAY_SERVICE)
    assert [column.upper() for column in table.columns] == ["NAME", "SERVICE STATUS", "NUM SERVE ENDPOINTS"]
    assert table.rows == ()
    assert world.object_table(POD).columns[:5] == ("Name", "Ready", "Status", "Restarts", "Age")


def test_reading_takes_no_time_and_leaves_no_trace() -> None:
    world = started()
    run(world, 1)
    before = (len(world.trace), world.runtime.monotonic_ns())
    world.objects(POD)
    world.object_table(NODE)
    world.usage()
    assert (len(world.trace), world.runtime.monotonic_ns()) == before


def test_an_application_behaves_as_it_is_told() -> None:
    rig = Rig(seed=2)
    rig.node("n", cpu=16)
    rig.application("orchard.app", latency="250ms", result={"pick": "pears"})
    rig.apply("one-per-node")
    rig.wait_ready("orchard")
    began = rig.now_s
    assert rig.request("orchard-serve-svc").json() == {"pick": "pears"}
    assert 0.25 < rig.now_s - began < 0.27


def test_two_services_of_one_world_do_not_mix() -> None:
    rig = Rig(seed=2)
    rig.node("n", count=2, cpu=16)
    rig.apply("fruit-stand")
    rig.apply("one-per-node")
    rig.wait({"ready": "fruit-stand"}, {"ready": "orchard"}, timeout="10m")
    rig.sleep("2s")
    assert rig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2]).json() == 6
    assert rig.request("orchard-serve-svc", "/fruit/", json=["MANGO", 2]).status == 200
    owned = {
        name_of(cluster): cluster["metadata"]["ownerReferences"][0]["name"] for cluster in rig.objects("RayCluster")
    }
    assert all(cluster.startswith(f"{service}-") for cluster, service in owned.items())
    rig.delete("RayService", "orchard")
    rig.sleep("30s")
    assert {name.rpartition("-")[0] for name in map(name_of, rig.objects("RayCluster"))} == {"fruit-stand"}
    assert rig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2]).json() == 6
