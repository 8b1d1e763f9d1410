"""The subresources that change one part of a pod: resize, ephemeralcontainers."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import Forbidden, Invalid
from rayrig_core.resource_types import NODE, POD
from tests.fakes.kubernetes.conftest import Api

AMOUNTS = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


def pod(api: Api, **spec: Any) -> None:
    container = {"name": "c", "image": "i", "resources": AMOUNTS}
    api.create(POD, {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}})


def resize(api: Api, resources: Any, **container: Any) -> dict[str, Any]:
    patch = {"spec": {"containers": [{"name": "c", "resources": resources, **container}]}}
    found: dict[str, Any] = api.patch(POD, "p", patch, subresource="resize", patch_type="strategic")
    return found


def debug(api: Api, *containers: dict[str, Any]) -> dict[str, Any]:
    patch = {"spec": {"ephemeralContainers": list(containers)}}
    found: dict[str, Any] = api.patch(POD, "p", patch, subresource="ephemeralcontainers", patch_type="strategic")
    return found


def test_a_resize_changes_amounts_and_nothing_else(api: Api) -> None:
    pod(api)
    resized = resize(api, {"requests": {"cpu": "1500m"}}, image="other")
    container = resized["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "1500m", "memory": "1Gi"}
    assert container["image"] == "i"
    assert resized["metadata"]["generation"] == 2
    assert api.get(POD, "p", subresource="resize") == resized


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"requests": {"cpu": "3"}}, "must be less than or equal to cpu limit of 2"),
        ({"limits": {"memory": None}}, "resource limits cannot be removed"),
        ({"requests": None, "limits": None}, "Pod QOS Class may not change as a result of resizing"),
        (
            {"requests": {"example.com/x": "1"}, "limits": {"example.com/x": "1"}},
            "only cpu and memory resources are mutable",
        ),
    ],
)
def test_amounts_that_cannot_be(api: Api, resources: Any, says: str) -> None:
    pod(api)
    with pytest.raises(Invalid, match=says):
        resize(api, resources)


def test_a_bound_pod_asks_for_no_more_than_its_node_has(api: Api) -> None:
    api.create(NODE, {"metadata": {"name": "n"}})
    api.patch(NODE, "n", {"status": {"allocatable": {"cpu": "1", "memory": "4Gi"}}}, subresource="status")
    pod(api, nodeName="n")
    with pytest.raises(Forbidden, match="node didn't have enough allocatable resources: cpu, requested: 1500, allo"):
        resize(api, {"requests": {"cpu": "1500m"}})
    assert resize(api, {"requests": {"cpu": "500m"}})["metadata"]["generation"] == 2


def test_debugging_containers_are_added_and_stay(api: Api) -> None:
    pod(api)
    made = debug(api, {"name": "d", "image": "busybox", "targetContainerName": "c"})
    assert [each["name"] for each in made["spec"]["ephemeralContainers"]] == ["d"]
    assert made["metadata"]["generation"] == 2
    with pytest.raises(Invalid, match='existing ephemeral containers "d" may not be changed'):
        debug(api, {"name": "d", "image": "other"})
    with pytest.raises(Invalid, match='existing ephemeral containers "d" may not be removed'):
        api.patch(POD, "p", {"spec": {"ephemeralContainers": None}}, subresource="ephemeralcontainers")
    with pytest.raises(Invalid):
        api.patch(POD, "p", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}})


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ({"name": "c", "image": "i"}, 'ephemeralContainers\\[0\\].name: Duplicate value: "c"'),
        ({"name": "d"}, "ephemeralContainers\\[0\\].image: Required value"),
        ({"name": "d", "image": "i", "targetContainerName": "x"}, 'targetContainerName: Not found: "x"'),
        (
            {"name": "d", "image": "i", "ports": [{"containerPort": 1}]},
            "ports: Forbidden: cannot be set for an Ephemeral",
        ),
        ({"name": "d", "image": "i", "resources": {"limits": {"cpu": "1"}}}, "resources: Forbidden: cannot be set"),
    ],
)
def test_debugging_containers_that_cannot_be(api: Api, container: Any, says: str) -> None:
    pod(api)
    with pytest.raises(Invalid, match=says):
        debug(api, container)
