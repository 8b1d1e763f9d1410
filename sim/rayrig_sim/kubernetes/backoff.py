"""Exponential back-off by key, as the kubelet keeps it for restarts and image pulls (`reference/kubelet.md` sections 2, 7 and 8).

Times are nanoseconds of whichever clock the caller uses throughout.
"""

from __future__ import annotations

from collections.abc import Hashable

from rayrig_core.timestamps import NS

#: An entry is forgotten when what happened lies more than this behind the last attempt, whatever the longest wait is.
FORGET_AFTER_NS = 600 * NS


class Backoff:
    """First wait, doubling, longest wait."""

    __slots__ = ("_entries", "_first_ns", "_longest_ns")

    def __init__(self, *, first_s: float = 10.0, longest_s: float = 300.0) -> None:
        self._longest_ns = round(longest_s * NS)
        self._first_ns = min(round(first_s * NS), self._longest_ns)
        #: key -> (wait, when the attempt that led to it was made)
        self._entries: dict[Hashable, tuple[int, int]] = {}

    def wait_ns(self, key: Hashable) -> int:
        """The present wait; 0 without a record."""
        entry = self._entries.get(key)
        return entry[0] if entry else 0

    def ends_ns(self, key: Hashable, since_ns: int) -> int:
        """When the wait that began at `since_ns` is over; `since_ns` itself when there is no record or it has expired."""
        entry = self._entries.get(key)
        if entry is None or since_ns - entry[1] > FORGET_AFTER_NS:
            return since_ns
        return since_ns + entry[0]

    def last_attempt_ns(self, key: Hashable) -> int | None:
        entry = self._entries.get(key)
        return entry[1] if entry else None

    def next(self, key: Hashable, event_ns: int, now_ns: int) -> None:
        """An attempt is made now because of what happened at `event_ns`: begin with the first wait or double the present one."""
        entry = self._entries.get(key)
        if entry is None or event_ns - entry[1] > FORGET_AFTER_NS:
            wait = self._first_ns
        else:
            wait = min(entry[0] * 2, self._longest_ns)
        self._entries[key] = (wait, now_ns)

    def forget(self, key: Hashable) -> None:
        self._entries.pop(key, None)
