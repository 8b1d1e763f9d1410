"""Kubernetes events about an object, as clusters and Ray services show them (`reference/kuberay-apiserver.md` 7.3)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, metadata, name_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import EVENT
from rayrig_core.timestamps import parse_rfc3339, rfc3339

#: What Go makes of a time that isn't given.
_ZERO_TIME = "0001-01-01T00:00:00Z"


async def events_about(kubernetes: KubernetesClient, name: str, namespace: str) -> list[JsonObject]:
    """About objects of that name, whatever their kind. Raises `ApiError`, `HttpFailure`."""
    return (await kubernetes.list(EVENT, namespace, field_selector=f"regarding.name={name}")).items


def event_of(event: JsonObject, owner: str) -> JsonObject:
    """The event as replies show it; `owner` begins its name."""
    series = event.get("series")
    observed = event.get("eventTime")
    if series:
        last = series.get("lastObservedTime")
    else:
        last = event.get("deprecatedLastTimestamp") or observed
    return {
        "id": name_of(event),
        "name": f"{owner}-{name_of(event)}",
        "createdAt": _seconds(metadata(event).get("creationTimestamp")),
        "firstTimestamp": _seconds(observed or event.get("deprecatedFirstTimestamp")),
        "lastTimestamp": _seconds(last),
        "reason": event.get("reason", ""),
        "message": event.get("note", ""),
        "type": event.get("type", ""),
        "count": series.get("count", 0) if series else event.get("deprecatedCount", 0),
    }


def _seconds(time: str | None) -> str:
    return rfc3339(parse_rfc3339(time)) if time else _ZERO_TIME
