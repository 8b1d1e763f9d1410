"""Autoscalers: one object, which autoscaling/v1 and v2 show in their own ways."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.kinds.autoscalers import AUTOSCALER, AUTOSCALER_V1
from tests.fakes.kubernetes.conftest import Api

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
CPU: JsonObject = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}


def test_a_target_for_cpu_is_a_metric_of_the_newer_version(api: Api) -> None:
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    made = api.create(AUTOSCALER_V1, {"metadata": {"name": "a"}, "spec": spec})
    assert made["apiVersion"] == "autoscaling/v1"
    assert made["spec"] == {**spec, "minReplicas": 1}
    shown = api.get(AUTOSCALER, "a")
    assert shown["apiVersion"] == "autoscaling/v2"
    assert shown["spec"] == {"scaleTargetRef": TARGET, "maxReplicas": 5, "minReplicas": 1, "metrics": [CPU]}


def test_the_older_version_of_a_newer_object(api: Api) -> None:
    api.create(
        AUTOSCALER,
        {
            "metadata": {"name": "a"},
            "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, "minReplicas": 2, "metrics": [CPU], "behavior": {}},
        },
    )
    shown = api.get(AUTOSCALER_V1, "a")
    assert shown["spec"] == {
        "scaleTargetRef": TARGET,
        "maxReplicas": 5,
        "minReplicas": 2,
        "targetCPUUtilizationPercentage": 50,
    }
    assert api.names(AUTOSCALER_V1) == api.names(AUTOSCALER) == ["a"]
