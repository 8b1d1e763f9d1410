"""What the trace calls the object that an Event is about."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, name_of, namespace_of


def event_subject(regarding: JsonObject) -> str:
    """`pods/default/NAME` or `nodes/NAME`."""
    kind, namespace, name = str(regarding.get("kind", "")), namespace_of(regarding), name_of(regarding)
    return f"{kind.lower()}s/{namespace}/{name}" if namespace else f"{kind.lower()}s/{name}"
