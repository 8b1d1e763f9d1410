"""The calls: submit, list, read, log, stop and delete."""

from __future__ import annotations

import json
from urllib.parse import quote

from rayrig.apiserver.head_dashboard import HeadDashboard, head_dashboard, is_success, status_line
from rayrig.apiserver.job_submission import messages
from rayrig.apiserver.job_submission.details import info_of, infos_of, printed
from rayrig.apiserver.job_submission.go_kinds import go_kind
from rayrig.apiserver.job_submission.request_body import request_body
from rayrig.apiserver.wire import gojson
from rayrig.apiserver.wire.errors import plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Handler, Route
from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient

_PORT = 8265
_TIMEOUT_S = 2.0
_JOBS = "/api/jobs/"
_TERMINAL = ("STOPPED", "SUCCEEDED", "FAILED")
_OF_CLUSTER = "/apis/v1/namespaces/{namespace}/jobsubmissions/{clustername}"
_OF_JOB = _OF_CLUSTER + "/{submissionid}"
_SERVICE = "RayJobSubmissionService"


class JobSubmissions:
    """Passes submissions on to clusters' dashboards; keeps nothing. `get_cluster` is the call that reads a cluster."""

    def __init__(self, get_cluster: Handler, http: HttpClient) -> None:
        self._get_cluster = get_cluster
        self._http = http

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "POST",
                _OF_CLUSTER,
                f"{_SERVICE}.SubmitRayJob",
                messages.SUBMIT_REQUEST,
                messages.SUBMIT_REPLY,
                self.submit,
                body="jobsubmission",
            ),
            Route(
                "GET",
                _OF_JOB,
                f"{_SERVICE}.GetJobDetails",
                messages.GET_REQUEST,
                messages.JOB_SUBMISSION_INFO,
                self.get,
            ),
            Route(
                "GET",
                _OF_CLUSTER + "/log/{submissionid}",
                f"{_SERVICE}.GetJobLog",
                messages.GET_LOG_REQUEST,
                messages.GET_LOG_REPLY,
                self.get_log,
            ),
            Route(
                "GET",
                _OF_CLUSTER,
                f"{_SERVICE}.ListJobDetails",
                messages.LIST_REQUEST,
                messages.LIST_REPLY,
                self.list,
            ),
            Route("POST", _OF_JOB, f"{_SERVICE}.StopRayJob", messages.STOP_REQUEST, EMPTY, self.stop),
            Route("DELETE", _OF_JOB, f"{_SERVICE}.DeleteRayJob", messages.DELETE_REQUEST, EMPTY, self.delete),
        )

    async def submit(self, request: JsonObject) -> JsonObject:
        """The dashboard's answer names the submission, also one without an id of its own."""
        dashboard = await self._dashboard(request)
        body = request_body(request.get("jobsubmission", {}))
        answer = await dashboard.send("POST", _JOBS, json.dumps(body, separators=(",", ":")).encode())
        text = _text(answer)
        if answer.status == 500 and "Please use a different submission_id" in text:
            used = body.get("submission_id", "")
            raise plain(f"submission ID '{used}' already used, Please use a different submission_id")
        if not is_success(answer):
            raise plain(f"SubmitJob fail: {status_line(answer)} {text}")
        return {"submissionId": _text_field(answer, "job_id", "SubmitJob")}

    async def get(self, request: JsonObject) -> JsonObject:
        return await self._info(await self._dashboard(request), request)

    async def get_log(self, request: JsonObject) -> JsonObject:
        """All of it, from the beginning."""
        answer = await (await self._dashboard(request)).send("GET", f"{_path(request)}/logs")
        if answer.status == 404:
            raise plain(f'JobSubmission.RayJob "{request.get("submissionid", "")}" not found')
        return {"log": _text_field(answer, "logs", "GetJobLog")}

    async def list(self, request: JsonObject) -> JsonObject:
        """A dashboard that knows no jobs (404) is an error; KubeRay's server dies of it."""
        answer = await (await self._dashboard(request)).send("GET", _JOBS)
        if answer.status == 404:
            raise plain(f"ListJobs fail: {status_line(answer)} {_text(answer)}")
        try:
            return {"submissions": infos_of(gojson.parse(answer.body))}
        except ValueError:
            raise plain(f"GetJobInfo fail: {_text(answer)}") from None

    async def stop(self, request: JsonObject) -> JsonObject:
        """That there was nothing to stop is an error only as long as the job hasn't ended."""
        dashboard = await self._dashboard(request)
        if not _is_stopped(await dashboard.send("POST", f"{_path(request)}/stop")):
            info = await self._info(dashboard, request)
            if info["status"] not in _TERMINAL:
                raise plain(f"failed to stop job: {printed(info)}")
        return {}

    async def delete(self, request: JsonObject) -> JsonObject:
        """Whatever the dashboard answers is taken for done."""
        await (await self._dashboard(request)).send("DELETE", _path(request))
        return {}

    async def _dashboard(self, request: JsonObject) -> HeadDashboard:
        return await head_dashboard(
            self._get_cluster,
            self._http,
            request.get("namespace", ""),
            request.get("clustername", ""),
            port=_PORT,
            timeout_s=_TIMEOUT_S,
        )

    async def _info(self, dashboard: HeadDashboard, request: JsonObject) -> JsonObject:
        answer = await dashboard.send("GET", _path(request))
        if answer.status == 404:
            raise plain(f"Job {request.get('submissionid', '')} does not exist on the cluster")
        try:
            return info_of(gojson.parse(answer.body))
        except ValueError:
            raise plain(f"GetJobInfo fail: {_text(answer)}") from None


def _path(request: JsonObject) -> str:
    return _JOBS + quote(request.get("submissionid", ""), safe="/:@!$&'()*+,;=?")


def _text(answer: HttpResponse) -> str:
    return answer.body.decode(errors="replace")


def _text_field(answer: HttpResponse, name: str, call: str) -> str:
    """Empty where it is absent. Raises `CallError` when the answer isn't of that form."""
    try:
        value = gojson.parse(answer.body)
    except ValueError:
        value = ""
    found = value.get(name) if isinstance(value, dict) else value
    if found is None:
        return ""
    if not isinstance(value, dict) or not isinstance(found, str):
        raise plain(f"{call} fail: {_text(answer)}")
    return found


def _is_stopped(answer: HttpResponse) -> bool:
    """Raises `CallError` with the decoder's complaint."""
    try:
        value = gojson.parse(answer.body)
    except gojson.Malformed as malformed:
        raise plain(str(malformed)) from None
    found = value.get("stopped") if isinstance(value, dict) else value
    if not isinstance(value, dict | None):
        raise plain(f"json: cannot unmarshal {go_kind(value)} into Go value of type types.RayJobStopResponse")
    if not isinstance(found, bool | None):
        where = "Go struct field RayJobStopResponse.stopped of type bool"
        raise plain(f"json: cannot unmarshal {go_kind(found)} into {where}")
    return bool(found)
