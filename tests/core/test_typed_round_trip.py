"""What the operator's types add to a spec and drop from it (kuberay-operator 0.3.13)."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import copy_json
from rayrig_core.resources.typed_round_trip import typed_ray_cluster_spec, typed_ray_service_spec


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", **container}]}}


def test_what_always_serialises_appears() -> None:
    spec = {"headGroupSpec": {"template": pod()}, "workerGroupSpecs": [{"groupName": "g", "template": pod()}]}
    before = copy_json(spec)
    assert typed_ray_cluster_spec(spec) == {
        "headGroupSpec": {
            "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}},
        },
        "workerGroupSpecs": [
            {
                "groupName": "g",
                "scaleStrategy": {},
                "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}},
            }
        ],
    }
    assert spec == before


def test_quantities_become_canonical() -> None:
    spec = {
        "headGroupSpec": {
            "template": pod(resources={"limits": {"cpu": 2, "memory": "1024Mi"}, "requests": {"cpu": "0.5"}})
        }
    }
    container = typed_ray_cluster_spec(spec)["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m"}}


def test_zero_values_disappear_from_a_service() -> None:
    spec = {"suspend": False, "excludeHeadPodFromServeSvc": False, "serveConfigV2": "", "managedBy": "x"}
    assert typed_ray_service_spec(spec) == {"managedBy": "x"}


def test_a_service_template_gets_its_empty_parts_and_a_target_port() -> None:
    spec = {"serveService": {"spec": {"ports": [{"name": "serve", "port": 80}]}}}
    assert typed_ray_service_spec(spec)["serveService"] == {
        "metadata": {},
        "spec": {"ports": [{"name": "serve", "port": 80, "targetPort": 0}]},
        "status": {"loadBalancer": {}},
    }


def test_what_went_round_once_stays_as_it_is() -> None:
    spec = {
        "rayClusterConfig": {"headGroupSpec": {"template": pod()}, "workerGroupSpecs": [{"template": pod()}]},
        "serveService": {"spec": {"ports": [{"port": 1}]}},
    }
    once = typed_ray_service_spec(spec)
    assert typed_ray_service_spec(once) == once


def test_a_clusters_own_controller_fills_in_missing_start_parameters() -> None:
    spec = {
        "headGroupSpec": {"template": pod()},
        "workerGroupSpecs": [{"template": pod(), "rayStartParams": {"a": "b"}}],
    }
    typed = typed_ray_cluster_spec(spec, fills_start_params=True)
    assert typed["headGroupSpec"]["rayStartParams"] == {}
    assert typed["workerGroupSpecs"][0]["rayStartParams"] == {"a": "b"}
    assert "rayStartParams" not in spec["headGroupSpec"]
