"""The status of a RayCluster from what is there to see: the decisions by themselves (kuberay-operator 1.7, 3.15)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.status import (
    Observed,
    PodFailure,
    calculate,
    counts,
    endpoints_of,
    must_write,
    totals,
)
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject
from rayrig_core.resources.feature_gates import FeatureGates

#: 2026-01-01T00:00:00Z
NOW_NS = 1_767_225_600 * 10**9
NOW, EARLIER = "2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"
SERVICE = {
    "metadata": {"name": "rc-head-svc"},
    "spec": {"clusterIP": "None", "ports": [{"name": "dashboard", "port": 8265, "targetPort": 8265}]},
}


def pod(node_type: str = "worker", phase: str = "Running", ready: str | None = "True", **status: Any) -> JsonObject:
    conditions = (
        [] if ready is None else [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
    )
    return {
        "metadata": {"name": f"the-{node_type}", "labels": {"ray.io/node-type": node_type}},
        "status": {"phase": phase, "podIP": "10.0.0.7", "conditions": conditions, **status},
    }


def condition(kind: str, status: str, reason: str, message: str = "", time: str = EARLIER) -> JsonObject:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time}


class Status:
    """Calculates one: of a cluster with one group `w` of one worker unless told otherwise."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __call__(
        self,
        pods: list[JsonObject],
        before: JsonObject | None = None,
        error: Exception | None = None,
        services: list[JsonObject] | None = None,
        groups: list[JsonObject] | None = None,
        **fields: Any,
    ) -> JsonObject:
        cluster = self.values.cluster(*(groups if groups is not None else [self.values.group()]), **fields)
        cluster.obj["metadata"]["generation"] = 3
        if before is not None:
            cluster.obj["status"] = before
        observed = Observed(pods, [SERVICE] if services is None else services, error)
        return calculate(cluster, counts(cluster), observed, NOW_NS)


@pytest.fixture
def status(values: Any) -> Status:
    return Status(values)


def conditions(found: JsonObject) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found["conditions"]}


def times(found: JsonObject) -> dict[str, str]:
    return {each["type"]: each["lastTransitionTime"] for each in found["conditions"]}


@pytest.mark.accepts("RC-086")
def test_the_status_of_a_cluster_that_became_ready(status: Status) -> None:
    assert status([pod("head"), pod()]) == {
        "state": "ready",
        "stateTransitionTimes": {"ready": NOW},
        "readyWorkerReplicas": 1,
        "availableWorkerReplicas": 1,
        "desiredWorkerReplicas": 1,
        "maxWorkerReplicas": 5,
        "desiredCPU": "2",
        "desiredMemory": "4Gi",
        "desiredGPU": "0",
        "desiredTPU": "0",
        "observedGeneration": 3,
        "endpoints": {"dashboard": "8265"},
        "head": {"podIP": "10.0.0.7", "podName": "the-head", "serviceIP": "10.0.0.7", "serviceName": "rc-head-svc"},
        "lastUpdateTime": NOW,
        "conditions": [
            condition("HeadPodReady", "True", "HeadPodRunningAndReady", "", NOW),
            condition(
                "RayClusterProvisioned",
                "True",
                "AllPodRunningAndReadyFirstTime",
                "All Ray Pods are ready for the first time",
                NOW,
            ),
            condition("RayClusterSuspended", "False", "RayClusterSuspended", "", NOW),
            condition("RayClusterSuspending", "False", "RayClusterSuspending", "", NOW),
        ],
    }


@pytest.mark.accepts("RC-090")
def test_the_status_of_a_cluster_without_pods(status: Status) -> None:
    assert status([]) == {
        "desiredWorkerReplicas": 1,
        "maxWorkerReplicas": 5,
        "desiredCPU": "2",
        "desiredMemory": "4Gi",
        "desiredGPU": "0",
        "desiredTPU": "0",
        "observedGeneration": 3,
        "endpoints": {"dashboard": "8265"},
        "head": {"serviceName": "rc-head-svc"},
        "lastUpdateTime": NOW,
        "conditions": [
            condition("HeadPodReady", "False", "HeadPodNotFound", "Head Pod not found", NOW),
            condition(
                "RayClusterProvisioned",
                "False",
                "RayClusterPodsProvisioning",
                "RayCluster Pods are being provisioned for first time",
                NOW,
            ),
            condition("RayClusterSuspended", "False", "RayClusterSuspended", "", NOW),
            condition("RayClusterSuspending", "False", "RayClusterSuspending", "", NOW),
        ],
    }


