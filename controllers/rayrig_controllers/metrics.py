"""What an operator process tells Prometheus, as text (kuberay-operator 3.19, and controller-runtime's own)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rayrig_controllers.manager import Manager
from rayrig_core.objects import (
    JsonObject,
    condition_of,
    controller_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE
from rayrig_core.resources import labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples, by labels."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)


def render(metrics: Iterable[Metric]) -> str:
    """Prometheus' text format. Metrics without samples are left out."""
    lines: list[str] = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines += [f"# HELP {metric.name} {_escaped(metric.help)}", f"# TYPE {metric.name} {metric.kind}"]
        for sample_labels, value in metric.samples:
            text = ",".join(f'{key}="{_escaped(each, quoted=True)}"' for key, each in sample_labels.items())
            lines.append(f"{metric.name}{{{text}}} {_number(value)}" if text else f"{metric.name} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def operator_metrics(manager: Manager) -> list[Metric]:
    """Work queues and reconciles of each controller, then the RayClusters and RayServices in the cache."""
    depth = Metric("workqueue_depth", "gauge", "Keys that are due and wait for a worker.")
    total = Metric("controller_runtime_reconcile_total", "counter", "Reconciles per controller and result.")
    errors = Metric("controller_runtime_reconcile_errors_total", "counter", "Reconciles that ended in an error.")
    workers = Metric("controller_runtime_max_concurrent_reconciles", "gauge", "Workers per controller.")
    for name, controller in manager.controllers.items():
        of_controller = {"controller": name}
        depth.samples.append(({**of_controller, "name": name}, controller.queue.depth))
        succeeded = controller.reconciles - controller.errors
        total.samples.append(({**of_controller, "result": "success"}, succeeded))
        total.samples.append(({**of_controller, "result": "error"}, controller.errors))
        errors.samples.append((of_controller, controller.errors))
        workers.samples.append((of_controller, controller.concurrency))
    clusters, services = manager.cache.ready(RAY_CLUSTER), manager.cache.ready(RAY_SERVICE)
    return [
        depth,
        total,
        errors,
        workers,
        *ray_cluster_metrics(clusters.select() if clusters is not None else ()),
        *ray_service_metrics(services.select() if services is not None else ()),
    ]


def ray_cluster_metrics(clusters: Iterable[JsonObject]) -> list[Metric]:
    """One sample for each cluster; the condition's once it is there."""
    info = Metric("kuberay_cluster_info", "gauge", "RayClusters and what they were made for.")
    provisioned = Metric(
        "kuberay_cluster_condition_provisioned", "gauge", "Whether all pods of a RayCluster have been ready once."
    )
    for cluster in clusters:
        owner = controller_of(cluster)
        made_for = labels_of(cluster).get(labels.ORIGINATED_FROM_CRD) or (owner or {}).get("kind") or "None"
        info.samples.append(({**_identity(cluster), "owner_kind": made_for}, 1))
        _add_condition(provisioned, cluster, "RayClusterProvisioned")
    return [info, provisioned]


def ray_service_metrics(services: Iterable[JsonObject]) -> list[Metric]:
    info = Metric("kuberay_service_info", "gauge", "RayServices.")
    ready = Metric("kuberay_service_condition_ready", "gauge", "Whether a RayService is ready to take requests.")
    upgrading = Metric(
        "kuberay_service_condition_upgrade_in_progress",
        "gauge",
        "Whether a RayService is on its way to another cluster.",
    )
    for service in services:
        info.samples.append((_identity(service), 1))
        _add_condition(ready, service, "Ready")
        _add_condition(upgrading, service, "UpgradeInProgress")
    return [info, ready, upgrading]


def _identity(obj: JsonObject) -> dict[str, str]:
    return {"name": name_of(obj), "namespace": namespace_of(obj), "uid": uid_of(obj)}


def _add_condition(metric: Metric, obj: JsonObject, kind: str) -> None:
    condition = condition_of(obj, kind)
    if condition is not None:
        holds = "true" if condition["status"] == "True" else "false"
        metric.samples.append(({**_identity(obj), "condition": holds}, 1))
