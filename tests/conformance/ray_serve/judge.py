"""Whether the modelled Serve gives what a recorded case gave.

A recording is one outcome of durations that nobody controlled: which of two replicas was up first decides who goes later. The
case is played with a few seeds until one gives what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rayrig_core.objects import JsonObject
from rayrig_sim.ray_api.modules import ray_modules
from tests.conformance.ray_serve.comparer import compare_step
from tests.conformance.ray_serve.player import CasePlayer

RECORDINGS = Path(__file__).parent.parent / "recordings" / "ray_serve"
#: Steps that expect nothing.
_SILENT = ("sleep", "begin")
SEEDS = tuple(range(6))


def judge(case: JsonObject, *, seeds: Iterable[int] = SEEDS, timing: float | None = None) -> dict[int, list[str]]:
    """Differences by number of the step, empty for one that holds, of the play that comes nearest. Steps that expect
    nothing are left out."""
    nearest: dict[int, list[str]] | None = None
    for seed in seeds:
        found = _judge_one(case, seed, timing)
        if nearest is None or _failures(found) < _failures(nearest):
            nearest = found
        if not _failures(nearest):
            break
    assert nearest is not None, "no seeds"
    return nearest


def _failures(found: dict[int, list[str]]) -> int:
    return sum(bool(differences) for differences in found.values())


def _judge_one(case: JsonObject, seed: int, timing: float | None) -> dict[int, list[str]]:
    with ray_modules():
        seen = CasePlayer(case, seed=seed).play()
    return {
        step["n"]: compare_step(step, got, timing=timing)
        for step, got in zip(case["steps"], seen, strict=True)
        if step["op"] not in _SILENT
    }
