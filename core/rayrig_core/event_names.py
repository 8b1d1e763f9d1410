"""What Events are called, and what they are about."""

from __future__ import annotations

from hashlib import blake2b

from rayrig_core.objects import JsonObject, name_of, namespace_of

#: The lowest bits of the time are the recorder's: two recorders may speak about one object in the same nanosecond.
_MARK_BITS = 16


class EventNames:
    """Names of the Events of one recorder: the object's name and the time, made unique. `recorder` names it."""

    __slots__ = ("_last", "_mark")

    def __init__(self, recorder: str) -> None:
        self._mark = int.from_bytes(blake2b(recorder.encode(), digest_size=2).digest(), "big")
        self._last = 0

    def next(self, about: str, now_ns: int) -> str:
        """A name not given before for an Event about the object called `about`."""
        stamp = max(now_ns >> _MARK_BITS << _MARK_BITS | self._mark, self._last + (1 << _MARK_BITS))
        self._last = stamp
        return f"{about}.{stamp:x}"


def event_subject(regarding: JsonObject) -> str:
    """`pods/default/NAME` or `nodes/NAME`."""
    kind, namespace, name = str(regarding.get("kind", "")), namespace_of(regarding), name_of(regarding)
    return f"{kind.lower()}s/{namespace}/{name}" if namespace else f"{kind.lower()}s/{name}"
