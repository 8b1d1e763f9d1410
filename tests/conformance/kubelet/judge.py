"""Whether the model behaves as one recorded case.

A recording is one outcome of clock phases and jitter nobody controlled. The model first plays with every draw in the middle of
its interval; when that differs, with a few seeds. The case holds when one of these plays gives what was recorded, within the
tolerances.
"""

from __future__ import annotations

from pathlib import Path

from rayrig_core.objects import JsonObject
from tests.conformance.kubelet.comparer import Comparison
from tests.conformance.kubelet.player import play

RECORDINGS = Path(__file__).parent.parent / "recordings" / "kubelet"
#: Recorded once each, and with less care for the clock: what they are for are combinations.
MORE_RECORDINGS = RECORDINGS.parent / "kubelet_more"
#: None: every draw in the middle.
DRAWS: tuple[int | None, ...] = (None, *range(1, 13))


def judge(case: JsonObject) -> list[str]:
    """Differences of the play that comes nearest; none when the case holds."""
    nearest: list[str] | None = None
    for seed in DRAWS:
        differences = Comparison(case, play(case, seed=seed)).differences()
        if not differences:
            return []
        if nearest is None or len(differences) < len(nearest):
            nearest = differences
    return nearest or []
