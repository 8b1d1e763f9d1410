"""The kinds of fault a world can be asked for, with their parameters, so that a wrong one is refused before a run begins.

A table of data only: what a fault does is the backend's business. Durations arrive in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rayrig_core.errors import InputError
from rayrig_core.remedies import closest


class ParamType(Enum):
    """How a parameter is written; the value is that in words."""

    TEXT = "a text"
    COUNT = "a whole number, 0 or more"
    NUMBER = "a number"
    FLAG = "true or false"
    DURATION = "a duration such as 30s"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a fault. Without `default` and not `required` it may be left out (None)."""

    doc: str
    type: ParamType = ParamType.TEXT
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault."""

    doc: str
    params: Mapping[str, Param]


_SERVICE = Param("RayService it concerns; may be left out when there is one only")
_NAMESPACE = Param("namespace of the RayService", default="default")
_CLUSTER = Param("which of its Ray clusters", default="active", choices=("active", "pending"))
_OF_CLUSTER = {"service": _SERVICE, "namespace": _NAMESPACE, "cluster": _CLUSTER}
_POD = {
    **_OF_CLUSTER,
    "pod": Param("pod by its name; otherwise one is chosen by role, group and index"),
    "role": Param("which pods of the cluster", default="worker", choices=("head", "worker")),
    "group": Param("worker group; any when left out"),
    "index": Param("which of the matching pods, in order of creation", ParamType.COUNT, 0),
}
_NODE = {
    "node": Param("node by its name; otherwise the node of the pod chosen by service, cluster, role, group and index"),
    **_POD,
}
_DURATION = Param("how long it lasts; until the end of the run when left out", ParamType.DURATION)
_API = {
    "actor": Param("whose calls (`operator`, `kubelet/node-0`, `scheduler`); everybody's when left out"),
    "verb": Param("get, list, watch, create, update, patch or delete; any when left out"),
    "resource": Param("plural of the resource (`pods`, `rayclusters`); any when left out"),
    "count": Param("how many calls, then no more; all when left out", ParamType.COUNT),
    "duration": _DURATION,
}

FAULTS: Mapping[str, FaultKind] = {
    "head-crash": FaultKind(
        "The head of a Ray cluster dies: its container, or the pod as a whole.",
        {**_OF_CLUSTER, "mode": Param("what dies", default="container", choices=("container", "pod"))},
    ),
    "pod-kill": FaultKind(
        "A pod is deleted.",
        {**_POD, "grace": Param("grace period; the pod's own when left out", ParamType.DURATION)},
    ),
    "container-kill": FaultKind(
        "A container of a pod dies and is restarted by its kubelet.",
        {
            **_POD,
            "container": Param("container by its name; the Ray container when left out"),
            "reason": Param("as it shows in the container status", default="Error", choices=("Error", "OOMKilled")),
        },
    ),
    "node-loss": FaultKind("A node stops answering, with all that runs on it.", {**_NODE}),
    "node-restore": FaultKind("A lost node comes back.", {"node": Param("node by its name", required=True)}),
    "node-drain": FaultKind(
        "A node is cordoned and its pods are evicted.",
        {**_NODE, "grace": Param("grace period; the pods' own when left out", ParamType.DURATION)},
    ),
    "image-pull-failure": FaultKind(
        "Pulls of an image fail.",
        {
            "image": Param("image, or a part of its name", required=True),
            "reason": Param("as it shows in the container status", default="ErrImagePull"),
            "duration": _DURATION,
        },
    ),
    "operator-crash": FaultKind(
        "The KubeRay operator dies and comes back with empty caches.",
        {"restart_after": Param("time until it is back", ParamType.DURATION, 10.0)},
    ),
    "api-error": FaultKind(
        "Calls to the Kubernetes API fail.",
        {
            **_API,
            "code": Param("HTTP status of the answer", ParamType.COUNT, 500),
            "reason": Param("reason of the Status", default="InternalError"),
            "after_effect": Param("the call takes effect, only the answer is lost", ParamType.FLAG, False),
        },
    ),
    "api-latency": FaultKind(
        "Calls to the Kubernetes API take longer.",
        {**_API, "delay": Param("by how much", ParamType.DURATION, required=True)},
    ),
    "api-stale-read": FaultKind(
        "Reads of the Kubernetes API are answered from an older state, as by a cache that lags.",
        {
            **_API,
            "verb": Param("get or list; both when left out"),
            "lag": Param("the state of so long ago", ParamType.DURATION),
            "changes": Param("without a lag: the state before so many changes of the resource", ParamType.COUNT, 1),
        },
    ),
    "replica-kill": FaultKind(
        "A Serve replica's process dies.",
        {
            **_OF_CLUSTER,
            "application": Param("Serve application", required=True),
            "deployment": Param("deployment of it", required=True),
            "index": Param("which of its replicas, in order of start", ParamType.COUNT, 0),
        },
    ),
    "proxy-kill": FaultKind("A Serve proxy's process dies; the controller starts another.", {**_POD}),
    "proxy-hang": FaultKind("A Serve proxy accepts connections and answers nothing.", {**_POD, "duration": _DURATION}),
    "dashboard-error": FaultKind(
        "The dashboard agent on the head answers every call with an error.",
        {**_OF_CLUSTER, "code": Param("HTTP status of the answer", ParamType.COUNT, 500), "duration": _DURATION},
    ),
    "gcs-kill": FaultKind(
        "The GCS's process on the head is told to stop, the others go on. The head's container ends when its raylet has waited for "
        "the GCS as long as it may: 60 s, or what RAY_gcs_rpc_server_reconnect_timeout_s says.",
        {**_OF_CLUSTER},
    ),
    "gcs-redis-loss": FaultKind(
        "The Redis behind a fault-tolerant GCS cannot be reached.", {**_OF_CLUSTER, "duration": _DURATION}
    ),
    "traffic-surge": FaultKind(
        "A traffic source sends more.",
        {
            "traffic": Param("name of the traffic; may be left out when there is one only"),
            "factor": Param("rate or clients times this", ParamType.NUMBER, 10.0),
            "duration": _DURATION,
        },
    ),
}


def checked(kind: str, params: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Parameters with defaults filled in and types checked; durations are numbers of seconds.

    Raises `InputError` for an unknown kind or parameter, a wrong type, and a missing one.
    """
    fault = FAULTS.get(kind)
    if fault is None:
        raise InputError(f'no fault is called "{kind}"', where=where, remedy=closest(kind, FAULTS))
    for name in params:
        if name not in fault.params:
            raise InputError(f'fault {kind} has no parameter "{name}"', where=where, remedy=closest(name, fault.params))
    result: dict[str, Any] = {}
    for name, param in fault.params.items():
        value = params.get(name)
        if value is None:
            if param.required:
                raise InputError(f'fault {kind} needs "{name}"', where=where, remedy=f"{name}: {param.doc}")
            value = param.default
        elif not _fits(value, param.type):
            raise InputError(f"{name} of fault {kind} is {value!r}", where=where, remedy=f"give {param.type.value}")
        elif param.choices and value not in param.choices:
            raise InputError(
                f"{name} of fault {kind} is {value!r}", where=where, remedy="one of: " + ", ".join(param.choices)
            )
        result[name] = value
    return result


def _fits(value: Any, kind: ParamType) -> bool:
    match kind:
        case ParamType.TEXT:
            return isinstance(value, str)
        case ParamType.FLAG:
            return isinstance(value, bool)
        case ParamType.COUNT:
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case ParamType.NUMBER | ParamType.DURATION:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
