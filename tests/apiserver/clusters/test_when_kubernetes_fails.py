"""What callers are told when Kubernetes refuses, by what was being done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rayrig_backends.api_rules import ApiRule
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP

if TYPE_CHECKING:
    from tests.apiserver.conftest import Site

CLUSTERS = "/apis/v1/namespaces/default/clusters"
TEMPLATES = "/apis/v1/namespaces/default/compute_templates"
TEMPLATE: JsonObject = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}
HEAD = {"computeTemplate": "t", "rayStartParams": {"a": "b"}}
CLUSTER: JsonObject = {"name": "c", "namespace": "default", "user": "ada", "clusterSpec": {"headGroupSpec": HEAD}}
INTERNAL = "Internal Server Error: "


@pytest.mark.parametrize(
    ("verb", "resource", "method", "target", "code", "message"),
    [
        (
            "get",
            "configmaps",
            "GET",
            f"{TEMPLATES}/t",
            2,
            "Get compute template failed.: Get compute template failed: no",
        ),
        (
            "get",
            "configmaps",
            "DELETE",
            f"{TEMPLATES}/t",
            2,
            "Get compute template failure: Get compute template failed: no",
        ),
        (
            "delete",
            "configmaps",
            "DELETE",
            f"{TEMPLATES}/t",
            13,
            f"{INTERNAL}InternalServerError: failed to delete compute template t.: no",
        ),
        (
            "list",
            "configmaps",
            "GET",
            TEMPLATES,
            2,
            "List compute templates in namespace default failed.: List compute templates failed: no",
        ),
        (
            "list",
            "configmaps",
            "GET",
            "/apis/v1/compute_templates",
            2,
            "List all compute templates from all namespaces failed.: List compute templates failed in default: no",
        ),
        (
            "list",
            "namespaces",
            "GET",
            "/apis/v1/compute_templates",
            2,
            "List all compute templates from all namespaces failed.: Failed to fetch all Kubernetes namespaces: no",
        ),
        ("get", "rayclusters", "GET", f"{CLUSTERS}/c", 2, "Get cluster failed.: Get Cluster failed: no"),
        ("get", "rayclusters", "DELETE", f"{CLUSTERS}/c", 2, "Get cluster failure: Get Cluster failed: no"),
        (
            "delete",
            "rayclusters",
            "DELETE",
            f"{CLUSTERS}/c",
            13,
            f"{INTERNAL}InternalServerError: Failed to delete cluster c.: no",
        ),
        ("list", "rayclusters", "GET", CLUSTERS, 2, "List clusters failed.: List RayCluster failed in default: no"),
        (
            "create",
            "rayclusters",
            "POST",
            CLUSTERS,
            13,
            f"{INTERNAL}Create Cluster failed.: InternalServerError: Failed to create a cluster for (default/d): no",
        ),
        (
            "get",
            "configmaps",
            "POST",
            CLUSTERS,
            13,
            (
                f"{INTERNAL}Create Cluster failed.: InternalServerError: Failed to populate compute template for (default/d): "
                "Cannot get compute template for name 't' in namespace 'default', error: Get compute template failed: no"
            ),
        ),
    ],
)
def test_what_was_being_done_is_told(
    site: Site, verb: str, resource: str, method: str, target: str, code: int, message: str
) -> None:
    site.ok("POST", TEMPLATES, TEMPLATE)
    site.ok("POST", CLUSTERS, CLUSTER)
    refused = ErrorBefore(500, "InternalError", "no")
    site.world.rules.add(ApiRule(refused, actor="kuberay-apiserver", verb=verb, resource=resource))
    body = CLUSTER | {"name": "d"} if method == "POST" else None
    assert site.send(method, target, body) == (500, {"code": code, "message": message})


def test_a_template_is_created_though_nobody_could_look_for_one(site: Site) -> None:
    refused = ErrorBefore(500, "InternalError", "no")
    site.world.rules.add(ApiRule(refused, actor="kuberay-apiserver", verb="get", resource="configmaps"))
    assert site.ok("POST", TEMPLATES, TEMPLATE)["name"] == "t"


def test_a_namespace_that_vanishes_meanwhile_has_no_templates(site: Site) -> None:
    site.ok("POST", TEMPLATES, TEMPLATE)
    vanished = ErrorBefore(404, "NotFound", "gone")
    site.world.rules.add(ApiRule(vanished, actor="kuberay-apiserver", verb="list", resource="configmaps", left=1))
    assert site.ok("GET", "/apis/v1/compute_templates") == {}


def test_a_stored_template_without_a_size_makes_no_cluster(site: Site) -> None:
    site.ok("POST", TEMPLATES, TEMPLATE)
    site.run(site.world.client("test").patch(CONFIG_MAP, "t", {"data": {"memory_unit": "Zz"}}, "default"))
    status, error = site.send("POST", CLUSTERS, CLUSTER)
    assert (status, error["code"]) == (400, 3)
    assert "memory of compute template t: quantities must match" in error["message"]
