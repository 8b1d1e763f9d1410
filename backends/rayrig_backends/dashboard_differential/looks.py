"""One look at the status of Serve: flat, so that what each value went through is a track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rayrig_backends.dashboard_differential.normal_form import normal_text
from rayrig_core.objects import JsonObject

Seen = dict[str, Any]
#: By name, `[[seconds, value], ...]`: an entry for each change that was seen.
Tracks = dict[str, list[list[Any]]]
#: Seen, but not kept as tracks: user configurations, ids of running replicas.
_UNTRACKED = ("uc:", "ids:")
_BUSY = ("DEPLOYING", "DELETING", "UPDATING", "UPSCALING", "DOWNSCALING")


def flat(body: JsonObject) -> Seen:
    """`app:A`, `dep:A/D`, `replicas:A/D`, ... of an answer about Serve's applications."""
    seen: Seen = {
        "http": 200,
        "controller": "up" if (body.get("controller_info") or {}).get("actor_id") else "none",
        "proxies": _counted(proxy["status"] for proxy in body.get("proxies", {}).values()),
        "target_capacity": body.get("target_capacity"),
        "apps": sorted(body.get("applications", {})),
    }
    for app, application in body.get("applications", {}).items():
        seen[f"app:{app}"] = application["status"]
        seen[f"appmsg:{app}"] = normal_text(application["message"])
        seen[f"route:{app}"] = application["route_prefix"]
        for name, deployment in application["deployments"].items():
            key = f"{app}/{name}"
            replicas = deployment["replicas"]
            seen[f"dep:{key}"] = f"{deployment['status']} {deployment['status_trigger']}"
            seen[f"depmsg:{key}"] = normal_text(deployment["message"])
            seen[f"target:{key}"] = deployment["target_num_replicas"]
            seen[f"replicas:{key}"] = _counted(replica["state"] for replica in replicas)
            seen[f"uc:{key}"] = (deployment.get("deployment_config") or {}).get("user_config")
            seen[f"ids:{key}"] = sorted(r["replica_id"] for r in replicas if r["state"] == "RUNNING")
            if deployment.get("recent_dead_replicas"):
                seen[f"dead:{key}"] = len(deployment["recent_dead_replicas"])
    return seen


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def tracked(tracks: Tracks, seen: Seen, t_s: float) -> None:
    """Note changes. What is no longer there becomes null; while there is no status nothing else is known."""
    for key in sorted(set(tracks) | {key for key in seen if not key.startswith(_UNTRACKED)}):
        value = seen.get(key)
        if (seen["http"] != 200 and key != "http") or (key not in tracks and value is None):
            continue
        track = tracks.setdefault(key, [])
        if not track or track[-1][1] != value:
            track.append([t_s, value])


def is_settled(seen: Seen) -> bool:
    """Nothing is under way: no application or deployment changes, no replica starts or stops, proxies are up."""
    for key, value in seen.items():
        if key.startswith(("app:", "dep:")) and value.split(" ")[0] in _BUSY:
            return False
        if key.startswith("replicas:") and set(value) - {"RUNNING"}:
            return False
    return not set(seen["proxies"]) - {"HEALTHY"}
