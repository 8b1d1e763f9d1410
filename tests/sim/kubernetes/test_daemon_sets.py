"""DaemonSets keep a pod on each node that fits, and replace them node by node."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resource_types import DAEMON_SET, NODE
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec
from rayrig_sim.kubernetes.taints import Taint

Workloads = Any


async def placed(workloads: Workloads) -> dict[str, str]:
    """Image by node."""
    return {
        pod["spec"].get("nodeName", ""): pod["spec"]["containers"][0]["image"]
        for pod in await workloads.pods()
        if not pod["metadata"].get("deletionTimestamp")
    }


@pytest.mark.accepts("K8-079")
def test_each_node_that_fits_gets_a_pod(workloads: Workloads) -> None:
    async def story() -> None:
        tainted = NodeSpec("n3", taints=(Taint("dedicated", "", "NoSchedule"),))
        await workloads.cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"), tainted)
        await workloads.create(DAEMON_SET, "d")
        assert sorted(await placed(workloads)) == ["n1", "n2"]
        await workloads.cluster.add_nodes(NodeSpec("n4"))
        await workloads.settle()
        assert sorted(await placed(workloads)) == ["n1", "n2", "n4"]
        await workloads.run_all()
        status = (await workloads.get(DAEMON_SET, "d"))["status"]
        fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberMisscheduled")
        assert [status[each] for each in fields] == [3, 3, 3, 0]

    workloads.cluster.run(story())


def test_a_node_that_no_longer_fits_loses_its_pod(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_nodes(NodeSpec("n1", labels={"disk": "ssd"}), NodeSpec("n2"))
        spec = {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "main", "image": "app:1"}]}
        await workloads.create(DAEMON_SET, "d", template={"metadata": {"labels": {"app": "a"}}, "spec": spec})
        assert list(await placed(workloads)) == ["n1"]
        await workloads.client.patch(NODE, "n1", {"metadata": {"labels": {"disk": None}}}, patch_type="merge")
        await workloads.settle()
        assert await placed(workloads) == {}

    workloads.cluster.run(story())


def test_an_update_takes_one_available_pod_after_the_other(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"))
        await workloads.create(DAEMON_SET, "d")
        await workloads.run_all()
        change = {"spec": {"containers": [{"name": "main", "image": "app:2"}], "terminationGracePeriodSeconds": 0}}
        await workloads.change(DAEMON_SET, "d", template=change)
        assert sum(image == "app:1" for image in (await placed(workloads)).values()) == 1

    workloads.cluster.run(story())


async def images_by_node(workloads: Workloads) -> dict[str, list[str]]:
    """Of pods that are not on their way out."""
    found: dict[str, list[str]] = {}
    for pod in await workloads.pods():
        if not pod["metadata"].get("deletionTimestamp"):
            image = pod["spec"]["containers"][0]["image"]
            found.setdefault(pod["spec"].get("nodeName", ""), []).append(image)
    return {node: sorted(images) for node, images in sorted(found.items())}


#: So that deleted pods are gone at once: nobody ends them in a hollow cluster.
SECOND = {"spec": {"containers": [{"name": "main", "image": "app:2"}], "terminationGracePeriodSeconds": 0}}
FIRST = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {"containers": [{"name": "main", "image": "app:1"}], "terminationGracePeriodSeconds": 0},
}


@pytest.mark.parametrize("most", [1, "50%"])
def test_with_a_surge_the_new_pod_comes_before_the_old_one_goes(workloads: Workloads, most: Any) -> None:
    async def story() -> None:
        await workloads.cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"))
        strategy = {"rollingUpdate": {"maxSurge": most, "maxUnavailable": 0}}
        await workloads.create(DAEMON_SET, "d", template=FIRST, updateStrategy=strategy)
        await workloads.run_all()
        await workloads.change(DAEMON_SET, "d", template=SECOND)
        both, old = ["app:1", "app:2"], ["app:1"]
        assert sorted((await images_by_node(workloads)).values()) == [old, both]
        await workloads.settle(60)
        assert sorted((await images_by_node(workloads)).values()) == [old, both]
        status = (await workloads.get(DAEMON_SET, "d"))["status"]
        fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable")
        assert [status[each] for each in fields] == [2, 2, 2, 2]
        await workloads.run_all()
        assert sorted((await images_by_node(workloads)).values()) == [both, ["app:2"]]
        await workloads.run_all()
        assert await images_by_node(workloads) == {"n1": ["app:2"], "n2": ["app:2"]}
        assert (await workloads.get(DAEMON_SET, "d"))["status"]["updatedNumberScheduled"] == 2

    workloads.cluster.run(story())


def test_a_surge_goes_at_once_where_the_old_pod_is_not_available(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"), NodeSpec("n3"))
        strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await workloads.create(DAEMON_SET, "d", template=FIRST, updateStrategy=strategy)
        await workloads.change(DAEMON_SET, "d", template=SECOND)
        # None of the old ones was ready: each is replaced, and none has to wait for another.
        assert await images_by_node(workloads) == {"n1": ["app:2"], "n2": ["app:2"], "n3": ["app:2"]}

    workloads.cluster.run(story())
