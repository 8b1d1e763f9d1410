"""Compute templates through the server, and the ConfigMaps they are kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, RAY_CLUSTER

if TYPE_CHECKING:
    from tests.apiserver.conftest import Site

B1 = {"name": "default-template", "namespace": "default", "cpu": 2, "memory": 4}
TEMPLATES = "/apis/v1/namespaces/default/compute_templates"
IN_B = "/apis/v1/namespaces/team-b/compute_templates"
ALL = "/apis/v1/compute_templates"


def add_namespace(site: Site, name: str) -> None:
    site.run(site.world.client("test").create(NAMESPACE, {"metadata": {"name": name}}))


def add_config_map(site: Site, name: str, data: dict[str, str], labels: dict[str, str] | None = None) -> None:
    body = {"metadata": {"name": name, "labels": labels or {}}, "data": data}
    site.run(site.world.client("test").create(CONFIG_MAP, body, "default"))


def refusal(site: Site, method: str, target: str, body: Any = None) -> tuple[int, int, str]:
    status, error = site.send(method, target, body)
    return status, error["code"], error["message"]


@pytest.mark.accepts("AS-001", "AS-002", "AS-003")
def test_a_template_is_kept_as_a_config_map_of_texts(site: Site) -> None:
    assert site.ok("POST", TEMPLATES, B1) == {**B1, "memoryUnit": "Gi"}

    stored = site.stored(CONFIG_MAP, "default-template")
    assert stored["metadata"]["labels"] == {
        "ray.io/config-type": "compute-template",
        "ray.io/compute-template": "default-template",
    }
    assert stored["data"] == {
        "name": "default-template",
        "namespace": "default",
        "cpu": "2",
        "memory": "4",
        "memory_unit": "Gi",
        "gpu": "0",
        "gpu_accelerator": "",
        "extended_resources": "null",
    }

    assert refusal(site, "POST", TEMPLATES, {**B1, "cpu": 3}) == (
        409,
        6,
        (
            "Compute template with name default-template already exists in namespace default: Create compute template failed.: "
            "Already exist error: Compute template with name default-template already exists in namespace default"
        ),
    )
    assert site.stored(CONFIG_MAP, "default-template") == stored


@pytest.mark.accepts("AS-004", "AS-005")
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu": 0}, "Cpu amount is zero. Please specify a valid value."),
        ({"cpu": None}, "Cpu amount is zero. Please specify a valid value."),
        ({"memory": None}, "Memory amount is zero. Please specify a valid value."),
        ({"cpu": None, "memory": None}, "Cpu amount is zero. Please specify a valid value."),
        ({"name": "", "cpu": 0}, "Compute template name is empty. Please specify a valid value."),
        (
            {"namespace": "team-b", "name": ""},
            "The namespace in the request is different from the namespace defined in the compute template.",
        ),
    ],
)
def test_what_is_wrong_first_is_told(site: Site, changes: JsonObject, text: str) -> None:
    wrap = "Validate compute template runtime request failed."
    assert refusal(site, "POST", TEMPLATES, B1 | changes) == (
        400,
        3,
        f"{text}: {wrap}: Invalid input error: {text}",
    )
    assert site.ok("GET", ALL) == {}


@pytest.mark.accepts("AS-006")
@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("XX", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        (" Gi", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("GiGi", "unable to parse quantity's suffix"),
    ],
)
def test_memory_in_no_unit_of_kubernetes(site: Site, unit: str, why: str) -> None:
    assert refusal(site, "POST", TEMPLATES, B1 | {"memoryUnit": unit}) == (
        500,
        13,
        (
            "Internal Server Error: Create compute template failed.: InternalServerError: Failed to convert compute runtime "
            f'(default/default-template): invalid memory quantity "4{unit}": {why}'
        ),
    )
    assert site.ok("GET", TEMPLATES) == {}


@pytest.mark.accepts("AS-007")
def test_templates_are_listed_by_namespace_and_over_all(site: Site) -> None:
    add_namespace(site, "team-b")
    assert [site.ok("GET", path) for path in (TEMPLATES, IN_B, ALL)] == [{}, {}, {}]
    site.ok("POST", IN_B, B1 | {"namespace": "team-b", "name": "a"})
    site.ok("POST", TEMPLATES, B1)

    assert [each["name"] for each in site.ok("GET", ALL)["computeTemplates"]] == ["default-template", "a"]
    assert [each["name"] for each in site.ok("GET", IN_B)["computeTemplates"]] == ["a"]


@pytest.mark.accepts("AS-008")
def test_tolerations_and_extended_resources_come_back_and_reach_pods(site: Site) -> None:
    toleration = {"key": "k", "operator": "Exists", "effect": "NoSchedule"}
    more = {"tolerations": [toleration], "extendedResources": {"example.com/x": 3}}
    site.ok("POST", TEMPLATES, B1 | more)
    assert site.ok("GET", f"{TEMPLATES}/default-template") == {**B1, **more, "memoryUnit": "Gi"}

    head = {"computeTemplate": "default-template", "rayStartParams": {"dashboard-host": "0.0.0.0"}}
    cluster = {"name": "c", "namespace": "default", "user": "ada", "clusterSpec": {"headGroupSpec": head}}
    site.ok("POST", "/apis/v1/namespaces/default/clusters", cluster)
    pod = site.stored(RAY_CLUSTER, "c")["spec"]["headGroupSpec"]["template"]["spec"]
    assert pod["tolerations"] == [toleration]
    amounts = {"cpu": "2", "memory": "4Gi", "example.com/x": "3"}
    assert pod["containers"][0]["resources"] == {"limits": amounts, "requests": amounts}


@pytest.mark.accepts("AS-009")
def test_any_config_map_passes_for_a_template_but_is_not_listed(site: Site) -> None:
    add_config_map(site, "other", {"cpu": "many", "memory": "-1", "extended_resources": "{", "tolerations": "7"})
    assert site.ok("GET", f"{TEMPLATES}/other") == {"name": "other", "namespace": "default"}
    assert site.ok("GET", TEMPLATES) == {}
    assert site.send("POST", TEMPLATES, B1 | {"name": "other"})[0] == 409
    assert site.ok("DELETE", f"{TEMPLATES}/other") == {}


def test_what_can_be_read_of_a_config_map_is(site: Site) -> None:
    data = {
        "cpu": "99999999999",
        "memory": "3",
        "extended_resources": '{"a.b/c": 1, "a.b/d": "x", "a.b/e": -1}',
        "tolerations": '[{"key": "k", "value": 5}, "x"]',
    }
    add_config_map(site, "odd", data, {"ray.io/config-type": "compute-template"})
    expected = {
        "name": "odd",
        "namespace": "default",
        "cpu": 2**32 - 1,
        "memory": 3,
        "extendedResources": {"a.b/c": 1},
        "tolerations": [{"key": "k"}],
    }
    assert site.ok("GET", TEMPLATES) == {"computeTemplates": [expected]}


@pytest.mark.accepts("AS-010")
def test_a_deleted_template_is_gone_but_not_what_was_made_from_it(site: Site) -> None:
    site.ok("POST", TEMPLATES, B1)
    head = {"computeTemplate": "default-template", "rayStartParams": {"dashboard-host": "0.0.0.0"}}
    cluster = {"name": "c", "namespace": "default", "user": "ada", "clusterSpec": {"headGroupSpec": head}}
    site.ok("POST", "/apis/v1/namespaces/default/clusters", cluster)
    before = site.stored(RAY_CLUSTER, "c")

    assert site.ok("DELETE", f"{TEMPLATES}/default-template") == {}
    gone = 'NotFoundError: Compute template default-template not found: configmaps "default-template" not found'
    for method, wrap in (("GET", "Get compute template failed."), ("DELETE", "Get compute template failure")):
        assert refusal(site, method, f"{TEMPLATES}/default-template") == (
            404,
            5,
            f"Compute template default-template not found: {wrap}: {gone}",
        )
    assert site.stored(RAY_CLUSTER, "c") == before
