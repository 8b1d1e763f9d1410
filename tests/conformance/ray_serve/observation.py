"""One look at the status: flat tracks, and whether what a case waits for holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rayrig_backends.dashboard_differential.looks import Seen, flat
from rayrig_core.objects import JsonObject

_BUSY = ("DEPLOYING", "DELETING")
_LOOK_TIMEOUT_S = 30.0
_REQUEST_TIMEOUT_S = 10.0


class Asker(Protocol):
    async def request(self, given: JsonObject, *, timeout_s: float | None = None) -> JsonObject: ...


async def look(asker: Asker) -> Seen:
    """What the status says, flat: `app:A`, `dep:A/D`, `replicas:A/D`, ..."""
    answer = await asker.request(
        {"to": "dashboard", "method": "GET", "path": "/api/serve/applications/"}, timeout_s=_LOOK_TIMEOUT_S
    )
    if answer.get("status") != 200:
        return {"http": answer.get("status") or answer.get("error")}
    return flat(answer["body"])


async def is_met(asker: Asker, until: JsonObject, seen: Seen, first: Mapping[str, Any]) -> bool:
    """Whether a wait's condition holds; `first` is what was seen when the wait began."""
    if seen["http"] != 200 or until.get("http_error"):
        return seen["http"] != 200 and until.get("http_error") is True
    if not _holds(until, seen, first):
        return False
    if "request" not in until:
        return True
    answer = await asker.request(until["request"], timeout_s=_REQUEST_TIMEOUT_S)
    return all(answer.get(key) == value for key, value in until["answer"].items())


def _holds(until: JsonObject, seen: Seen, first: Mapping[str, Any]) -> bool:
    for prefix, wanted in (("app:", "apps"), ("replicas:", "replicas"), ("target:", "targets"), ("uc:", "user_config")):
        if any(seen.get(prefix + key) != value for key, value in until.get(wanted, {}).items()):
            return False
    if any(seen.get(f"dep:{k}", "none").split(" ")[0] != status for k, status in until.get("deployments", {}).items()):
        return False
    if any(seen.get(f"dead:{key}", 0) < count for key, count in until.get("dead", {}).items()):
        return False
    for key in until.get("new_replicas", []):
        ids = seen.get(f"ids:{key}")
        if not ids or set(ids) & set(first.get(f"ids:{key}") or ()):
            return False
    for key, part in until.get("messages", {}).items():
        if part not in (seen.get(("depmsg:" if "/" in key else "appmsg:") + key) or ""):
            return False
    if any(key in until and seen[key] != until[key] for key in ("proxies", "controller")):
        return False
    if "apps_are" in until and seen["apps"] != sorted(until["apps_are"]):
        return False
    if until.get("none_deploying"):
        statuses = [value for key, value in seen.items() if key.startswith("app:")]
        if not statuses or any(status in _BUSY for status in statuses):
            return False
    return not until.get("settled") or _is_settled(seen)


def _is_settled(seen: Seen) -> bool:
    """All replicas run, as many as the targets say."""
    counts = {key.removeprefix("replicas:"): value for key, value in seen.items() if key.startswith("replicas:")}
    return all(
        count == ({"RUNNING": seen[f"target:{key}"]} if seen[f"target:{key}"] else {}) for key, count in counts.items()
    )
