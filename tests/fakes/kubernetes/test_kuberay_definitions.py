"""KubeRay's own CRDs load as they are and take its samples. Read from the workspace when it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE
from rayrig_core.resources.crds import custom_resource_definitions
from tests.fakes.kubernetes.conftest import Api

KUBERAY = Path(__file__).parents[4] / "shared" / "kuberay"

pytestmark = pytest.mark.skipif(not KUBERAY.is_dir(), reason="KubeRay's files are not part of this repository")


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if each]


@cache
def kuberay_definitions() -> tuple[dict[str, Any], ...]:
    files = ("ray.io_rayservices.yaml", "ray.io_rayclusters.yaml")
    return tuple(each for file in files for each in documents(KUBERAY / "crd" / file))


def samples() -> list[Path]:
    return sorted((KUBERAY / "samples").glob("*.yaml"))


@pytest.fixture
def kuberay(api: Api) -> Api:
    api.server.add_definitions(kuberay_definitions())
    return api


@pytest.mark.accepts("K8-043")
@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.stem)
def test_samples_are_taken_and_become_the_same_as_with_our_definitions(kuberay: Api, sample: Path) -> None:
    ours = Api()
    ours.server.add_definitions(custom_resource_definitions())
    for document in documents(sample):
        served = kuberay.server.state.registry.for_object(document)
        if served is None:
            continue
        document["metadata"].pop("namespace", None)
        made = kuberay.create(served.type, document)
        if served.rules.is_custom:
            assert ours.create(served.type, document)["spec"] == made["spec"]


@pytest.mark.accepts("K8-043")
def test_defaults_of_a_worker_group(kuberay: Api) -> None:
    template = {"spec": {"containers": [{"name": "ray", "image": "rayproject/ray:2.52.0"}]}}
    cluster = {
        "headGroupSpec": {"rayStartParams": {}, "template": template},
        "workerGroupSpecs": [{"groupName": "g", "rayStartParams": {}, "template": template}],
    }
    made = kuberay.create(RAY_CLUSTER, {"metadata": {"name": "c"}, "spec": cluster})
    group = made["spec"]["workerGroupSpecs"][0]
    assert (group["numOfHosts"], group["maxReplicas"], group["minReplicas"]) == (1, 2147483647, 0)


@pytest.mark.accepts("K8-043")
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"serveConfigV2": 5}, "spec.serveConfigV2"),
        ({"rayClusterConfig": []}, "spec.rayClusterConfig"),
        (
            {"rayClusterConfig": {"headGroupSpec": {"rayStartParams": {}}}},
            "spec.rayClusterConfig.headGroupSpec.template",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(kuberay: Api, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        kuberay.create(RAY_SERVICE, {"metadata": {"name": "s"}, "spec": spec})
    assert refused.value.status["details"]["causes"][0]["field"] == field
