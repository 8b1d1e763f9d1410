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
@pytest.mark.parametrize(("lost", "pause_s"), [(1, 10), (2, 20)])
def test_a_pod_that_is_deleted_has_failed_and_is_made_anew(hollow_cluster: Cluster, lost: int, pause_s: int) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, parallelism=2, completions=2)
        before = await cluster.names(POD)
        for name in before[:lost]:
            await cluster.client.delete(POD, name, "default")
        await cluster.sleep(pause_s - 1)
        assert len(await cluster.names(POD)) == 2 - lost
        assert (await job(cluster))["status"]["failed"] == lost
        await cluster.sleep(1)
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


async def bind(cluster: Cluster, pod: str) -> None:
    target = {"kind": "Node", "name": "nowhere"}
    await cluster.client.create_subresource(
        POD, pod, "binding", {"metadata": {"name": pod}, "target": target}, "default"
    )


def told(found: JsonObject) -> list[tuple[str, str]]:
    return [(each["type"], each["reason"]) for each in found["status"].get("conditions") or ()]


async def watch_statuses(cluster: Cluster, seen: list[JsonObject]) -> None:
    stream = await cluster.client.watch(JOB)
    while True:
        event = await stream.next()
        seen.append(event.object.get("status") or {})


def test_a_pod_is_noted_freed_of_its_finalizer_and_counted(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    seen: list[JsonObject] = []

    async def story() -> None:
        cluster.kernel.spawn("watch", watch_statuses(cluster, seen))
        await add_job(cluster, completions=2, parallelism=2)
        first, second = await cluster.names(POD)
        pod = await cluster.pod(first)
        assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
        seen.clear()
        await end(cluster, first, "Succeeded")
        assert "finalizers" not in (await cluster.pod(first))["metadata"]
        await end(cluster, second, "Succeeded")
        uids = [(await cluster.pod(name))["metadata"]["uid"] for name in (first, second)]
        steps = [
            (each.get("succeeded", 0), each.get("active", 0), each["uncountedTerminatedPods"].get("succeeded"))
            for each in seen
        ]
        assert steps == [(0, 1, uids[:1]), (1, 1, None), (1, 0, uids[1:]), (2, 0, None)]
        assert told(await job(cluster)) == [
            ("SuccessCriteriaMet", "CompletionsReached"),
            ("Complete", "CompletionsReached"),
        ]
        assert "Complete" not in [each["type"] for each in seen[2]["conditions"]]

    cluster.run(story())


def test_a_job_that_is_to_fail_has_failed_when_all_its_pods_are_gone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completions=2, parallelism=2, backoffLimit=0)
        names = await cluster.names(POD)
        for name in names:
            await bind(cluster, name)
        await end(cluster, names[0], "Failed")
        found = await job(cluster)
        assert told(found) == [("FailureTarget", "BackoffLimitExceeded")]
        status = found["status"]
        assert (status.get("active", 0), status["failed"], status["terminating"]) == (0, 2, 1)
        leaving = await cluster.pod(names[1])
        assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
        assert "finalizers" not in leaving["metadata"]
        await cluster.sleep(5)
        await cluster.client.delete(POD, names[1], "default", grace_period_seconds=0)
        await cluster.sleep(0.01)
        found = await job(cluster)
        assert told(found) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
        assert (found["status"]["failed"], found["status"]["terminating"]) == (2, 0)
        events = [data[1] for _, data in cluster.happened(Kind.EVENT, "jobs/default/j")]
        assert events == ["SuccessfulCreate"] * 2 + ["SuccessfulDelete", "BackoffLimitExceeded"]

    cluster.run(story())


def test_a_job_that_names_another_manager_is_left_alone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, managedBy="example.com/mine")
        await cluster.sleep(60)
        assert await cluster.names(POD) == []
        assert not (await job(cluster)).get("status")

    cluster.run(story())


def _failed_with(code: int) -> JsonObject:
    ended = {"exitCode": code, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"}
    container = {"name": "main", "image": "app:1", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Failed", "containerStatuses": [{**container, "state": {"terminated": ended}}]}


def test_a_rule_may_fail_the_job_at_once_or_leave_a_failure_uncounted(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster
    rules = [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
    ]

    async def fail(name: str, code: int) -> None:
        body = {"status": _failed_with(code)}
        await cluster.client.patch(POD, name, body, "default", patch_type="strategic", subresource="status")
        await cluster.sleep(0.01)

    async def story() -> None:
        await add_job(cluster, backoffLimit=0, podFailurePolicy={"rules": rules})
        (ignored,) = await cluster.names(POD)
        await fail(ignored, 7)
        found = await job(cluster)
        assert (told(found), found["status"].get("failed", 0), found["status"]["active"]) == ([], 0, 1)
        (fresh,) = (name for name in await cluster.names(POD) if name != ignored)
        await fail(fresh, 42)
        found = await job(cluster)
        assert told(found) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]
        message = f"Container main for pod default/{fresh} failed with exit code 42 matching FailJob rule at index 0"
        assert {each["message"] for each in found["status"]["conditions"]} == {message}

    cluster.run(story())


def test_where_only_failed_pods_are_replaced_one_that_is_being_stopped_is_waited_for(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, podReplacementPolicy="Failed")
        (name,) = await cluster.names(POD)
        await bind(cluster, name)
        await cluster.client.delete(POD, name, "default")
        await cluster.sleep(20)
        assert await cluster.names(POD) == [name]
        status = (await job(cluster))["status"]
        assert (status.get("failed", 0), status["terminating"]) == (0, 1)
        await end(cluster, name, "Failed")
        await cluster.sleep(10)
        assert (await job(cluster))["status"]["failed"] == 1
        assert len(await cluster.names(POD)) == 2

    cluster.run(story())


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_pods_of_a_deleted_job_go_with_it(hollow_cluster: Cluster, policy: str) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, parallelism=3)
        assert len(await cluster.names(POD)) == 3
        await cluster.client.delete(JOB, "j", "default", propagation_policy=policy)
        await cluster.sleep(2)
        assert await cluster.names(POD) == []
        assert await cluster.names(JOB) == []

    cluster.run(story())


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ({"succeededCount": 1}, ["2"]),
        ({"succeededIndexes": "0,2"}, ["2", "0"]),
        ({"succeededIndexes": "0-1", "succeededCount": 1}, ["2", "1"]),
    ],
)
def test_a_success_policy_ends_a_job_whose_other_pods_still_run(
    hollow_cluster: Cluster, rule: JsonObject, needed: list[str]
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await add_job(cluster, completionMode="Indexed", completions=3, parallelism=3, successPolicy={"rules": [rule]})
        pods: dict[str, str] = {}
        for name in await cluster.names(POD):
            await bind(cluster, name)
            pods[labels_of(await cluster.pod(name))["batch.kubernetes.io/job-completion-index"]] = name
        for index in needed:
            assert told(await job(cluster)) == []
            await end(cluster, pods.pop(index), "Succeeded")
        found = await job(cluster)
        assert told(found) == [("SuccessCriteriaMet", "SuccessPolicy")]
        assert (found["status"]["terminating"], found["status"].get("failed", 0)) == (len(pods), 0)
        for name in pods.values():
            await cluster.client.delete(POD, name, "default", grace_period_seconds=0)
        await cluster.sleep(0.01)
        found = await job(cluster)
        assert told(found) == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
        assert (found["status"]["succeeded"], found["status"].get("failed", 0)) == (len(needed), 0)

    cluster.run(story())
