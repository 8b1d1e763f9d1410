"""Jobs handed to the dashboard of a running cluster (kuberay-apiserver 10 and 14; AS-059)."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from rayrig.apiserver.job_submission.details import info_of, printed
from rayrig.apiserver.job_submission.request_body import request_body
from rayrig.apiserver.wire.errors import CallError
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_fakes.dashboard.jobs import Jobs
from tests.apiserver.in_process import C1, Stage

OF_C1 = "/apis/v1/namespaces/default/jobsubmissions/c1"
HEAD = "http://c1-head-svc.default.svc.cluster.local:8265"


def with_dashboard() -> Stage:
    """`c1` is ready and has a Ray dashboard."""
    stage = Stage()
    stage.has_ready_cluster()
    jobs = Jobs(stage.kernel, Random(0))

    def answer(method: str, url: str, body: bytes) -> HttpResponse:
        parts = urlsplit(url)
        assert url.startswith(HEAD)
        _, _, _, job_id, *action = parts.path.split("/")
        match method, job_id, action:
            case "POST", "", _:
                return jobs.submit(HttpRequest(method, parts.path, body=body))
            case "GET", "", _:
                return jobs.list()
            case "GET", _, ["logs"]:
                return jobs.logs(job_id)
            case "GET", _, _:
                return jobs.get(job_id)
            case "POST", _, ["stop"]:
                return jobs.stop(job_id)
        return jobs.delete(job_id)

    stage.elsewhere.answer = answer
    return stage


def answered(status: int, text: str) -> Stage:
    """`c1` is ready, and its dashboard answers everything so."""
    stage = Stage()
    stage.has_ready_cluster()
    stage.elsewhere.answer = lambda method, url, body: HttpResponse(status, text.encode())
    return stage


def calls() -> list[tuple[str, str, JsonObject | None]]:
    return [
        ("POST", OF_C1, {"entrypoint": "true"}),
        ("GET", OF_C1, None),
        ("GET", f"{OF_C1}/one", None),
        ("GET", f"{OF_C1}/log/one", None),
        ("POST", f"{OF_C1}/one", None),
        ("DELETE", f"{OF_C1}/one", None),
    ]


@pytest.mark.accepts("AS-059")
def test_a_job_from_submission_to_deletion() -> None:
    stage = with_dashboard()
    submission = {
        "entrypoint": "echo hello",
        "submissionId": "one",
        "metadata": {"a": "b"},
        "runtimeEnv": "pip:\n- requests\nenv_vars:\n  x: '1'\n",
        "entrypointNumCpus": 1.5,
        "entrypointResources": {"special": "0.1", "whole": "2"},
    }
    assert stage.told("POST", OF_C1, submission) == (200, {"submissionId": "one"})
    assert json.loads(stage.elsewhere.log[0][3]) == {
        "entrypoint": "echo hello",
        "submission_id": "one",
        "metadata": {"a": "b"},
        "runtime_env": {"pip": ["requests"], "env_vars": {"x": "1"}},
        "entrypoint_num_cpus": 1.5,
        "entrypoint_resources": {"special": 0.1, "whole": 2},
    }
    pending = {
        "entrypoint": "echo hello",
        "submissionId": "one",
        "status": "PENDING",
        "message": "Job has not started yet.",
        "startTime": "1767225600000",
        "metadata": {"a": "b"},
        "runtimeEnv": {"pip": "[requests]", "env_vars": "map[x:1]"},
    }
    assert stage.told("GET", OF_C1) == (200, {"submissions": [pending]})
    stage.kernel.run(until_s=3)
    over = {"status": "SUCCEEDED", "message": "Job finished successfully.", "endTime": "1767225602500"}
    assert stage.told("GET", f"{OF_C1}/one") == (200, pending | over)
    status, told = stage.told("GET", f"{OF_C1}/log/one")
    assert status == 200
    assert "hello\n" in told["log"]
    # There is nothing to stop any more, which is no error.
    assert stage.told("POST", f"{OF_C1}/one", {}) == (200, {})
    assert stage.told("DELETE", f"{OF_C1}/one") == (200, {})
    assert stage.told("GET", OF_C1) == (200, {})
    assert {urlsplit(url).netloc for _, _, url, _ in stage.elsewhere.log} == {urlsplit(HEAD).netloc}


@pytest.mark.accepts("AS-059")
@pytest.mark.parametrize("state", ["", "suspended", "failed"])
def test_a_cluster_that_is_not_ready_is_not_asked(state: str) -> None:
    stage = Stage()
    stage.has_ready_cluster()
    path = "/apis/ray.io/v1/namespaces/default/rayclusters/c1/status"
    merge = {"content-type": "application/merge-patch+json"}
    assert stage.ask("PATCH", path, {"status": {"state": state}}, merge).status == 200
    for method, target, body in calls():
        assert stage.told(method, target, body) == (500, {"code": 2, "message": "cluster is not ready"})
    assert stage.elsewhere.log == []


def test_without_the_cluster_the_errors_are_those_of_reading_it() -> None:
    stage = Stage()
    stage.has_template()
    for method, target, body in calls():
        status, told = stage.told(method, target, body)
        assert (status, told["code"]) == (404, 5)
        assert told["message"].startswith("Cluster c1 not found: Get cluster failed.: ")
    assert stage.told("GET", OF_C1.removesuffix("c1"))[0] == 400


def test_a_cluster_that_somebody_else_made_is_not_asked() -> None:
    stage = Stage()
    stage.has_ready_cluster()
    merge = {"content-type": "application/merge-patch+json"}
    label = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
    assert stage.ask("PATCH", "/apis/ray.io/v1/namespaces/default/rayclusters/c1", label, merge).status == 200
    status, told = stage.told("GET", OF_C1)
    assert (status, told["code"]) == (500, 2)
    assert "not managed by kuberay-apiserver" in told["message"]
    assert stage.elsewhere.log == []


def test_a_state_counts_in_any_case() -> None:
    stage = with_dashboard()
    path = "/apis/ray.io/v1/namespaces/default/rayclusters/c1/status"
    stage.ask("PATCH", path, {"status": {"state": "Ready"}}, {"content-type": "application/merge-patch+json"})
    assert stage.told("GET", OF_C1) == (200, {})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (2, "Job one does not exist on the cluster"),
        (3, 'JobSubmission.RayJob "one" not found'),
        (4, "invalid character 'J' looking for beginning of value"),
    ],
)
def test_a_job_that_is_not_there(call: int, message: str) -> None:
    method, target, body = calls()[call]
    assert with_dashboard().told(method, target, body) == (500, {"code": 2, "message": message})


def test_what_is_not_there_can_be_deleted() -> None:
    assert with_dashboard().told("DELETE", f"{OF_C1}/one") == (200, {})
    assert answered(500, "no").told("DELETE", f"{OF_C1}/one") == (200, {})


def test_a_job_still_at_work_that_could_not_be_stopped_is_an_error() -> None:
    stage = Stage()
    stage.has_ready_cluster()
    job = {"status": "RUNNING", "entrypoint": "x", "submission_id": "one", "start_time": 5}
    stage.elsewhere.answer = lambda method, url, body: HttpResponse.of_json(
        200, {"stopped": False} if method == "POST" else job
    )
    text = "failed to stop job: &{<nil> map[] map[] RUNNING x  one  5 0}"
    assert stage.told("POST", f"{OF_C1}/one") == (500, {"code": 2, "message": text})


@pytest.mark.parametrize(
    ("call", "status", "text", "message"),
    [
        (0, 400, "T", "SubmitJob fail: 400 Bad Request T"),
        (0, 200, "T", "SubmitJob fail: T"),
        (0, 200, '{"job_id": 5}', 'SubmitJob fail: {"job_id": 5}'),
        (
            0,
            500,
            "Please use a different submission_id.",
            "submission ID '' already used, Please use a different submission_id",
        ),
        (1, 404, "T", "ListJobs fail: 404 Not Found T"),
        (1, 200, "T", "GetJobInfo fail: T"),
        (1, 500, "T", "GetJobInfo fail: T"),
        (1, 200, "{}", "GetJobInfo fail: {}"),
        (2, 500, "T", "GetJobInfo fail: T"),
        (2, 200, '{"start_time": -1}', 'GetJobInfo fail: {"start_time": -1}'),
        (2, 200, "[]", "GetJobInfo fail: []"),
        (3, 200, "T", "GetJobLog fail: T"),
        (
            4,
            200,
            '{"stopped": 1}',
            "json: cannot unmarshal number into Go struct field RayJobStopResponse.stopped of type bool",
        ),
        (4, 200, "[]", "json: cannot unmarshal array into Go value of type types.RayJobStopResponse"),
    ],
)
def test_answers_that_are_not_understood(call: int, status: int, text: str, message: str) -> None:
    method, target, body = calls()[call]
    assert answered(status, text).told(method, target, body) == (500, {"code": 2, "message": message})


def test_an_answer_is_waited_for_two_seconds() -> None:
    stage = with_dashboard()
    stage.elsewhere.takes_s = 5.0
    status, told = stage.told("GET", OF_C1)
    assert (status, told["code"]) == (500, 2)
    assert told["message"].startswith(f'Get "{HEAD}/api/jobs/": ')
    assert stage.kernel.monotonic_ns() == 2_000_000_000


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ({"runtimeEnv": "a: ["}, "yaml: line 1: did not find expected node content"),
        ({"runtimeEnv": "text"}, "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ({"entrypointResources": {"r": "x"}}, 'strconv.ParseFloat: parsing "x": invalid syntax'),
        ({"entrypointResources": {"r": "1e39"}}, 'strconv.ParseFloat: parsing "1e39": value out of range'),
        ({"entrypointResources": {"r": "1e999"}}, 'strconv.ParseFloat: parsing "1e999": value out of range'),
        ({"entrypointResources": {"r": " 1"}}, 'strconv.ParseFloat: parsing " 1": invalid syntax'),
    ],
)
def test_what_cannot_be_submitted_is_not_sent(submission: JsonObject, message: str) -> None:
    stage = with_dashboard()
    assert stage.told("POST", OF_C1, {"entrypoint": "x", **submission}) == (500, {"code": 2, "message": message})
    assert stage.elsewhere.log == []


@pytest.mark.accepts("AS-059")
def test_a_number_among_the_resources_is_refused_and_the_server_stays() -> None:
    stage = with_dashboard()
    status, told = stage.told("POST", OF_C1, {"entrypoint": "x", "entrypointResources": {"r": 1}})
    assert (status, told["code"]) == (400, 3)
    assert stage.told("POST", OF_C1, {"entrypoint": "x", "entrypointResources": {"r": "1"}})[0] == 200


def test_what_is_empty_is_not_sent() -> None:
    assert request_body({}) == {"entrypoint": ""}
    assert request_body({"runtimeEnv": "null", "entrypointNumCpus": -1.0}) == {"entrypoint": ""}


def test_what_ray_leaves_open_is_absent() -> None:
    environment = {"a": None, "n": 123456789, "f": 1e9, "x": {"k": [True, ""]}}
    told = info_of({"job_id": None, "metadata": None, "runtime_env": environment})
    assert {name: value for name, value in told.items() if value} == {
        "runtimeEnv": {"a": "<nil>", "n": "123456789", "f": "1e+09", "x": "map[k:[true ]]"}
    }


def test_an_error_type_is_printed() -> None:
    assert printed(info_of({"error_type": "E"})).startswith("&{E map[] map[]")


@pytest.mark.parametrize(
    "job", [None, [], {"status": 1}, {"metadata": {"a": 1}}, {"start_time": "1"}, {"end_time": True}]
)
def test_what_is_no_job(job: Any) -> None:
    with pytest.raises(ValueError):
        info_of(job)


def test_names_of_submissions_reach_the_dashboard_as_they_are() -> None:
    stage = answered(404, "")
    stage.told("GET", f"{OF_C1}/a%20b")
    assert stage.elsewhere.log[0][2] == f"{HEAD}/api/jobs/a%20b"


def test_the_service_name_is_not_shortened() -> None:
    stage = Stage()
    stage.has_template()
    name = "c" * 60
    assert stage.told("POST", "/apis/v1/namespaces/default/clusters", {**C1, "name": name})[0] == 200
    path = f"/apis/ray.io/v1/namespaces/default/rayclusters/{name}/status"
    stage.ask("PATCH", path, {"status": {"state": "ready"}}, {"content-type": "application/merge-patch+json"})
    stage.told("GET", f"/apis/v1/namespaces/default/jobsubmissions/{name}")
    assert stage.elsewhere.log[0][2].startswith(f"http://{name}-head-svc.default.svc")


def test_bad_amounts_name_the_first() -> None:
    with pytest.raises(CallError, match="ParseFloat"):
        request_body({"entrypointResources": {"a": "1", "b": ""}})
