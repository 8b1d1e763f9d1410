"""What became of the objects of a world, and what the probes of its pods got: read when somebody asks why.

The store keeps its changes anyway, and kubelets what their probes got, so a record costs nothing before it is asked for. It goes
back as far as the store's log does. Objects are shared and never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import (
    CORE_EVENT,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    RAY_CLUSTER,
    RAY_SERVICE,
    ResourceType,
)
from rayrig_fakes.kubernetes.storage.store import Store
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRules

#: Kinds whose history says why a pod is as it is.
RECORDED: tuple[ResourceType, ...] = (POD, NODE, CORE_EVENT, PERSISTENT_VOLUME_CLAIM, RAY_SERVICE, RAY_CLUSTER)


class ObjectChange(NamedTuple):
    """One write: when (nanoseconds since the run began), to which object (`namespace/name`), and the state after it, of a deletion
    the last one."""

    t_ns: int
    key: str
    object: JsonObject
    is_deletion: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Up to `end_ns`, nanoseconds since the run began at `origin_unix_ns`. `changes` are by plural and in order, `probes` by the
    uid of the pod; `scripts` are those of its containers."""

    origin_unix_ns: int
    end_ns: int
    changes: Mapping[str, Sequence[ObjectChange]] = field(repr=False)
    probes: Mapping[str, Sequence[ProbeRun]] = field(repr=False)
    scripts: ScriptRules = field(default_factory=ScriptRules, repr=False)


def changes_of(store: Store, origin_unix_ns: int) -> dict[str, list[ObjectChange]]:
    """All changes that the store remembers. What is older than its log stands at the beginning of the run."""
    found: dict[str, list[ObjectChange]] = {}
    for resource in RECORDED:
        collection = store.collection(resource.group_resource)
        entries = collection.log.entries
        changes: list[ObjectChange] = []
        seen: dict[str, None] = {}
        for change in entries:
            if change.key not in seen:
                seen[change.key] = None
                if change.previous is not None:
                    changes.append(ObjectChange(0, change.key, change.previous.obj, False))
        for stored in collection.scan():
            metadata = stored.obj["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]
            if key not in seen:
                changes.append(ObjectChange(0, key, stored.obj, False))
        changes += [
            ObjectChange(change.unix_ns - origin_unix_ns, change.key, change.object, change.type is WatchType.DELETED)
            for change in entries
        ]
        found[resource.plural] = changes
    return found
