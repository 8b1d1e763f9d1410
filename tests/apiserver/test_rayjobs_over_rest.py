"""Jobs of v1: what is stored of them, what is told of RayJobs, and what is refused (kuberay-apiserver 9)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig.apiserver.jobs import messages
from rayrig.apiserver.jobs.rayjob import job_of
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_JOB
from tests.apiserver.in_process import SPEC, Stage

JOBS = "/apis/v1/namespaces/default/jobs"
J1: JsonObject = {
    "name": "j1",
    "namespace": "default",
    "user": "ada",
    "version": "2.52.0",
    "entrypoint": "python x.py",
    "clusterSpec": SPEC,
}


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.has_template()
    return stage


def stored(stage: Stage, name: str = "j1") -> JsonObject:
    return stage.kube("get", RAY_JOB, name=name)


def test_a_job_is_stored_as_a_rayjob(stage: Stage) -> None:
    job = {
        **J1,
        "metadata": {"a": "b"},
        "runtimeEnv": "pip: [x]",
        "jobId": "own",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 60,
        "entrypointNumCpus": 1.1,
        "entrypointResources": '{"c": 1}',
        "activeDeadlineSeconds": 100,
    }
    assert stage.told("POST", JOBS, job)[0] == 200
    rayjob = stored(stage)
    assert rayjob["metadata"]["labels"] == {
        "ray.io/cluster-name": "j1",
        "ray.io/user": "ada",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/managed-by": "kuberay-apiserver",
    }
    assert rayjob["metadata"]["annotations"] == {"a": "b"}
    spec = rayjob["spec"]
    assert spec.pop("rayClusterSpec")["rayVersion"] == "2.52.0"
    assert spec == {
        "activeDeadlineSeconds": 100,
        "backoffLimit": 0,
        "entrypoint": "python x.py",
        "entrypointNumCpus": 1.1,
        "entrypointResources": '{"c": 1}',
        "jobId": "own",
        "metadata": {"a": "b"},
        "runtimeEnvYAML": "pip: [x]",
        "shutdownAfterJobFinishes": True,
        "submissionMode": "K8sJobMode",
        "ttlSecondsAfterFinished": 60,
    }


def test_what_a_job_asked_for_and_what_became_of_it_are_told(stage: Stage) -> None:
    made = stage.told("POST", JOBS, {**J1, "jobId": "own", "activeDeadlineSeconds": 9})[1]
    # The id is the status' to tell, the deadline nobody's.
    assert "jobId" not in made
    assert "activeDeadlineSeconds" not in made
    status = {
        "jobId": "j1-x",
        "jobStatus": "RUNNING",
        "jobDeploymentStatus": "Running",
        "message": "m",
        "startTime": "2026-01-02T03:04:05Z",
        "endTime": "2026-01-02T03:05:05Z",
        "rayClusterName": "j1-raycluster",
    }
    stage.kube("patch", RAY_JOB, {"status": status}, "j1", patch_type="merge", subresource="status")
    told = stage.told("GET", f"{JOBS}/j1")[1]
    assert told == made | status


def test_gpus_of_the_entrypoint_are_lost(stage: Stage) -> None:
    assert "entrypointNumGpus" not in stage.told("POST", JOBS, {**J1, "entrypointNumGpus": 1})[1]
    assert "entrypointNumGpus" not in stored(stage)["spec"]
    stage.kube("patch", RAY_JOB, {"spec": {"entrypointNumGpus": 0.5}}, "j1", patch_type="merge")
    assert stage.told("GET", f"{JOBS}/j1")[1]["entrypointNumGpus"] == 0.5


@pytest.mark.parametrize(
    ("submitter", "amounts", "told"),
    [
        ({"image": "i"}, {"cpu": "1", "memory": "1Gi"}, {"image": "i"}),
        ({"image": "i", "cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}, {"image": "i"}),
        ({"cpu": "500m"}, {"cpu": "500m", "memory": "1Gi"}, {"cpu": "500m"}),
        ({}, {"cpu": "1", "memory": "1Gi"}, {}),
    ],
)
def test_the_submitter_has_a_pod_template_and_tells_what_is_not_default(
    stage: Stage, submitter: JsonObject, amounts: JsonObject, told: JsonObject
) -> None:
    made = stage.told("POST", JOBS, {**J1, "jobSubmitter": submitter})[1]
    assert made["jobSubmitter"] == told
    template = stored(stage)["spec"]["submitterPodTemplate"]
    (container,) = template["spec"].pop("containers")
    assert template == {"metadata": {}, "spec": {"restartPolicy": "Never"}}
    assert container["name"] == "ray-job-submitter"
    assert container["resources"] == {"limits": amounts, "requests": amounts}
    assert container.get("image") == submitter.get("image")


def test_a_submitter_without_containers_is_told_empty() -> None:
    about = {"name": "j", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}
    rayjob = {"metadata": about, "spec": {"submitterPodTemplate": {"spec": {}}}}
    assert job_of(rayjob)["jobSubmitter"] == {}


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"name": ""}, 3, "Job name is empty. Please specify a valid value."),
        ({"user": ""}, 3, "User who create the job is empty. Please specify a valid value."),
        (
            {"namespace": "other"},
            3,
            "The namespace in the request is different from the namespace in the job definition.",
        ),
        ({"clusterSpec": None}, 3, "A ClusterSpec object is required. Please specify one."),
        (
            {"clusterSelector": {"a": "b"}, "clusterSpec": {}},
            3,
            "Cluster Spec Object requires HeadGroupSpec to be populated. Please specify one.",
        ),
        (
            {"jobSubmitter": {"cpu": "x"}},
            3,
            "cpu for ray job submitter x is not specified correctly: quantities must match",
        ),
        ({"jobSubmitter": {"memory": "1Xi"}}, 3, "memory for ray job submitter 1Xi is not specified correctly"),
        ({"name": "No_Name"}, 13, 'Failed to create a job for (default/own): RayJob.ray.io "No_Name" is invalid'),
    ],
)
def test_refused(stage: Stage, change: JsonObject, code: int, text: str) -> None:
    status, told = stage.told("POST", JOBS, {**J1, "jobId": "own", **change})
    assert (status, told["code"]) == (500 if code == 13 else 400, code)
    assert text in told["message"]
    assert stage.told("GET", JOBS) == (200, {})


def test_a_job_for_a_running_cluster_needs_none_of_its_own(stage: Stage) -> None:
    job = {**J1, "clusterSelector": {"ray.io/cluster": "c1"}}
    del job["clusterSpec"]
    status, told = stage.told("POST", JOBS, job)
    assert status == 200
    # The version is that of the job's own cluster.
    assert told.keys() == {"name", "namespace", "user", "entrypoint", "clusterSelector", "createdAt"}
    assert "rayClusterSpec" not in stored(stage)["spec"]


def test_a_cluster_beside_a_selector_is_not_checked(stage: Stage) -> None:
    group = {"groupName": "g", "minReplicas": 3, "maxReplicas": 1}
    spec = {**J1["clusterSpec"], "workerGroupSpec": [{**J1["clusterSpec"]["headGroupSpec"], **group}]}
    job = {**J1, "clusterSelector": {"ray.io/cluster": "c1"}, "clusterSpec": spec}
    assert stage.told("POST", JOBS, job)[0] == 200


def test_pages_of_all_namespaces(stage: Stage) -> None:
    selector: JsonObject = {"clusterSelector": {"a": "b"}, "clusterSpec": None}
    for namespace, name in (("default", "a"), ("default", "b"), ("team-b", "a")):
        job = {**J1, **selector, "name": name, "namespace": namespace}
        assert stage.told("POST", f"/apis/v1/namespaces/{namespace}/jobs", job)[0] == 200
    stage.kube("create", RAY_JOB, {"metadata": {"name": "foreign"}, "spec": {"entrypoint": "x"}})
    first = stage.told("GET", "/apis/v1/jobs?limit=2")[1]
    second = stage.told("GET", f"/apis/v1/jobs?limit=2&continue={first['continue']}")[1]
    assert [(job["namespace"], job["name"]) for job in first["jobs"] + second["jobs"]] == [
        ("default", "a"),
        ("default", "b"),
        ("team-b", "a"),
    ]
    assert "continue" not in second
    assert [job["name"] for job in stage.told("GET", "/apis/v1/namespaces/team-b/jobs")[1]["jobs"]] == ["a"]
    status, told = stage.told("GET", "/apis/v1/jobs?continue=garbage")
    assert (status, told["code"]) == (500, 2)
    assert told["message"].startswith(
        "List jobs failed.: List RayCluster failed in  with Limit 0 and ContinueToken garbage: "
    )


def test_a_job_that_somebody_else_made_is_let_alone(stage: Stage) -> None:
    stage.kube("create", RAY_JOB, {"metadata": {"name": "foreign"}, "spec": {"entrypoint": "x"}})
    for method in ("GET", "DELETE"):
        status, told = stage.told(method, f"{JOBS}/foreign")
        assert (status, told["code"]) == (500, 2)
        assert "RayCluster with name foreign not managed by kuberay-apiserver" in told["message"]
    assert stored(stage, "foreign")


def test_deletion(stage: Stage) -> None:
    stage.told("POST", JOBS, J1)
    stage.kube("patch", RAY_JOB, {"metadata": {"finalizers": ["a.b/c"]}}, "j1", patch_type="merge")
    assert stage.told("DELETE", f"{JOBS}/j1") == (200, {})
    assert stage.told("GET", f"{JOBS}/j1")[1]["deleteAt"] == "2026-01-01T00:00:00Z"
    stage.kube("patch", RAY_JOB, {"metadata": {"finalizers": None}}, "j1", patch_type="merge")
    for method, wrap in (("GET", "Get cluster failed."), ("DELETE", "Get job failure")):
        assert stage.told(method, f"{JOBS}/j1") == (
            404,
            {
                "code": 5,
                "message": f'Job j1 not found: {wrap}: NotFoundError: Job j1 not found: rayjobs.ray.io "j1" not found',
            },
        )


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_name_is_needed(stage: Stage, method: str) -> None:
    text = "job name is empty. Please specify a valid value."
    assert stage.told(method, f"{JOBS}/") == (400, {"code": 3, "message": f"{text}: Invalid input error: {text}"})


def test_the_message_has_the_fields_of_section_9() -> None:
    fields: list[Any] = [field.json_name for field in messages.RAY_JOB.fields]
    assert len(fields) == 25
    assert fields[16:21] == [
        "activeDeadlineSeconds",
        "createdAt",
        "deleteAt",
        "jobStatus",
        "jobDeploymentStatus",
    ]
