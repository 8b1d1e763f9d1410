"""Creating clusters: what is refused and in what order, and what the reply tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import RAY_CLUSTER

if TYPE_CHECKING:
    from tests.apiserver.conftest import Site
from tests.apiserver.example_cluster import CLUSTER as C1
from tests.apiserver.example_cluster import TEMPLATE as B1

CLUSTERS = "/apis/v1/namespaces/default/clusters"
TEMPLATES = "/apis/v1/namespaces/default/compute_templates"
C1_IN_SNAKE_CASE: JsonObject = {
    "name": "test-cluster",
    "namespace": "default",
    "user": "boris",
    "colour": "green",
    "annotations": {"ray.io/enable-serve-service": "true"},
    "cluster_spec": {
        "head_group_spec": {
            "compute_template": "default-template",
            "image": "rayproject/ray:2.8.0-py310",
            "service_type": "ClusterIP",
            "ray_start_params": C1["clusterSpec"]["headGroupSpec"]["rayStartParams"],
        },
        "worker_group_spec": [
            {
                "group_name": "small-wg",
                "image": "rayproject/ray:2.8.0-py310",
                "ray_start_params": {"node-ip-address": "$MY_POD_IP"},
                "compute_template": "default-template",
                "replicas": "1",
                "max_replicas": 5,
                "size": {"x": [1, {}]},
            }
        ],
    },
}


def changed(path: str, value: Any) -> JsonObject:
    """C1 with one field, named by its path, set; or left out."""
    cluster = copy_json(C1)
    *way, last = path.split(".")
    place: Any = cluster
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return cluster


@pytest.fixture
def furnished(site: Site) -> Site:
    """With template B1."""
    site.ok("POST", TEMPLATES, B1)
    return site


@pytest.mark.accepts("AS-011", "AS-012")
def test_the_reply_is_the_cluster_as_stored(furnished: Site) -> None:
    reply = furnished.ok("POST", CLUSTERS, C1)

    head, (group,) = C1["clusterSpec"]["headGroupSpec"], C1["clusterSpec"]["workerGroupSpec"]
    assert reply == {
        "name": "test-cluster",
        "namespace": "default",
        "user": "boris",
        "clusterSpec": {
            "headGroupSpec": head | {"environment": {}},
            "workerGroupSpec": [group | {"minReplicas": 1, "environment": {}}],
        },
        "annotations": {
            "ray.io/enable-serve-service": "true",
            "ray.io/creation-timestamp": reply["annotations"]["ray.io/creation-timestamp"],
        },
        "createdAt": reply["createdAt"],
    }
    seconds = reply["createdAt"].replace("T", " ").removesuffix("Z")
    assert reply["annotations"]["ray.io/creation-timestamp"].startswith(seconds)
    assert reply["annotations"]["ray.io/creation-timestamp"].endswith(" +0000 UTC")


@pytest.mark.accepts("AS-013")
def test_a_cluster_that_exists_is_an_internal_error(furnished: Site) -> None:
    furnished.ok("POST", CLUSTERS, C1)
    assert furnished.send("POST", CLUSTERS, C1) == (
        500,
        {
            "code": 13,
            "message": "Internal Server Error: Create Cluster failed.: InternalServerError: Failed to create a cluster for "
            '(default/test-cluster): rayclusters.ray.io "test-cluster" already exists',
        },
    )


@pytest.mark.accepts("AS-014")
def test_a_missing_template_is_an_internal_error(site: Site) -> None:
    status, error = site.send("POST", CLUSTERS, C1)
    assert (status, error["code"]) == (500, 13)
    assert error["message"] == (
        "Internal Server Error: Create Cluster failed.: InternalServerError: Failed to populate compute template for "
        "(default/test-cluster): Cannot get compute template for name 'default-template' in namespace 'default', error: "
        'NotFoundError: Compute template default-template not found: configmaps "default-template" not found'
    )
    assert site.names(RAY_CLUSTER) == []


HEAD, GROUPS = "clusterSpec.headGroupSpec", "clusterSpec.workerGroupSpec"
SECOND = {"groupName": "b", "computeTemplate": "default-template", "maxReplicas": 1}


@pytest.mark.accepts("AS-015")
@pytest.mark.parametrize(
    ("cluster", "text"),
    [
        (changed("user", None), "User who create the cluster is empty. Please specify a valid value."),
        (changed("name", None), "Cluster name is empty. Please specify a valid value."),
        (changed("name", None) | {"user": ""}, "Cluster name is empty. Please specify a valid value."),
        (
            changed("namespace", "team-b"),
            "The namespace in the request is different from the namespace in the cluster definition.",
        ),
        (changed("clusterSpec", None), "A ClusterSpec object is required. Please specify one."),
        (changed(HEAD, None), "Cluster Spec Object requires HeadGroupSpec to be populated. Please specify one."),
        (changed(HEAD, {}), "HeadGroupSpec compute template is empty. Please specify a valid value."),
        (
            changed(f"{HEAD}.computeTemplate", ""),
            "HeadGroupSpec compute template is empty. Please specify a valid value.",
        ),
        (changed(f"{HEAD}.rayStartParams", {}), "HeadGroupSpec RayStartParams is empty. Please specify values."),
        (
            changed(f"{HEAD}.imagePullPolicy", "Never"),
            "HeadGroupSpec unsupported value for Image pull policy. Please specify Always or IfNotPresent",
        ),
        (
            changed(GROUPS, [SECOND, SECOND | {"groupName": ""}]),
            "WorkerNodeSpec 1 group name is empty. Please specify a valid value.",
        ),
        (
            changed(GROUPS, [SECOND, SECOND | {"computeTemplate": ""}]),
            "WorkerNodeSpec 1 compute template is empty. Please specify a valid value.",
        ),
        (
            changed(f"{GROUPS}.0.maxReplicas", 0),
            "WorkerNodeSpec 0 MaxReplicas can not be 0. Please specify a valid value.",
        ),
        (
            changed(f"{GROUPS}.0.minReplicas", 6),
            "WorkerNodeSpec 0 MinReplica > MaxReplicas. Please specify a valid value.",
        ),
        (
            changed(f"{GROUPS}.0.imagePullPolicy", "always"),
            "Worker GroupSpec unsupported value for Image pull policy. Please specify Always or IfNotPresent",
        ),
    ],
)
def test_what_is_wrong_first_is_told(furnished: Site, cluster: JsonObject, text: str) -> None:
    message = f"{text}: Validate create cluster request failed.: Invalid input error: {text}"
    assert furnished.send("POST", CLUSTERS, cluster) == (400, {"code": 3, "message": message})
    assert furnished.names(RAY_CLUSTER) == []


@pytest.mark.accepts("AS-016")
def test_fields_in_snake_case_are_the_same_and_unknown_ones_are_dropped(furnished: Site) -> None:
    furnished.ok("POST", CLUSTERS, C1)
    first = furnished.stored(RAY_CLUSTER, "test-cluster")
    furnished.ok("DELETE", f"{CLUSTERS}/test-cluster")
    furnished.ok("POST", CLUSTERS, C1_IN_SNAKE_CASE)
    second = furnished.stored(RAY_CLUSTER, "test-cluster")

    assert second["spec"] == first["spec"]
    assert second["metadata"]["labels"] == first["metadata"]["labels"]
    assert second["metadata"]["annotations"].keys() == first["metadata"]["annotations"].keys()


@pytest.mark.accepts("AS-017")
@pytest.mark.parametrize(
    ("given", "label", "told"),
    [
        ("STAGING", "STAGING", 2),
        (2, "STAGING", 2),
        ("DEV", "DEV", None),
        (None, "DEV", None),
        (17, "17", None),
    ],
)
def test_environments_are_labels_and_numbers(furnished: Site, given: Any, label: str, told: int | None) -> None:
    reply = furnished.ok("POST", CLUSTERS, C1 | {"environment": given})
    assert furnished.stored(RAY_CLUSTER, "test-cluster")["metadata"]["labels"]["ray.io/environment"] == label
    assert reply.get("environment") == told


@pytest.mark.accepts("AS-021")
def test_kubernetes_refuses_a_user_that_is_no_label(furnished: Site) -> None:
    status, error = furnished.send("POST", CLUSTERS, C1 | {"user": "a b!"})
    assert (status, error["code"]) == (500, 13)
    assert 'metadata.labels: Invalid value: "a b!"' in error["message"]
