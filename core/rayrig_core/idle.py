"""What an actor that waits tells its runtime, so that turns in which nothing would happen need not be taken.

An actor that does the same thing again and again (a probe, a reconcile that is asked for each two seconds) rests between its turns
with a `Recurrence`: whether the next turn would be like the last one, and how to account for turns that were passed over. A runtime
on virtual time may then let them pass; one on wall time has nothing to gain and only waits. Nothing that anybody can see may depend
on which of the two it did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Recurrence(Protocol):
    """Turns of a resting actor that may be passed over. All times are nanoseconds since the run began."""

    @property
    def is_instant(self) -> bool:
        """A turn takes no time and draws nothing, and turns come at equal distances: any number may be passed over at once."""
        ...

    def holds(self) -> bool:
        """True when the turn that is due next would be like the last one that was taken: it would find the same, and change nothing
        that anybody can see. Asked again whenever something may have happened."""
        ...

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        """Pass over turns, the first of which is due at `due_ns`, and all of which end before `before_ns`, and leave everything as
        if they had been taken: counters, random streams, histories.

        Answers when the next turn is due, and since when the actor would have been resting for it. `due_ns` itself as due means
        that not one could be passed over. Called only while `holds()`; nothing else happens in between.
        """
        ...


class Repetition(Protocol):
    """Something that took time in a turn and can be repeated without being done."""

    @property
    def draws(self) -> tuple[Callable[[], int], ...]:
        """Make the random choices of one repetition, in order; the times they give, in nanoseconds, add up to its length."""
        ...

    @property
    def most_ns(self) -> int:
        """A repetition is never longer."""
        ...

    def holds(self) -> bool:
        """Done now, it would get the same answer."""
        ...


@dataclass(slots=True)
class Turn:
    """What took time in one turn of an actor, in order: begin, end, and how it can be repeated, if it can."""

    parts: list[tuple[int, int, Repetition]] = field(default_factory=list)

    def add(self, began_ns: int, ended_ns: int, repetition: Repetition) -> None:
        self.parts.append((began_ns, ended_ns, repetition))

    def repetitions(self, began_ns: int, ended_ns: int) -> tuple[Repetition, ...] | None:
        """The parts, if they explain all the time from begin to end; None when something else took time as well."""
        at_ns = began_ns
        for part_began_ns, part_ended_ns, _ in self.parts:
            if part_began_ns != at_ns:
                return None
            at_ns = part_ended_ns
        return tuple(repetition for _, _, repetition in self.parts) if at_ns == ended_ns else None
