"""Settings of TLS that the operator makes itself are refused, in the operator's words."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.resources.validation import ray_cluster_problems

GATES = FeatureGates(ray_cluster_mtls=True)
END = "when tlsOptions is set - the operator manages TLS configuration automatically"


def problems(
    head: Any = None, worker: Any = None, autoscaler: Any = None, gates: FeatureGates = GATES, *, enabled: bool = True
) -> list[tuple[str, str]]:
    def template(own: Any) -> Any:
        second = {"name": "other", "image": "x", "env": [{"name": "RAY_USE_TLS", "value": "1"}]}
        return {"spec": {"containers": [{"name": "ray", "image": "ray", **(own or {})}, second]}}

    group = {"groupName": "w", "minReplicas": 0, "maxReplicas": 1, "rayStartParams": {}, "template": template(worker)}
    spec = {
        "rayVersion": "2.55.1",
        "tlsOptions": {"enabled": enabled},
        "headGroupSpec": {"rayStartParams": {}, "template": template(head)},
        "workerGroupSpecs": [group],
        **({"autoscalerOptions": autoscaler} if autoscaler else {}),
    }
    cluster = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "rc"}, "spec": spec}
    return [(problem.path, problem.message) for problem in ray_cluster_problems(cluster, gates)]


@pytest.mark.parametrize("name", ["RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"])
def test_variables_of_tls_are_refused(name: str) -> None:
    own = {"env": [{"name": "A", "value": "1"}, {"name": name, "value": "x"}]}
    head = "spec.headGroupSpec.template.spec.containers[0].env"
    worker = "spec.workerGroupSpecs[0].template.spec.containers[0].env"
    assert problems(head=own) == [(head, f"cannot set {name} environment variable in head Pod {END}")]
    assert problems(worker=own) == [(worker, f'cannot set {name} environment variable in worker group "w" {END}')]
    message = f"cannot set {name} environment variable in autoscalerOptions.env when tlsOptions is set "
    message += "- the operator manages TLS configuration for the autoscaler automatically"
    assert problems(autoscaler=own) == [("spec.autoscalerOptions.env", message)]


@pytest.mark.parametrize(
    ("mount", "which"),
    [
        ({"name": "ray-tls", "mountPath": "/x"}, 'named "ray-tls"'),
        ({"name": "x", "mountPath": "/etc/ray/tls"}, 'at path "/etc/ray/tls"'),
    ],
)
def test_mounts_in_the_place_of_certificates_are_refused(mount: Any, which: str) -> None:
    own = {"volumeMounts": [{"name": "data", "mountPath": "/data"}, mount]}
    head = "spec.headGroupSpec.template.spec.containers[0].volumeMounts"
    worker = "spec.workerGroupSpecs[0].template.spec.containers[0].volumeMounts"
    options = "spec.autoscalerOptions.volumeMounts"
    assert problems(head=own) == [(head, f"cannot use volume mount {which} in head Pod {END}")]
    assert problems(worker=own) == [(worker, f'cannot use volume mount {which} in worker group "w" {END}')]
    assert problems(autoscaler=own) == [
        (options, f"cannot use volume mount {which} in autoscalerOptions.volumeMounts {END}")
    ]


def test_without_mutual_tls_they_are_a_users_own() -> None:
    own = {"env": [{"name": "RAY_USE_TLS", "value": "1"}], "volumeMounts": [{"name": "ray-tls", "mountPath": "/tls"}]}
    assert problems(head=own, worker=own, autoscaler=own, enabled=False) == []
    assert problems() == []
    (only,) = problems(head=own, gates=FeatureGates())
    assert only == ("spec.tlsOptions", "spec.tlsOptions requires the RayClusterMTLS feature gate to be enabled")
