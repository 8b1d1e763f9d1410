"""Columns of workloads and of what goes with them (K8-011)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import parse_rfc3339
from rayrig_fakes.kubernetes.tables.cells import (
    WIDE_WORKLOAD,
    Cell,
    age,
    human_duration,
    or_none,
    pairs,
)
from rayrig_fakes.kubernetes.tables.layouts import (
    AGE,
    Layout,
    age_of,
    columns,
    containers_of,
    layout_of,
    selector_text,
    spec_of,
    status_of,
)

_COUNTS = ("Desired:integer", "Current:integer", "Ready:integer")


def _stateful_set(obj: JsonObject, now: int) -> list[Cell]:
    ready = status_of(obj).get("readyReplicas", 0)
    return [f"{ready}/{spec_of(obj).get('replicas', 1)}", age_of(obj, now), *containers_of(spec_of(obj)["template"])]


def _daemon_set(obj: JsonObject, now: int) -> list[Cell]:
    counts, spec = status_of(obj), spec_of(obj)
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
        age_of(obj, now),
        *containers_of(template),
        selector_text(spec.get("selector")),
    ]


def _replication_controller(obj: JsonObject, now: int) -> list[Cell]:
    counts, spec = status_of(obj), spec_of(obj)
    return [
        spec.get("replicas", 0),
        counts.get("replicas", 0),
        counts.get("readyReplicas", 0),
        age_of(obj, now),
        *containers_of(spec.get("template") or {}),
        pairs(spec.get("selector")),
    ]


def _job(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = spec_of(obj), status_of(obj)
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
        age_of(obj, now),
        *containers_of(spec["template"]),
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
    spec, state = spec_of(obj), status_of(obj)
    job = spec["jobTemplate"].get("spec") or {}
    last = state.get("lastScheduleTime")
    return [
        spec.get("schedule", ""),
        or_none(spec.get("timeZone")),
        "<unset>" if spec.get("suspend") is None else str(bool(spec["suspend"])),
        len(state.get("active") or ()),
        age(last, now) if last else "<none>",
        age_of(obj, now),
        *containers_of(job.get("template") or {}),
        selector_text(job.get("selector")),
    ]


def _pod_template(obj: JsonObject, now: int) -> list[Cell]:
    template = obj.get("template") or {}
    return [*containers_of(template), pairs((template.get("metadata") or {}).get("labels"))]


def _controller_revision(obj: JsonObject, now: int) -> list[Cell]:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), None)
    named = "<none>"
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        named = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [named, obj.get("revision", 0), age_of(obj, now)]


def _budget(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    bounds = ["N/A" if spec.get(part) is None else str(spec[part]) for part in ("minAvailable", "maxUnavailable")]
    return [*bounds, status_of(obj).get("disruptionsAllowed", 0), age_of(obj, now)]


def _autoscaler(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = spec_of(obj), status_of(obj)
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
        age_of(obj, now),
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


LAYOUTS: dict[str, Layout] = {
    "statefulsets.apps": layout_of([*columns("Ready"), AGE, *WIDE_WORKLOAD[:2]], _stateful_set),
    "daemonsets.apps": layout_of(
        [*columns(*_COUNTS, "Up-to-date:integer", "Available:integer", "Node Selector"), AGE, *WIDE_WORKLOAD],
        _daemon_set,
    ),
    "replicationcontrollers": layout_of([*columns(*_COUNTS), AGE, *WIDE_WORKLOAD], _replication_controller),
    "jobs.batch": layout_of([*columns("Status", "Completions", "Duration"), AGE, *WIDE_WORKLOAD], _job),
    "cronjobs.batch": layout_of(
        [
            *columns("Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule"),
            AGE,
            *WIDE_WORKLOAD,
        ],
        _cron_job,
    ),
    "podtemplates": layout_of(columns("Containers", "Images", "Pod Labels"), _pod_template),
    "controllerrevisions.apps": layout_of(columns("Controller", "Revision", "Age"), _controller_revision),
    "poddisruptionbudgets.policy": layout_of(
        columns("Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"), _budget
    ),
    "horizontalpodautoscalers.autoscaling": layout_of(
        columns("Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), _autoscaler
    ),
}
