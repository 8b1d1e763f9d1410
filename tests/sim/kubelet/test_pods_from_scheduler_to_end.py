"""A pod's life as everybody sees it: what is written in which order, its class, second deletions, and its Node's end."""

from __future__ import annotations

import pytest

from rayrig_core.objects import JsonObject, condition_of
from rayrig_core.resource_types import NODE
from rayrig_sim.calibration import Constant
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.scheduling.scheduler import Scheduler
from rayrig_sim.kubernetes.series_recorder import SeriesEventRecorder


def start_scheduler(node) -> None:
    kernel = node.kernel
    recorder = SeriesEventRecorder(kernel, node.connect("scheduler"), controller="default-scheduler")
    scheduler = Scheduler(
        kernel,
        node.connect("scheduler"),
        ObjectCaches(kernel, node.connect("scheduler"), component="scheduler"),
        recorder,
        latency=Constant(0.01),
        rng=kernel.streams.stream("scheduler"),
    )
    kernel.spawn("scheduler", scheduler.run())


async def make_schedulable(node) -> None:
    await node.sleep(1)
    await node.client.patch(NODE, "n1", {"spec": {"taints": None}}, patch_type="merge")


def seen_of(pod: JsonObject) -> tuple[str, str, dict[str, str]]:
    status = pod["status"]
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return status["phase"], pod["spec"].get("nodeName", ""), conditions


@pytest.mark.accepts("KL-001")
def test_a_pod_is_created_bound_reported_and_running_in_this_order_within_a_second(node):
    start_scheduler(node)
    node.play(lambda: make_schedulable(node), lambda: node.add_pod(nodeName=None), until_s=5)
    story = node.story(seen_of)
    unready = {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }
    assert [what for _, what in story][:2] == [("Pending", "", {}), ("Pending", "n1", {"PodScheduled": "True"})]
    assert story[2][1] in (
        ("Pending", "n1", unready),
        ("Pending", "n1", unready | {"PodReadyToStartContainers": "True"}),
    )
    assert story[-1][1] == ("Running", "n1", dict.fromkeys(unready, "True"))
    assert story[0][0] >= 1.0
    assert story[-1][0] <= 2.0
    waiting = [pod for _, _, _, pod in node.seen if seen_of(pod)[2].get("Ready") == "False"]
    assert {(condition_of(pod, "Ready") or {})["reason"] for pod in waiting} == {"ContainersNotReady"}


@pytest.mark.accepts("KL-009")
@pytest.mark.parametrize(
    ("resources", "qos_class"),
    [
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"memory": "1Gi"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_the_quality_of_service_class_follows_from_requests_and_limits(node, resources, qos_class):
    node.play(lambda: node.add_pod(container={"resources": resources}), until_s=3)
    assert [value for _, value in node.story(lambda pod: pod["status"]["qosClass"])] == [qos_class]
    assert seen_of(node.last())[0] == "Running"


@pytest.mark.accepts("KL-071")
@pytest.mark.parametrize(("first_s", "second_s", "killed_s", "graces"), [(12, 2, 17.0, [12, 1]), (4, 30, 9.0, [4])])
def test_a_second_deletion_does_not_change_when_the_container_is_killed(node, first_s, second_s, killed_s, graces):
    node.play(
        lambda: node.add_pod({"main": {"term": {"ignore": True}}}),
        lambda: node.sleep(5),
        lambda: node.delete(grace_s=first_s),
        lambda: node.sleep(3),
        lambda: node.delete(grace_s=second_s),
        until_s=40,
    )
    ended = [round(e.t_s, 3) for e in node.kernel.trace if "state=terminated" in e.line()]
    assert ended == [killed_s]
    told = [value for _, value in node.story(lambda pod: pod["metadata"].get("deletionGracePeriodSeconds"))]
    assert told == [None, *graces, 0]


@pytest.mark.accepts("KL-072")
def test_a_pod_that_no_node_takes_goes_as_soon_as_it_is_deleted(node):
    start_scheduler(node)
    node.play(
        lambda: make_schedulable(node),
        lambda: node.add_pod(nodeName=None, nodeSelector={"disk": "none"}),
        lambda: node.sleep(4),
        node.delete,
        until_s=20,
    )
    assert seen_of(node.last()) == ("Pending", "", {"PodScheduled": "False"})
    assert node.gone_s() == 5.0


def test_a_kubelet_whose_node_was_deleted_puts_it_together_for_each_status_it_makes(node):
    """As recorded: three times while a pod is being stopped, with the counts going on. The Node does not come back."""
    has_node = True
    node.kubelet = Kubelet(
        node.kernel,
        node.connect("kubelet/n1"),
        "n1",
        node.runtime,
        node.kernel.streams.stream("kubelet"),
        KubeletOptions(host_ip="10.0.0.1"),
        has_node=lambda: has_node,
    )

    async def delete_node() -> None:
        nonlocal has_node
        await node.client.delete(NODE, "n1")
        has_node = False

    node.play(
        lambda: node.add_pod({"main": {"term": {"after": 2}}}),
        lambda: node.sleep(5),
        delete_node,
        lambda: node.sleep(5),
        node.delete,
        until_s=30,
    )
    for reason in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"):
        assert [(round(t), count) for t, found, _, count in node.events if found == reason] == [
            (10, 1),
            (12, 2),
            (12, 3),
        ]
        assert node.texts(reason) == [f"Node n1 status is now: {reason}"]
    assert node.gone_s() is not None
