"""Columns of the built-in kinds that are looked at less often than those in `table` (K8-011)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import parse_rfc3339
from rayrig_fakes.kubernetes.table_cells import (
    WIDE_WORKLOAD,
    Cell,
    Column,
    age,
    first_few,
    human_duration,
    or_none,
    pairs,
)

_NAME = Column("Name", format="name")
_AGE = Column("Age")
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}

_Cells = Callable[[JsonObject, int], "list[Cell]"]
Layout = tuple[list[Column], _Cells]


def _columns(*names: str) -> list[Column]:
    """`Name:type` each; a `+` before a name shows it in wide output only."""
    found = []
    for text in names:
        name, _, kind = text.removeprefix("+").partition(":")
        found.append(Column(name, kind or "string", priority=1 if text.startswith("+") else 0))
    return found


def _layout(columns: Sequence[Column], cells: _Cells) -> Layout:
    """Every row begins with the object's name."""

    def row(obj: JsonObject, now: int) -> list[Cell]:
        return [obj["metadata"].get("name", ""), *cells(obj, now)]

    return [_NAME, *columns], row


def _age(obj: JsonObject, now: int) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _spec(obj: JsonObject) -> JsonObject:
    return obj.get("spec") or {}


def _status(obj: JsonObject) -> JsonObject:
    return obj.get("status") or {}


def _containers(template: JsonObject) -> tuple[str, str]:
    containers = (template.get("spec") or {}).get("containers") or ()
    names = ",".join(each.get("name", "") for each in containers)
    return names, ",".join(each.get("image", "") for each in containers)


def selector_text(selector: JsonObject | None) -> str:
    """A label selector as it is written on a command line."""
    selector = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(expression.get("operator", ""), key)
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts)) or "<none>"


# Workloads


def _stateful_set(obj: JsonObject, now: int) -> list[Cell]:
    ready = _status(obj).get("readyReplicas", 0)
    return [f"{ready}/{_spec(obj).get('replicas', 1)}", _age(obj, now), *_containers(_spec(obj)["template"])]


def _daemon_set(obj: JsonObject, now: int) -> list[Cell]:
    counts, spec = _status(obj), _spec(obj)
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    template = spec["template"]
    return [
        *(counts.get(name, 0) for name in names),
        pairs((template.get("spec") or {}).get("nodeSelector")),
        _age(obj, now),
        *_containers(template),
        selector_text(spec.get("selector")),
    ]


def _replication_controller(obj: JsonObject, now: int) -> list[Cell]:
    counts, spec = _status(obj), _spec(obj)
    return [
        spec.get("replicas", 0),
        counts.get("replicas", 0),
        counts.get("readyReplicas", 0),
        _age(obj, now),
        *_containers(spec.get("template") or {}),
        pairs(spec.get("selector")),
    ]


def _job(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = _spec(obj), _status(obj)
    done, wanted, parallelism = state.get("succeeded", 0), spec.get("completions"), spec.get("parallelism") or 0
    if wanted is not None:
        completions = f"{done}/{wanted}"
    else:
        completions = f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"
    started, ended = state.get("startTime"), state.get("completionTime")
    duration = ""
    if started:
        until = parse_rfc3339(ended) if ended else now
        duration = human_duration(until - parse_rfc3339(started))
    return [
        _job_status(obj, state),
        completions,
        duration,
        _age(obj, now),
        *_containers(spec["template"]),
        selector_text(spec.get("selector")),
    ]


def _job_status(obj: JsonObject, state: JsonObject) -> str:
    conditions = {each.get("type"): each.get("status") == "True" for each in state.get("conditions") or ()}
    for kind in ("Complete", "Failed"):
        if conditions.get(kind):
            return kind
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next(
        (kind for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if conditions.get(kind)), "Running"
    )


def _cron_job(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = _spec(obj), _status(obj)
    job = spec["jobTemplate"].get("spec") or {}
    last = state.get("lastScheduleTime")
    return [
        spec.get("schedule", ""),
        or_none(spec.get("timeZone")),
        "<unset>" if spec.get("suspend") is None else str(bool(spec["suspend"])),
        len(state.get("active") or ()),
        age(last, now) if last else "<none>",
        _age(obj, now),
        *_containers(job.get("template") or {}),
        selector_text(job.get("selector")),
    ]


def _pod_template(obj: JsonObject, now: int) -> list[Cell]:
    template = obj.get("template") or {}
    return [*_containers(template), pairs((template.get("metadata") or {}).get("labels"))]


def _controller_revision(obj: JsonObject, now: int) -> list[Cell]:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), None)
    named = "<none>"
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        named = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [named, obj.get("revision", 0), _age(obj, now)]


