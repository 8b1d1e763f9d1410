"""`from rayrig_sim.legacy import ray`: as much of Ray as drivers of the early Serve API call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rayrig_sim.legacy import session
from rayrig_sim.legacy.handles import ObjectID


def get(object_ids: ObjectID | Sequence[ObjectID]) -> Any:
    """Let time pass until the results are there. Raises what the calls raised."""
    if isinstance(object_ids, ObjectID):
        return object_ids.pending.result()
    return [get(each) for each in object_ids]


def shutdown() -> None:
    """The cluster ends, and Serve with it."""
    instance = session.found()
    if instance is not None:
        instance.close()
        session.connect(None)
