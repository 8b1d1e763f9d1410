"""Tables as the server prints them: printer columns of custom resources, columns of built-in kinds (K8-011)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import jsonpath
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.table_cells import WIDE_WORKLOAD, Cell, Column, age, first_few, or_none, pairs
from rayrig_fakes.kubernetes.table_cells import human_duration as human_duration

Row: TypeAlias = "list[Cell]"

#: Cells of one object at a time (nanoseconds since the epoch).
_Row = Callable[[JsonObject, int], list[Cell]]

_NAME = Column("Name", format="name")
_AGE = Column("Age")


def table(served: Served, objects: Iterable[JsonObject], now_unix_ns: int) -> tuple[list[Column], list[list[Cell]]]:
    """Columns and one row per object, in the order given."""
    columns, row = layout(served)
    return columns, [row(obj, now_unix_ns) for obj in objects]


def layout(served: Served) -> tuple[list[Column], _Row]:
    """Columns of a resource and what makes a row of an object."""
    if served.rules.is_custom:
        return _custom_layout(served.columns)
    found = _BUILTIN.get(served.storage)
    if found is not None:
        return found
    # The rest is read in when somebody looks.
    from rayrig_fakes.kubernetes.table_kinds import LAYOUTS

    return LAYOUTS.get(served.storage, _PLAIN)


def row_conditions(pod: JsonObject) -> list[JsonObject]:
    """Remarks on a pod's row: it has ended."""
    phase = (pod.get("status") or {}).get("phase")
    message = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}.get(str(phase))
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}] if message else []


def _age(obj: JsonObject, now: int) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


# Custom resources


def _custom_layout(definitions: tuple[JsonObject, ...]) -> tuple[list[Column], _Row]:
    columns = [_NAME]
    readers: list[tuple[str, str]] = []
    for each in definitions:
        columns.append(
            Column(
                each["name"],
                each.get("type", "string"),
                each.get("format", ""),
                each.get("priority", 0),
                each.get("description")
                or f"Custom resource definition column (in JSONPath format): {each['jsonPath']}",
            )
        )
        readers.append((each["jsonPath"], each.get("type", "string")))
    if not definitions:
        columns.append(Column("Age", "date"))
        readers.append((".metadata.creationTimestamp", "date"))

    def row(obj: JsonObject, now: int) -> list[Cell]:
        return [obj["metadata"]["name"], *(_custom_cell(obj, path, kind, now) for path, kind in readers)]

    return columns, row


def _custom_cell(obj: JsonObject, path: str, kind: str, now: int) -> Cell:
    found = jsonpath.find(obj, path)
    if not found:
        return None
    value = found[0]
    if kind == "string":
        return _text(value)
    if kind == "date":
        return age(value, now)
    if kind == "integer":
        return int(value) if isinstance(value, (int, float)) else None
    if kind == "number":
        return float(value) if isinstance(value, (int, float)) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return None


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


# Built-in kinds


def _pod_row(obj: JsonObject, now: int) -> list[Cell]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    sidecars = [each.get("name") for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    begun, statuses = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    initialised = _condition(status, "Initialized") == "True"
    kept = [each for each in begun if each.get("name") in sidecars]
    if _init_status(spec, status) and not initialised:
        counted, ready = begun, 0
    else:
        counted = [*kept, *statuses]
        ready = sum(1 for each in statuses if each.get("ready") and "running" in (each.get("state") or {}))
    ready += sum(1 for each in kept if each.get("ready") and each.get("started"))
    gates = spec.get("readinessGates") or []
    passed = sum(1 for gate in gates if _condition(status, gate.get("conditionType")) == "True")
    addresses = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}",
        pod_status(obj),
        _restarts(counted, sum(each.get("restartCount", 0) for each in counted), now),
        _age(obj, now),
        or_none(addresses[0].get("ip")),
        or_none(spec.get("nodeName")),
        or_none(status.get("nominatedNodeName")),
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]


def _condition(status: JsonObject, kind: Json) -> str:
    return next((str(each.get("status")) for each in status.get("conditions") or () if each.get("type") == kind), "")


def _restarts(statuses: list[JsonObject], count: int, now: int) -> str:
    ended = [
        terminated["finishedAt"]
        for each in statuses
        if (terminated := (each.get("lastState") or {}).get("terminated")) and terminated.get("finishedAt")
    ]
    return f"{count} ({age(max(ended), now)} ago)" if count and ended else str(count)


