"""Deletion: finalizers, grace, propagation, preconditions, collections."""

from __future__ import annotations

import pytest

from rayrig_core.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from rayrig_core.ports import Preconditions, WatchType
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, POD
from rayrig_fakes.kubernetes.calls import ApiCall
from tests.fakes.kubernetes.conftest import Api, events

ADDED, MODIFIED, DELETED = WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED


def test_deleting_answers_with_a_status_or_with_the_object(api: Api) -> None:
    uid = api.config_map("a")["metadata"]["uid"]
    assert api.delete(CONFIG_MAP, "a") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": uid},
    }
    api.pod("p", bound=False)
    assert api.delete(POD, "p")["kind"] == "Pod"
    with pytest.raises(NotFound):
        api.delete(POD, "p")


@pytest.mark.accepts("K8-024")
def test_preconditions(api: Api) -> None:
    meta = api.config_map("a")["metadata"]
    for wrong in (Preconditions(uid="other"), Preconditions(resource_version="1")):
        with pytest.raises(Conflict, match="in the precondition"):
            api.delete(CONFIG_MAP, "a", preconditions=wrong)
    api.delete(CONFIG_MAP, "a", preconditions=Preconditions(meta["uid"], meta["resourceVersion"]))
    assert api.names(CONFIG_MAP) == []


@pytest.mark.accepts("K8-059")
def test_finalizers_hold_an_object(api: Api) -> None:
    watch = api.watch(CONFIG_MAP)
    api.config_map("a", metadata={"finalizers": ["ex.com/f", "ex.com/g"]})
    held = api.delete(CONFIG_MAP, "a")
    assert held["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    with pytest.raises(AlreadyExists, match=r"^object is being deleted"):
        api.config_map("a")
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
        api.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": ["ex.com/f", "ex.com/g", "ex.com/new"]}})
    api.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": ["ex.com/g"], "labels": {"may": "change"}}})
    assert api.get(CONFIG_MAP, "a")["metadata"]["labels"] == {"may": "change"}
    cleared = api.get(CONFIG_MAP, "a")
    cleared["metadata"].pop("deletionTimestamp")
    assert api.update(CONFIG_MAP, cleared)["metadata"]["deletionTimestamp"]
    api.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}})
    assert api.names(CONFIG_MAP) == []
    assert events(watch) == [(ADDED, "a"), (MODIFIED, "a"), (MODIFIED, "a"), (DELETED, "a")]


