"""A Ray dashboard as far as recordings of job submission need one: jobs are kept, and never end by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rayrig_core.http import Failure, HttpFailure, HttpResponse

_HEAD_SERVICE = re.compile(r".+-head-svc\..+\.svc\.cluster\.local:8265")
_STARTED_MS, _STOPPED_MS = 1_700_000_000_123, 1_700_000_001_123


class JobDashboard:
    """Behind every head Service (port `HttpClient`). `asked`: each request with its answer."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self._jobs: dict[str, dict[str, Any]] = {}

    def forget(self) -> None:
        self.asked = []
        self._jobs = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        parts = urlsplit(url)
        if not _HEAD_SERVICE.fullmatch(parts.netloc):
            raise HttpFailure(Failure.UNRESOLVED, parts.netloc)
        sent = json.loads(body) if body else None
        status, answer = self._answer(method, parts.path.strip("/").split("/")[2:], sent)
        self.asked.append({"method": method, "path": parts.path, "body": sent, "status": status, "response": answer})
        return HttpResponse.text(status, answer) if isinstance(answer, str) else HttpResponse.of_json(status, answer)

    def _answer(self, method: str, path: list[str], sent: dict[str, Any]) -> tuple[int, Any]:
        if not path:
            return self._submit(sent) if method == "POST" else (200, list(self._jobs.values()))
        job = self._jobs.get(path[0])
        if job is None:
            return 404, f"Job {path[0]} does not exist"
        if method == "GET":
            return (200, {"logs": "line 1\nline 2\n"}) if len(path) > 1 else (200, job)
        if method == "POST":
            job.update(status="STOPPED", message="Job was intentionally stopped.", end_time=_STOPPED_MS)
            return 200, {"stopped": True}
        del self._jobs[path[0]]
        return 200, {"deleted": True}

    def _submit(self, sent: dict[str, Any]) -> tuple[int, Any]:
        name = sent.get("submission_id") or "raysubmit_fixed"
        if name in self._jobs:
            return 500, f"Traceback: Job with submission_id {name} already exists"
        self._jobs[name] = {
            "type": "SUBMISSION",
            "job_id": "01000000",
            "submission_id": name,
            "entrypoint": sent.get("entrypoint", ""),
            "status": "RUNNING",
            "message": "Job is currently running.",
            "error_type": None,
            "start_time": _STARTED_MS,
            "end_time": None,
            "metadata": sent.get("metadata") or {},
            "runtime_env": sent.get("runtime_env") or {},
        }
        return 200, {"job_id": name, "submission_id": name}