def pod_status(obj: JsonObject) -> str:
    """What the STATUS column says: a phase, or the more telling reason of a container."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    initialising = _init_status(spec, status)
    if initialising:
        reason = initialising
    else:
        has_running = False
        for each in reversed(status.get("containerStatuses") or []):
            state = each.get("state") or {}
            waiting, terminated = state.get("waiting"), state.get("terminated")
            if waiting and waiting.get("reason"):
                reason = waiting["reason"]
            elif terminated is not None:
                reason = _terminated_reason(terminated)
            elif each.get("ready") and state.get("running") is not None:
                has_running = True
        if reason == "Completed" and has_running:
            conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
            reason = "Running" if conditions.get("Ready") == "True" else "NotReady"
    if obj["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _init_status(spec: JsonObject, status: JsonObject) -> str:
    """`Init:1/2` and the like while init containers are not done, else empty."""
    declared = spec.get("initContainers") or []
    sidecars = [each.get("name") for each in declared if each.get("restartPolicy") == "Always"]
    for index, each in enumerate(status.get("initContainerStatuses") or ()):
        state = each.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if each.get("name") in sidecars and each.get("started"):
            continue
        if terminated is not None:
            return f"Init:{_terminated_reason(terminated)}"
        if waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(declared)}"
    return ""


def _terminated_reason(terminated: JsonObject) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _service_row(obj: JsonObject, now: int) -> list[Cell]:
    spec = obj.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    ports = []
    for port in spec.get("ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}")
    return [
        obj["metadata"]["name"],
        kind,
        or_none(spec.get("clusterIP")),
        _external_address(obj, spec, kind),
        ",".join(ports) or "<none>",
        _age(obj, now),
        pairs(spec.get("selector")),
    ]


def _external_address(obj: JsonObject, spec: JsonObject, kind: str) -> str:
    fixed = ",".join(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return or_none(spec.get("externalName"))
    if kind == "LoadBalancer":
        given = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        found = ",".join(each.get("ip") or each.get("hostname") or "" for each in given)
        return ",".join(part for part in (found, fixed) if part) or "<pending>"
    return fixed or "<none>"


def _node_row(obj: JsonObject, now: int) -> list[Cell]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    words = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    role = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(
        [key.removeprefix(role) for key in labels if key.startswith(role) and key != role]
        + ([labels["kubernetes.io/role"]] if labels.get("kubernetes.io/role") else [])
    )
    addresses = {each.get("type"): each.get("address") for each in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        obj["metadata"]["name"],
        ",".join(words),
        ",".join(roles) or "<none>",
        _age(obj, now),
        info.get("kubeletVersion", ""),
        or_none(addresses.get("InternalIP")),
        or_none(addresses.get("ExternalIP")),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event_row(obj: JsonObject, now: int) -> list[Cell]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    kind = str(about.get("kind", "")).lower()
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about.get('name', '')}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        str(obj.get("message", obj.get("note", ""))).strip(),
        age(first, now),
        count,
        obj["metadata"]["name"],
    ]


def _slice_row(obj: JsonObject, now: int) -> list[Cell]:
    ports = [
        str(port["port"] if port.get("port") is not None else port.get("name") or "*")
        for port in obj.get("ports") or ()
    ]
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    return [
        obj["metadata"]["name"],
        obj.get("addressType", ""),
        first_few(ports, "<unset>"),
        first_few(addresses, "<unset>"),
        _age(obj, now),
    ]


def _deployment_row(obj: JsonObject, now: int) -> list[Cell]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        ",".join(each.get("name", "") for each in containers),
        ",".join(each.get("image", "") for each in containers),
        pairs((spec.get("selector") or {}).get("matchLabels")),
    ]


def _replica_set_row(obj: JsonObject, now: int) -> list[Cell]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        obj["metadata"]["name"],
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj, now),
        ",".join(each.get("name", "") for each in containers),
        ",".join(each.get("image", "") for each in containers),
        pairs((spec.get("selector") or {}).get("matchLabels")),
    ]


_PLAIN: tuple[list[Column], _Row] = (
    [_NAME, Column("Age")],
    lambda obj, now: [obj["metadata"].get("name", ""), _age(obj, now)],
)

_BUILTIN: dict[str, tuple[list[Column], _Row]] = {
    "pods": (
        [
            _NAME,
            Column("Ready"),
            Column("Status"),
            Column("Restarts"),
            _AGE,
            Column("IP", priority=1),
            Column("Node", priority=1),
            Column("Nominated Node", priority=1),
            Column("Readiness Gates", priority=1),
        ],
        _pod_row,
    ),
    "services": (
        [
            _NAME,
            Column("Type"),
            Column("Cluster-IP"),
            Column("External-IP"),
            Column("Port(s)"),
            _AGE,
            Column("Selector", priority=1),
        ],
        _service_row,
    ),
    "nodes": (
        [
            _NAME,
            Column("Status"),
            Column("Roles"),
            _AGE,
            Column("Version"),
            Column("Internal-IP", priority=1),
            Column("External-IP", priority=1),
            Column("OS-Image", priority=1),
            Column("Kernel-Version", priority=1),
            Column("Container-Runtime", priority=1),
        ],
        _node_row,
    ),
    "events": (
        [
            Column("Last Seen"),
            Column("Type"),
            Column("Reason"),
            Column("Object"),
            Column("Subobject", priority=1),
            Column("Source", priority=1),
            Column("Message"),
            Column("First Seen", priority=1),
            Column("Count", priority=1),
            Column("Name", format="name", priority=1),
        ],
        _event_row,
    ),
    "endpointslices.discovery.k8s.io": (
        [_NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), _AGE],
        _slice_row,
    ),
    "namespaces": (
        [_NAME, Column("Status"), _AGE],
        lambda obj, now: [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), _age(obj, now)],
    ),
    "configmaps": (
        [_NAME, Column("Data"), _AGE],
        lambda obj, now: [
            obj["metadata"]["name"],
            len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
            _age(obj, now),
        ],
    ),
    "secrets": (
        [_NAME, Column("Type"), Column("Data"), _AGE],
        lambda obj, now: [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or ()), _age(obj, now)],
    ),
    "leases.coordination.k8s.io": (
        [_NAME, Column("Holder"), _AGE],
        lambda obj, now: [
            obj["metadata"]["name"],
            (obj.get("spec") or {}).get("holderIdentity", ""),
            _age(obj, now),
        ],
    ),
    "customresourcedefinitions.apiextensions.k8s.io": (
        [_NAME, Column("Created At", "date")],
        lambda obj, now: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")],
    ),
    "deployments.apps": (
        [_NAME, Column("Ready"), Column("Up-to-date"), Column("Available"), _AGE, *WIDE_WORKLOAD],
        _deployment_row,
    ),
    "replicasets.apps": (
        [
            _NAME,
            Column("Desired", "integer"),
            Column("Current", "integer"),
            Column("Ready", "integer"),
            _AGE,
            *WIDE_WORKLOAD,
        ],
        _replica_set_row,
    ),
}
