"""The jobs API, as far as statuses and errors go (ray-serve.md 2.5). Entrypoints are not run: `sleep N` lasts, `exit N` fails,
`echo TEXT` prints, anything else succeeds at once. States follow the clock when somebody looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import Clock, RayClusterView
from rayrig_core.timestamps import NS, rfc3339
from rayrig_fakes.dashboard.answers import json_answer

_PENDING_NS = 2 * NS
_AGENT_PORT = 52365
_ID_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"
_STRINGS = ("submission_id", "job_id")
_FIELDS = (
    "entrypoint",
    "submission_id",
    "job_id",
    "runtime_env",
    "metadata",
    "entrypoint_num_cpus",
    "entrypoint_num_gpus",
    "entrypoint_memory",
    "entrypoint_resources",
    "entrypoint_label_selector",
)
_TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(slots=True)
class _Job:
    submission_id: str
    entrypoint: str
    metadata: JsonObject | None
    runtime_env: JsonObject | None
    submitted_ns: int
    unix_ns: int
    runs_ns: int
    exit_code: int
    stopped_ns: int | None = None


class Jobs:
    """Submitted jobs of one cluster. `cluster` tells whose agent runs them: the head's."""

    def __init__(self, clock: Clock, rng: Random, cluster: RayClusterView | None = None) -> None:
        self._clock = clock
        self._cluster = cluster
        self._rng = rng
        self._jobs: dict[str, _Job] = {}

    @property
    def running_count(self) -> int:
        return sum(self._status(job)[0] == "RUNNING" for job in self._jobs.values())

    @property
    def unix_ns(self) -> int:
        return self._clock.unix_ns()

    def list(self) -> HttpResponse:
        return json_answer([self._details(job) for job in self._jobs.values()])

    def submit(self, request: HttpRequest) -> HttpResponse:
        try:
            body: Json = request.json()
        except ValueError:
            return HttpResponse.text(500, "500 Internal Server Error\n\nServer got itself in trouble")
        problem = _problem(body)
        if problem:
            return _traceback(400, f"TypeError: {problem}")
        given = {name: value for name, value in body.items() if value is not None}
        submission_id = given.get("submission_id") or given.get("job_id") or self._new_id()
        if submission_id in self._jobs:
            inner = f"ValueError: Job with submission_id {submission_id} already exists. Please use a different submission_id."
            return _agent_failed(400, inner)
        if "/" in submission_id:
            path = f"/tmp/ray/session_latest/logs/job-driver-{submission_id}.log"
            return _agent_failed(500, f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")
        entrypoint = given["entrypoint"]
        lasts, code = re.search(r"\bsleep (\d+)", entrypoint), re.search(r"\bexit (\d+)", entrypoint)
        self._jobs[submission_id] = _Job(
            submission_id,
            entrypoint,
            given.get("metadata"),
            given.get("runtime_env"),
            self._clock.monotonic_ns(),
            self._clock.unix_ns(),
            (int(lasts[1]) if lasts else 0) * NS + NS // 2,
            int(code[1]) if code else 0,
        )
        return json_answer({"job_id": submission_id, "submission_id": submission_id})

    def get(self, job_id: str) -> HttpResponse:
        job = self._jobs.get(job_id)
        return json_answer(self._details(job)) if job is not None else _unknown(job_id)

    def logs(self, job_id: str) -> HttpResponse:
        job = self._jobs.get(job_id)
        if job is None:
            return _unknown(job_id)
        return json_answer({"logs": _log(job)})

    def stop(self, job_id: str) -> HttpResponse:
        job = self._jobs.get(job_id)
        if job is None:
            return _unknown(job_id)
        is_running = self._status(job)[0] not in _TERMINAL
        if is_running:
            job.stopped_ns = self._clock.monotonic_ns()
        return json_answer({"stopped": is_running})

    def delete(self, job_id: str) -> HttpResponse:
        job = self._jobs.get(job_id)
        if job is None:
            return _unknown(job_id)
        status = self._status(job)[0]
        if status not in _TERMINAL:
            text = f"Attempted to delete job '{job_id}', but it is in a non-terminal state {status}."
            return _agent_failed(500, f"RuntimeError: {text}")
        del self._jobs[job_id]
        return json_answer({"deleted": True})

    def _new_id(self) -> str:
        return "raysubmit_" + "".join(_ID_LETTERS[int(self._rng.random() * len(_ID_LETTERS))] for _ in range(16))

    def _status(self, job: _Job) -> tuple[str, str]:
        now_ns = self._clock.monotonic_ns()
        age_ns = now_ns - job.submitted_ns
        if job.stopped_ns is not None:
            return "STOPPED", "Job was intentionally stopped."
        if age_ns < _PENDING_NS:
            return "PENDING", "Job has not started yet."
        if age_ns < _PENDING_NS + job.runs_ns:
            return "RUNNING", "Job is currently running."
        if job.exit_code:
            return "FAILED", (
                f"Job entrypoint command failed with exit code {job.exit_code}, "
                f"last available logs (truncated to 20,000 chars):\n{_log(job)}"
            )
        return "SUCCEEDED", "Job finished successfully."

    def _details(self, job: _Job) -> JsonObject:
        status, message = self._status(job)
        states = self._cluster.node_states() if self._cluster is not None and status != "PENDING" else []
        head = next((state for state in states if state.get("is_head_node")), None)
        is_over = status in _TERMINAL
        ended_ns = job.stopped_ns if job.stopped_ns is not None else job.submitted_ns + _PENDING_NS + job.runs_ns
        start_ms = job.unix_ns // 1_000_000
        return {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": job.submission_id,
            "driver_info": None,
            "status": status,
            "entrypoint": job.entrypoint,
            "message": message,
            "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR" if status == "FAILED" else None,
            "start_time": start_ms,
            "end_time": start_ms + (ended_ns - job.submitted_ns) // 1_000_000 if is_over else None,
            "metadata": job.metadata,
            "runtime_env": job.runtime_env,
            "driver_agent_http_address": f"http://{head['node_ip']}:{_AGENT_PORT}" if head is not None else None,
            "driver_node_id": head["node_id"] if head is not None else None,
            "driver_exit_code": job.exit_code if is_over and status != "STOPPED" else None,
        }


def _log(job: _Job) -> str:
    """What its driver left: the manager's line, what the entrypoint printed, and the command, which is flushed last."""
    second = rfc3339(job.unix_ns).rstrip("Z").replace("T", " ")
    millisecond = job.unix_ns // 1_000_000 % 1000
    printed = re.match(r"echo +(.*)", job.entrypoint)
    return (
        f"{second},{millisecond:03d}\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
        + (f"{printed[1]}\n" if printed else "")
        + f"Running entrypoint for job {job.submission_id}: {job.entrypoint}\n"
    )


def _problem(body: Any) -> str:
    """What is wrong with a submission; empty when nothing is."""
    if not isinstance(body, dict):
        return f"JobSubmitRequest() argument after ** must be a mapping, not {type(body).__name__}"
    for name in body:
        if name not in _FIELDS:
            return f"JobSubmitRequest.__init__() got an unexpected keyword argument '{name}'"
    if body.get("entrypoint") is None:
        return "JobSubmitRequest.__init__() missing 1 required positional argument: 'entrypoint'"
    if not isinstance(body["entrypoint"], str):
        return f"entrypoint must be a string, got {type(body['entrypoint'])}"
    for name in _STRINGS:
        if body.get(name) is not None and not isinstance(body[name], str):
            return f"{name} must be a string if provided, got {type(body[name])}"
    for value in (body.get("metadata") or {}).values():
        if not isinstance(value, str):
            return f"metadata values must be strings, got {type(value)}"
    return ""


def _traceback(status: int, last_line: str) -> HttpResponse:
    return HttpResponse.text(
        status, f'Traceback (most recent call last):\n  File "job_head.py", in handle\n{last_line}\n'
    )


def _agent_failed(inner_status: int, last_line: str) -> HttpResponse:
    """The head passes on what a job agent answered."""
    inner = f'Traceback (most recent call last):\n  File "job_agent.py", in handle\n{last_line}\n'
    return _traceback(500, f"RuntimeError: Request failed with status code {inner_status}: {inner}.")


def _unknown(job_id: str) -> HttpResponse:
    return HttpResponse.text(404, f"Job {job_id} does not exist")
