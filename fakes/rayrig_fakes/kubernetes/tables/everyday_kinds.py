"""Columns of the built-in kinds that are looked at most: pods, Services, nodes, events, Deployments (K8-011)."""

from __future__ import annotations

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.tables.cells import WIDE_WORKLOAD, Cell, Column, age, first_few, or_none, pairs
from rayrig_fakes.kubernetes.tables.layouts import AGE, NAME, Layout, age_of


def row_conditions(pod: JsonObject) -> list[JsonObject]:
    """Remarks on a pod's row: it has ended."""
    phase = (pod.get("status") or {}).get("phase")
    message = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}.get(str(phase))
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}] if message else []


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
        age_of(obj, now),
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
        age_of(obj, now),
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
        age_of(obj, now),
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
        age_of(obj, now),
    ]


def _deployment_row(obj: JsonObject, now: int) -> list[Cell]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(obj, now),
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
        age_of(obj, now),
        ",".join(each.get("name", "") for each in containers),
        ",".join(each.get("image", "") for each in containers),
        pairs((spec.get("selector") or {}).get("matchLabels")),
    ]


LAYOUTS: dict[str, Layout] = {
    "pods": (
        [
            NAME,
            Column("Ready"),
            Column("Status"),
            Column("Restarts"),
            AGE,
            Column("IP", priority=1),
            Column("Node", priority=1),
            Column("Nominated Node", priority=1),
            Column("Readiness Gates", priority=1),
        ],
        _pod_row,
    ),
    "services": (
        [
            NAME,
            Column("Type"),
            Column("Cluster-IP"),
            Column("External-IP"),
            Column("Port(s)"),
            AGE,
            Column("Selector", priority=1),
        ],
        _service_row,
    ),
    "nodes": (
        [
            NAME,
            Column("Status"),
            Column("Roles"),
            AGE,
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
        [NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE],
        _slice_row,
    ),
    "namespaces": (
        [NAME, Column("Status"), AGE],
        lambda obj, now: [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), age_of(obj, now)],
    ),
    "configmaps": (
        [NAME, Column("Data"), AGE],
        lambda obj, now: [
            obj["metadata"]["name"],
            len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
            age_of(obj, now),
        ],
    ),
    "secrets": (
        [NAME, Column("Type"), Column("Data"), AGE],
        lambda obj, now: [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)],
    ),
    "leases.coordination.k8s.io": (
        [NAME, Column("Holder"), AGE],
        lambda obj, now: [
            obj["metadata"]["name"],
            (obj.get("spec") or {}).get("holderIdentity", ""),
            age_of(obj, now),
        ],
    ),
    "customresourcedefinitions.apiextensions.k8s.io": (
        [NAME, Column("Created At", "date")],
        lambda obj, now: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")],
    ),
    "deployments.apps": (
        [NAME, Column("Ready"), Column("Up-to-date"), Column("Available"), AGE, *WIDE_WORKLOAD],
        _deployment_row,
    ),
    "replicasets.apps": (
        [
            NAME,
            Column("Desired", "integer"),
            Column("Current", "integer"),
            Column("Ready", "integer"),
            AGE,
            *WIDE_WORKLOAD,
        ],
        _replica_set_row,
    ),
}
