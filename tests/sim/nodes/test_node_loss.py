"""What follows when a node falls silent, comes back, is tainted, drained or deleted (kubelet.md 13)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import condition_of
from rayrig_core.resource_types import CORE_EVENT, DAEMON_SET, NODE, POD
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant, instant
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec, follow_cordons

Cluster = Any

_UNREACHABLE_FOR_20_S = {
    "key": "node.kubernetes.io/unreachable",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 20,
}


def _taints(node: dict[str, Any]) -> list[str]:
    return [f"{taint['key'].rsplit('/')[-1]}:{taint['effect']}" for taint in node["spec"].get("taints") or ()]


def _ready(obj: dict[str, Any]) -> tuple[str, str]:
    condition = condition_of(obj, "Ready")
    assert condition is not None
    return condition["status"], condition.get("reason", "")


async def _two_nodes(cluster: Cluster) -> None:
    await cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"))
    await cluster.sleep(20)


async def _until_unknown(cluster: Cluster, node: str) -> float:
    """Wait until the node is Unknown; seconds since now."""
    began = cluster.now_s
    while _ready(await cluster.node(node))[0] != "Unknown":
        await cluster.sleep(0.05)
        assert cluster.now_s - began < 60
    return float(cluster.now_s - began)


@pytest.mark.accepts("KL-075", "K8-074")
@pytest.mark.parametrize("seed", range(8))
def test_a_silent_node_becomes_unknown_after_40_to_55_seconds_and_its_pods_unready(
    make_hollow_cluster: Callable[..., Cluster], seed: int
) -> None:
    cluster = make_hollow_cluster(seed=seed)

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_service("svc", {"app": "a"})
        await cluster.add_pod("p", labels={"app": "a"}, nodeName="n1")
        await cluster.add_pod("q", labels={"app": "a"}, nodeName="n2")
        await cluster.run_pod("p", "10.244.0.2")
        await cluster.run_pod("q", "10.244.1.2")
        await cluster.sleep(3.3 * seed)
        cluster.control.lose("n1")
        assert 40 <= await _until_unknown(cluster, "n1") <= 55.1
        await cluster.sleep(0.1)
        node = await cluster.node("n1")
        assert _ready(node) == ("Unknown", "NodeStatusUnknown")
        assert _taints(node) == ["unreachable:NoSchedule", "unreachable:NoExecute"]
        assert _ready(await cluster.pod("p")) == ("False", "")
        assert await cluster.endpoints("svc") == {"p": "---", "q": "RS-"}
        assert _taints(await cluster.node("n2")) == []

    cluster.run(story())


@pytest.mark.accepts("KL-075")
def test_pods_are_marked_for_deletion_when_their_toleration_of_the_taint_ends(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod(
            "short", nodeName="n1", tolerations=[_UNREACHABLE_FOR_20_S], terminationGracePeriodSeconds=10
        )
        await cluster.add_pod("usual", nodeName="n1")
        cluster.control.lose("n1")
        await _until_unknown(cluster, "n1")
        await cluster.sleep(19.9)
        assert "deletionTimestamp" not in (await cluster.pod("short"))["metadata"]
        await cluster.sleep(0.2)
        pod = await cluster.pod("short")
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 10
        condition = condition_of(pod, "DisruptionTarget")
        assert condition is not None
        assert (condition["reason"], condition["message"]) == (
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        )
        await cluster.sleep(279)
        assert "deletionTimestamp" not in (await cluster.pod("usual"))["metadata"]
        await cluster.sleep(2)
        assert "deletionTimestamp" in (await cluster.pod("usual"))["metadata"]
        # Nobody is there to stop the containers: the objects stay.
        await cluster.sleep(600)
        assert await cluster.names(POD) == ["short", "usual"]

    cluster.run(story())


@pytest.mark.accepts("KL-076")
def test_a_node_away_for_less_than_40_seconds_is_not_noticed(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1")
        await cluster.run_pod("p", "10.244.0.2")
        before = await cluster.node("n1"), await cluster.pod("p")
        cluster.control.lose("n1")
        await cluster.sleep(39)
        cluster.control.restore("n1")
        await cluster.sleep(120)
        assert (await cluster.node("n1"), await cluster.pod("p")) == before

    cluster.run(story())


def test_a_node_that_returns_is_not_ready_first_then_ready_and_its_taints_go(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1")
        cluster.control.lose("n1")
        await _until_unknown(cluster, "n1")
        await cluster.sleep(30)
        cluster.control.restore("n1")
        await cluster.sleep(0.1)
        node = await cluster.node("n1")
        assert _ready(node) == ("False", "KubeletNotReady")
        assert "not-ready:NoSchedule" in _taints(node)
        assert "unreachable:NoSchedule" not in _taints(node)
        await cluster.sleep(9.8)
        assert _ready(await cluster.node("n1"))[0] == "False"
        await cluster.sleep(0.2)
        node = await cluster.node("n1")
        assert _ready(node) == ("True", "KubeletReady")
        assert [taint for taint in _taints(node) if taint.endswith("NoSchedule")] == []
        await cluster.sleep(5.1)
        assert _taints(await cluster.node("n1")) == []
        await cluster.sleep(400)
        assert await cluster.names(POD) == ["p"]
        assert "deletionTimestamp" not in (await cluster.pod("p"))["metadata"]
        notes = [event["message"] for event in (await cluster.client.list(CORE_EVENT, "default")).items]
        assert "Cancelling deletion of Pod default/p" in notes

    cluster.run(story())


def test_when_every_node_is_down_nobody_is_evicted(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1", tolerations=[_UNREACHABLE_FOR_20_S])
        cluster.control.lose("n1")
        cluster.control.lose("n2")
        await _until_unknown(cluster, "n1")
        await cluster.sleep(900)
        assert _taints(await cluster.node("n1")) == ["unreachable:NoSchedule"]
        assert "deletionTimestamp" not in (await cluster.pod("p"))["metadata"]

    cluster.run(story())


def test_nodes_lost_together_are_tainted_ten_seconds_apart(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(*(NodeSpec(f"n{number}") for number in range(7)))
        for number in range(3):
            cluster.control.lose(f"n{number}")
        await cluster.sleep(120)

    cluster.run(story())
    when = []
    for event in cluster.kernel.trace.select(Kind.API_WRITE):
        if event["resource"] == "nodes" and event.actor.endswith("node-monitor") and event["detail"] != "status":
            when.append(round(event.t_s, 1))
    assert len(when) == 3
    assert [round(later - earlier) for earlier, later in pairwise(when)] == [10, 10]


@pytest.mark.accepts("KL-077")
def test_a_no_execute_taint_deletes_now_later_or_never_by_toleration(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    four = {"key": "maint", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 4}

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("now", nodeName="n1")
        await cluster.add_pod("later", nodeName="n1", tolerations=[four])
        await cluster.add_pod("saved", nodeName="n1", tolerations=[{**four, "tolerationSeconds": 9}])
        await cluster.add_pod("never", nodeName="n1", tolerations=[{"operator": "Exists"}])
        taint = {"key": "maint", "value": "x", "effect": "NoExecute"}

        async def marked() -> list[str]:
            pods = (await cluster.client.list(POD, "default")).items
            return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]

        await cluster.client.patch(NODE, "n1", {"spec": {"taints": [taint]}})
        await cluster.sleep(0.01)
        assert await marked() == ["now"]
        await cluster.sleep(3.98)
        assert await marked() == ["now"]
        await cluster.sleep(0.02)
        assert await marked() == ["later", "now"]
        await cluster.client.patch(NODE, "n1", {"spec": {"taints": None}})
        await cluster.sleep(60)
        assert await marked() == ["later", "now"]
        condition = condition_of(await cluster.pod("later"), "DisruptionTarget")
        assert condition is not None
        assert condition["reason"] == "DeletionByTaintManager"

    cluster.run(story())


@pytest.mark.accepts("KL-078", "K8-075")
@pytest.mark.parametrize("seed", range(6))
def test_pods_of_a_deleted_node_fail_and_go_after_40_to_81_seconds(
    make_hollow_cluster: Callable[..., Cluster], seed: int
) -> None:
    cluster = make_hollow_cluster(seed=seed)

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1")
        await cluster.add_pod("q", nodeName="n2")
        await cluster.control.remove("n1", "spot reclaim")
        began = cluster.now_s
        last: dict[str, Any] = {}
        while True:
            try:
                last = await cluster.pod("p")
            except NotFound:
                break
            await cluster.sleep(0.1)
        assert 40 <= cluster.now_s - began <= 81
        assert last["metadata"].get("deletionTimestamp") is None
        assert await cluster.names(POD) == ["q"]

    cluster.run(story())
    writes = [
        (event["verb"], event["detail"])
        for event in cluster.kernel.trace.select(Kind.API_WRITE, subject="pods/default/p")
        if event.actor.endswith("pod-gc")
    ]
    assert writes == [("patch", "status"), ("delete", "terminating"), ("delete", "")]


def test_cordon_sets_the_taint_and_uncordon_takes_it_away(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.control.cordon("n1")
        await cluster.sleep(0.01)
        node = await cluster.node("n1")
        assert node["spec"]["unschedulable"] is True
        assert _taints(node) == ["unschedulable:NoSchedule"]
        await cluster.control.uncordon("n1")
        await cluster.sleep(0.01)
        assert (await cluster.node("n1"))["spec"].get("taints") is None

    cluster.run(story())


def test_a_drain_evicts_all_but_daemon_pods_and_waits_until_they_are_gone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}

    async def kubelet() -> None:
        """Ends each deleted pod 7 s after its deletion."""
        await cluster.sleep(27)
        for name in ("p", "q"):
            await cluster.client.delete(POD, name, "default", grace_period_seconds=0)

    async def story() -> None:
        await _two_nodes(cluster)
        labels = {"app": "d"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "d"}]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        daemons = {"metadata": {"name": "d", "namespace": "default"}, "spec": spec}
        await cluster.client.create(DAEMON_SET, daemons, "default")
        for name in ("p", "q"):
            await cluster.add_pod(name, nodeName="n1")
        await cluster.add_pod("daemon", nodeName="n1", owners=[daemon])
        await cluster.add_pod("elsewhere", nodeName="n2")
        cluster.kernel.spawn("kubelet", kubelet())
        assert await cluster.control.drain("n1", timeout_s=2) is False
        assert sorted(await cluster.names(POD)) == ["daemon", "elsewhere", "p", "q"]
        assert await cluster.control.drain("n1") is True
        assert await cluster.names(POD) == ["daemon", "elsewhere"]
        assert (await cluster.node("n1"))["spec"]["unschedulable"] is True

    cluster.run(story())
    assert [data[0] for _, data in cluster.happened(Kind.NODE, "nodes/n1")][-4:] == [
        "cordoned",
        "drain timed out",
        "draining",
        "drained",
    ]


def test_a_healthy_cluster_does_nothing_for_a_year(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1")
        await cluster.run_pod("p", "10.244.0.2")
        await cluster.sleep(1)
        before = len(cluster.kernel.trace)
        events = next(cluster.kernel.env._eid)
        await cluster.sleep(365 * 86_400)
        assert len(cluster.kernel.trace) == before
        assert next(cluster.kernel.env._eid) - events < 10

    cluster.run(story())


def test_leases_are_written_when_somebody_reads_them(make_hollow_cluster: Callable[..., Cluster]) -> None:
    from rayrig_core.resource_types import LEASE
    from rayrig_sim.kubernetes.nodes.heartbeats import LeaseHeartbeats
    from rayrig_sim.kubernetes.nodes.nodes import NodePresence
    from rayrig_sim.kubernetes.object_cache import ObjectCaches

    cluster = make_hollow_cluster(instant().with_overrides({"api_latency": Constant(0.0)}))

    async def story() -> None:
        reader = LeaseHeartbeats(cluster.kernel, ObjectCaches(cluster.kernel, cluster.client, component="reader"))
        seen: list[float] = []
        reader.on_change(lambda node: seen.append(cluster.now_s))
        presence = NodePresence(cluster.kernel, cluster.client, NodeSpec("n1"), cluster.heartbeats, writes_lease=True)
        await presence.register()
        await cluster.sleep(25)
        presence.silence()
        await cluster.sleep(60)
        assert seen == [0.0, 10.0, 20.0]
        assert reader.last_renewal_ns("n1") == cluster.heartbeats.last_renewal_ns("n1") == 20_000_000_000
        lease = await cluster.client.get(LEASE, "n1", "kube-node-lease")
        assert lease["spec"]["renewTime"] == "2026-01-01T00:00:20.000000Z"

    cluster.run(story())


def test_a_node_tells_of_its_start_and_the_controller_of_registering_it(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.sleep(3)
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.sleep(10)

    cluster.run(story())
    told = [
        (round(event.t_s, 1) if event["reason"] != "RegisteredNode" else "pass", event["reason"], event["message"])
        for event in cluster.kernel.trace.select(Kind.EVENT, subject="nodes/n1")
    ]
    assert told == [
        (3.0, "Starting", "Starting kubelet."),
        (3.0, "NodeHasSufficientMemory", "Node n1 status is now: NodeHasSufficientMemory"),
        (3.0, "NodeHasNoDiskPressure", "Node n1 status is now: NodeHasNoDiskPressure"),
        (3.0, "NodeHasSufficientPID", "Node n1 status is now: NodeHasSufficientPID"),
        (3.0, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods"),
        (3.0, "NodeReady", "Node n1 status is now: NodeReady"),
        ("pass", "RegisteredNode", "Node n1 event: Registered Node n1 in Controller"),
    ]
    (registered,) = (e for e in cluster.kernel.trace.select(Kind.EVENT) if e["reason"] == "RegisteredNode")
    # With the monitor's next pass, which comes each 5 s; what it is due to is the node's creation.
    assert 3.0 <= registered.t_s <= 8.0
    assert registered.cause is not None
    assert cluster.kernel.trace[registered.cause].subject == "nodes/n1"


class _RefusingClient:
    """Refuses the first calls that change something, then hands on."""

    def __init__(self, client: Any, refusals: int) -> None:
        self._client = client
        self.refusals = refusals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def patch(self, *args: Any, **options: Any) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise ApiError({"code": 500, "reason": "InternalError", "message": "etcdserver: request timed out"})
        return await self._client.patch(*args, **options)


@pytest.mark.parametrize(("refusals", "later_s"), [(4, 0), (12, 20)])
def test_a_kubelet_that_comes_back_reports_again_what_was_refused(
    make_hollow_cluster: Callable[..., Cluster], refusals: int, later_s: float
) -> None:
    cluster = make_hollow_cluster()

    async def story() -> None:
        await _two_nodes(cluster)
        presence = cluster.presences["n1"]
        presence.silence()
        await _until_unknown(cluster, "n1")
        presence._client = _RefusingClient(presence._client, refusals)
        presence.resume()
        began = cluster.now_s
        while _ready(await cluster.node("n1"))[0] != "False":
            await cluster.sleep(0.01)
        assert later_s <= cluster.now_s - began <= later_s + 0.1
        while _ready(await cluster.node("n1"))[0] != "True":
            await cluster.sleep(0.05)

    cluster.run(story())


def test_pressure_that_a_kubelet_reports_becomes_a_taint_and_goes_with_it(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def report(kind: str, status: str) -> None:
        condition = {"type": kind, "status": status, "reason": "Kubelet", "message": ""}
        patch = {"status": {"conditions": [condition]}}
        await cluster.client.patch(NODE, "n1", patch, patch_type="strategic", subresource="status")
        await cluster.sleep(0.1)

    async def story() -> None:
        await _two_nodes(cluster)
        await report("MemoryPressure", "True")
        await report("PIDPressure", "True")
        assert _taints(await cluster.node("n1")) == ["memory-pressure:NoSchedule", "pid-pressure:NoSchedule"]
        await report("MemoryPressure", "False")
        assert _taints(await cluster.node("n1")) == ["pid-pressure:NoSchedule"]

    cluster.run(story())


def test_pods_of_a_node_that_says_it_is_not_ready_are_tainted_away_but_not_marked(hollow_cluster: Cluster) -> None:
    """A kubelet that can report looks after the readiness of its pods itself."""
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1")
        await cluster.run_pod("p", "10.244.0.2")
        condition = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "no network"}
        patch = {"status": {"conditions": [condition]}}
        await cluster.client.patch(NODE, "n1", patch, patch_type="strategic", subresource="status")
        await cluster.sleep(10)
        assert _taints(await cluster.node("n1")) == ["not-ready:NoSchedule", "not-ready:NoExecute"]
        assert _ready(await cluster.pod("p"))[0] == "True"

    cluster.run(story())


def test_a_node_is_taken_out_of_the_controller_at_its_next_pass(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    deleted_s = 0.0

    async def story() -> None:
        nonlocal deleted_s
        await _two_nodes(cluster)
        deleted_s = cluster.now_s
        await cluster.client.delete(NODE, "n1")
        await cluster.sleep(6)

    cluster.run(story())
    (removed,) = [t for t, data in cluster.happened(Kind.EVENT, "nodes/n1") if data[1] == "RemovingNode"]
    assert 0 < removed - deleted_s <= 5


_FOR_6_S = {"key": "maint", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 6}


def _taint_by_hand(cluster: Cluster, *keys: str) -> Any:
    taints = [{"key": key, "value": "x", "effect": "NoExecute"} for key in keys]
    return cluster.client.patch(NODE, "n1", {"spec": {"taints": taints}}, patch_type="merge")


async def _evicted_after(cluster: Cluster, name: str, limit_s: float) -> float | None:
    began = cluster.now_s
    while cluster.now_s - began < limit_s:
        if "deletionTimestamp" in (await cluster.pod(name))["metadata"]:
            return round(cluster.now_s - began, 1)
        await cluster.sleep(0.1)
    return None


def _told(cluster: Cluster, name: str) -> list[str]:
    return [data[2] for _, data in cluster.happened(Kind.EVENT, f"pods/default/{name}") if data[1] != "Scheduled"]


def test_the_time_a_pod_has_is_not_moved_by_a_second_taint(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    shorter = {**_FOR_6_S, "key": "other", "tolerationSeconds": 1}

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1", tolerations=[_FOR_6_S, shorter])
        await _taint_by_hand(cluster, "maint")
        await cluster.sleep(2)
        await _taint_by_hand(cluster, "maint", "other")
        assert await _evicted_after(cluster, "p", 10) == 4.0

    cluster.run(story())
    assert _told(cluster, "p") == ["Marking for deletion Pod default/p"]


def test_a_taint_that_is_not_tolerated_ends_the_time_a_pod_had(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1", tolerations=[_FOR_6_S])
        await _taint_by_hand(cluster, "maint")
        await cluster.sleep(2)
        await _taint_by_hand(cluster, "maint", "other")
        assert await _evicted_after(cluster, "p", 10) == 0.1

    cluster.run(story())
    assert _told(cluster, "p") == ["Cancelling deletion of Pod default/p", "Marking for deletion Pod default/p"]


def test_the_time_runs_on_when_the_node_is_deleted(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1", tolerations=[_FOR_6_S])
        await _taint_by_hand(cluster, "maint")
        await cluster.sleep(2)
        await cluster.client.delete(NODE, "n1")
        assert await _evicted_after(cluster, "p", 10) == 4.0

    cluster.run(story())


def test_terminating_pods_of_a_silent_node_go_when_it_is_out_of_service(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeName="n1", terminationGracePeriodSeconds=30)
        cluster.control.lose("n1")
        await _until_unknown(cluster, "n1")
        await _taint_by_hand(cluster, "node.kubernetes.io/out-of-service")
        await cluster.sleep(21)
        with pytest.raises(NotFound):
            await cluster.pod("p")

    cluster.run(story())


def test_a_pod_without_a_node_that_a_finalizer_keeps_is_failed(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _two_nodes(cluster)
        await cluster.add_pod("p", nodeSelector={"no": "where"})
        await cluster.client.patch(POD, "p", {"metadata": {"finalizers": ["example.test/keep"]}}, "default")
        await cluster.client.delete(POD, "p", "default")
        await cluster.sleep(21)
        assert (await cluster.pod("p"))["status"]["phase"] == "Failed"

    cluster.run(story())


def test_a_kubelet_tells_of_a_cordon_with_its_next_report_and_not_of_one_that_has_passed(
    hollow_cluster: Cluster,
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        follow_cordons(cluster.plane.nodes, cluster.presences)
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.sleep(14.9)
        await cluster.control.cordon("n1")
        await cluster.sleep(7)
        await cluster.control.uncordon("n1")
        await cluster.control.cordon("n1")
        await cluster.sleep(10)
        await cluster.control.uncordon("n1")
        await cluster.sleep(10)

    cluster.run(story())
    told = [(t, data[1]) for t, data in cluster.happened(Kind.EVENT, "nodes/n1") if "Schedulable" in data[1]]
    assert told == [(20.0, "NodeNotSchedulable"), (40.0, "NodeSchedulable")]
