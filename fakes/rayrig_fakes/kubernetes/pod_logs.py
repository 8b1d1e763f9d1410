"""Reading the log of a container: who may, and from when on (`kubernetes-api.md` section 12)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.pod_streams import container_named, node_address
from rayrig_fakes.kubernetes.state import ServerState

_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


def pod_log(state: ServerState, pod: JsonObject, options: LogOptions) -> str:
    """The part of a container's log that is asked for; nothing while the pod is on no node.

    Raises `ApiError`: 400 for a container that is not there or does not run yet, 500 when nobody models the pod's node.
    """
    container = container_named(pod, options.container)
    meta = pod["metadata"]
    if not pod["spec"].get("nodeName"):
        return ""
    found = container_status(pod, container)
    if found is None:
        query = options.query()
        path = f"containerLogs/{meta['namespace']}/{meta['name']}/{container}" + (f"?{query}" if query else "")
        raise status.error(500, "", f'Get "https://{node_address(state, pod)}/{path}": {_nobody(state, pod)}')
    if options.previous:
        if not state.pod_logs.has_previous(meta["uid"], container) and not _ended_before(found):
            text = f'previous terminated container "{container}" in pod "{meta["name"]}" not found'
            raise status.bad_request(text)
    elif (waiting := (found.get("state") or {}).get("waiting")) is not None and not _ended_before(found):
        reason = waiting.get("reason") or "ContainerCreating"
        why = _WAITING.get(reason, reason)
        text = f'container "{container}" in pod "{meta["name"]}" is waiting to start: {why}'
        raise status.bad_request(text)
    return state.pod_logs.read(meta["uid"], container, options, state.now_unix_ns())


def container_status(pod: JsonObject, container: str) -> JsonObject | None:
    """What whoever models the pod says of one of its containers."""
    told = pod.get("status") or {}
    for part in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in told.get(part) or ():
            if each.get("name") == container:
                return dict(each)
    return None


def _ended_before(found: JsonObject) -> bool:
    return bool((found.get("lastState") or {}).get("terminated"))


def _nobody(state: ServerState, pod: JsonObject) -> str:
    return f"dial tcp {node_address(state, pod)}: connect: connection refused"
