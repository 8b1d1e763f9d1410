"""Time in which nothing happens: one ready RayService left alone for a year, and with light traffic for a week.

    python benchmarks/idle_time.py [--days 365] [--traffic-days 7] [--every 10] [--actors] [--json]

Virtual and wall time, processor time, virtual over wall, events of the kernel, and what was left behind: events in the trace,
growth of the process. Then the same for a week with autoscalers at work that have nothing to do: Serve's for replicas, Ray's for
pods. A day without passing over idle turns tells what that saves. `--every`: one request each so many seconds.
`--actors` prints instead who does how much in an idle hour in which every turn is taken, and in one in which idle ones are passed
over.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import WorldSpec
from rayrig_core.objects import JsonObject
from rayrig_scenarios.api import Rig
from rayrig_sim import kernel as simulation

WANTED = 35_000
_DAY_S = 86_400
_SLICE_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Took:
    """One stretch of virtual time. `growth_kib`: by how much the largest size of the process rose meanwhile."""

    what: str
    virtual_s: float
    wall_s: float
    cpu_s: float
    events: int
    reconciles: int
    trace_events: int
    revisions: int
    growth_kib: int

    @property
    def ratio(self) -> float:
        return self.virtual_s / self.wall_s


#: Serve scales the replicas of a deployment, and Ray's autoscaler the worker pods.
REPLICAS: JsonObject = {
    "spec.serveConfigV2.applications[fruit_app].deployments[OrangeStand].num_replicas": None,
    "spec.serveConfigV2.applications[fruit_app].deployments[OrangeStand].autoscaling_config": {"max_replicas": 3},
}
PODS: JsonObject = {"spec.rayClusterConfig.enableInTreeAutoscaling": True}


def ready_service(changes: JsonObject | None = None, *, elide_idle: bool = True) -> tuple[Rig, MemoryWorld]:
    """A rig whose service, changed like that, has been ready for ten minutes."""
    worlds: list[MemoryWorld] = []

    def factory(spec: WorldSpec) -> MemoryWorld:
        worlds.append(MemoryWorld(replace(spec, elide_idle=elide_idle)))
        return worlds[0]

    rig = Rig(world_factory=factory)
    rig.apply("fruit-stand", changes)
    rig.wait_ready("fruit-stand")
    rig.sleep("10m")
    return rig, worlds[0]


def measure(what: str, rig: Rig, world: MemoryWorld, seconds: float) -> Took:
    """Let time pass, in slices so that progress shows."""
    gc.collect()
    before = _counts(world)
    wall, cpu = time.perf_counter(), time.process_time()
    left = seconds
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=seconds)
        while left > 0:
            now = min(left, _SLICE_S)
            rig.sleep(f"{now}s")
            left -= now
            progress.advance(task, now)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    grown = [now - then for then, now in zip(before, _counts(world), strict=True)]
    return Took(what, seconds, wall, cpu, *grown)


def _counts(world: MemoryWorld) -> tuple[int, int, int, int, int]:
    assert world.operator is not None
    return (
        next(world.kernel.env._eid),
        world.operator.reconciles,
        len(world.trace),
        world.api.state.store.revision,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often each actor goes on."""
    counts: Counter[str] = Counter()
    resume = simulation.Actor._resume

    def counting(actor: simulation.Actor, event: Any) -> None:
        counts[_family(actor.name)] += 1
        resume(actor, event)

    simulation.Actor._resume = counting  # type: ignore[assignment, method-assign]
    try:
        yield counts
    finally:
        simulation.Actor._resume = resume  # type: ignore[method-assign]


def _family(actor: str) -> str:
    """Actors of one kind under one name: addresses and generated parts of names left out."""
    actor = re.sub(r"^\d+\.\d+\.\d+\.\d+(:\d+)?", r"listener\1", actor)
    return re.sub(r"(fruit-stand)-[a-z0-9]{5}(-small-group)?(-head|-worker)?(-[a-z0-9]{5})?", r"\1\3", actor)


def print_actors(console: Console) -> None:
    table = Table("actor", "every turn", "idle ones passed over", title="times an actor went on in a virtual hour")
    both: list[Counter[str]] = []
    for elide_idle in (False, True):
        with counted() as counts:
            rig, _ = ready_service(elide_idle=elide_idle)
            rig.sleep("1h")
            counts.clear()
            rig.sleep("1h")
            both.append(counts.copy())
    for actor in sorted({**both[0], **both[1]}, key=lambda name: -both[0][name]):
        table.add_row(actor, f"{both[0][actor]:,}", f"{both[1][actor]:,}")
    table.add_row("all", f"{both[0].total():,}", f"{both[1].total():,}")
    console.print(table)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--days", type=float, default=365, help="days left alone")
    arguments.add_argument("--traffic-days", type=float, default=7, help="days with light traffic")
    arguments.add_argument("--every", type=float, default=10, help="seconds between two requests")
    arguments.add_argument("--actors", action="store_true", help="who does how much in an idle hour")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    console = Console(highlight=False, width=140)
    if given.actors:
        print_actors(console)
        return
    took = []
    rig, world = ready_service()
    with rig.traffic("fruit-stand-serve-svc", rate=f"{1 / given.every}/s", path="/fruit/", json=["MANGO", 2]) as users:
        took.append(measure(f"a request each {given.every:g} s", rig, world, given.traffic_days * _DAY_S))
    if users.failed:
        raise SystemExit(f"{users.failed} requests failed")
    for what, changes, days, elide_idle in (
        ("left alone", None, given.days, True),
        ("left alone, replicas autoscaled", REPLICAS, given.traffic_days, True),
        ("left alone, pods autoscaled", PODS, given.traffic_days, True),
        ("left alone, replicas and pods", {**REPLICAS, **PODS}, given.traffic_days, True),
        ("left alone, every turn taken", None, given.days / 365, False),
    ):
        rig, world = ready_service(changes, elide_idle=elide_idle)
        took.append(measure(what, rig, world, days * _DAY_S))
    if given.json:
        print(json.dumps([asdict(one) | {"ratio": one.ratio} for one in took], indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("what", "virtual", "wall", "cpu", "virtual : wall", "kernel events", "reconciles", "trace", "grown"):
        table.add_column(name, justify="left" if name == "what" else "right", no_wrap=True)
    for one in took:
        table.add_row(
            one.what,
            f"{one.virtual_s / _DAY_S:g} d",
            f"{one.wall_s:.2f} s",
            f"{one.cpu_s:.2f} s",
            f"{one.ratio:,.0f} : 1",
            f"{one.events:,}",
            f"{one.reconciles:,}",
            f"{one.trace_events:,}",
            f"{one.growth_kib / 1024:.1f} MiB",
        )
    console.print(table)
    console.print(f"wanted of a year left alone: {WANTED:,} : 1")


if __name__ == "__main__":
    main()