# State


@pytest.mark.accepts("RC-086", "RC-087", "RC-088")
@pytest.mark.parametrize(
    ("pods", "state"),
    [
        ([pod("head"), pod()], "ready"),
        ([pod("head"), pod(ready=None)], "ready"),
        ([pod("head"), pod(ready="False")], None),
        ([pod("head"), pod(ready="Unknown")], None),
        ([pod("head"), pod(phase="Pending")], None),
        ([pod("head")], None),
        ([pod("head"), pod(), pod()], None),
        ([], None),
    ],
)
def test_ready_takes_exactly_the_pods_that_are_wanted_and_none_of_them_unready(
    status: Status, pods: list[JsonObject], state: str | None
) -> None:
    assert status(pods).get("state") == state
    # Once ready it stays so, and the time it became so.
    before = {"state": "ready", "stateTransitionTimes": {"ready": EARLIER}}
    after = status(pods, before)
    assert (after["state"], after["stateTransitionTimes"]) == ("ready", {"ready": EARLIER})


def test_a_pass_with_an_error_makes_nothing_ready(status: Status) -> None:
    assert "state" not in status([pod("head"), pod()], error=ReconcileError("no"))


def test_ready_clears_a_reason_of_old(status: Status) -> None:
    assert "reason" not in status([pod("head"), pod()], {"reason": "trouble"})
    assert status([pod("head")], {"reason": "trouble"})["reason"] == "trouble"


@pytest.mark.accepts("RC-087")
def test_workers_are_counted_by_phase_and_by_readiness(status: Status) -> None:
    pods = [pod("head"), pod(), pod(ready="False"), pod(ready=None), pod(phase="Pending"), pod("redis-cleanup")]
    found = status(pods)
    assert (found["availableWorkerReplicas"], found["readyWorkerReplicas"]) == (3, 1)
    none = status([pod("head"), pod(phase="Failed")])
    assert not {"availableWorkerReplicas", "readyWorkerReplicas"} & set(none)


# Conditions


@pytest.mark.accepts("RC-089")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status": "True"}, ("True", "HeadPodRunningAndReady", "")),
        ({"status": "True", "reason": "Because", "message": "why"}, ("True", "Because", "why")),
        ({"status": "False"}, ("False", "Unknown", "")),
        ({"status": "Unknown", "reason": "NodeLost", "message": "gone"}, ("Unknown", "NodeLost", "gone")),
        ({"status": "False", "reason": "ContainersNotReady", "message": "m"}, ("False", "ContainersNotReady", "m")),
    ],
)
def test_the_heads_readiness_is_mirrored(status: Status, given: JsonObject, expected: tuple[str, str, str]) -> None:
    others = {"type": "Initialized", "status": "False", "reason": "Other"}
    head = pod("head", conditions=[others, {"type": "Ready", **given}])
    assert conditions(status([head]))["HeadPodReady"] == expected


def test_a_head_without_a_ready_condition_is_unknown(status: Status) -> None:
    assert conditions(status([pod("head", ready=None)]))["HeadPodReady"] == ("False", "Unknown", "")
    bare = {"metadata": pod("head")["metadata"]}
    assert conditions(status([bare]))["HeadPodReady"] == ("False", "Unknown", "")


