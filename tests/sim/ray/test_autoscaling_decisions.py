"""What the Ray autoscaler decides at one look."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rayrig_core.timestamps import to_ns
from rayrig_sim.ray.autoscaling import Decision, Group, UpscalingMode, Worker, decide
from rayrig_sim.ray.resources import amounts
from rayrig_sim.ray_pods.autoscaler import group_of, patch_of, worker_resources

IDLE_NS = to_ns(60)


def group(
    name: str = "w", *, cpu: float = 2, gpu: float = 0, now: int = 1, low: int = 0, high: int = 10, hosts: int = 1
) -> Group:
    return Group(name, amounts({"CPU": cpu, "GPU": gpu}), now, low, high, IDLE_NS, hosts)


def worker(name: str, free: float | None, idle_ns: int = 0, of: str = "w", replica: str = "") -> Worker:
    return Worker(name, of, None if free is None else amounts({"CPU": free}) or {"CPU": 0}, idle_ns, replica)


def cpus(*each: float) -> list[dict[str, int]]:
    return [amounts({"CPU": amount}) for amount in each]


def test_what_fits_on_what_there_is_asks_for_nothing() -> None:
    assert not decide([group()], [worker("a", 2)], {}, cpus(1, 1))
    assert not decide([group(now=0)], [], amounts({"CPU": 1}), cpus(1))


def test_what_does_not_fit_grows_the_group() -> None:
    assert decide([group()], [worker("a", 0)], {}, cpus(1, 1, 1)) == Decision({"w": 3})


def test_workers_on_their_way_count() -> None:
    assert not decide([group(now=2)], [worker("a", 0), worker("b", None)], {}, cpus(1, 1))
    assert not decide([group(now=2)], [worker("a", 0)], {}, cpus(1, 1)), "its pod is not even made yet"


def test_a_group_grows_to_its_maximum_only() -> None:
    assert decide([group(high=2)], [worker("a", 0)], {}, cpus(*[2] * 9)) == Decision({"w": 2})


def test_what_fits_on_no_worker_of_any_group_waits() -> None:
    assert not decide([group()], [worker("a", 0)], {}, cpus(3))


def test_devices_are_not_wasted_on_what_needs_none() -> None:
    groups = [group("gpu", cpu=2, gpu=1, now=0), group("cpu", cpu=2, now=0)]
    assert decide(groups, [], {}, cpus(2)) == Decision({"cpu": 1})
    assert decide(groups, [], {}, [amounts({"GPU": 1})]) == Decision({"gpu": 1})


def test_the_group_that_is_filled_best_is_taken() -> None:
    groups = [group("large", cpu=16, now=0), group("small", cpu=2, now=0)]
    assert decide(groups, [], {}, cpus(2)) == Decision({"small": 1})


def test_conservative_upscaling_doubles_and_brings_five_at_least() -> None:
    many = cpus(*[2] * 100)
    none_yet = decide([group(now=0, high=100)], [], {}, many, UpscalingMode.CONSERVATIVE)
    assert none_yet == Decision({"w": 5})
    eight = [worker(str(number), 0) for number in range(8)]
    assert decide([group(now=8, high=100)], eight, {}, many, UpscalingMode.CONSERVATIVE) == Decision({"w": 16})
    assert decide([group(now=8, high=100)], eight, {}, many, UpscalingMode.AGGRESSIVE) == Decision({"w": 100})


def test_idle_workers_go_when_their_time_is_over() -> None:
    workers = [worker("a", 2, IDLE_NS - 1), worker("b", 2, IDLE_NS), worker("c", 1)]
    assert decide([group(now=3)], workers, {}, []) == Decision({"w": 2}, {"w": ["b"]})


def test_idle_workers_stay_when_something_waits_that_fits_on_them() -> None:
    assert not decide([group(now=1)], [worker("a", 2, IDLE_NS)], {}, cpus(2))


def test_the_minimum_stays_and_is_brought_about() -> None:
    idle = [worker("a", 2, IDLE_NS), worker("b", 2, IDLE_NS)]
    assert decide([group(now=2, low=1)], idle, {}, []) == Decision({"w": 1}, {"w": ["a"]})
    assert decide([group(now=0, low=2)], [], {}, []) == Decision({"w": 2})


def test_a_lowered_maximum_takes_workers_away() -> None:
    workers = [worker("a", 0), worker("b", 0), worker("c", 2)]
    decision = decide([group(now=3, high=2)], workers, {}, [])
    assert decision.replicas == {"w": 2}
    assert len(decision.delete["w"]) == 1


def slices(*hosts: tuple[str, str, int]) -> list[Worker]:
    """Hosts with two CPUs each: (name, replica, for how long it is idle; negative: half of it is in use)."""
    return [worker(name, 2 if idle >= 0 else 1, max(idle, 0), replica=replica) for name, replica, idle in hosts]


def test_a_replica_of_several_hosts_goes_when_all_of_them_are_idle() -> None:
    groups = [group(now=2, hosts=2)]
    hosts = slices(("a0", "a", IDLE_NS), ("b0", "b", IDLE_NS), ("a1", "a", IDLE_NS), ("b1", "b", -1))
    assert decide(groups, hosts, {}, []) == Decision({"w": 1}, {"w": ["a0", "a1"]})
    busy = slices(("a0", "a", IDLE_NS), ("a1", "a", IDLE_NS - 1), ("b0", "b", -1), ("b1", "b", IDLE_NS))
    assert not decide(groups, busy, {}, [])


def test_a_replica_stays_while_one_of_its_hosts_is_on_its_way() -> None:
    half_there = [*slices(("a0", "a", IDLE_NS)), worker("a1", None, replica="a")]
    assert not decide([group(hosts=2)], half_there, {}, [])
    assert not decide([group(hosts=2)], slices(("a0", "a", IDLE_NS)), {}, []), (
        "the other host's pod is not even made yet"
    )


def test_whole_replicas_above_the_maximum_go_even_when_busy() -> None:
    hosts = slices(("a0", "a", -1), ("a1", "a", -1), ("b0", "b", -1), ("b1", "b", -1))
    assert decide([group(now=2, high=1, hosts=2)], hosts, {}, []) == Decision({"w": 1}, {"w": ["a0", "a1"]})


def test_a_group_of_higher_priority_is_grown_before_one_that_is_filled_better() -> None:
    groups = [replace(group("large", cpu=16, now=0), priority=1), group("small", cpu=2, now=0)]
    assert decide(groups, [], {}, cpus(2)) == Decision({"large": 1})


def test_a_replica_of_several_hosts_brings_all_of_them() -> None:
    assert decide([group(now=0, hosts=4)], [], {}, cpus(2, 2, 2, 2, 2)) == Decision({"w": 2})


@given(
    st.lists(st.integers(1, 4), max_size=8),
    st.integers(0, 4),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=6),
)
def test_bounds_hold_whatever_is_asked(asked: list[int], low: int, more: int, there: list[tuple[int, bool]]) -> None:
    high = low + more
    now = min(max(len(there), low), high)
    workers = [
        worker(str(number), free, IDLE_NS if idle and free == 2 else 0)
        for number, (free, idle) in enumerate(there[:now])
    ]
    decision = decide([group(now=now, low=low, high=high)], workers, {}, cpus(*asked))
    count = decision.replicas.get("w", now)
    assert low <= count <= high
    deleted = decision.delete.get("w", [])
    assert len(set(deleted)) == len(deleted) <= len(workers)
    if deleted:
        assert count <= now - len(deleted) or count == low


def test_a_groups_shape_comes_from_the_manifest() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "3", "memory": "1Gi", "nvidia.com/gpu": "2"}}}
    spec = {
        "groupName": "w",
        "minReplicas": 1,
        "maxReplicas": 4,
        "numOfHosts": 2,
        "rayStartParams": {"num-cpus": "5", "resources": '"{\\"Custom\\": 7}"'},
        "template": {"spec": {"containers": [container]}},
    }
    assert worker_resources(spec) == amounts({"CPU": 5, "GPU": 2, "memory": 1 << 30, "Custom": 7})
    made = group_of(spec, {"idleTimeoutSeconds": 30})
    assert (made.replicas, made.min_replicas, made.max_replicas, made.hosts) == (0, 1, 4, 2)
    assert made.idle_timeout_ns == to_ns(30)
    assert group_of({**spec, "idleTimeoutSeconds": 7}, {"idleTimeoutSeconds": 30}).idle_timeout_ns == to_ns(7)


def test_the_patch_names_workers_and_forgets_those_that_are_gone() -> None:
    spec = {
        "workerGroupSpecs": [{"groupName": "a"}, {"groupName": "b", "scaleStrategy": {"workersToDelete": ["gone"]}}]
    }
    assert patch_of(spec, Decision({"a": 1}, {"a": ["p"]})) == [
        {"op": "add", "path": "/spec/workerGroupSpecs/0/replicas", "value": 1},
        {"op": "add", "path": "/spec/workerGroupSpecs/0/scaleStrategy", "value": {"workersToDelete": ["p"]}},
        {"op": "add", "path": "/spec/workerGroupSpecs/1/scaleStrategy", "value": {"workersToDelete": []}},
    ]
    assert patch_of({"workerGroupSpecs": [{"groupName": "a"}]}, Decision()) == []
