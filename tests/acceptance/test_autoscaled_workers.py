"""Load rises and falls on a service whose workers the Ray autoscaler brings and takes away."""

from __future__ import annotations

import pytest

from rayrig_core.trace import Kind
from rayrig_scenarios.language.load import load_text
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run

BURST = """
name: burst
description: Load rises and falls.
nodes:
  - {name: cpu, cpu: 16, memory: 64Gi}
  - name: gpu
    count: 2
    cpu: 24
    memory: 96Gi
    gpus: 2
    labels: {accelerator: l4}
    taints: ["nvidia.com/gpu=present:NoSchedule"]
manifests:
  - bundled: gpu-autoscaled
traffic:
  - name: readers
    service: storyteller-serve-svc
    rate: 1/s
    timeout: 2m
    requests: {method: POST, path: /, json: {prompt: tell me a story}}
steps:
  - apply:
      manifest: storyteller
      set:
        spec.rayClusterConfig.enableInTreeAutoscaling: true
        spec.rayClusterConfig.autoscalerOptions: {idleTimeoutSeconds: 30}
        "spec.rayClusterConfig.workerGroupSpecs[gpus].replicas": 1
        "spec.rayClusterConfig.workerGroupSpecs[gpus].minReplicas": 1
  - wait: {for: {ready: storyteller}, timeout: 10m}
  - name: it answers
    request: {service: storyteller-serve-svc, method: POST, within: 10s}
  - start-traffic: readers
  - sleep: 1m
  - name: one worker is the steady value
    wait: {for: {pods: {service: storyteller, role: worker, total: 1}}, timeout: 1s}
  - fault: {kind: traffic-surge, traffic: readers, factor: 6, duration: 5m}
  - name: workers come
    wait: {for: {pods: {service: storyteller, role: worker, ready: ">= 2"}}, timeout: 5m}
  - name: and go
    wait: {for: {pods: {service: storyteller, role: worker, total: 1}}, timeout: 20m}
  - stop-traffic: readers
expect:
  - ready: storyteller
  - clusters: {created: 1, switches: 0, peak: 1}
"""


@pytest.mark.accepts("RS-135")
def test_workers_come_with_the_load_and_go_with_it_without_a_new_ray_cluster() -> None:
    result = run(load_text(BURST, "burst.yaml"))
    assert result.verdict is Verdict.PASS, [each.title for each in result.expectations if each.verdict != "pass"]
    decisions = [
        str(event.data[2]) for event in result.trace.select(Kind.RAY) if event.data[:2] == ("autoscaler", "scales")
    ]
    assert decisions[0].startswith("gpus from 1 to ")
    assert " to 1: " in decisions[-1], "the last worker too many is named for deletion"