@pytest.mark.accepts("RC-091")
@pytest.mark.parametrize(
    ("message", "containers", "reason", "text"),
    [
        ("not ready", [("a", "waiting", "ImagePullBackOff", "no image")], "ImagePullBackOff", "not ready; a: no image"),
        ("", [("a", "terminated", "Error", "exit 1")], "Error", "a: exit 1"),
        ("m", [("a", "terminated", "Error", None)], "Error", "m; a: "),
        ("m", [("a", "running", None, None), ("b", "waiting", "Second", "x")], "Second", "m; b: x"),
        ("m", [("a", "waiting", "First", "x"), ("b", "waiting", "Second", "y")], "First", "m; a: x"),
        ("m", [("a", "waiting", None, "x")], "ContainersNotReady", "m; a: x"),
        ("m", [("a", "running", None, None)], "ContainersNotReady", "m"),
    ],
)
def test_the_first_container_that_waits_or_ended_says_why_the_head_is_not_ready(
    status: Status, message: str, containers: list[tuple[str, str, str | None, str | None]], reason: str, text: str
) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": message}
    statuses = []
    for name, kind, why, what in containers:
        state = {key: value for key, value in (("reason", why), ("message", what)) if value is not None}
        statuses.append({"name": name, "state": {kind: state}})
    head = pod("head", conditions=[ready], containerStatuses=statuses)
    assert conditions(status([head]))["HeadPodReady"] == ("False", reason, text)


