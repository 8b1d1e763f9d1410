"""The scheduler: placement, waiting, waking, gates, preemption (kubelet.md 14)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.errors import ApiError
from rayrig_core.objects import condition_of
from rayrig_core.resource_types import CORE_EVENT, NODE, POD, PRIORITY_CLASS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant, instant
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec
from rayrig_sim.kubernetes.taints import Taint

Cluster = Any
_HOST = "kubernetes.io/hostname"


def _gpu_node(name: str, gpus: int = 4, **labels: str) -> NodeSpec:
    taints = (Taint("nvidia.com/gpu", "present", "NoSchedule"),)
    return NodeSpec(name, labels=labels, taints=taints, capacity={"cpu": "16", "nvidia.com/gpu": gpus})


_TOLERATES_GPU = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


async def _settle(cluster: Cluster) -> None:
    await cluster.sleep(0.01)


async def _node_of(cluster: Cluster, name: str) -> str | None:
    node: str | None = (await cluster.pod(name))["spec"].get("nodeName")
    return node


async def _why(cluster: Cluster, name: str) -> str:
    condition = condition_of(await cluster.pod(name), "PodScheduled")
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    return str(condition["message"])


@pytest.mark.accepts("K8-066")
def test_a_pod_is_bound_and_the_event_says_so(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_pod("p")
        await _settle(cluster)
        pod = await cluster.pod("p")
        assert pod["spec"]["nodeName"] == "n1"
        condition = condition_of(pod, "PodScheduled")
        assert condition is not None
        assert condition["status"] == "True"
        about_it = "involvedObject.name=p"
        (event,) = (await cluster.client.list(CORE_EVENT, "default", field_selector=about_it)).items
        assert (event["reason"], event["message"]) == ("Scheduled", "Successfully assigned default/p to n1")
        assert event["reportingComponent"] == "default-scheduler"

    cluster.run(story())
    assert [data for _, data in cluster.happened(Kind.SCHEDULED, "pods/default/p")] == [("n1",)]


@pytest.mark.accepts("K8-067", "K8-068")
def test_gpus_are_whole_and_free_only_when_their_pod_is_gone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("cpu"), _gpu_node("gpu", 4))
        for name, gpus in (("a", 3), ("b", 2)):
            await cluster.add_pod(name, limits={"nvidia.com/gpu": gpus}, tolerations=_TOLERATES_GPU)
            await _settle(cluster)
        assert await _node_of(cluster, "a") == "gpu"
        assert await _why(cluster, "b") == (
            "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: "
            "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
            "1 Preemption is not helpful for scheduling."
        )
        await cluster.client.delete(POD, "a", "default")
        await cluster.sleep(5)
        assert await _node_of(cluster, "b") is None
        await cluster.run_pod("a", "10.244.0.2", phase="Failed", ready=False)
        await _settle(cluster)
        assert await _node_of(cluster, "b") == "gpu"

    cluster.run(story())


@pytest.mark.accepts("KL-079")
def test_reasons_are_counted_over_nodes_and_sorted(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(
            _gpu_node("g1", 1, pool="a100"), NodeSpec("n1"), NodeSpec("n2"), _gpu_node("g2", 8, pool="a100")
        )
        await cluster.control.cordon("g2")
        await _settle(cluster)
        await cluster.add_pod(
            "p",
            limits={"nvidia.com/gpu": 2},
            requests={"cpu": "20", "nvidia.com/gpu": 2},
            tolerations=_TOLERATES_GPU,
            nodeSelector={"pool": "a100"},
        )
        await _settle(cluster)
        assert await _why(cluster, "p") == (
            "0/4 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu, "
            "1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. "
            "no new claims to deallocate, preemption: 0/4 nodes are available: "
            "4 Preemption is not helpful for scheduling."
        )

    cluster.run(story())


@pytest.mark.accepts("KL-079")
def test_a_pod_that_fits_nowhere_is_tried_again_only_after_five_minutes(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "1"}))
        await cluster.add_pod("p", requests={"cpu": "2"})
        await cluster.sleep(1000)

    cluster.run(story())
    tries = [t for t, data in cluster.happened(Kind.EVENT, "pods/default/p") if data[1] == "FailedScheduling"]
    # The second is about a pod with a condition, so another event; the third begins its series, whose repeats are told much later.
    assert len(tries) == 3
    assert 300 < tries[1] - tries[0] <= 330
    assert all(300 <= later - earlier <= 331 for earlier, later in itertools.pairwise(tries))
    assert len(cluster.happened(Kind.UNSCHEDULABLE, "pods/default/p")) == 1


@pytest.mark.accepts("KL-079")
@pytest.mark.parametrize("change", ["a fitting node", "a larger node", "the right label", "the taint's end"])
def test_a_change_that_helps_binds_at_once(hollow_cluster: Cluster, change: str) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "1"}, taints=(Taint("k", "", "NoSchedule"),)))
        if change == "the taint's end":
            await cluster.add_pod("p", requests={"cpu": "1"})
        elif change == "the right label":
            await cluster.add_pod("p", nodeSelector={"a": "b"}, tolerations=[{"operator": "Exists"}])
        else:
            await cluster.add_pod("p", requests={"cpu": "2"}, tolerations=[{"operator": "Exists"}])
        await cluster.sleep(40)
        assert await _node_of(cluster, "p") is None
        if change == "a fitting node":
            await cluster.add_nodes(NodeSpec("n2", capacity={"cpu": "2"}))
        elif change == "a larger node":
            body = {"status": {"allocatable": {"cpu": "4"}}}
            await cluster.client.patch(NODE, "n1", body, subresource="status")
        elif change == "the right label":
            await cluster.client.patch(NODE, "n1", {"metadata": {"labels": {"a": "b"}}})
        else:
            await cluster.client.patch(NODE, "n1", {"spec": {"taints": None}})
        await _settle(cluster)
        assert await _node_of(cluster, "p") == ("n2" if change == "a fitting node" else "n1")

    cluster.run(story())


def test_a_change_that_cannot_help_wakes_nobody(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "1"}))
        await cluster.add_pod("p", requests={"cpu": "2"})
        await cluster.sleep(10)
        await cluster.client.patch(NODE, "n1", {"metadata": {"labels": {"x": "y"}}})
        await cluster.add_nodes(NodeSpec("n2", capacity={"cpu": "1"}))
        await cluster.control.cordon("n2")
        await cluster.control.uncordon("n2")
        await cluster.sleep(10)

    cluster.run(story())
    tries = [data for _, data in cluster.happened(Kind.EVENT, "pods/default/p") if data[1] == "FailedScheduling"]
    assert len(tries) == 1


@pytest.mark.accepts("KL-083")
def test_a_gated_pod_waits_silently_until_its_last_gate_is_gone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_pod("p", schedulingGates=[{"name": "example.com/a"}, {"name": "example.com/b"}])
        await cluster.sleep(400)
        condition = condition_of(await cluster.pod("p"), "PodScheduled")
        assert condition is not None
        assert condition["reason"] == "SchedulingGated"
        await cluster.client.patch(POD, "p", {"spec": {"schedulingGates": [{"name": "example.com/b"}]}}, "default")
        await _settle(cluster)
        assert await _node_of(cluster, "p") is None
        await cluster.client.patch(POD, "p", {"spec": {"schedulingGates": None}}, "default")
        await _settle(cluster)
        assert await _node_of(cluster, "p") == "n1"

    cluster.run(story())
    assert [data[1] for _, data in cluster.happened(Kind.EVENT, "pods/default/p")] == ["Scheduled"]


@pytest.mark.accepts("KL-080")
def test_the_fewest_lowest_pods_make_room_and_the_preemptor_waits_for_their_end(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        for name, value in (("high", 1000), ("low", -5)):
            body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
            await cluster.client.create(PRIORITY_CLASS, {**body, "value": value})
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "4"}))
        await cluster.add_pod("small", requests={"cpu": "500m"})
        await cluster.add_pod("victim", requests={"cpu": "3"}, terminationGracePeriodSeconds=3, priorityClassName="low")
        await _settle(cluster)
        await cluster.add_pod("urgent", requests={"cpu": "3"}, priorityClassName="high")
        await _settle(cluster)
        victim, urgent = await cluster.pod("victim"), await cluster.pod("urgent")
        condition = condition_of(victim, "DisruptionTarget")
        assert condition is not None
        assert (condition["reason"], condition["message"]) == (
            "PreemptionByScheduler",
            "default-scheduler: preempting to accommodate a higher priority pod",
        )
        assert victim["metadata"]["deletionGracePeriodSeconds"] == 3
        assert urgent["status"]["nominatedNodeName"] == "n1"
        assert await _why(cluster, "urgent") == "0/1 nodes are available: 1 Insufficient cpu."
        # The room being made is not for others.
        await cluster.add_pod("thief", requests={"cpu": "3"})
        await cluster.sleep(3)
        await cluster.run_pod("victim", "10.244.0.2", ready=False, phase="Failed")
        await _settle(cluster)
        assert await _node_of(cluster, "urgent") == "n1"
        assert await _node_of(cluster, "thief") is None
        assert "deletionTimestamp" not in (await cluster.pod("small"))["metadata"]

    cluster.run(story())
    (note,) = [data[2] for _, data in cluster.happened(Kind.EVENT, "pods/default/victim") if data[1] == "Preempted"]
    assert note.startswith("Preempted by pod ")
    assert note.endswith(" on node n1")


def test_anti_affinity_keeps_pods_apart_and_affinity_brings_them_together(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    def term(kind: str, app: str) -> dict[str, Any]:
        entry = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": _HOST}
        return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [entry]}}

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"))
        for name in ("a1", "a2", "a3"):
            await cluster.add_pod(name, labels={"app": "a"}, affinity=term("podAntiAffinity", "a"))
            await _settle(cluster)
        await cluster.add_pod("b", affinity=term("podAffinity", "a3"), labels={"app": "b"})
        await cluster.add_pod("first", affinity=term("podAffinity", "own"), labels={"app": "own"})
        await _settle(cluster)
        assert {await _node_of(cluster, "a1"), await _node_of(cluster, "a2")} == {"n1", "n2"}
        assert "2 node(s) didn't match pod anti-affinity rules" in await _why(cluster, "a3")
        assert "2 node(s) didn't match pod affinity rules" in await _why(cluster, "b")
        assert await _node_of(cluster, "first") is not None
        await cluster.client.delete(POD, "a1", "default", grace_period_seconds=0)
        await _settle(cluster)
        assert await _node_of(cluster, "a3") is not None

    cluster.run(story())


def test_a_hard_spread_refuses_more_skew_than_allowed(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
    }

    async def story() -> None:
        zone = "topology.kubernetes.io/zone"
        await cluster.add_nodes(
            NodeSpec("n1", labels={zone: "a"}),
            NodeSpec("n2", labels={zone: "b"}, capacity={"pods": "1"}),
            NodeSpec("n3"),
        )
        for name in ("p1", "p2", "p3", "p4"):
            await cluster.add_pod(name, labels={"app": "a"}, topologySpreadConstraints=[spread])
            await _settle(cluster)
        placed = [await _node_of(cluster, name) for name in ("p1", "p2", "p3")]
        assert sorted(filter(None, placed)) == ["n1", "n1", "n2"]
        assert await _why(cluster, "p4") == (
            "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, "
            "1 node(s) didn't match pod topology spread constraints (missing required label). "
            "no new claims to deallocate, preemption: 0/3 nodes are available: "
            "1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
        )

    cluster.run(story())


def test_init_containers_count_by_their_maximum_and_sidecars_add_up(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    def init(name: str, cpu: str, **extra: str) -> dict[str, Any]:
        return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}, **extra}

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "5"}))
        sidecar = init("side", "1", restartPolicy="Always")
        await cluster.add_pod("fits", requests={"cpu": "3"}, initContainers=[sidecar, init("i", "4")])
        await _settle(cluster)
        assert await _node_of(cluster, "fits") == "n1"
        await cluster.client.delete(POD, "fits", "default", grace_period_seconds=0)
        await cluster.add_pod("too-much", requests={"cpu": "3"}, initContainers=[sidecar, init("i", "4500m")])
        await _settle(cluster)
        assert "1 Insufficient cpu" in await _why(cluster, "too-much")

    cluster.run(story())


def test_a_refused_binding_frees_the_room_and_is_tried_again_after_the_back_off(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    client = cluster.plane.scheduler._client
    bind = client.create_subresource
    refusals = [409, 500]

    async def sometimes(*arguments: Any, **options: Any) -> Any:
        if refusals:
            code = refusals.pop(0)
            raise ApiError({"code": code, "reason": "Broken", "message": f"no, {code}"})
        return await bind(*arguments, **options)

    client.create_subresource = sometimes

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1", capacity={"cpu": "1"}))
        await cluster.add_pod("p", requests={"cpu": "1"})
        await cluster.sleep(10)
        assert await _node_of(cluster, "p") == "n1"

    cluster.run(story())
    decided = [t for t, _ in cluster.happened(Kind.SCHEDULED, "pods/default/p")]
    assert len(decided) == 3
    assert 1 <= decided[1] - decided[0] <= 2
    assert 2 <= decided[2] - decided[1] <= 3
    notes = [data[2] for _, data in cluster.happened(Kind.EVENT, "pods/default/p")]
    assert notes[0] == 'running Bind plugin "DefaultBinder": no, 409'


def test_a_pod_deleted_before_its_turn_is_forgotten(make_hollow_cluster: Callable[..., Cluster]) -> None:
    cluster = make_hollow_cluster(instant().with_overrides({"scheduling_latency": Constant(1.0)}))

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_pod("p")
        await cluster.sleep(0.5)
        await cluster.client.delete(POD, "p", "default")
        await cluster.sleep(10)

    cluster.run(story())
    assert cluster.happened(Kind.SCHEDULED, "pods/default/p") == []


def test_equal_pods_on_equal_nodes_take_turns_in_node_order(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"), NodeSpec("n3"))
        for number in range(6):
            await cluster.add_pod(f"p{number}", requests={"cpu": "1", "memory": "1Gi"})
            await _settle(cluster)
        assert [await _node_of(cluster, f"p{number}") for number in range(6)] == ["n1", "n2", "n3"] * 2

    cluster.run(story())


def test_an_uncordoned_node_is_tried_before_its_taint_has_gone_and_again_when_it_has(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.sleep(5)
        await cluster.client.patch(NODE, "n1", {"spec": {"unschedulable": True}}, patch_type="merge")
        await cluster.sleep(5)
        await cluster.add_pod("p")
        await cluster.sleep(5)
        await cluster.client.patch(NODE, "n1", {"spec": {"unschedulable": None}}, patch_type="merge")
        await cluster.sleep(5)

    cluster.run(story())
    whys = [str(data[0]).split(". ")[0] for _, data in cluster.happened(Kind.UNSCHEDULABLE, "pods/default/p")]
    assert whys == [
        "0/1 nodes are available: 1 node(s) were unschedulable",
        "0/1 nodes are available: 1 node(s) had untolerated taint(s)",
    ]
    [(bound_s, (node,))] = cluster.happened(Kind.SCHEDULED, "pods/default/p")
    assert node == "n1"
    assert 15 < bound_s < 15.2
