"""NetworkPolicies of RayClusters, behind their feature gate."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rayrig_controllers.networkpolicy.controller import controller
from rayrig_controllers.networkpolicy.policies import has_drifted, policies
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import NETWORK_POLICY, RAY_CLUSTER
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_sim.kernel import Kernel

GATES = FeatureGates(ray_cluster_network_policy=True)
WITHIN = {"podSelector": {"matchLabels": {"ray.io/cluster": "rc"}}}
DNS = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}


@pytest.fixture
def rig(make_rig: Any) -> Any:
    """A world with the RayCluster and NetworkPolicy controllers in one process."""

    class PolicyRig(make_rig):  # type: ignore[misc]
        controllers: ClassVar[Any] = {**make_rig.controllers, "networkpolicy-controller": controller}

    return PolicyRig(gates=GATES)


def names(rig: Any) -> list[str]:
    return [name_of(policy) for policy in rig.objects(NETWORK_POLICY)]


@pytest.mark.parametrize(
    ("mode", "types", "fields"),
    [
        (None, ["Ingress", "Egress"], {"ingress", "egress"}),
        ("DenyAll", ["Ingress", "Egress"], {"ingress", "egress"}),
        ("DenyAllIngress", ["Ingress"], {"ingress"}),
        ("DenyAllEgress", ["Egress"], {"egress"}),
    ],
)
def test_the_mode_says_in_which_directions_only_the_clusters_own_traffic_passes(
    values: Any, mode: str | None, types: list[str], fields: set[str]
) -> None:
    head, worker = policies(values.cluster(values.group(), networkPolicy={"mode": mode} if mode else {}))
    assert head["spec"]["podSelector"] == {"matchLabels": {"ray.io/cluster": "rc", "ray.io/node-type": "head"}}
    assert worker["spec"]["podSelector"]["matchLabels"]["ray.io/group"] == "w"
    for policy in (head, worker):
        assert policy["spec"]["policyTypes"] == types
        assert set(policy["spec"]) - {"podSelector", "policyTypes"} == fields
    if "ingress" in fields:
        assert head["spec"]["ingress"] == [{"from": [WITHIN]}]
    if "egress" in fields:
        assert head["spec"]["egress"] == [{"to": [WITHIN]}]


def test_a_users_rules_come_after_and_a_groups_own_replace_those_of_all_workers(values: Any) -> None:
    https: JsonObject = {"ports": [{"port": 443, "protocol": "TCP"}]}
    options = {
        "mode": "DenyAllEgress",
        "head": {"egressRules": [DNS], "ingressRules": [https]},
        "worker": {"egressRules": [DNS]},
        "workerGroups": [{"groupName": "b", "egressRules": [https]}],
    }
    head, a, b = policies(values.cluster(values.group("a"), values.group("b"), networkPolicy=options))
    dns = {**DNS, "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    assert head["spec"]["egress"] == [{"to": [WITHIN]}, dns]
    assert "ingress" not in head["spec"]
    assert a["spec"]["egress"] == [{"to": [WITHIN]}, dns]
    assert b["spec"]["egress"] == [{"to": [WITHIN]}, https]


def test_nothing_is_asked_for_without_the_field(values: Any) -> None:
    assert policies(values.cluster(values.group())) == []


def test_labels_and_spec_count_as_drift_and_what_the_server_adds_does_not(values: Any) -> None:
    (desired, _) = policies(values.cluster(values.group(), networkPolicy={}))
    stored = {**desired, "metadata": {**desired["metadata"], "uid": "u", "resourceVersion": "5"}}
    assert not has_drifted(desired, stored)
    assert has_drifted(desired, {**stored, "spec": {**stored["spec"], "policyTypes": ["Ingress"]}})
    assert has_drifted(desired, {**stored, "metadata": {**stored["metadata"], "labels": {}}})


def test_policies_follow_the_groups_and_go_with_the_field(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group("a"), values.group("b"), networkPolicy={}))
    rig.run()
    assert names(rig) == ["rc-head", "rc-workers-a", "rc-workers-b"]
    assert rig.events("CreatedNetworkPolicy") == ["Created NetworkPolicy default/rc-head"]
    rig.patch({"spec": {"workerGroupSpecs": [values.group("b")]}})
    rig.run()
    assert names(rig) == ["rc-head", "rc-workers-b"]
    assert rig.events("DeletedNetworkPolicy") == ["Deleted NetworkPolicy default/rc-workers-a"]
    rig.patch({"spec": {"networkPolicy": None}})
    rig.run()
    assert names(rig) == []


def test_an_edit_by_hand_is_undone_and_a_deleted_policy_comes_back(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), networkPolicy={"mode": "DenyAllIngress"}))
    rig.run()
    rig.patch({"spec": {"ingress": [{}]}}, "rc-head", NETWORK_POLICY)
    rig.delete("rc-workers-w", NETWORK_POLICY)
    rig.run()
    assert names(rig) == ["rc-head", "rc-workers-w"]
    assert rig.get("rc-head", NETWORK_POLICY)["spec"]["ingress"] == [{"from": [WITHIN]}]
    assert rig.events("UpdatedNetworkPolicy") == ["Updated NetworkPolicy default/rc-head"]


def test_another_mode_changes_the_policies_in_place(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), networkPolicy={"mode": "DenyAllIngress"}))
    rig.run()
    before = rig.get("rc-head", NETWORK_POLICY)
    rig.patch({"spec": {"networkPolicy": {"mode": "DenyAllEgress"}}})
    rig.run()
    after = rig.get("rc-head", NETWORK_POLICY)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["policyTypes"] == ["Egress"]
    assert "ingress" not in after["spec"]


def test_a_foreign_policy_of_the_name_is_left_alone_and_told_of(rig: Any, values: Any) -> None:
    foreign = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "rc-head", "namespace": "default"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    rig.create(foreign, NETWORK_POLICY)
    rig.create(values.ray_cluster(values.group(), networkPolicy={}))
    rig.run()
    assert names(rig) == ["rc-head"]
    assert rig.get("rc-head", NETWORK_POLICY)["spec"] == foreign["spec"]
    (note,) = set(rig.events("NetworkPolicyNameCollision"))
    assert "default/rc-head" in note
    rig.delete("rc-head", NETWORK_POLICY)
    rig.run(5)
    assert names(rig) == ["rc-head", "rc-workers-w"]


def test_with_a_stale_cache_nothing_is_made_twice(rig: Any, values: Any) -> None:
    rig.run()
    rig.manager.crash()
    rig.watch_lag_s = 0.5
    rig.manager = rig.start()
    rig.run(2)
    rig.create(values.ray_cluster(values.group("a"), values.group("b"), networkPolicy={}))
    rig.run(5)
    assert names(rig) == ["rc-head", "rc-workers-a", "rc-workers-b"]
    assert rig.writes().count("create networkpolicies") == 3


def test_another_managers_cluster_gets_none(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), networkPolicy={}, managedBy="kueue.x-k8s.io/multikueue"))
    rig.run()
    assert names(rig) == []


@pytest.mark.parametrize("is_on", [True, False])
def test_the_operator_has_the_controller_only_behind_the_gate(is_on: bool) -> None:
    nothing: Any = None
    options = OperatorOptions(gates=GATES if is_on else FeatureGates())
    manager = operator(Kernel(), nothing, http=nothing, rng=nothing, options=options)
    assert ("networkpolicy-controller" in manager.controllers) is is_on


# Events, refusals and what wakes the controller


def test_what_is_made_changed_and_deleted_is_told(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), networkPolicy={"mode": "DenyAllIngress"}))
    rig.run()
    assert rig.told("CreatedNetworkPolicy") == [("Normal", "Create", "Created NetworkPolicy default/rc-head")]
    rig.patch({"metadata": {"labels": {"stray": "x"}, "annotations": {"kept": "y"}}}, "rc-head", NETWORK_POLICY)
    rig.run()
    assert rig.told("UpdatedNetworkPolicy") == [("Normal", "Update", "Updated NetworkPolicy default/rc-head")]
    metadata = rig.get("rc-head", NETWORK_POLICY)["metadata"]
    assert "stray" not in metadata["labels"]
    assert metadata["annotations"] == {"kept": "y"}
    rig.patch({"spec": {"networkPolicy": None}})
    rig.run()
    assert rig.told("DeletedNetworkPolicy") == [("Normal", "Delete", "Deleted NetworkPolicy default/rc-head")]


def test_a_refused_policy_is_told_and_tried_again(rig: Any, values: Any) -> None:
    rig.refuse("create", "networkpolicies/default/rc-head")
    rig.create(values.ray_cluster(values.group(), networkPolicy={}))
    rig.run()
    note = "Failed to create NetworkPolicy default/rc-head, not today"
    assert rig.told("FailedToCreateNetworkPolicy") == [("Warning", "Create", note)]
    assert rig.told("CreatedNetworkPolicy") == []
    assert names(rig) == []
    rig.refusals.clear()
    rig.run(30)
    assert names(rig) == ["rc-head", "rc-workers-w"]


def test_a_policy_that_is_there_already_is_tried_again_without_a_word(rig: Any, values: Any) -> None:
    rig.refuse("create", "networkpolicies/default/rc-head", 409, "AlreadyExists", "is there")
    rig.create(values.ray_cluster(values.group(), networkPolicy={}))
    rig.run()
    assert names(rig) == []
    assert rig.told("FailedToCreateNetworkPolicy") == rig.told("CreatedNetworkPolicy") == []
    rig.refusals.clear()
    rig.run(30)
    assert names(rig) == ["rc-head", "rc-workers-w"]


def test_a_foreign_policy_is_a_warning_and_an_error(rig: Any, values: Any) -> None:
    rig.create({"metadata": {"name": "rc-head"}, "spec": {"podSelector": {}}}, NETWORK_POLICY)
    rig.create(values.ray_cluster(values.group(), networkPolicy={}))
    rig.run()
    problem = "NetworkPolicy default/rc-head exists and is not owned by RayCluster default/rc"
    assert rig.told("NetworkPolicyNameCollision") == [("Warning", "Create", problem)]
    assert f"error: {problem}" in rig.outcomes()


def test_a_policy_held_by_a_finalizer_is_deleted_once(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group("a"), values.group("b"), networkPolicy={}))
    rig.run()
    rig.patch({"metadata": {"finalizers": ["x.org/hold"]}}, "rc-workers-a", NETWORK_POLICY)
    rig.patch({"spec": {"workerGroupSpecs": [values.group("b")]}})
    rig.run()
    rig.patch({"metadata": {"labels": {"touch": "1"}}}, "rc-workers-a", NETWORK_POLICY)
    rig.run()
    assert rig.writes().count("delete networkpolicies") == 1
    rig.patch({"metadata": {"finalizers": []}}, "rc-workers-a", NETWORK_POLICY)
    rig.run()
    assert names(rig) == ["rc-head", "rc-workers-b"]


def test_only_a_changed_spec_of_the_cluster_or_one_of_its_policies_wakes_the_controller(
    make_rig: Any, values: Any
) -> None:
    class PolicyRig(make_rig):  # type: ignore[misc]
        controllers: ClassVar[Any] = {"networkpolicy-controller": controller}

    rig = PolicyRig(gates=GATES, reconcile_concurrency=5)
    found = rig.manager.controllers["networkpolicy-controller"]
    assert found.concurrency == 1
    rig.create(values.ray_cluster(values.group(), networkPolicy={}))
    rig.run(5)
    before = found.reconciles
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(5)
    assert found.reconciles == before
    rig.patch({"spec": {"rayVersion": "2.53.0"}})
    rig.run(5)
    assert found.reconciles == before + 1
    rig.patch({"metadata": {"labels": {"touch": "1"}}}, "rc-head", NETWORK_POLICY)
    rig.run(5)
    assert "touch" not in rig.get("rc-head", NETWORK_POLICY)["metadata"]["labels"]


def test_a_cluster_that_is_being_deleted_gets_none(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), networkPolicy={}, metadata={"finalizers": ["x.org/hold"]}))
    rig.run()
    rig.delete("rc", RAY_CLUSTER)
    rig.delete("rc-head", NETWORK_POLICY)
    rig.run(5)
    assert names(rig) == ["rc-workers-w"]
