"""The goal of a RayService held against a cluster that exists (kuberay-operator 2.3 to 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.rayservice.clusters import merged
from rayrig_controllers.rayservice.goal import Goal, build_cluster, needs_new_cluster, updates_in_place

OPTIONS = OperatorOptions()


def group(name: str, **fields: Any) -> dict[str, Any]:
    return {"groupName": name, "replicas": 1, "template": {"spec": {"containers": [{"name": "w"}]}}, **fields}


def config(*groups: dict[str, Any], **fields: Any) -> dict[str, Any]:
    head = {"rayStartParams": {}, "template": {"spec": {"containers": [{"name": "h"}]}}}
    return {"headGroupSpec": head, "workerGroupSpecs": list(groups), **fields}


SMALL = config(group("small"))


def built(spec: dict[str, Any], **settings: Any) -> dict[str, Any]:
    service = {"metadata": {"name": "rs", "namespace": "default", "uid": "u"}}
    return build_cluster(service, "rs-abcde", Goal(spec), OPTIONS, **settings)


@pytest.mark.accepts("RS-081", "RS-082")
@pytest.mark.parametrize(
    ("goal", "met", "partially"),
    [
        (SMALL, True, True),
        (config(group("small", replicas=3)), True, True),
        (config(group("small"), group("large")), False, True),
        (config(group("small", replicas=3), group("large")), False, True),
        (config(group("large"), group("small")), False, False),
        (config(group("small", numOfHosts=2), group("large")), False, False),
        (config(), False, False),
        (config(group("small"), rayVersion="2"), False, False),
    ],
)
def test_appended_groups_are_the_only_partial_match(goal: dict[str, Any], met: bool, partially: bool) -> None:
    cluster = built(SMALL)
    assert (Goal(goal).is_met_by(cluster), Goal(goal).is_partially_met_by(cluster)) == (met, partially)


@pytest.mark.parametrize("groups", [None, "", "many"])
def test_a_cluster_that_does_not_tell_its_groups_counts_as_a_partial_match(groups: str | None) -> None:
    cluster = built(SMALL)
    cluster["metadata"]["annotations"]["ray.io/num-worker-groups"] = groups
    assert Goal(config(group("other"))).is_partially_met_by(cluster)


def test_only_the_annotation_is_compared_never_the_live_spec() -> None:
    cluster = built(SMALL)
    cluster["spec"] = {}
    assert Goal(SMALL).is_met_by(cluster)


OTHER = Goal(config(group("other")))


@pytest.mark.accepts("RS-086")
@pytest.mark.parametrize(
    ("active", "pending", "was_promoted", "rolling_back", "may_upgrade", "needed"),
    [
        (None, None, False, False, False, True),
        (None, None, True, False, True, False),
        (None, None, False, True, True, False),
        (SMALL, None, False, False, True, True),
        (SMALL, None, False, False, False, False),
        (SMALL, SMALL, False, False, True, True),
        (SMALL, config(group("other")), False, False, True, False),
        (SMALL, None, True, False, True, False),
        (SMALL, None, False, True, True, False),
    ],
)
def test_when_a_new_cluster_is_needed(
    active: Any, pending: Any, was_promoted: bool, rolling_back: bool, may_upgrade: bool, needed: bool
) -> None:
    found = needs_new_cluster(
        OTHER,
        built(active) if active else None,
        built(pending) if pending else None,
        was_promoted=was_promoted,
        is_rolling_back=rolling_back,
        may_upgrade=may_upgrade,
    )
    assert found is needed


@pytest.mark.accepts("RS-067", "RS-084")
@pytest.mark.parametrize(
    ("goal", "version", "is_active", "upgrading", "updates"),
    [
        (SMALL, "v1.7.0", True, False, False),
        (SMALL, "v1.6.0", True, False, True),
        (SMALL, "v1.6.0", True, True, False),
        (SMALL, "v1.6.0", False, False, False),
        (config(group("small"), group("large")), "v1.7.0", True, False, True),
        (config(group("small"), group("large")), "v1.7.0", True, True, False),
        (config(group("small"), group("large")), "v1.7.0", False, True, True),
        (config(group("other")), "v1.7.0", True, False, False),
        (config(group("other")), "v1.7.0", False, False, False),
    ],
)
def test_when_a_cluster_is_updated_in_place(
    goal: Any, version: str, is_active: bool, upgrading: bool, updates: bool
) -> None:
    cluster = built(SMALL)
    cluster["metadata"]["annotations"]["ray.io/kuberay-version"] = version
    assert updates_in_place(Goal(goal), cluster, OPTIONS, is_active=is_active, upgrade_in_progress=upgrading) is updates


@pytest.mark.accepts("RS-114")
def test_a_second_cluster_of_an_incremental_upgrade_leaves_its_replicas_to_the_server() -> None:
    assert "replicas" not in built(SMALL, starts_at_minimum=True)["spec"]["workerGroupSpecs"][0]
    assert built(SMALL)["spec"]["workerGroupSpecs"][0]["replicas"] == 1


def test_a_cluster_brought_to_its_goal_keeps_whether_it_is_suspended_and_who_it_is() -> None:
    built = {
        "metadata": {"labels": {"new": "1"}, "annotations": {"new": "2"}, "name": "x"},
        "spec": {"a": 1, "suspend": True},
    }
    live = {
        "apiVersion": "ray.io/v1",
        "metadata": {"name": "rc", "uid": "u", "labels": {"old": "1"}, "annotations": {"old": "2"}},
        "spec": {"b": 2},
        "status": {"state": "ready"},
    }
    assert merged(live, built) == {
        "apiVersion": "ray.io/v1",
        "metadata": {"name": "rc", "uid": "u", "labels": {"new": "1"}, "annotations": {"new": "2"}},
        "spec": {"a": 1},
        "status": {"state": "ready"},
    }
    for suspend in (True, False):
        assert merged({**live, "spec": {"suspend": suspend}}, built)["spec"] == {"a": 1, "suspend": suspend}
    without = {key: value for key, value in live.items() if key != "spec"}
    assert merged(without, built)["spec"] == {"a": 1}
