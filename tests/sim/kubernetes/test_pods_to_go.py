"""Which pods of a ReplicaSet go first, told from counts that are kept as pods change."""

from __future__ import annotations

from random import Random

import pytest

from rayrig_core.objects import JsonObject, key_of, name_of
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.pod_states import state_of
from rayrig_sim.kubernetes.workloads.pod_tallies import PodTally

_NOW_NS = 1_767_229_200 * 1_000_000_000
_OWNER: JsonObject = {
    "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a", "x": "y"}}}}
}


def pod(
    name: str, node: str = "n1", *, ready: bool = True, since: str = "00:00:00", restarts: int = 0, cost: str = ""
) -> JsonObject:
    metadata: JsonObject = {
        "name": name,
        "namespace": "d",
        "uid": name,
        "labels": {"app": "a", "x": "y"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if cost:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": f"2026-01-01T{since}Z",
    }
    status = {
        "phase": "Running" if node else "Pending",
        "conditions": [condition],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


def tally(*pods: JsonObject) -> PodTally:
    kin: list[PodTally] = []
    made = PodTally(_OWNER, kin)
    kin.append(made)
    for each in pods:
        made.put(key_of(each), each, state_of(each))
    return made


def order(made: PodTally) -> list[str]:
    """All but the last, one at a time: each is seen to have gone before the next is asked for."""
    gone = []
    while made.active > 1:
        victim = made.victims(1, _NOW_NS)[0]
        gone.append(victim["metadata"]["name"])
        made.drop(key_of(victim))
    return gone


def test_what_serves_least_goes_first() -> None:
    pods = (
        pod("old", "n3"),
        pod("young", "n4", since="00:59:00"),
        pod("restarted", "n5", restarts=3),
        pod("cheap", "n6", cost="-1"),
        pod("unready", "n7", ready=False),
        pod("homeless", "", ready=False),
        pod("crowded-1", "n8"),
        pod("crowded-2", "n8"),
    )
    assert order(tally(*pods)) == [
        "homeless",
        "unready",
        "cheap",
        "crowded-1",
        "young",
        "restarted",
        "crowded-2",
    ]


def test_pods_are_counted_as_they_change() -> None:
    made = tally(pod("a"), pod("b", ready=False), pod("c"))
    assert (made.active, made.ready, made.labelled, made.terminating) == (3, 2, 3, 0)
    ending = pod("a")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    made.put(key_of(ending), ending, state_of(ending))
    assert (made.active, made.ready, made.terminating) == (2, 1, 1)
    stranger = pod("c")
    stranger["metadata"]["labels"] = {"app": "other"}
    made.put(key_of(stranger), stranger, state_of(stranger))
    assert (made.active, made.strangers) == (1, 1)
    made.drop(key_of(ending))
    assert made.terminating == 0
    assert [each["metadata"]["name"] for each in made.pods()] == ["b"]


def test_a_node_that_becomes_crowded_brings_its_pods_forward() -> None:
    made = tally(*(pod(f"p{n}", f"n{n}") for n in range(4)))
    assert made.victims(1, _NOW_NS)[0]["metadata"]["name"] == "p0"
    late = pod("late", "n3", since="00:00:01")
    made.put(("d", "late"), late, state_of(late))
    assert made.victims(1, _NOW_NS)[0]["metadata"]["name"] in ("p3", "late")


def test_as_many_as_there_are_go_in_the_order_they_came() -> None:
    made = tally(pod("b"), pod("a", ready=False))
    assert [each["metadata"]["name"] for each in made.victims(5, _NOW_NS)] == ["b", "a"]


@pytest.mark.parametrize("seed", range(20))
def test_those_that_go_are_the_lowest_of_all_however_they_changed_before(seed: int) -> None:
    rng = Random(seed)
    made = tally()
    pods: dict[str, JsonObject] = {}

    def changed(name: str) -> JsonObject:
        node = pods[name]["spec"].get("nodeName", "") if name in pods else ""
        since = f"00:{rng.randrange(10):02}:00"
        restarts = rng.randrange(4)
        return pod(name, node or rng.choice(("", "n1", "n2")), ready=rng.random() < 0.7, since=since, restarts=restarts)

    looks = 0
    for step in range(200):
        name = rng.choice([*pods, f"pod-{step}", f"pod-{step}"])
        if name in pods and rng.random() < 0.2:
            made.drop(key_of(pods.pop(name)))
        else:
            now = pods[name] = changed(name)
            made.put(key_of(now), now, state_of(now))
        if rng.random() < 0.3 and made.active > 3:
            at_ns = _NOW_NS + step * NS
            lowest = sorted(made._pods.values(), key=lambda each: made._rank(each, at_ns))[:3]
            assert [name_of(each) for each in made.victims(3, at_ns)] == [name_of(each.pod) for each in lowest]
            looks += 1
    assert looks > 10
