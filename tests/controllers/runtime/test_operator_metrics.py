"""What an operator process tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from rayrig_controllers.metrics import (
    Metric,
    operator_metrics,
    ray_cluster_metrics,
    ray_service_metrics,
    render,
)
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_CLUSTER


def obj(kind: str, name: str, **fields: Any) -> JsonObject:
    conditions = [{"type": key, "status": value} for key, value in fields.pop("conditions", {}).items()]
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **fields},
        "status": {"conditions": conditions},
    }


def lines(metrics: Iterable[Metric]) -> list[str]:
    return [line for line in render(metrics).splitlines() if not line.startswith("#")]


def test_the_text_says_help_type_and_samples_of_each_metric() -> None:
    metric = Metric("depth", "gauge", "How\\deep\nit is.", [({"name": 'a"b\\c\nd'}, 3), ({}, 0.5)])
    assert render([metric]) == (
        '# HELP depth How\\\\deep\\nit is.\n# TYPE depth gauge\ndepth{name="a\\"b\\\\c\\nd"} 3\ndepth 0.5\n'
    )


def test_a_metric_without_samples_is_left_out() -> None:
    assert render([Metric("depth", "gauge", "x")]) == ""


def test_clusters_tell_what_they_were_made_for_and_whether_they_were_provisioned() -> None:
    owned = {"labels": {"ray.io/originated-from-crd": "RayService"}}
    clusters = [
        obj("RayCluster", "new"),
        obj("RayCluster", "rc", conditions={"RayClusterProvisioned": "True"}, **owned),
    ]
    assert lines(ray_cluster_metrics(clusters)) == [
        'kuberay_cluster_info{name="new",namespace="default",uid="uid-new",owner_kind="None"} 1',
        'kuberay_cluster_info{name="rc",namespace="default",uid="uid-rc",owner_kind="RayService"} 1',
        'kuberay_cluster_condition_provisioned{name="rc",namespace="default",uid="uid-rc",condition="true"} 1',
    ]


def test_services_tell_whether_they_are_ready_and_upgrading() -> None:
    service = obj("RayService", "rs", conditions={"Ready": "True", "UpgradeInProgress": "False"})
    who = 'name="rs",namespace="default",uid="uid-rs"'
    assert lines(ray_service_metrics([service])) == [
        f"kuberay_service_info{{{who}}} 1",
        f'kuberay_service_condition_ready{{{who},condition="true"}} 1',
        f'kuberay_service_condition_upgrade_in_progress{{{who},condition="false"}} 1',
    ]


@pytest.mark.accepts("RC-105")
def test_reconciles_and_errors_are_counted_and_a_deleted_cluster_is_told_of_no_more(plane: Any) -> None:
    nothing: Any = None
    manager = operator(plane.kernel, plane.client("operator"), http=nothing, rng=Random(1))
    assert not any("kuberay" in line for line in lines(operator_metrics(manager)))
    manager.start()
    plane.kernel.run(until_s=1)
    container = {"name": "ray-head", "image": "rayproject/ray:2.52.0"}
    head = {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}}
    cluster = obj("RayCluster", "rc")
    del cluster["status"]
    plane.create(RAY_CLUSTER, {**cluster, "spec": {"rayVersion": "2.52.0", "headGroupSpec": head}})
    plane.kernel.run(until_s=2)
    told = lines(operator_metrics(manager))
    # Two passes: the second meets its own status write, which its cache doesn't show yet.
    assert 'controller_runtime_reconcile_total{controller="raycluster-controller",result="success"} 1' in told
    assert 'controller_runtime_reconcile_total{controller="raycluster-controller",result="error"} 1' in told
    assert 'controller_runtime_reconcile_errors_total{controller="raycluster-controller"} 1' in told
    assert 'workqueue_depth{controller="rayservice-controller",name="rayservice-controller"} 0' in told
    assert [line.split("{")[0] for line in told if "kuberay" in line] == [
        "kuberay_cluster_info",
        "kuberay_cluster_condition_provisioned",
    ]
    plane.delete(RAY_CLUSTER, "rc")
    plane.kernel.run(until_s=3)
    assert not any("kuberay" in line for line in lines(operator_metrics(manager)))


def test_a_whole_number_has_no_fraction() -> None:
    assert render([Metric("depth", "gauge", "x", [({}, 3.0), ({}, 2.25)])]).splitlines()[2:] == [
        "depth 3",
        "depth 2.25",
    ]


def test_a_cluster_was_made_for_its_controller_when_no_label_says_so() -> None:
    owner = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "job", "uid": "u", "controller": True}
    (info, _) = ray_cluster_metrics([obj("RayCluster", "rc", ownerReferences=[owner])])
    assert [labels["owner_kind"] for labels, _ in info.samples] == ["RayJob"]


def test_the_whole_text_of_an_operator_that_has_done_nothing(plane: Any) -> None:
    nothing: Any = None
    options = OperatorOptions(reconcile_concurrency=3)
    manager = operator(plane.kernel, plane.client("operator"), http=nothing, rng=Random(1), options=options)
    manager.controllers["raycluster-controller"].reconciles = 7
    manager.controllers["raycluster-controller"].errors = 2
    cluster, service = "raycluster-controller", "rayservice-controller"
    assert render(operator_metrics(manager)).splitlines() == [
        "# HELP workqueue_depth Keys that are due and wait for a worker.",
        "# TYPE workqueue_depth gauge",
        f'workqueue_depth{{controller="{service}",name="{service}"}} 0',
        f'workqueue_depth{{controller="{cluster}",name="{cluster}"}} 0',
        "# HELP controller_runtime_reconcile_total Reconciles per controller and result.",
        "# TYPE controller_runtime_reconcile_total counter",
        f'controller_runtime_reconcile_total{{controller="{service}",result="success"}} 0',
        f'controller_runtime_reconcile_total{{controller="{service}",result="error"}} 0',
        f'controller_runtime_reconcile_total{{controller="{cluster}",result="success"}} 5',
        f'controller_runtime_reconcile_total{{controller="{cluster}",result="error"}} 2',
        "# HELP controller_runtime_reconcile_errors_total Reconciles that ended in an error.",
        "# TYPE controller_runtime_reconcile_errors_total counter",
        f'controller_runtime_reconcile_errors_total{{controller="{service}"}} 0',
        f'controller_runtime_reconcile_errors_total{{controller="{cluster}"}} 2',
        "# HELP controller_runtime_max_concurrent_reconciles Workers per controller.",
        "# TYPE controller_runtime_max_concurrent_reconciles gauge",
        f'controller_runtime_max_concurrent_reconciles{{controller="{service}"}} 3',
        f'controller_runtime_max_concurrent_reconciles{{controller="{cluster}"}} 3',
    ]
    assert (manager.reconciles, manager.errors, manager.queue_depth) == (7, 2, 0)


def test_help_and_type_of_what_is_told_of_clusters_and_services() -> None:
    cluster = obj("RayCluster", "rc", conditions={"RayClusterProvisioned": "False"})
    service = obj("RayService", "rs", conditions={"Ready": "True", "UpgradeInProgress": "Unknown"})
    text = render([*ray_cluster_metrics([cluster]), *ray_service_metrics([service])])
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# HELP kuberay_cluster_info RayClusters and what they were made for.",
        "# TYPE kuberay_cluster_info gauge",
        "# HELP kuberay_cluster_condition_provisioned Whether all pods of a RayCluster have been ready once.",
        "# TYPE kuberay_cluster_condition_provisioned gauge",
        "# HELP kuberay_service_info RayServices.",
        "# TYPE kuberay_service_info gauge",
        "# HELP kuberay_service_condition_ready Whether a RayService is ready to take requests.",
        "# TYPE kuberay_service_condition_ready gauge",
        "# HELP kuberay_service_condition_upgrade_in_progress Whether a RayService is on its way to another cluster.",
        "# TYPE kuberay_service_condition_upgrade_in_progress gauge",
    ]
    assert [line.rpartition(",")[2] for line in text.splitlines() if "condition=" in line] == [
        'condition="false"} 1',
        'condition="true"} 1',
        'condition="false"} 1',
    ]
