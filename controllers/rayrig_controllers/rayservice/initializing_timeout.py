"""Giving up on a RayService that does not become ready in time (kuberay-operator 2.15)."""

from __future__ import annotations

from rayrig_controllers.rayservice.conditions import INITIALIZING, INITIALIZING_TIMEOUT, READY
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.objects import annotations_of
from rayrig_core.resources import labels
from rayrig_core.resources.durations import format_go_duration, parse_seconds_or_duration
from rayrig_core.timestamps import parse_rfc3339


def has_timed_out(tick: Tick) -> bool:
    """The service gave up earlier; nothing but suspension brings it back."""
    return tick.conditions.is_false_because(READY, INITIALIZING_TIMEOUT)


def give_up_if_due(tick: Tick) -> None:
    """Mark the service as timed out when it has been Initializing for as long as its annotation allows."""
    text = annotations_of(tick.service).get(labels.INITIALIZING_TIMEOUT)
    ready = tick.conditions.find(READY)
    if not text or ready is None or ready["status"] != "False" or ready["reason"] != INITIALIZING:
        return
    limit_ns = parse_seconds_or_duration(text)
    elapsed_ns = tick.now_ns - parse_rfc3339(ready["lastTransitionTime"])
    if elapsed_ns < limit_ns:
        return
    elapsed, limit = format_go_duration(elapsed_ns), format_go_duration(limit_ns)
    tick.status.active.cluster = tick.status.pending.cluster = ""
    tick.conditions.set(
        READY,
        "False",
        INITIALIZING_TIMEOUT,
        f"RayService failed to become ready within the configured timeout of {limit}. Time spent initializing: {elapsed}",
    )
    tick.warning(
        "RayServiceInitializingTimeout",
        f"RayService initializing timeout exceeded after {elapsed} (configured timeout: {limit})",
        "Reconcile",
    )
