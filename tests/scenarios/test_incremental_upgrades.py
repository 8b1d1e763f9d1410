"""Incremental upgrades with traffic: capacities and weights move as the operator's do, and the requests follow the weights.

The traces are the golden ones of kuberay-operator 2.9.8: (seconds, active's capacity, pending's, active's traffic, pending's).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import World, WorldSpec
from rayrig_core.resource_types import RAY_SERVICE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.language.load import load
from rayrig_scenarios.results import RunResult, Verdict, what_broke
from rayrig_scenarios.runner import run

AGGRESSIVE = [
    (0, 100, 50, 75, 25),
    (6, 100, 50, 50, 50),
    (8, 50, 50, 50, 50),
    (10, 50, 100, 50, 50),
    (12, 50, 100, 25, 75),
    (18, 50, 100, 0, 100),
    (20, 0, 100, 0, 100),
]
ROLLED_BACK_AT_A_QUARTER = [(0, 100, 50, 75, 25), (2, 100, 50, 100, 0), (4, 100, 0, 100, 0)]


class Watched:
    """A world in which somebody watches the RayService's status."""

    def __init__(self) -> None:
        #: (time in ns, capacities and traffic of the first and the second cluster), for each change.
        self.seen: list[tuple[int, tuple[int, int, int, int]]] = []

    def world(self, spec: WorldSpec) -> World:
        world = MemoryWorld(spec)
        world.spawn("observer", self._watch(world))
        return world

    async def _watch(self, world: MemoryWorld) -> None:
        stream = await world.client("observer").watch(RAY_SERVICE, "default")
        clusters: dict[str, None] = {}
        while True:
            status = (await stream.next()).object.get("status") or {}
            slots = [status.get(f"{slot}ServiceStatus") or {} for slot in ("active", "pending")]
            now = {slot["rayClusterName"]: slot for slot in slots if slot.get("rayClusterName")}
            clusters.update(dict.fromkeys(now))
            both = [now.get(name) or {} for name in clusters]
            if len(both) < 2:
                continue
            first, second = ((each.get("targetCapacity", 0), each.get("trafficRoutedPercent", 0)) for each in both)
            step = (first[0], second[0], first[1], second[1])
            if not self.seen or self.seen[-1][1] != step:
                self.seen.append((world.kernel.monotonic_ns(), step))

    def trace(self) -> list[tuple[int, int, int, int, int]]:
        """From the first traffic of the second cluster on, in ticks of two seconds; calls delay each tick a little."""
        began = next(index for index, (_, step) in enumerate(self.seen) if step[3])
        began_ns = self.seen[began][0]
        return [(2 * round((t_ns - began_ns) / (2 * NS)), *step) for t_ns, step in self.seen[began:]]


def perform(name: str) -> tuple[RunResult, Watched]:
    watched = Watched()
    result = run(load(name), world_factory=watched.world)
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    for accounting in result.requests.values():
        assert dict(accounting.fates) == {"ok": accounting.sent}
    return result, watched


def test_an_upgrade_takes_the_golden_steps_and_the_requests_follow_the_weights() -> None:
    result, watched = perform("incremental-upgrade")
    taken = watched.trace()
    assert [step[1:] for step in taken] == [step[1:] for step in AGGRESSIVE]
    # The operator keeps the time of a step in whole seconds: by its phase, the tick before may be late enough.
    lasted, golden = ([after[0] - step[0] for step, after in pairwise(steps)] for steps in (taken, AGGRESSIVE))
    assert all(0 <= gap - seen <= 2 for seen, gap in zip(lasted, golden, strict=True)), taken
    (new,) = (cluster["metadata"]["name"] for cluster in result.objects["rayclusters"])
    changes = [event.t_ns for event in result.trace.select(Kind.ROUTES) if event["state"] == "in effect"]
    # No routes, all to the first, a weight of 0 for the second, four steps, all to the second.
    assert len(changes) == 8
    for began, ended, percent in zip(changes[2:], changes[3:], (0, 25, 50, 75, 100), strict=False):
        fates = Counter(
            str(event["pod"]).startswith(new)
            for event in result.trace.select(Kind.REQUEST)
            if began + NS // 10 < event.t_ns < ended
        )
        assert abs(100 * fates[True] / fates.total() - percent) <= 10, percent


def test_an_upgrade_that_is_taken_back_takes_the_golden_steps_back() -> None:
    _, watched = perform("incremental-rollback")
    assert watched.trace() == ROLLED_BACK_AT_A_QUARTER
