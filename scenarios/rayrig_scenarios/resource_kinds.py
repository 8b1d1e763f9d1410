"""Kinds that scenarios may name, by kind (`RayService`)."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_core import resource_types
from rayrig_core.resource_types import ResourceType

_TYPES = [value for value in vars(resource_types).values() if isinstance(value, ResourceType)]

#: `Event` is the one of events.k8s.io.
KINDS: Mapping[str, ResourceType] = {resource.kind: resource for resource in _TYPES}
