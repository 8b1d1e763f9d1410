"""Which replicas go when there are too many. Pure. Source: ray-serve.md 5.6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    """A replica as this decision sees it. `position` grows with age of start: a later start has a higher one."""

    replica: T
    is_running: bool
    node_id: str | None
    position: int


def victims(
    candidates: Sequence[Candidate[T]],
    count: int,
    *,
    head_id: str | None,
    replicas_on: Callable[[str], int],
    matches_labels: Callable[[str], bool] = lambda _: True,
) -> list[T]:
    """The first `count` to go: those not running, then node by node (other than head, not matching the label selector, fewest
    replicas of all deployments), the newest first on each."""
    idle = sorted((c for c in candidates if not c.is_running), key=lambda c: -c.position)

    def order(candidate: Candidate[T]) -> tuple[bool, bool, int, str, int]:
        node_id = candidate.node_id or ""
        return (
            node_id == head_id,
            matches_labels(node_id),
            replicas_on(node_id),
            node_id,
            -candidate.position,
        )

    running = sorted((c for c in candidates if c.is_running), key=order)
    return [candidate.replica for candidate in (*idle, *running)][:count]
