"""The revisions of StatefulSets and DaemonSets: a ControllerRevision for each template they had, the newest counted highest.

Source: Kubernetes, "StatefulSets" (revision history), "ControllerRevision".
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.errors import AlreadyExists, NotFound
from rayrig_core.objects import JsonObject, copy_json, labels_of, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import CONTROLLER_REVISION, ResourceType
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects, controller_reference
from rayrig_sim.kubernetes.workloads.pod_templates import short_hash


@dataclass(frozen=True, slots=True)
class Revisions:
    """Of one workload: all of them, oldest first, and that of the present template. `collisions` as for the status."""

    known: list[JsonObject]
    update: JsonObject
    collisions: int


def patch_of(owner: JsonObject) -> JsonObject:
    """What a revision keeps of its workload: the template, to be put in place of another."""
    template = copy_json(owner["spec"]["template"])
    return {"spec": {"template": {**template, "$patch": "replace"}}}


async def bring_revisions(
    client: KubernetesClient,
    revisions: ControlledObjects,
    owner: JsonObject,
    owner_type: ResourceType,
    hash_label: str,
) -> Revisions:
    """Make the revision of the present template, or raise the number of an earlier one that is the same."""
    known = sorted(revisions.of(uid_of(owner)), key=_number)
    data = patch_of(owner)
    collisions = int((owner.get("status") or {}).get("collisionCount") or 0)
    next_number = _number(known[-1]) + 1 if known else 1
    same = [each for each in known if each.get("data") == data]
    if same and same[-1] is known[-1]:
        return Revisions(known, same[-1], collisions)
    if same:
        written = await client.update(CONTROLLER_REVISION, {**same[-1], "revision": next_number})
    else:
        while True:
            body = _new_revision(owner, owner_type, hash_label, data, next_number, collisions)
            try:
                written = await client.create(CONTROLLER_REVISION, body, namespace_of(owner))
            except AlreadyExists:
                written = await client.get(CONTROLLER_REVISION, name_of(body), namespace_of(owner))
                if written.get("data") != data:
                    collisions += 1
                    continue
            break
    revisions.wrote(written)
    known = [each for each in known if uid_of(each) != uid_of(written)]
    return Revisions([*known, written], written, collisions)


async def forget_revisions(
    client: KubernetesClient, revisions: ControlledObjects, owner: JsonObject, known: list[JsonObject], live: set[str]
) -> None:
    """Remove those beyond the history limit, oldest first, but those named in `live`."""
    limit = owner["spec"].get("revisionHistoryLimit", 10)
    history = [each for each in known if name_of(each) not in live]
    for each in history[: max(0, len(history) - limit)]:
        try:
            await client.delete(CONTROLLER_REVISION, name_of(each), namespace_of(each))
        except NotFound:
            continue
        revisions.removed(each)


def hash_of(revision: JsonObject, hash_label: str) -> str:
    return labels_of(revision).get(hash_label, "")


def _number(revision: JsonObject) -> int:
    return int(revision.get("revision") or 0)


def _new_revision(
    owner: JsonObject, owner_type: ResourceType, hash_label: str, data: JsonObject, number: int, collisions: int
) -> JsonObject:
    hash_ = short_hash(data, collisions or None)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": {
            "name": f"{name_of(owner)}-{hash_}",
            "namespace": namespace_of(owner),
            "labels": {**labels, hash_label: hash_},
            "annotations": dict(owner["metadata"].get("annotations") or {}),
            "ownerReferences": [controller_reference(owner, owner_type)],
        },
        "data": data,
        "revision": number,
    }
