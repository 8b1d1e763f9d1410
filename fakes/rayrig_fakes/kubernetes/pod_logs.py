"""Logs of containers, as far as whoever models them can tell (`kubernetes-api.md` section 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status

#: The log of a container of a pod (name and pod given) so far.
PodLogs: TypeAlias = Callable[[JsonObject, str], str]


def pod_log(pod: JsonObject, container: str, logs: PodLogs | None) -> str:
    """What a container of a pod has written; nothing while it is on no node. Raises `ApiError` 400."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for each in spec.get("containers") or ()]
    if not container:
        if len(names) > 1:
            text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
            raise status.bad_request(text)
        container = names[0]
    elif container not in names + [each["name"] for each in spec.get("initContainers") or ()]:
        raise status.bad_request(f"container {container} is not valid for pod {name}")
    if not spec.get("nodeName"):
        return ""
    return logs(pod, container) if logs is not None else ""
