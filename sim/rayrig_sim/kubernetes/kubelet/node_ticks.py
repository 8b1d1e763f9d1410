"""When a kubelet looks: at its containers (relist), and at the retries that have come due.

Both happen each second, at moments nobody controls. They are drawn when somebody asks for the next one, so that an idle kubelet
costs nothing. Times are nanoseconds of the run.
"""

from __future__ import annotations

from random import Random

from rayrig_core.timestamps import NS

PERIOD_NS = NS


class NodeTicks:
    """The moments of one kubelet."""

    __slots__ = ("_next_look_ns", "_rng")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._next_look_ns = -1

    def next_look(self, now_ns: int) -> int:
        """The first look at the containers after now, at most a period away; what happens before it is seen together."""
        if self._next_look_ns <= now_ns:
            self._next_look_ns = now_ns + 1 + round(self._rng.random() * (PERIOD_NS - 1))
        return self._next_look_ns

    def retry_at(self, due_ns: int) -> int:
        """When something due then is taken up: less than a period later."""
        return due_ns + round(self._rng.random() * PERIOD_NS)