def test_containers_are_looked_at_only_for_that_reason(status: Status) -> None:
    waiting = {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    ready = {"type": "Ready", "status": "False", "reason": "PodFailed", "message": "m"}
    head = pod("head", conditions=[ready], containerStatuses=[waiting])
    assert conditions(status([head]))["HeadPodReady"] == ("False", "PodFailed", "m")


def test_a_condition_keeps_its_time_while_its_status_does(status: Status) -> None:
    before = [
        condition("HeadPodReady", "False", "ContainersNotReady", "m"),
        condition("Foreign", "True", "Own"),
        condition("RayClusterSuspended", "False", "RayClusterSuspended"),
    ]
    changed = status([pod("head", phase="Pending", ready="False")], {"conditions": before})
    # Another reason, the same status: the time stays, the place too.
    assert changed["conditions"][0] == condition("HeadPodReady", "False", "Unknown")
    assert changed["conditions"][1] == before[1]
    assert times(changed)["RayClusterSuspended"] == EARLIER
    assert times(changed)["RayClusterSuspending"] == NOW
    assert times(status([pod("head")], {"conditions": before}))["HeadPodReady"] == NOW
    assert before[0]["reason"] == "ContainersNotReady"


@pytest.mark.accepts("RC-028")
def test_a_failed_pod_call_is_a_condition_until_a_pass_without_error(status: Status) -> None:
    failure = PodFailure("FailedCreateWorkerPod", "quota")
    failed = status([pod("head")], error=failure)
    assert conditions(failed)["ReplicaFailure"] == ("True", "FailedCreateWorkerPod", "FailedCreateWorkerPod\nquota")
    stays = status([pod("head")], failed, error=ReconcileError("something else"))
    assert "ReplicaFailure" in conditions(stays)
    assert "ReplicaFailure" not in conditions(status([pod("head")], failed))
    assert "ReplicaFailure" not in conditions(status([pod("head")], error=ReconcileError("something else")))


@pytest.mark.accepts("RC-089")
def test_provisioned_does_not_count_and_stays(status: Status) -> None:
    first = status([pod("head")])
    assert conditions(first)["RayClusterProvisioned"][0] == "True"
    later = status([pod("head", ready="False")], first)
    assert conditions(later)["RayClusterProvisioned"] == conditions(first)["RayClusterProvisioned"]
    assert conditions(later)["HeadPodReady"][0] == "False"


def suspension(suspending: str, suspended: str, provisioned: str = "True") -> JsonObject:
    return {
        "conditions": [
            condition("RayClusterProvisioned", provisioned, "x"),
            condition("RayClusterSuspended", suspended, "RayClusterSuspended"),
            condition("RayClusterSuspending", suspending, "RayClusterSuspending"),
        ]
    }


@pytest.mark.accepts("RC-080", "RC-081", "RC-082")
@pytest.mark.parametrize(
    ("before", "suspend", "pods", "after"),
    [
        # (Suspending, Suspended, Provisioned)
        (("False", "False"), None, 1, ("False", "False", "True")),
        (("False", "False"), False, 1, ("False", "False", "True")),
        (("False", "False"), True, 1, ("True", "False", "True")),
        (("False", "False"), True, 0, ("True", "False", "True")),
        (("True", "False"), True, 1, ("True", "False", "True")),
        (("True", "False"), False, 1, ("True", "False", "True")),
        (("True", "False"), False, 0, ("False", "True", "False")),
        (("True", "False"), True, 0, ("False", "True", "False")),
        (("False", "True"), True, 0, ("False", "True", "True")),
        (("False", "True"), None, 0, ("False", "True", "True")),
        (("False", "True"), False, 0, ("False", "False", "True")),
    ],
)
def test_suspension_is_carried_through(
    status: Status, before: tuple[str, str], suspend: bool | None, pods: int, after: tuple[str, str, str]
) -> None:
    fields = {} if suspend is None else {"suspend": suspend}
    found = conditions(status([pod("head")] * pods, suspension(*before), **fields))
    kinds = ("RayClusterSuspending", "RayClusterSuspended", "RayClusterProvisioned")
    assert tuple(found[kind][0] for kind in kinds) == after
    assert found["RayClusterSuspending"][1:] == ("RayClusterSuspending", "")
    assert found["RayClusterSuspended"][1:] == ("RayClusterSuspended", "")


def test_a_suspended_cluster_has_been_so_and_is_not_provisioned(status: Status) -> None:
    found = conditions(status([], suspension("True", "False"), suspend=True))
    assert found["RayClusterProvisioned"] == (
        "False",
        "RayClusterPodsProvisioning",
        "RayCluster has been suspended",
    )
    kept = conditions(status([pod("head")], suspension("False", "True", "False")))
    assert kept["RayClusterProvisioned"] == ("False", "x", "")


@pytest.mark.parametrize(
    ("suspend", "pods", "state"),
    [(True, [], "suspended"), (True, [pod("head")], None), (None, [], None), (False, [], None)],
)
def test_the_state_is_suspended_once_no_pod_is_left(
    status: Status, suspend: bool | None, pods: list[JsonObject], state: str | None
) -> None:
    found = status(pods, suspend=suspend)
    assert found.get("state") == state
    assert found.get("stateTransitionTimes") == ({"suspended": NOW} if state else None)
    before = {"state": "ready", "stateTransitionTimes": {"ready": EARLIER}}
    after = status(pods, before, suspend=suspend)
    assert after["stateTransitionTimes"] == {"ready": EARLIER, **({"suspended": NOW} if state else {})}


def test_without_their_gate_there_are_no_conditions(values: Any) -> None:
    options = OperatorOptions(gates=FeatureGates(ray_cluster_status_conditions=False))
    found = Status(values)([pod("head"), pod()], options=options)
    assert "conditions" not in found
    assert found["state"] == "ready"


# Head and endpoints


@pytest.mark.accepts("RC-096")
def test_the_head_is_told_by_pod_and_service(status: Status) -> None:
    own = {"metadata": {"name": "mine"}, "spec": {"clusterIP": "10.96.0.9"}}
    assert status([pod("head")], services=[own])["head"] == {
        "podIP": "10.0.0.7",
        "podName": "the-head",
        "serviceIP": "10.96.0.9",
        "serviceName": "mine",
    }
    assert status([], services=[own])["head"] == {"serviceIP": "10.96.0.9", "serviceName": "mine"}
    assert status([pod("head", podIP="")])["head"] == {"podName": "the-head", "serviceName": "rc-head-svc"}


@pytest.mark.accepts("RC-095")
def test_endpoints_are_node_ports_else_targets_and_only_named_ones() -> None:
    ports = [
        {"name": "a", "port": 1, "targetPort": 2, "nodePort": 30001},
        {"name": "b", "port": 1, "targetPort": 2},
        {"name": "c", "port": 1, "targetPort": "http"},
        {"name": "d", "port": 5},
        {"port": 6},
    ]
    assert endpoints_of({"spec": {"ports": ports}}) == {"a": "30001", "b": "2", "c": "http", "d": "5"}
    assert endpoints_of({"spec": {}}) == {}


def test_endpoints_are_never_taken_away(status: Status) -> None:
    found = status([], {"endpoints": {"old": "1", "dashboard": "2"}})
    assert found["endpoints"] == {"old": "1", "dashboard": "8265"}


@pytest.mark.parametrize(
    ("pods", "services", "text"),
    [
        ([], [], "expected one head service of default/rc, found 0"),
        ([], [SERVICE, SERVICE], "expected one head service of default/rc, found 2"),
        ([], [{**SERVICE, "spec": {}}], "head service rc-head-svc of default/rc has no cluster IP yet"),
        ([pod("head"), pod("head")], None, "found multiple heads. cluster name rc, namespace default"),
    ],
)
def test_without_one_head_and_its_service_there_is_no_status(
    status: Status, pods: list[JsonObject], services: list[JsonObject] | None, text: str
) -> None:
    with pytest.raises(ReconcileError) as raised:
        status(pods, services=services)
    assert str(raised.value) == text


# Counters and totals


@pytest.mark.accepts("RC-092", "RC-093")
def test_suspended_groups_count_for_nothing(values: Any) -> None:
    worker = {"spec": {"containers": [values.container("w", "1", "1Gi")]}}
    groups = [
        values.group("a", 2, suspend=True, minReplicas=1, template=worker),
        values.group("c", None, minReplicas=1, template=worker),
        values.group("b", 3, minReplicas=2, maxReplicas=4, numOfHosts=2, template=worker),
    ]
    known = counts(values.cluster(*groups))
    assert (known.desired, known.low, known.high) == (3 * 2 + 1, 2 * 2 + 1, 4 * 2 + 5)
    # Head of 1 CPU and 2Gi, six pods of b; replicas that are not set count as none.
    assert (known.totals["desiredCPU"], known.totals["desiredMemory"]) == ("7", "8Gi")
    most = counts(values.cluster(values.group("a", minReplicas=2_000_000_000, maxReplicas=2_100_000_000, numOfHosts=2)))
    assert (most.low, most.high) == (2_147_483_647, 2_147_483_647)


@pytest.mark.accepts("RC-093", "RC-094")
def test_requests_come_before_limits_and_other_resources_do_not_count() -> None:
    def template(**resources: JsonObject) -> JsonObject:
        return {"spec": {"containers": [{"resources": resources}]}}

    both = template(limits={"ephemeral-storage": "9Gi", "cpu": "4", "memory": "1Gi"}, requests={"cpu": "500m"})
    none = {"desiredCPU": "0", "desiredMemory": "0", "desiredGPU": "0", "desiredTPU": "0"}
    assert totals([(both, 3)]) == {**none, "desiredCPU": "1500m", "desiredMemory": "3Gi"}
    assert totals([(both, 0), ({}, 1), ({"spec": {"containers": [{}]}}, 2)]) == none
    gpus = template(limits={"nvidia.com/gpu": 1, "nvidia.com/mig-1g.5gb": "2", "example.com/gpu": "1"})
    assert totals([(gpus, 2)]) == {**none, "desiredGPU": "8"}
    assert totals([(template(requests={"google.com/tpu": "4"}), 4)]) == {**none, "desiredTPU": "16"}
    # The form of the first amount that is not zero.
    sizes = [(template(limits={"memory": "0"}), 1), (template(limits={"memory": "1G"}), 1), (both, 1)]
    assert totals(sizes)["desiredMemory"] == "2073741824"


# Writing


@pytest.mark.accepts("RC-097")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "suspended"),
        ("reason", "r"),
        ("readyWorkerReplicas", 5),
        ("availableWorkerReplicas", 5),
        ("desiredWorkerReplicas", 5),
        ("minWorkerReplicas", 5),
        ("maxWorkerReplicas", 6),
        ("endpoints", {}),
        ("head", {}),
        ("conditions", []),
    ],
)
def test_a_change_of_these_is_written(status: Status, field: str, value: Any) -> None:
    now = status([pod("head"), pod()])
    assert must_write({**now, field: value}, now)
    assert must_write(None, now)


@pytest.mark.accepts("RC-097")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lastUpdateTime", EARLIER),
        ("observedGeneration", 1),
        ("desiredCPU", "9"),
        ("reason", ""),
        ("minWorkerReplicas", 0),
    ],
)
def test_a_change_of_those_waits_for_one_of_these(status: Status, field: str, value: Any) -> None:
    now = status([pod("head"), pod()])
    assert not must_write({**now, field: value}, now)