def _budget(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    bounds = ["N/A" if spec.get(part) is None else str(spec[part]) for part in ("minAvailable", "maxUnavailable")]
    return [*bounds, _status(obj).get("disruptionsAllowed", 0), _age(obj, now)]


def _autoscaler(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = _spec(obj), _status(obj)
    reference = spec.get("scaleTargetRef") or {}
    least, use = spec.get("minReplicas"), spec.get("targetCPUUtilizationPercentage")
    metrics = spec.get("metrics") or []
    if use is not None:
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": use}}}]
    return [
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        _targets(metrics, state.get("currentMetrics") or []),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas", 0),
        state.get("currentReplicas", 0),
        _age(obj, now),
    ]


def _targets(metrics: list[JsonObject], current: list[JsonObject]) -> str:
    """At most two are shown."""
    if not metrics:
        return "<none>"
    texts = [_target(metric, current[index] if index < len(current) else {}) for index, metric in enumerate(metrics)]
    shown = ", ".join(texts[:2])
    return f"{shown} + {len(texts) - 2} more..." if len(texts) > 2 else shown


def _target(metric: JsonObject, current: JsonObject) -> str:
    kind = metric.get("type", "")
    part = kind[:1].lower() + kind[1:]
    source, found = metric.get(part) or {}, (current.get(part) or {}).get("current") or {}
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            return f"{source.get('name')}: {found.get('averageValue') or '<unknown>'}/{target['averageValue']}"
        used = found.get("averageUtilization")
        wanted = target.get("averageUtilization")
        return f"{source.get('name')}: {f'{used}%' if used is not None else '<unknown>'}/{f'{wanted}%' if wanted else '<auto>'}"
    if kind != "Pods" and target.get("averageValue") is not None:
        return f"{found.get('averageValue') or '<unknown>'}/{target['averageValue']} (avg)"
    field = "averageValue" if kind == "Pods" else "value"
    return f"{found.get(field) or '<unknown>'}/{target.get(field)}"


# Storage


def _modes(modes: Json) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def _claim(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = _spec(obj), _status(obj)
    volume = spec.get("volumeName") or ""
    capacity = modes = ""
    if volume:
        modes = _modes(state.get("accessModes"))
        capacity = (state.get("capacity") or {}).get("storage", "0")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else state.get("phase", "")
    return [
        phase,
        volume,
        capacity,
        modes,
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _volume(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = _spec(obj), _status(obj)
    claim = spec.get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else state.get("phase", "")
    return [
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        state.get("reason") or "",
        _age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _storage_class(obj: JsonObject, now: int) -> list[Cell]:
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    keys = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    is_default = any(annotations.get(key) == "true" for key in keys)
    return [
        f"{meta['name']} (default)" if is_default else meta["name"],
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        _age(obj, now),
    ]


def _driver(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    audiences = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ())
    return [
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        audiences or "<unset>",
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        _age(obj, now),
    ]


def _attachment(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = _status(obj).get("attached", False)
    return [spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, _age(obj, now)]


# Networking and the rest


def _ingress(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    given = (_status(obj).get("loadBalancer") or {}).get("ingress") or ()
    return [
        or_none(spec.get("ingressClassName")),
        first_few(hosts, "*"),
        ",".join(each.get("ip") or each.get("hostname") or "" for each in given),
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
    ]


def _ingress_class(obj: JsonObject, now: int) -> list[Cell]:
    parameters = _spec(obj).get("parameters")
    named = "<none>"
    if parameters:
        group = parameters.get("apiGroup")
        named = f"{parameters['kind']}.{group}" if group else parameters["kind"]
        named = f"{named}/{parameters['name']}"
    return [_spec(obj).get("controller", ""), named, _age(obj, now)]


def _quota(obj: JsonObject, now: int) -> list[Cell]:
    state = _status(obj)
    hard, used = state.get("hard") or {}, state.get("used") or {}

    def amounts(limits: bool) -> str:
        names = [name for name in sorted(hard) if name.startswith("limits") == limits]
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return [amounts(False), amounts(True), _age(obj, now)]


def _binding(obj: JsonObject, now: int) -> list[Cell]:
    reference = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name, namespace = subject.get("name", ""), subject.get("namespace", "")
        is_account = subject.get("kind") == "ServiceAccount"
        subjects.setdefault(subject.get("kind", ""), []).append(f"{namespace}/{name}" if is_account else name)
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    named = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [role, _age(obj, now), *named]


def _flow_schema(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    dangling = next(
        (each.get("status") for each in _status(obj).get("conditions") or () if each["type"] == "Dangling"), "?"
    )
    method = (spec.get("distinguisherMethod") or {}).get("type")
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    return [level, spec.get("matchingPrecedence", 0), or_none(method), _age(obj, now), dangling]


def _resource_claim(obj: JsonObject, now: int) -> list[Cell]:
    state = _status(obj)
    words = ["deleted"] if obj["metadata"].get("deletionTimestamp") else []
    words.append("allocated" if state.get("allocation") else "pending")
    if state.get("reservedFor"):
        words.append("reserved")
    return [",".join(words), _age(obj, now)]


def _resource_slice(obj: JsonObject, now: int) -> list[Cell]:
    spec = _spec(obj)
    pool = (spec.get("pool") or {}).get("name", "")
    return [spec.get("nodeName") or "<unset>", spec.get("driver", ""), pool, _age(obj, now)]


def _admission_policy(obj: JsonObject, now: int) -> list[Cell]:
    kind = _spec(obj).get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else "<unset>"
    return [len(_spec(obj).get("validations") or ()), shown, _age(obj, now)]


def _admission_binding(obj: JsonObject, now: int) -> list[Cell]:
    reference = _spec(obj).get("paramRef")
    shown = "<unset>"
    if reference:
        namespace = reference.get("namespace")
        shown = f"{namespace}/{reference.get('name', '')}" if namespace else reference.get("name", "")
    return [_spec(obj).get("policyName", ""), shown, _age(obj, now)]


def _created(obj: JsonObject, now: int) -> list[Cell]:
    return [obj["metadata"].get("creationTimestamp")]


_ADMISSION, _STORAGE, _RBAC = "admissionregistration.k8s.io", "storage.k8s.io", "rbac.authorization.k8s.io"
_CREATED = _layout(_columns("Created At:date"), _created)
_WEBHOOKS = _layout(
    _columns("Webhooks:integer", "Age"), lambda obj, now: [len(obj.get("webhooks") or ()), _age(obj, now)]
)
_BINDINGS = _layout(_columns("Role", "Age", "+Users", "+Groups", "+ServiceAccounts"), _binding)
_COUNTS = ("Desired:integer", "Current:integer", "Ready:integer")

LAYOUTS: dict[str, Layout] = {
    "statefulsets.apps": _layout([*_columns("Ready"), _AGE, *WIDE_WORKLOAD[:2]], _stateful_set),
    "daemonsets.apps": _layout(
        [*_columns(*_COUNTS, "Up-to-date:integer", "Available:integer", "Node Selector"), _AGE, *WIDE_WORKLOAD],
        _daemon_set,
    ),
    "replicationcontrollers": _layout([*_columns(*_COUNTS), _AGE, *WIDE_WORKLOAD], _replication_controller),
    "jobs.batch": _layout([*_columns("Status", "Completions", "Duration"), _AGE, *WIDE_WORKLOAD], _job),
    "cronjobs.batch": _layout(
        [
            *_columns("Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule"),
            _AGE,
            *WIDE_WORKLOAD,
        ],
        _cron_job,
    ),
    "podtemplates": _layout(_columns("Containers", "Images", "Pod Labels"), _pod_template),
    "controllerrevisions.apps": _layout(_columns("Controller", "Revision", "Age"), _controller_revision),
    "poddisruptionbudgets.policy": _layout(
        _columns("Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"), _budget
    ),
    "horizontalpodautoscalers.autoscaling": _layout(
        _columns("Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), _autoscaler
    ),
    "persistentvolumeclaims": _layout(
        _columns(
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        _claim,
    ),
    "persistentvolumes": _layout(
        _columns(
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        _volume,
    ),
    f"storageclasses.{_STORAGE}": (
        [_NAME, *_columns("Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age")],
        _storage_class,
    ),
    f"csidrivers.{_STORAGE}": _layout(
        _columns(
            "AttachRequired:boolean",
            "PodInfoOnMount:boolean",
            "StorageCapacity:boolean",
            "TokenRequests",
            "RequiresRepublish:boolean",
            "Modes",
            "Age",
        ),
        _driver,
    ),
    f"csinodes.{_STORAGE}": _layout(
        _columns("Drivers:integer", "Age"), lambda obj, now: [len(_spec(obj).get("drivers") or ()), _age(obj, now)]
    ),
    f"volumeattachments.{_STORAGE}": _layout(
        [Column("Attacher", format="name"), *_columns("PV", "Node", "Attached:boolean", "Age")], _attachment
    ),
    f"volumeattributesclasses.{_STORAGE}": _layout(
        _columns("DriverName", "Age"), lambda obj, now: [obj.get("driverName", ""), _age(obj, now)]
    ),
    f"csistoragecapacities.{_STORAGE}": _CREATED,
    "ingresses.networking.k8s.io": _layout(_columns("Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "ingressclasses.networking.k8s.io": _layout(_columns("Controller", "Parameters", "Age"), _ingress_class),
    "networkpolicies.networking.k8s.io": _layout(
        _columns("Pod-Selector", "Age"),
        lambda obj, now: [selector_text(_spec(obj).get("podSelector")), _age(obj, now)],
    ),
    "servicecidrs.networking.k8s.io": _layout(
        _columns("CIDRs", "Age"), lambda obj, now: [",".join(_spec(obj).get("cidrs") or ()), _age(obj, now)]
    ),
    "resourcequotas": _layout(_columns("Request", "Limit", "Age"), _quota),
    "limitranges": _CREATED,
    f"roles.{_RBAC}": _CREATED,
    f"clusterroles.{_RBAC}": _CREATED,
    f"rolebindings.{_RBAC}": _BINDINGS,
    f"clusterrolebindings.{_RBAC}": _BINDINGS,
    "priorityclasses.scheduling.k8s.io": _layout(
        _columns("Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"),
        lambda obj, now: [
            obj.get("value", 0),
            bool(obj.get("globalDefault")),
            _age(obj, now),
            obj.get("preemptionPolicy", ""),
        ],
    ),
    "runtimeclasses.node.k8s.io": _layout(
        _columns("Handler", "Age"), lambda obj, now: [obj.get("handler", ""), _age(obj, now)]
    ),
    f"validatingwebhookconfigurations.{_ADMISSION}": _WEBHOOKS,
    f"mutatingwebhookconfigurations.{_ADMISSION}": _WEBHOOKS,
    f"validatingadmissionpolicies.{_ADMISSION}": _layout(
        _columns("Validations:integer", "ParamKind", "Age"), _admission_policy
    ),
    f"validatingadmissionpolicybindings.{_ADMISSION}": _layout(
        _columns("PolicyName", "ParamRef", "Age"), _admission_binding
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": _layout(
        _columns("PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"), _flow_schema
    ),
    "resourceclaims.resource.k8s.io": _layout(_columns("State", "Age"), _resource_claim),
    "resourceslices.resource.k8s.io": _layout(_columns("Node", "Driver", "Pool", "Age"), _resource_slice),
}
