"""A RayCluster minds its own children only: not those of one beside it, nor of one of its name in another namespace."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resource_types import EVENT, NAMESPACE, POD, RAY_CLUSTER, ResourceType
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall

PLACES = ("default", "ml")
HEAD = {"enableIngress": True}
SERVES = {"ray.io/enable-serve-service": "true"}
#: As much of a cluster as one can have at once, by profile.
FULL: dict[str, JsonObject] = {
    "1.7": {
        "head": HEAD,
        "enableInTreeAutoscaling": True,
        "authOptions": {"mode": "token"},
        "gcsFaultToleranceOptions": {"backend": "rocksdb"},
        "metadata": {"annotations": SERVES},
    },
    "1.1": {"head": HEAD, "enableInTreeAutoscaling": True, "metadata": {"annotations": SERVES}},
}


@pytest.fixture(params=["1.7", "1.1"])
def rig(request: Any, make_rig: Any) -> Any:
    gates = FeatureGates(gcs_fault_tolerance_embedded_storage=True) if request.param == "1.7" else FeatureGates()
    made = make_rig(profile=request.param, gates=gates)
    made.server.call(ApiCall("create", NAMESPACE, body={"metadata": {"name": "ml"}}))
    return made


def apply(rig: Any, obj: JsonObject, place: str) -> None:
    obj["metadata"]["namespace"] = place
    rig.server.call(ApiCall("create", RAY_CLUSTER, place, body=obj))


def objects(rig: Any, resource: ResourceType, place: str) -> list[JsonObject]:
    return [stored.copy() for stored in rig.server.list(ApiCall("list", resource, place)).items]


def pods(rig: Any, place: str = "default") -> list[str]:
    return sorted(name_of(pod) for pod in objects(rig, POD, place))


def edit(rig: Any, place: str = "default", name: str = "rc", **body: Any) -> None:
    rig.server.call(ApiCall("patch", RAY_CLUSTER, place, name, body=body, patch_type="merge"))


def calls(rig: Any, since_s: float, place: str) -> list[str]:
    """The operator's writes in a namespace, refused ones as well, without events."""
    return [
        f"{event['verb']} {event.subject}"
        for kind in (Kind.API_WRITE, Kind.API_REFUSED)
        for event in rig.kernel.trace.select(kind)
        if event.actor.startswith("operator") and event.t_s >= since_s and event.subject.split("/")[1:2] == [place]
        if not event.subject.startswith("events")
    ]


def pair(rig: Any, values: Any, **fields: Any) -> None:
    """A full cluster of one name in each of both namespaces, with 2 workers in `default` and 1 in `ml`."""
    for place, replicas in zip(PLACES, (2, 1), strict=True):
        groups = [values.group("a", replicas=replicas), values.group("b", replicas=0, numOfHosts=2)]
        apply(rig, values.ray_cluster(*groups, **{**deepcopy(FULL[rig.options.profile[:3]]), **fields}), place)
    rig.run(10)


def test_each_namespace_gets_the_same_and_nothing_twice(rig: Any, values: Any) -> None:
    pair(rig, values)
    made = [
        sorted(call.replace(f"/{place}/", "/") for call in calls(rig, 0.0, place) if "pods/" not in call)
        for place in PLACES
    ]
    assert [call for call in made[0] if call.startswith("create")] == [
        call for call in made[1] if call.startswith("create")
    ]
    assert [len(pods(rig, place)) for place in PLACES] == [3, 2]
    services = ["create services/rc-head-svc", "create services/rc-headless", "create services/rc-serve-svc"]
    assert [call.replace("less-worker-svc", "less") for call in made[0] if "create services" in call] == services
    assert not list(rig.kernel.trace.select(Kind.API_REFUSED))


def test_one_that_comes_later_gets_all_of_its_own(rig: Any, values: Any) -> None:
    made = []
    for turn, place in enumerate(PLACES):
        groups = [values.group("a"), values.group("b", replicas=0, numOfHosts=2)]
        apply(rig, values.ray_cluster(*groups, **deepcopy(FULL[rig.options.profile[:3]])), place)
        rig.run(10)
        made.append([call for call in calls(rig, 10.0 * turn, place) if call.startswith("create ")])
    assert "create ingresses/default/rc-head-ingress" in made[0]
    own = [sorted(call.split("/")[0] for call in each) for each in made]
    assert own[0] == own[1]
    told = [{event["reason"] for event in objects(rig, EVENT, place)} for place in PLACES]
    assert told[0] == told[1] != set()


def test_a_pass_that_finds_everything_asks_for_nothing(rig: Any, values: Any) -> None:
    pair(rig, values)
    passes = rig.manager.reconciles
    for place in PLACES:
        edit(rig, place, metadata={"labels": {"look": "now"}})
    rig.run(10)
    assert rig.manager.reconciles == passes + 2
    assert [calls(rig, 10.0, place) for place in PLACES] == [[], []]


@pytest.mark.parametrize("place", PLACES)
def test_a_suspension_takes_only_its_own_pods(rig: Any, values: Any, place: str) -> None:
    pair(rig, values)
    apply(rig, values.ray_cluster(values.group("a"), name="beside"), place)
    rig.run(5)
    before = {each: pods(rig, each) for each in PLACES}
    edit(rig, place, spec={"suspend": True, "enableInTreeAutoscaling": False})
    rig.run(10)
    left = [name for name in before[place] if name.startswith("beside-")]
    assert len(left) == 2
    assert {each: pods(rig, each) for each in PLACES} == {**before, place: left}


@pytest.mark.parametrize("place", PLACES)
def test_what_one_loses_is_made_again_for_that_one(rig: Any, values: Any, place: str) -> None:
    pair(rig, values)
    (head,) = (each for each in objects(rig, POD, place) if labels_of(each)["ray.io/node-type"] == "head")
    rig.server.call(ApiCall("delete", POD, place, name_of(head), grace_period_seconds=0))
    rig.run(5)
    assert [len(pods(rig, each)) for each in PLACES] == [3, 2]
    assert all("pods/" in call or call.endswith("rc") for call in calls(rig, 10.0, place))
    (other,) = (each for each in PLACES if each != place)
    assert calls(rig, 10.0, other) == []


def test_a_clean_up_of_redis_takes_head_and_workers_only(rig: Any, values: Any) -> None:
    metadata = {"annotations": {"ray.io/ft-enabled": "true"}}
    env = [{"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}]
    template = {"spec": {"containers": [values.container("ray-head", env=env)]}}
    own = {"head": {"template": template}} if rig.options.profile.startswith("1.1") else {}
    if not own:
        metadata, own = {}, {"gcsFaultToleranceOptions": {"redisAddress": "redis:6379"}}
    for place in PLACES:
        apply(rig, values.ray_cluster(values.group("a"), metadata=dict(metadata), **own), place)
        for name, cluster in (("cleaner", "rc"), ("stranger", "other")):
            labels = {"ray.io/cluster": cluster, "ray.io/node-type": "redis-cleanup"}
            if name == "stranger":
                labels["ray.io/node-type"] = "head"
            spec = {"containers": [{"name": "c", "image": "ray"}]}
            body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
            rig.server.call(ApiCall("create", POD, place, body=body))
    rig.run(5)
    assert len(pods(rig)) == 4
    rig.server.call(ApiCall("delete", RAY_CLUSTER, "default", "rc"))
    rig.run(1)
    assert pods(rig) == ["cleaner", "stranger"]
    assert len(pods(rig, "ml")) == 4
