"""What the dashboard tells of a job, as the API tells it."""

from __future__ import annotations

from typing import Any

from rayrig.apiserver.wire.go_text import go_text
from rayrig_core.objects import Json, JsonObject

_TEXTS = {
    "entrypoint": "entrypoint",
    "job_id": "jobId",
    "submission_id": "submissionId",
    "status": "status",
    "message": "message",
    "error_type": "errorType",
}
_TIMES = {"start_time": "startTime", "end_time": "endTime"}
_PRINTED = (
    "metadata",
    "runtimeEnv",
    "status",
    "entrypoint",
    "jobId",
    "submissionId",
    "message",
    "startTime",
    "endTime",
)


def info_of(job: Json) -> JsonObject:
    """`JobSubmissionInfo`, each field filled. Raises `ValueError` for what is no description of a job."""
    if not isinstance(job, dict):
        raise ValueError("no object")
    info: JsonObject = {ours: _as(str, job.get(theirs), "") for theirs, ours in _TEXTS.items()}
    for theirs, ours in _TIMES.items():
        info[ours] = _as(int, job.get(theirs), 0)
        if info[ours] < 0:
            raise ValueError("a time is negative")
    info["metadata"] = {key: _as(str, value, "") for key, value in _as(dict, job.get("metadata"), {}).items()}
    info["runtimeEnv"] = {key: go_text(value) for key, value in _as(dict, job.get("runtime_env"), {}).items()}
    return info


def infos_of(jobs: Json) -> list[JsonObject]:
    """The same of a list. Raises `ValueError`."""
    return [info_of(job) for job in _as(list, jobs, [])]


def printed(info: JsonObject) -> str:
    """The whole as Go prints it in an error's text."""
    return f"&{{{info['errorType'] or '<nil>'} {' '.join(go_text(info[name]) for name in _PRINTED)}}}"


def _as(kind: type, value: Json, empty: Any) -> Any:
    if value is None:
        return empty
    if type(value) is not kind:
        raise ValueError(f"no {kind.__name__}")
    return value
