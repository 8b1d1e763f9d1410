"""Of several operator processes one works: leader election by a Lease."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_controllers.leader_election import LEASE_NAME, LeaderElector, Move, Timing, decide, held
from rayrig_controllers.manager import Manager
from rayrig_controllers.options import OperatorOptions
from rayrig_core.errors import NotFound
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import LEASE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind

SECOND = NS
DOWN = ErrorBefore(503, "ServiceUnavailable", "down")


def candidate(plane: Any, identity: str) -> LeaderElector:
    return LeaderElector(
        plane.kernel, plane.client(identity), identity=identity, namespace="default", rng=Random(identity)
    )


def lease(plane: Any) -> JsonObject:
    spec: JsonObject = plane.get(LEASE, LEASE_NAME)["spec"]
    return spec


async def campaign(elector: LeaderElector) -> None:
    await elector.acquire()
    await elector.hold()


@pytest.mark.parametrize(
    ("holder", "unchanged_s", "move"),
    [
        ("me", 100, Move.RENEW),
        ("other", 14, Move.WAIT),
        ("other", 15, Move.TAKE),
        ("", 0, Move.TAKE),
    ],
)
def test_a_lease_is_taken_when_it_is_free_or_has_not_changed_for_its_duration(
    holder: str, unchanged_s: int, move: Move
) -> None:
    assert decide({"holderIdentity": holder}, "me", unchanged_s * SECOND, Timing()) is move


def test_renewing_keeps_and_taking_over_changes_when_it_was_acquired() -> None:
    first = held({}, "a", 0, Timing())
    assert first == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "1970-01-01T00:00:00.000000Z",
        "renewTime": "1970-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }
    renewed = held(first, "a", 2 * SECOND, Timing())
    assert (renewed["acquireTime"], renewed["renewTime"]) == (first["acquireTime"], "1970-01-01T00:00:02.000000Z")
    assert renewed["leaseTransitions"] == 0
    taken = held(renewed, "b", 20 * SECOND, Timing())
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("b", 1)
    assert taken["acquireTime"] == taken["renewTime"] == "1970-01-01T00:00:20.000000Z"


@pytest.mark.parametrize("timing", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_that_let_two_lead_are_refused(timing: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="outlast"):
        Timing(*timing)


def test_one_of_two_leads_and_renews_every_two_seconds(plane: Any) -> None:
    a, b = candidate(plane, "a"), candidate(plane, "b")
    plane.kernel.spawn("a", campaign(a))
    plane.kernel.spawn("b", campaign(b))
    plane.kernel.run(until_s=61)
    assert (a.is_leader, b.is_leader) == (True, False)
    assert lease(plane) == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:01:00.000000Z",
        "leaseTransitions": 0,
    }


def test_after_the_leader_died_another_takes_over_within_lease_and_pause(plane: Any) -> None:
    a, b = candidate(plane, "a"), candidate(plane, "b")
    leading = plane.kernel.spawn("a", campaign(a))
    plane.kernel.spawn("b", campaign(b))
    plane.kernel.run(until_s=30)
    leading.cancel()
    plane.kernel.run(until_s=40)
    assert not b.is_leader
    plane.kernel.run(until_s=30 + 15 + 2 * 2.2)
    assert b.is_leader
    assert (lease(plane)["holderIdentity"], lease(plane)["leaseTransitions"]) == ("b", 1)


def test_a_leader_that_cannot_renew_stops_before_another_begins(plane: Any) -> None:
    a, b = candidate(plane, "a"), candidate(plane, "b")
    plane.kernel.spawn("a", campaign(a))
    plane.kernel.spawn("b", campaign(b))
    plane.kernel.run(until_s=10)
    # The leader has written several times by now, the other will write its first time.
    plane.faults.plan = [("update", "leases/", nth, DOWN) for nth in range(3, 100)]
    stopped_s = taken_s = 0.0
    for tenth in range(101, 400):
        plane.kernel.run(until_s=tenth / 10)
        assert not (a.is_leader and b.is_leader)
        stopped_s = stopped_s or (0.0 if a.is_leader else tenth / 10)
        taken_s = taken_s or (tenth / 10 if b.is_leader else 0.0)
    assert 10 < stopped_s <= 22.1
    assert stopped_s < taken_s <= 10 + 15 + 2 * 2.2


def test_two_who_take_a_free_lease_at_once_do_not_both_get_it(plane: Any) -> None:
    body = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": {"name": LEASE_NAME}, "spec": {}}
    plane.create(LEASE, body)
    rivals = [
        LeaderElector(
            plane.kernel,
            plane.client(name, latency=lambda verb: 0.01),
            identity=name,
            namespace="default",
            rng=Random(name),
        )
        for name in "abc"
    ]
    for rival in rivals:
        plane.kernel.spawn(rival.identity, campaign(rival))
    plane.kernel.run(until_s=1)
    assert [rival.is_leader for rival in rivals].count(True) == 1


def test_the_second_operator_begins_when_the_first_is_gone(plane: Any) -> None:
    def start(name: str) -> Manager:
        nothing: Any = None
        options = OperatorOptions(leader_election=True, host_name=name)
        manager = Manager(plane.kernel, plane.client(name), http=nothing, rng=Random(name), options=options, name=name)
        manager.start()
        return manager

    first, second = start("one"), start("two")
    plane.kernel.run(until_s=20)
    assert first.elector is not None
    assert second.elector is not None
    assert (first.elector.is_leader, second.elector.is_leader) == (True, False)
    first.crash()
    plane.kernel.run(until_s=45)
    assert second.elector.is_leader


def test_an_operator_that_lost_its_lease_ends(plane: Any) -> None:
    nothing: Any = None
    manager = Manager(
        plane.kernel,
        plane.client("one"),
        http=nothing,
        rng=Random(1),
        options=OperatorOptions(leader_election=True),
        name="one",
    )
    manager.start()
    plane.kernel.run(until_s=5)
    assert manager.is_running
    plane.faults.plan = [("get", "leases/", nth, DOWN) for nth in range(1, 100)]
    plane.kernel.run(until_s=20)
    assert not manager.is_running


def test_a_candidate_looks_again_after_2_to_4_point_4_seconds(plane: Any) -> None:
    class Draws(Random):
        """Answers 0, 1/2 and then 1."""

        def __init__(self) -> None:
            super().__init__(1)
            self.left = [0.0, 0.5, 1.0]

        def random(self) -> float:
            return self.left.pop(0) if self.left else 1.0

    a = candidate(plane, "a")
    b = LeaderElector(plane.kernel, plane.client("b"), identity="b", namespace="default", rng=Draws())
    plane.kernel.spawn("a", campaign(a))
    looks: list[float] = []

    class Seen:
        def __init__(self, client: Any) -> None:
            self.client = client

        async def get(self, *arguments: Any) -> Any:
            looks.append(round(plane.kernel.monotonic_ns() / NS, 3))
            return await self.client.get(*arguments)

    b._client = Seen(plane.client("b"))  # type: ignore[assignment]
    plane.kernel.spawn("b", campaign(b))
    plane.kernel.run(until_s=15)
    assert looks[:5] == [0.0, 2.0, 5.2, 9.6, 14.0]


def test_who_leads_and_who_lost_is_told_in_the_trace(plane: Any) -> None:
    a = candidate(plane, "a")
    plane.kernel.spawn("a", campaign(a))
    plane.kernel.run(until_s=5)
    plane.faults.plan = [("get", "leases/", nth, DOWN) for nth in range(1, 100)]
    plane.kernel.run(until_s=20)
    notes = [(event.t_s, event.subject, event["detail"]) for event in plane.kernel.trace.select(Kind.NOTE)]
    # Renewed at 4 s last; the renewal begun at 6 s is given up after 10.
    assert notes == [
        (0.0, "leases/default/ray-operator-leader", "a became leader"),
        (16.0, "leases/default/ray-operator-leader", "a lost the lease"),
    ]


def test_the_lease_that_is_made_has_the_name_asked_for(plane: Any) -> None:
    elector = LeaderElector(
        plane.kernel, plane.client("a"), identity="a", namespace="kube-system", rng=Random(1), name="another"
    )
    plane.kernel.spawn("a", campaign(elector))
    plane.kernel.run(until_s=1)
    made = plane.get(LEASE, "another", "kube-system")
    assert (made["apiVersion"], made["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert made["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }


def test_other_times_are_kept(plane: Any) -> None:
    timing = Timing(lease_s=6.0, renew_s=4.0, retry_s=1.0)
    elector = LeaderElector(
        plane.kernel, plane.client("a"), identity="a", namespace="default", rng=Random(1), timing=timing
    )
    plane.kernel.spawn("a", campaign(elector))
    plane.kernel.run(until_s=3.5)
    assert (lease(plane)["leaseDurationSeconds"], lease(plane)["renewTime"]) == (6, "2026-01-01T00:00:03.000000Z")
    plane.faults.plan = [("update", "leases/", nth, DOWN) for nth in range(1, 100)]
    plane.kernel.run(until_s=7.9)
    assert elector.is_leader
    plane.kernel.run(until_s=8.1)
    assert not elector.is_leader


def test_a_lease_without_holder_keeps_what_else_it_says_and_counts_the_transition() -> None:
    taken = held({"strategy": "OldestEmulationVersion", "leaseTransitions": 4}, "a", 0, Timing())
    assert (taken["strategy"], taken["leaseTransitions"], taken["holderIdentity"]) == ("OldestEmulationVersion", 5, "a")
    assert held({"holderIdentity": "b"}, "a", 0, Timing())["leaseTransitions"] == 1
    assert held({"holderIdentity": "a"}, "a", 0, Timing())["acquireTime"] == "1970-01-01T00:00:00.000000Z"


def test_the_holder_says_its_machine_and_a_number(plane: Any) -> None:
    nothing: Any = None
    options = OperatorOptions(leader_election=True, host_name="host", leader_election_namespace="kube-system")
    manager = Manager(plane.kernel, plane.client("one"), http=nothing, rng=Random(3), options=options)
    manager.start()
    plane.kernel.run(until_s=1)
    assert (
        plane.get(LEASE, LEASE_NAME, "kube-system")["spec"]["holderIdentity"]
        == f"host_{Random(3).getrandbits(64):016x}"
    )


def test_the_requests_of_a_candidate_to_the_letter(plane: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    class Stub:
        """Port `KubernetesClient` without a server: there is no Lease, then there is one."""

        async def get(self, *arguments: Any) -> JsonObject:
            seen.append(("get", *arguments))
            if len(seen) == 1:
                raise NotFound({"kind": "Status", "code": 404, "reason": "NotFound", "message": "none"})
            return {"metadata": {"resourceVersion": "7"}, "spec": seen[1][2]["spec"]}

        async def create(self, *arguments: Any) -> JsonObject:
            seen.append(("create", *arguments))
            return {}

        async def update(self, *arguments: Any) -> JsonObject:
            seen.append(("update", *arguments))
            return {}

    stub: Any = Stub()
    elector = LeaderElector(plane.kernel, stub, identity="a", namespace="ns", rng=Random(1))
    plane.kernel.spawn("a", campaign(elector))
    plane.kernel.run(until_s=1)
    spec = {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }
    metadata = {"name": "ray-operator-leader", "namespace": "ns"}
    made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    assert seen == [
        ("get", LEASE, "ray-operator-leader", "ns"),
        ("create", LEASE, made, "ns"),
        ("get", LEASE, "ray-operator-leader", "ns"),
        ("update", LEASE, {"metadata": {"resourceVersion": "7"}, "spec": spec}),
    ]
