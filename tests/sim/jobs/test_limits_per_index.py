"""Jobs with a limit of failures for each index: retries, annotations, indexes given up, and how such a Job ends."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject, annotations_of, condition_of, name_of
from rayrig_core.resource_types import JOB, POD
from rayrig_core.timestamps import rfc3339
from rayrig_sim.kubernetes.workloads.job_indexes import FAILURES, IGNORED_FAILURES, index_of, indexes, ranges

Cluster = Any


async def add_job(cluster: Cluster, **spec: Any) -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "restartPolicy": "Never"}}
    body = {"template": template, "completionMode": "Indexed", **spec}
    await cluster.client.create(JOB, {"metadata": {"name": "j"}, "spec": body}, "default")
    await cluster.sleep(0.01)


async def status(cluster: Cluster) -> JsonObject:
    return (await cluster.client.get(JOB, "j", "default"))["status"]  # type: ignore[no-any-return]


async def active(cluster: Cluster) -> dict[int, JsonObject]:
    """Pods that have not ended, by index."""
    pods = (await cluster.client.list(POD, "default")).items
    return {index_of(pod): pod for pod in pods if pod["status"].get("phase", "Pending") == "Pending"}


async def end(cluster: Cluster, pod: JsonObject, phase: str, code: int = 1) -> None:
    now = rfc3339(cluster.kernel.unix_ns())
    body: JsonObject = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}],
        "containerStatuses": [
            {
                "name": "main",
                "image": "app:1",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": {"exitCode": code if phase == "Failed" else 0, "finishedAt": now}},
            }
        ],
    }
    await cluster.client.patch(
        POD, name_of(pod), {"status": body}, "default", patch_type="strategic", subresource="status"
    )
    await cluster.sleep(0.01)


def test_each_index_has_its_own_tries_and_waits(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completions=2, parallelism=2, backoffLimitPerIndex=1)
        pods = await active(cluster)
        assert {index: annotations_of(pod)[FAILURES] for index, pod in pods.items()} == {0: "0", 1: "0"}
        await end(cluster, pods[0], "Failed")
        # Not counted before it is replaced, so that the number of its failures is not lost with it.
        now = await status(cluster)
        assert (now.get("failed", 0), now["active"], now["failedIndexes"]) == (0, 1, "")
        await cluster.sleep(9.9)
        assert list(await active(cluster)) == [1]
        await cluster.sleep(1.1)
        pods = await active(cluster)
        assert annotations_of(pods[0])[FAILURES] == "1"
        assert (await status(cluster))["failed"] == 1
        # The second failure is one too many for this index; the other goes on.
        await end(cluster, pods[0], "Failed")
        now = await status(cluster)
        assert (now["failed"], now["failedIndexes"], now["active"]) == (2, "0", 1)
        assert now.get("conditions") is None
        await end(cluster, pods[1], "Succeeded")
        over = await cluster.client.get(JOB, "j", "default")
        condition = condition_of(over, "Failed")
        assert condition is not None
        assert (condition["reason"], condition["message"]) == ("FailedIndexes", "Job has failed indexes")
        assert (over["status"]["completedIndexes"], over["status"]["failedIndexes"]) == ("1", "0")
        assert (over["status"]["succeeded"], over["status"]["failed"]) == (1, 2)
        assert all(not pod["metadata"].get("finalizers") for pod in (await cluster.client.list(POD, "default")).items)

    cluster.run(story())


def test_too_many_failed_indexes_end_the_job_and_its_pods(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completions=5, parallelism=5, backoffLimitPerIndex=0, maxFailedIndexes=1)
        pods = await active(cluster)
        await end(cluster, pods[3], "Failed")
        now = await status(cluster)
        assert (now["failedIndexes"], now["active"], now.get("conditions")) == ("3", 4, None)
        await end(cluster, pods[1], "Failed")
        await cluster.sleep(0.1)
        over = await cluster.client.get(JOB, "j", "default")
        condition = condition_of(over, "FailureTarget")
        assert condition is not None
        assert condition["reason"] == "MaxFailedIndexesExceeded"
        assert over["status"]["failedIndexes"] == "1,3"

    cluster.run(story())


def test_the_failure_policy_gives_an_index_up_or_lets_a_failure_pass(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    rules = [
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
    ]

    async def story() -> None:
        policy = {"rules": rules}
        await add_job(cluster, completions=2, parallelism=2, backoffLimitPerIndex=5, podFailurePolicy=policy)
        pods = await active(cluster)
        await end(cluster, pods[0], "Failed", 42)
        await end(cluster, pods[1], "Failed", 3)
        assert (await status(cluster))["failedIndexes"] == "0"
        await cluster.sleep(11)
        pods = await active(cluster)
        assert list(pods) == [1]
        assert (annotations_of(pods[1])[FAILURES], annotations_of(pods[1])[IGNORED_FAILURES]) == ("0", "1")
        assert (await status(cluster))["failed"] == 1
        # The wait grows with ignored failures, too.
        await end(cluster, pods[1], "Failed", 1)
        await cluster.sleep(19.5)
        assert await active(cluster) == {}
        await cluster.sleep(1.5)
        assert annotations_of((await active(cluster))[1])[FAILURES] == "1"

    cluster.run(story())


def test_an_index_that_waits_takes_a_place_of_the_parallelism(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completions=3, parallelism=1, backoffLimitPerIndex=1)
        await end(cluster, (await active(cluster))[0], "Failed")
        assert await active(cluster) == {}
        await cluster.sleep(11)
        pods = await active(cluster)
        assert list(pods) == [0]
        await end(cluster, pods[0], "Failed")
        assert list(await active(cluster)) == [1]

    cluster.run(story())


def test_ranges_of_indexes() -> None:
    assert indexes("0,1,3-5") == [0, 1, 3, 4, 5]
    assert ranges([0, 1, 3, 4, 5]) == "0,1,3-5"
    assert (indexes(""), ranges([])) == ([], "")
