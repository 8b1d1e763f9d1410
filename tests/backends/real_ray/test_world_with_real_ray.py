"""The world in memory with a Ray of its own in each cluster, on the clock: with something in Ray's place."""

from __future__ import annotations

import pytest

from rayrig_backends.real_ray.local import RayFailed, RealRaySettings
from rayrig_backends.real_ray.world import RealRayWorld
from rayrig_core.errors import InputError
from rayrig_scenarios.language.load import load_text
from rayrig_scenarios.results import RunResult, Verdict
from rayrig_scenarios.runner import run

CLUSTER = """
name: cluster
description: a cluster
calibration: {image_pull: 0s, sandbox_start: 0s, container_start: 0s, gcs_start: 0s, dashboard_start: 0s, raylet_start: 0s}
manifests:
  - inline:
      apiVersion: ray.io/v1
      kind: RayCluster
      metadata: {name: c}
      spec:
        headGroupSpec:
          rayStartParams: {}
          template: {spec: {containers: [{name: ray-head, image: ray}]}}
steps:
  - apply: c
"""


def _run(settings: RealRaySettings, steps: str) -> RunResult:
    scenario = load_text(CLUSTER + steps, "cluster.yaml")
    return run(scenario, world_factory=lambda spec: RealRayWorld(spec, settings))


def test_requests_to_the_head_are_answered_by_its_ray(stand_in: RealRaySettings) -> None:
    result = _run(
        stand_in,
        """
  - request: {service: c-head-svc, port: 8265, path: /a, within: 60s, expect: {text: 8265 /a}}
  - request: {service: c-head-svc, port: 8000, path: /b, within: 60s, expect: {text: 8000 /b}}
""",
    )
    assert [(step.title, step.detail) for step in result.steps if step.state.value != "done"] == []
    assert result.verdict is Verdict.PASS


def test_a_ray_that_does_not_start_ends_the_run(stand_in: RealRaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_REDIS_ADDRESS", "none")
    with pytest.raises(RayFailed, match="no place for tables"):
        _run(stand_in, "  - request: {service: c-head-svc, port: 8265, path: /a, within: 60s, expect: {status: 200}}\n")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("  - fault: gcs-kill\n", "strikes at a modelled Ray"),
        (
            "  - start-traffic: t\ntraffic: [{name: t, service: c, rate: 1/s, requests: {path: /}}]\n",
            "traffic goes to modelled proxies only",
        ),
    ],
)
def test_what_needs_a_modelled_ray_is_refused(stand_in: RealRaySettings, steps: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        _run(stand_in, steps)
