"""Worlds with and without passing over idle turns, and everything in which they must not differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import WorldSpec
from rayrig_scenarios.runner import FINAL_KINDS


class Worlds:
    """A factory of worlds that remembers them."""

    def __init__(self, *, elide_idle: bool) -> None:
        self.elide_idle = elide_idle
        self.made: list[MemoryWorld] = []

    def __call__(self, spec: WorldSpec) -> MemoryWorld:
        self.made.append(MemoryWorld(replace(spec, elide_idle=self.elide_idle)))
        return self.made[-1]


def fingerprint(world: MemoryWorld) -> dict[str, Any]:
    """What can be seen of a world, and what decides how it goes on: the random streams and the operator's queues."""
    kernel, operator = world.kernel, world.operator
    assert operator is not None
    return {
        "time": kernel.monotonic_ns(),
        "trace": kernel.trace.digest(),
        "objects": {resource.plural: world.objects(resource) for resource in FINAL_KINDS},
        "revision": world.api.state.store.revision,
        "probes": {name: machine.kubelet.all_probes() for name, machine in world.machines.items()},
        "streams": {name: stream.getstate() for name, stream in sorted(kernel.streams._streams.items())},
        "operator": {
            name: (controller.reconciles, controller.errors, controller.queue.waiting())
            for name, controller in operator.controllers.items()
        },
    }


def differences(play: Callable[[Worlds], Any]) -> list[str]:
    """Where two plays of the same story differ."""
    found = []
    for elide_idle in (True, False):
        worlds = Worlds(elide_idle=elide_idle)
        told = play(worlds)
        found.append({"told": told, **fingerprint(worlds.made[-1])})
        worlds.made[-1].kernel.close()
    passed_over, taken = found
    return [what for what in taken if passed_over[what] != taken[what]]


def events_of(world: MemoryWorld) -> int:
    """Events of the kernel so far, one for each call."""
    return next(world.kernel.env._eid)
