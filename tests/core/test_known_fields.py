"""What an old release's types know, and what its definitions prune."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.resources.hashing import HASH_RULES_1_1, spec_hash
from rayrig_core.resources.known_fields import known_ray_cluster_spec, known_ray_service_spec
from rayrig_core.resources.raycluster import RELEASE_1_1

POD: JsonObject = {"spec": {"containers": [{"name": "ray", "suspend": "kept: it is in a pod"}]}}
GROUP: JsonObject = {"groupName": "g", "numOfHosts": 2, "rayStartParams": {}, "template": POD}
CLUSTER: JsonObject = {
    "rayVersion": "2.9.0",
    "suspend": False,
    "headGroupSpec": {"rayStartParams": {}, "template": POD},
    "workerGroupSpecs": [GROUP],
    "autoscalerOptions": {"idleTimeoutSeconds": 1},
}
LATER: JsonObject = {
    **CLUSTER,
    "managedBy": "ray.io/kuberay-operator",
    "upgradeStrategy": {"type": "Recreate"},
    "gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
    "authOptions": {"mode": "token"},
    "headGroupSpec": {**CLUSTER["headGroupSpec"], "labels": {"a": "b"}, "resources": {"CPU": "1"}},
    "workerGroupSpecs": [{**GROUP, "suspend": True, "idleTimeoutSeconds": 3, "priority": 1, "labels": {"a": "b"}}],
    "autoscalerOptions": {"idleTimeoutSeconds": 1, "version": "v2", "command": ["x"], "args": ["y"]},
}


def test_fields_of_later_releases_are_as_if_they_were_not_written() -> None:
    assert known_ray_cluster_spec(LATER, RELEASE_1_1) == CLUSTER
    service = {
        "serveConfigV2": "a",
        "suspend": True,
        "upgradeStrategy": {},
        "managedBy": "x",
        "rayClusterConfig": LATER,
    }
    assert known_ray_service_spec(service, RELEASE_1_1) == {"serveConfigV2": "a", "rayClusterConfig": CLUSTER}


def test_what_is_known_is_not_copied() -> None:
    assert known_ray_cluster_spec(CLUSTER, RELEASE_1_1)["headGroupSpec"]["template"] is POD


def test_what_is_no_object_is_left_as_it_is() -> None:
    odd: JsonObject = {"headGroupSpec": None, "workerGroupSpecs": [None, "text"]}
    assert known_ray_cluster_spec(odd, RELEASE_1_1) == odd


def properties(definition: JsonObject, *path: str) -> dict[str, Any]:
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema.get("additionalProperties", schema))
    found: dict[str, Any] = schema["properties"]
    return found


def test_the_definitions_of_1_1_have_what_that_release_wrote() -> None:
    cluster, service, *gateway = custom_resource_definitions("v1.1.0")
    assert sorted(properties(service, "spec")) == [
        "deploymentUnhealthySecondThreshold",
        "rayClusterConfig",
        "serveConfigV2",
        "serveService",
        "serviceUnhealthySecondThreshold",
    ]
    assert sorted(properties(service, "status")) == [
        "activeServiceStatus",
        "lastUpdateTime",
        "numServeEndpoints",
        "observedGeneration",
        "pendingServiceStatus",
        "serviceStatus",
    ]
    application = properties(service, "status", "activeServiceStatus", "applicationStatuses")
    assert sorted(application) == ["healthLastUpdateTime", "message", "serveDeploymentStatuses", "status"]
    assert sorted(properties(cluster, "spec")) == [
        "autoscalerOptions",
        "enableInTreeAutoscaling",
        "headGroupSpec",
        "headServiceAnnotations",
        "rayVersion",
        "suspend",
        "workerGroupSpecs",
    ]
    assert sorted(properties(cluster, "status", "head")) == ["podIP", "serviceIP"]
    assert not {"conditions", "readyWorkerReplicas", "stateTransitionTimes"} & properties(cluster, "status").keys()
    assert gateway == custom_resource_definitions()[2:]
    # Columns were the same.
    for old, new in zip((cluster, service), custom_resource_definitions(), strict=False):
        versions = old["spec"]["versions"][0], new["spec"]["versions"][0]
        assert versions[0]["additionalPrinterColumns"] == versions[1]["additionalPrinterColumns"]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"replicas": 3}, False),
        ({"scaleStrategy": {"workersToDelete": ["a"]}}, False),
        ({"minReplicas": 3}, True),
        ({"maxReplicas": 3}, True),
        ({"template": {"spec": {**POD["spec"], "tolerations": [{"key": "a"}]}}}, True),
        ({"template": {"spec": {**POD["spec"], "schedulingGates": [{"name": "a"}]}}}, True),
    ],
)
def test_what_the_hash_of_1_1_leaves_out_of_a_group(change: JsonObject, counts: bool) -> None:
    changed = {**CLUSTER, "workerGroupSpecs": [{**GROUP, **change}]}
    assert (spec_hash(changed, rules=HASH_RULES_1_1) != spec_hash(CLUSTER, rules=HASH_RULES_1_1)) == counts
    if set(change) != {"replicas"} and "scaleStrategy" not in change:
        assert spec_hash(changed) == spec_hash(CLUSTER)


def test_suspend_counts_in_the_hash_of_1_1() -> None:
    suspended = {**CLUSTER, "suspend": True}
    assert spec_hash(suspended, rules=HASH_RULES_1_1) != spec_hash(CLUSTER, rules=HASH_RULES_1_1)
    assert spec_hash(suspended) == spec_hash(CLUSTER)
