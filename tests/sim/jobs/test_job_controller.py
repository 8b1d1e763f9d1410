"""Jobs get their pods and end as they should; times are exact in a cluster where everything else is instant."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject, has_condition, labels_of, name_of
from rayrig_core.resource_types import JOB, POD
from rayrig_core.timestamps import rfc3339
from rayrig_core.trace import Kind

Cluster = Any


async def add_job(cluster: Cluster, **spec: Any) -> JsonObject:
    container = {"name": "main", "image": "app:1"}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": template, **spec},
    }
    created: JsonObject = await cluster.client.create(JOB, job, "default")
    await cluster.sleep(0.01)
    return created


async def job(cluster: Cluster) -> JsonObject:
    found: JsonObject = await cluster.client.get(JOB, "j", "default")
    return found


async def end(cluster: Cluster, pod: str, phase: str) -> None:
    condition = {
        "type": "Ready",
        "status": "False",
        "lastTransitionTime": rfc3339(cluster.kernel.unix_ns()),
    }
    body = {"status": {"phase": phase, "conditions": [condition]}}
    await cluster.client.patch(POD, pod, body, "default", patch_type="strategic", subresource="status")
    await cluster.sleep(0.01)


@pytest.mark.accepts("K8-079")
def test_a_job_is_complete_when_its_pod_has_succeeded(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        created = await add_job(cluster)
        (name,) = await cluster.names(POD)
        pod = await cluster.pod(name)
        assert name.startswith("j-")
        assert labels_of(pod)["app"] == "a"
        assert labels_of(pod)["batch.kubernetes.io/job-name"] == "j"
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Job", created["metadata"]["uid"], True)
        status = (await job(cluster))["status"]
        assert (status["active"], status.get("succeeded", 0)) == (1, 0)
        await end(cluster, name, "Succeeded")
        over = await job(cluster)
        assert has_condition(over, "Complete")
        assert has_condition(over, "SuccessCriteriaMet")
        assert (over["status"].get("active", 0), over["status"]["succeeded"]) == (0, 1)
        assert over["status"]["completionTime"] == rfc3339(cluster.kernel.unix_ns())
        assert await cluster.names(POD) == [name]
        assert [data[1] for _, data in cluster.happened(Kind.EVENT, "jobs/default/j")] == [
            "SuccessfulCreate",
            "Completed",
        ]

    cluster.run(story())


def test_without_another_try_the_first_failure_ends_the_job(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, backoffLimit=0)
        (name,) = await cluster.names(POD)
        await end(cluster, name, "Failed")
        over = await job(cluster)
        assert has_condition(over, "Failed")
        assert has_condition(over, "FailureTarget")
        assert {condition["reason"] for condition in over["status"]["conditions"]} == {"BackoffLimitExceeded"}
        await cluster.sleep(60)
        assert await cluster.names(POD) == [name]

    cluster.run(story())


@pytest.mark.accepts("K8-079")
def test_a_failed_pod_is_replaced_after_a_pause_that_doubles(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, backoffLimit=2)
        known: list[str] = []
        pauses = []
        for _ in range(3):
            began = cluster.now_s
            while len(await cluster.names(POD)) == len(known):
                await cluster.sleep(0.5)
            pauses.append(round(cluster.now_s - began))
            (fresh,) = (name for name in await cluster.names(POD) if name not in known)
            known.append(fresh)
            await end(cluster, fresh, "Failed")
        assert pauses == [0, 10, 20]
        assert has_condition(await job(cluster), "Failed")

    cluster.run(story())


def test_the_deadline_ends_a_job_and_its_pods(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, activeDeadlineSeconds=30, parallelism=2, completions=3)
        assert len(await cluster.names(POD)) == 2
        await cluster.sleep(29)
        assert not has_condition(await job(cluster), "Failed")
        await cluster.sleep(2)
        over = await job(cluster)
        assert has_condition(over, "Failed")
        assert {condition["reason"] for condition in over["status"]["conditions"]} == {"DeadlineExceeded"}
        assert await cluster.names(POD) == [], "no node had taken them"

    cluster.run(story())


@pytest.mark.accepts("K8-079")
@pytest.mark.parametrize("lost", [1, 2])
def test_a_pod_that_is_deleted_is_made_anew(hollow_cluster: Cluster, lost: int) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, parallelism=2, completions=2)
        before = await cluster.names(POD)
        for name in before[:lost]:
            await cluster.client.delete(POD, name, "default")
        await cluster.sleep(0.01)
        after = await cluster.names(POD)
        assert len(after) == 2
        assert len(set(before) & set(after)) == 2 - lost
        assert {labels_of(await cluster.pod(name))["job-name"] for name in after} == {name_of(await job(cluster))}

    cluster.run(story())


def test_a_suspended_job_has_no_pods_and_begins_anew_when_it_goes_on(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster)
        await cluster.client.patch(JOB, "j", {"spec": {"suspend": True}}, "default", patch_type="merge")
        await cluster.sleep(1)
        found = await job(cluster)
        assert await cluster.names(POD) == []
        assert has_condition(found, "Suspended")
        assert "startTime" not in found["status"]
        await cluster.client.patch(JOB, "j", {"spec": {"suspend": False}}, "default", patch_type="merge")
        await cluster.sleep(1)
        found = await job(cluster)
        assert len(await cluster.names(POD)) == 1
        assert has_condition(found, "Suspended", "False")
        assert found["status"].get("failed", 0) == 0

    cluster.run(story())


def test_an_indexed_job_has_a_pod_for_each_index(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completionMode="Indexed", completions=4, parallelism=4)
        pods = {
            labels_of(await cluster.pod(name))["batch.kubernetes.io/job-completion-index"]: name
            for name in await cluster.names(POD)
        }
        assert sorted(pods) == ["0", "1", "2", "3"]
        assert (await cluster.pod(pods["2"]))["spec"]["hostname"] == "j-2"
        for index in ("0", "1", "3"):
            await end(cluster, pods[index], "Succeeded")
        assert (await job(cluster))["status"]["completedIndexes"] == "0,1,3"
        await end(cluster, pods["2"], "Succeeded")
        found = await job(cluster)
        assert found["status"]["completedIndexes"] == "0-3"
        assert has_condition(found, "Complete")

    cluster.run(story())


def test_a_finished_job_goes_after_its_time_to_live(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, ttlSecondsAfterFinished=30)
        (name,) = await cluster.names(POD)
        await end(cluster, name, "Succeeded")
        await cluster.sleep(28)
        assert await cluster.names(JOB) == ["j"]
        await cluster.sleep(3)
        assert await cluster.names(JOB) == []

    cluster.run(story())
