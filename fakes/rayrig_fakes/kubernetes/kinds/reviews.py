"""Reviews: kinds that are only ever created, and answered instead of stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.registry import Served

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.state import ServerState


class ReviewRules(KindRules):
    takes_vouched = False

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def answer(self, served: Served, call: ApiCall) -> Answer:
        """Raises `ApiError`."""
        # Most servers are never asked.
        from rayrig_fakes.kubernetes.authorization.reviews import review

        return review(self._state, served, call)