@pytest.mark.accepts("K8-063")
def test_a_bound_pod_is_deleted_gracefully(api: Api) -> None:
    api.pod("p", terminationGracePeriodSeconds=20)
    watch = api.watch(POD, resource_version=str(api.server.revision))
    marked = api.delete(POD, "p")["metadata"]
    assert (marked["deletionTimestamp"], marked["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:20Z", 20)
    api.pass_time(5)
    assert api.delete(POD, "p", grace_period_seconds=60)["metadata"] == marked
    # From the first request on.
    shortened = api.delete(POD, "p", grace_period_seconds=8)["metadata"]
    assert (shortened["deletionTimestamp"], shortened["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:08Z", 8)
    # What would be over already is over in a moment.
    shortened = api.delete(POD, "p", grace_period_seconds=3)["metadata"]
    assert (shortened["deletionTimestamp"], shortened["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:05Z", 1)
    assert shortened["generation"] == marked["generation"] == 2
    api.delete(POD, "p", grace_period_seconds=0)
    assert api.names(POD) == []
    assert [kind for kind, _ in events(watch)] == [MODIFIED, MODIFIED, MODIFIED, MODIFIED, DELETED]


@pytest.mark.accepts("K8-063")
def test_the_forced_end_of_a_pod_whose_grace_is_over_is_marked_with_its_time(api: Api) -> None:
    api.pod("p", terminationGracePeriodSeconds=20)
    api.delete(POD, "p")
    api.pass_time(7)
    watch = api.watch(POD, resource_version=str(api.server.revision))
    api.delete(POD, "p", grace_period_seconds=0)
    marked, gone = watch.take(), watch.take()
    assert marked is not None
    assert gone is not None
    told = [(each.type, each.object["metadata"]["deletionTimestamp"]) for each in (marked, gone)]
    assert told == [(MODIFIED, "2026-01-01T00:00:07Z"), (DELETED, "2026-01-01T00:00:07Z")]


@pytest.mark.accepts("K8-063")
def test_deleting_a_terminating_pod_again_without_a_grace_changes_nothing(api: Api) -> None:
    api.pod("p", terminationGracePeriodSeconds=20)
    marked = api.delete(POD, "p", grace_period_seconds=50)["metadata"]
    assert api.delete(POD, "p")["metadata"] == marked
    finished = api.patch(POD, "p", {"status": {"phase": "Failed"}}, subresource="status")["metadata"]
    assert api.delete(POD, "p")["metadata"] == finished


@pytest.mark.accepts("K8-063")
def test_a_negative_grace_is_a_second(api: Api) -> None:
    api.pod("p")
    assert api.delete(POD, "p", grace_period_seconds=-5)["metadata"]["deletionGracePeriodSeconds"] == 1


@pytest.mark.accepts("K8-063")
def test_unbound_and_finished_pods_go_at_once(api: Api) -> None:
    api.pod("unbound", bound=False)
    api.delete(POD, "unbound")
    api.pod("finished")
    api.patch(POD, "finished", {"status": {"phase": "Succeeded"}}, subresource="status")
    api.delete(POD, "finished")
    assert api.names(POD) == []


def test_the_last_finalizer_of_a_terminating_pod_does_not_end_its_grace(api: Api) -> None:
    api.create(
        POD,
        {
            "metadata": {"name": "p", "finalizers": ["ex.com/f"]},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
        },
    )
    api.delete(POD, "p")
    api.patch(POD, "p", {"metadata": {"finalizers": None}})
    assert api.names(POD) == ["p"]
    api.delete(POD, "p", grace_period_seconds=0)
    assert api.names(POD) == []


def test_propagation_policies_leave_their_finalizer(api: Api) -> None:
    for policy, finalizers in (("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"])):
        name = policy.lower()
        api.config_map(name)
        assert api.delete(CONFIG_MAP, name, propagation_policy=policy)["metadata"]["finalizers"] == finalizers
    assert api.delete(CONFIG_MAP, "foreground", propagation_policy="Background")["status"] == "Success"
    api.config_map("plain")
    assert api.delete(CONFIG_MAP, "plain", propagation_policy="Background")["status"] == "Success"


@pytest.mark.accepts("K8-061")
def test_deletecollection_takes_selectors(api: Api) -> None:
    api.config_map("a", metadata={"labels": {"x": "1"}})
    api.config_map("b", metadata={"labels": {"x": "1"}, "finalizers": ["ex.com/f"]})
    api.config_map("c")
    deleted = api.server.delete_collection(ApiCall("deletecollection", CONFIG_MAP, "default", label_selector="x=1"))
    assert [each.obj["metadata"]["name"] for each in deleted.items] == ["a", "b"]
    assert api.names(CONFIG_MAP) == ["b", "c"]
    for kind, namespace in ((CONFIG_MAP, ""), (NAMESPACE, "")):
        with pytest.raises(ApiError) as refused:
            api.server.delete_collection(ApiCall("deletecollection", kind, namespace))
        assert refused.value.code == 405


def test_a_namespace_goes_when_it_is_finalized(api: Api) -> None:
    api.create(NAMESPACE, {"metadata": {"name": "soon"}})
    held = api.delete(NAMESPACE, "soon")
    held["spec"]["finalizers"] = []
    api.call("update", NAMESPACE, "soon", subresource="finalize", body=held)
    with pytest.raises(NotFound):
        api.get(NAMESPACE, "soon")
