"""Why a pod is not ready, in one line, for every stage at which a pod can hang."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_backends.readiness import why_unready
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeObservation
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, Verdict

START_NS = 1_767_225_600 * NS  # 2026-01-01T00:00:00Z


def pod(*, node: str = "n-0", deleted: str = "", **status: Any) -> JsonObject:
    metadata: JsonObject = {"name": "p", "namespace": "default"}
    if deleted:
        metadata["deletionTimestamp"] = deleted
    spec: JsonObject = {"containers": [{"name": "main"}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", **status}}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> JsonObject:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def container(name: str = "main", *, ready: bool = False, **state: Any) -> JsonObject:
    return {"name": name, "ready": ready, "state": state}


def observed(verdict: Verdict, text: str, *, t_s: float = 12.5) -> ProbeObservation:
    return ProbeObservation(round(t_s * NS), "main", ProbeKind.READINESS, verdict, text)


@pytest.mark.parametrize(
    ("given", "history", "why"),
    [
        pytest.param(pod(conditions=[condition("Ready", "True")]), [], "", id="it is ready"),
        pytest.param(
            pod(deleted="2026-01-01T00:01:00Z"), [], "it is being deleted since 2026-01-01T00:01:00Z", id="deleted"
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="disk pressure"),
            [],
            "it has ended: Evicted (disk pressure)",
            id="evicted",
        ),
        pytest.param(pod(phase="Succeeded"), [], "it has ended: Succeeded", id="ended"),
        pytest.param(
            pod(
                node="",
                conditions=[
                    condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Too many pods.")
                ],
            ),
            [],
            "Unschedulable: 0/1 nodes are available: 1 Too many pods.",
            id="fits nowhere",
        ),
        pytest.param(pod(node=""), [], "the scheduler has not looked at it yet", id="new"),
        pytest.param(
            pod(
                initContainerStatuses=[container("wait", running={})],
                containerStatuses=[container(waiting={"reason": "PodInitializing"})],
            ),
            [],
            "init container wait is still running",
            id="initializing",
        ),
        pytest.param(
            pod(
                containerStatuses=[
                    container(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i"'})
                ]
            ),
            [],
            'main: ImagePullBackOff (Back-off pulling image "i")',
            id="no image",
        ),
        pytest.param(
            pod(phase="Running", containerStatuses=[container(terminated={"exitCode": 137, "reason": "OOMKilled"})]),
            [],
            "main: ended with 137 (OOMKilled)",
            id="killed",
        ),
        pytest.param(
            pod(phase="Running", containerStatuses=[container(running={})]),
            [observed(Verdict.FAILURE, "success\n")],
            "main: Readiness probe at 12.5 s (2026-01-01T00:00:12Z): failure: success",
            id="probe fails",
        ),
        pytest.param(
            pod(phase="Running", containerStatuses=[container(running={})]),
            [observed(Verdict.FAILURE, "refused"), observed(Verdict.SUCCESS, "")],
            "no readiness probe of main has succeeded yet",
            id="probe failed, but not the last",
        ),
        pytest.param(
            pod(phase="Running", containerStatuses=[container(running={})]),
            [],
            "no readiness probe of main has succeeded yet",
            id="not probed yet",
        ),
    ],
)
def test_the_reason_is_said_in_one_line(given: JsonObject, history: list[ProbeObservation], why: str) -> None:
    assert why_unready(given, history, START_NS) == why


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("ContainerCreating", 'main: ContainerCreating (FailedMount: configmap "c" not found)'),
        ("ErrImagePull", "main: ErrImagePull"),
    ],
)
def test_what_the_kubelet_warned_of_explains_a_container_that_is_not_made(reason: str, why: str) -> None:
    waiting = pod(containerStatuses=[container(waiting={"reason": reason})])
    assert why_unready(waiting, [], START_NS, lambda: 'FailedMount: configmap "c" not found') == why
