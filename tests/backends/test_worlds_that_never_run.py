"""A world that was started and thrown away."""

from __future__ import annotations

import gc
import warnings

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import NodeSpec, WorldSpec


def test_a_world_that_was_started_and_never_run_can_be_closed() -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        world = MemoryWorld(WorldSpec(nodes=(NodeSpec(),)))
        world.start()
        world.start_operator()
        world.runtime.close()
        del world
        gc.collect()
    assert [str(each.message) for each in warned] == []
