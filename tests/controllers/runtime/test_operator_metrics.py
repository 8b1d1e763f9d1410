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
