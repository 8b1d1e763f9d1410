"""The two clocks of a kubelet: the look at its containers each second (relist) and the tick at which due retries are taken up.

Nothing ticks here: moments are computed when somebody asks, so that an idle kubelet costs nothing.
"""

from __future__ import annotations

from random import Random

from rayrig_core.timestamps import NS

PERIOD_NS = NS


class NodeTicks:
    """Both ticks have a period of 1 s and a phase drawn when the kubelet starts. Times are nanoseconds of one clock throughout."""

    __slots__ = ("_relist_phase_ns", "_retry_phase_ns")

    def __init__(self, rng: Random, now_ns: int) -> None:
        self._relist_phase_ns = now_ns + rng.randrange(PERIOD_NS)
        self._retry_phase_ns = now_ns + rng.randrange(PERIOD_NS)

    def last_relist(self, at_ns: int) -> int:
        """The newest look at or before that moment."""
        return at_ns - (at_ns - self._relist_phase_ns) % PERIOD_NS

    def next_relist(self, after_ns: int) -> int:
        """The first look after that moment."""
        return self.last_relist(after_ns) + PERIOD_NS

    def retry_at(self, due_ns: int) -> int:
        """When something due then is taken up: the first tick at or after it."""
        return due_ns + (self._retry_phase_ns - due_ns) % PERIOD_NS
