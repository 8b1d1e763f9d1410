"""Who is told of which changes by a cache."""

from __future__ import annotations

from random import Random
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.object_cache import NO_PART, ObjectCache, Part, changed_parts


def test_a_handler_is_told_of_changes_of_the_parts_it_asks_for() -> None:
    kernel = Kernel(0)
    client = InProcessClient(ApiServer(kernel.unix_ns, Random(1)), kernel, actor="test")
    cache = ObjectCache(kernel, client, POD)
    told: list[tuple[str, str]] = []

    def listen(name: str, parts: Part | None = None) -> None:
        def handler(type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
            told.append((name, str(type_)))

        cache.on_change(handler, parts)

    listen("all")
    listen("labels", Part.LABELS)
    listen("spec or deletion", Part.SPEC | Part.DELETION)
    listen("status", Part.STATUS)
    listen("coming and going", NO_PART)

    async def change() -> None:
        async def after(write: Any) -> list[tuple[str, str]]:
            told.clear()
            await write
            await kernel.sleep(1)
            return list(told)

        spec = {"nodeName": "n", "containers": [{"name": "main", "image": "main"}]}
        names = ("all", "labels", "spec or deletion", "status", "coming and going")
        made = await after(client.create(POD, {"metadata": {"name": "p"}, "spec": spec}, "default"))
        assert made == [(name, "ADDED") for name in names]

        noted = await after(client.patch(POD, "p", {"metadata": {"annotations": {"a": "b"}}}, "default"))
        assert noted == [("all", "MODIFIED")]
        relabelled = await after(client.patch(POD, "p", {"metadata": {"labels": {"a": "b"}}}, "default"))
        assert relabelled == [("all", "MODIFIED"), ("labels", "MODIFIED")]
        status = {"status": {"phase": "Running"}}
        runs = await after(client.patch(POD, "p", status, "default", subresource="status"))
        assert runs == [("all", "MODIFIED"), ("status", "MODIFIED")]
        ends = await after(client.delete(POD, "p", "default"))
        assert ends == [("all", "MODIFIED"), ("spec or deletion", "MODIFIED")]
        gone = await after(client.delete(POD, "p", "default", grace_period_seconds=0))
        assert gone[-5:] == [(name, "DELETED") for name in names]

    kernel.spawn("cache", cache.run())
    task = kernel.spawn("change", change())
    kernel.run(until_s=60)
    assert task.is_done


def test_a_new_object_of_the_same_name_is_a_change_of_every_part() -> None:
    old: JsonObject = {"metadata": {"uid": "1"}, "spec": {}}
    assert changed_parts(old, {**old, "metadata": {"uid": "2"}}) == sum(Part)
    assert changed_parts(old, {**old, "metadata": {"uid": "1", "ownerReferences": []}}) == Part.OWNERS


def test_a_handler_is_told_of_objects_that_a_kind_controls_and_of_those_that_nothing_does() -> None:
    kernel = Kernel(0)
    client = InProcessClient(ApiServer(kernel.unix_ns, Random(1)), kernel, actor="test")
    cache = ObjectCache(kernel, client, POD)
    told: list[tuple[str, str]] = []
    cache.on_change(
        lambda type_, old, new, cause: told.append((str(type_), new["metadata"]["name"])), controlled_by="Job"
    )

    def owner(kind: str, *, controls: bool = True) -> JsonObject:
        return {"apiVersion": "v1", "kind": kind, "name": "o", "uid": f"of-{kind}", "controller": controls}

    async def change() -> None:
        spec = {"containers": [{"name": "main", "image": "main"}]}
        owners = {
            "free": [],
            "job": [owner("Job")],
            "set": [owner("ReplicaSet")],
            "owned": [owner("ReplicaSet", controls=False)],
            "two": [owner("ReplicaSet"), owner("Job", controls=False)],
        }
        for name, references in owners.items():
            pod = {"metadata": {"name": name, "ownerReferences": references}, "spec": spec}
            await client.create(POD, pod, "default")
        await kernel.sleep(1)
        assert told == [("ADDED", name) for name in ("free", "job", "owned", "two")]
        told.clear()
        # From one to the other concerns both.
        for name, kind in (("job", "ReplicaSet"), ("set", "Job")):
            await client.patch(POD, name, {"metadata": {"ownerReferences": [owner(kind)]}}, "default")
        await kernel.sleep(1)
        assert told == [("MODIFIED", "job"), ("MODIFIED", "set")]
        told.clear()
        await client.delete(POD, "job", "default", grace_period_seconds=0)
        await kernel.sleep(1)
        assert told == []

    kernel.spawn("cache", cache.run())
    task = kernel.spawn("change", change())
    kernel.run(until_s=60)
    assert task.is_done
