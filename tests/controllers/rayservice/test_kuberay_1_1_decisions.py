"""What KubeRay 1.1 decides about clusters and status, without any cluster (kuberay-operator 6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.rayservice.goal import Goal
from rayrig_controllers.rayservice.kuberay_1_1.clusters import (
    NO_SUCH_CLUSTER,
    Action,
    action_on_active,
    action_on_pending,
)
from rayrig_controllers.rayservice.kuberay_1_1.serve import _timed
from rayrig_controllers.rayservice.kuberay_1_1.tick import is_worth_writing
from rayrig_controllers.rayservice.status import ServiceStatus, Slot
from rayrig_controllers.releases import KUBERAY_1_1
from rayrig_core.objects import JsonObject

SPEC_HASH, GROUPS = "ray.io/hash-without-replicas-and-workers-to-delete", "ray.io/num-worker-groups"


def goal(*groups: str, **fields: Any) -> Goal:
    template = {"spec": {"containers": [{"name": "ray"}]}}
    return Goal(
        {
            "headGroupSpec": {"rayStartParams": {}, "template": template},
            "workerGroupSpecs": [{"groupName": name, "rayStartParams": {}, "template": template} for name in groups],
            **fields,
        },
        KUBERAY_1_1,
    )


def active(built_for: Goal, **annotations: str) -> JsonObject:
    own = {SPEC_HASH: built_for.hash, GROUPS: str(built_for.num_groups), **annotations}
    return {"metadata": {"name": "c", "annotations": own}}


ONE, TWO, OTHER = goal("a"), goal("a", "b"), goal("a", rayVersion="2.9.0")


@pytest.mark.parametrize(
    ("wanted", "cluster", "pending", "action"),
    [
        (ONE, None, "", Action.ROLL_OUT),
        (ONE, None, "p", Action.NOTHING),
        (OTHER, active(ONE), "p", Action.NOTHING),
        (ONE, active(ONE), "", Action.NOTHING),
        (OTHER, active(ONE), "", Action.ROLL_OUT),
        (TWO, active(ONE), "", Action.UPDATE),
        (goal("b", "a"), active(ONE), "", Action.ROLL_OUT),
        (ONE, active(TWO), "", Action.ROLL_OUT),
        (TWO, active(OTHER), "", Action.ROLL_OUT),
        (OTHER, active(ONE, **{GROUPS: "one"}), "", Action.NOTHING),
        (OTHER, active(ONE, **{GROUPS: ""}), "", Action.NOTHING),
        (ONE, NO_SUCH_CLUSTER, "", Action.NOTHING),
        # As many groups, another hash: not taken for appended ones.
        (ONE, active(ONE, **{SPEC_HASH: "x"}), "", Action.ROLL_OUT),
        # A hash of the whole goal under too small a number of groups is still the goal's.
        (TWO, active(TWO, **{GROUPS: "1"}), "", Action.NOTHING),
    ],
)
def test_what_becomes_of_an_active_cluster(wanted: Goal, cluster: Any, pending: str, action: Action) -> None:
    assert action_on_active(wanted, cluster, pending) is action


@pytest.mark.parametrize(
    ("wanted", "live", "action"),
    [
        (ONE, ONE, Action.NOTHING),
        (TWO, ONE, Action.UPDATE),
        (ONE, TWO, Action.ROLL_OUT),
        (OTHER, ONE, Action.ROLL_OUT),
        (goal("b", "a"), ONE, Action.ROLL_OUT),
        (goal("a", "b", rayVersion="2.9.0"), ONE, Action.ROLL_OUT),
    ],
)
def test_what_becomes_of_a_pending_cluster(wanted: Goal, live: Goal, action: Action) -> None:
    assert action_on_pending(wanted, live) is action


def status(**fields: Any) -> ServiceStatus:
    return ServiceStatus(**fields)


def app(status_: str = "RUNNING", message: str = "", time: str = "t", **deployments: str) -> JsonObject:
    return {
        "status": status_,
        "message": message,
        "healthLastUpdateTime": time,
        "serveDeploymentStatuses": {
            name: {"status": word, "message": message, "healthLastUpdateTime": time}
            for name, word in deployments.items()
        },
    }


BASE = {"a": app(D="HEALTHY")}


@pytest.mark.parametrize(
    ("now", "worth"),
    [
        ({"a": app(D="HEALTHY")}, False),
        ({"a": app(D="HEALTHY", time="later")}, False),
        ({"a": app("DEPLOYING", D="HEALTHY")}, True),
        ({"a": app(message="m", D="HEALTHY")}, True),
        ({"a": app(D="UNHEALTHY")}, True),
        ({"a": app(D="HEALTHY", E="HEALTHY")}, True),
        ({"a": app()}, True),
        ({"b": app(D="HEALTHY")}, True),
        ({}, True),
        ({**BASE, "b": {}}, True),
    ],
)
@pytest.mark.parametrize("slot", ["active", "pending"])
def test_which_changes_of_applications_are_worth_a_write(now: JsonObject, worth: bool, slot: str) -> None:
    before, after = (status(**{slot: Slot("c", applications=each)}) for each in (BASE, now))
    assert is_worth_writing(before, after) is worth


@pytest.mark.parametrize(
    ("fields", "worth"),
    [
        ({"service_status": "Running"}, True),
        ({"num_serve_endpoints": 1}, True),
        ({"active": Slot("c")}, True),
        ({"pending": Slot("c")}, True),
        ({"active": Slot(cluster_status={"state": "ready"})}, False),
        ({"observed_generation": 2, "last_update_time": "t"}, False),
    ],
)
def test_which_other_changes_are_worth_a_write(fields: Any, worth: bool) -> None:
    assert is_worth_writing(status(), status(**fields)) is worth


@pytest.mark.parametrize(
    ("now", "before", "since"),
    [
        ("RUNNING", None, "now"),
        ("UNHEALTHY", None, "now"),
        ("UNHEALTHY", "RUNNING", "now"),
        ("UNHEALTHY", "UNHEALTHY", "then"),
        ("UNHEALTHY", "DEPLOY_FAILED", "then"),
        ("DEPLOY_FAILED", "UNHEALTHY", "then"),
        ("RUNNING", "UNHEALTHY", "now"),
        ("RUNNING", "RUNNING", "now"),
    ],
)
def test_since_when_an_application_is_as_it_is(now: str, before: str | None, since: str) -> None:
    known = {} if before is None else {"status": before, "healthLastUpdateTime": "then"}
    assert _timed({"status": now, "message": "m"}, known, "now") == {
        "status": now,
        "message": "m",
        "healthLastUpdateTime": since,
    }


def test_an_unhealthy_application_without_a_time_is_so_since_now() -> None:
    assert _timed({"status": "UNHEALTHY"}, {"status": "UNHEALTHY"}, "now")["healthLastUpdateTime"] == "now"


@pytest.mark.parametrize(
    ("now", "before", "since"),
    [
        ("HEALTHY", "HEALTHY", "now"),
        ("UNHEALTHY", "HEALTHY", "now"),
        ("UNHEALTHY", "UNHEALTHY", "then"),
        ("HEALTHY", "UNHEALTHY", "now"),
        ("UNHEALTHY", None, "now"),
        ("UPDATING", "UPDATING", "now"),
    ],
)
def test_since_when_a_deployment_is_as_it_is(now: str, before: str | None, since: str) -> None:
    known = (
        {} if before is None else {"serveDeploymentStatuses": {"D": {"status": before, "healthLastUpdateTime": "then"}}}
    )
    timed = _timed({"status": "RUNNING", "serveDeploymentStatuses": {"D": {"status": now}}}, known, "now")
    assert timed["serveDeploymentStatuses"] == {"D": {"status": now, "healthLastUpdateTime": since}}
    assert "serveDeploymentStatuses" not in _timed({"status": "RUNNING"}, known, "now")
