"""What a controller knows of objects: what the cache has seen and what it wrote itself, each told once."""

from __future__ import annotations

from random import Random

from rayrig_core.objects import JsonObject, uid_of
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches

KEY = ("default", "p")


def test_own_writes_are_known_before_they_are_seen_and_told_once() -> None:
    kernel = Kernel(0)
    client = InProcessClient(ApiServer(kernel.unix_ns, Random(1)), kernel, actor="test")
    caches = ObjectCaches(kernel, client, component="test")
    pods, cache = ControlledObjects(caches, POD), caches.of(POD)
    told: list[tuple[str, str]] = []

    def observe(key: Key, before: JsonObject | None, now: JsonObject | None) -> None:
        assert key == KEY
        told.append((uid_of(before) if before else "", uid_of(now) if now else ""))

    pods.observe(observe)
    owner = {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "o", "controller": True}
    metadata = {"name": "p", "namespace": "default", "ownerReferences": [owner]}
    body = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "main"}]}}

    async def story() -> None:
        await caches.wait_synced()
        first = await client.create(POD, body, "default")
        pods.wrote(first)
        assert cache.get("p", "default") is None
        assert pods.get(KEY) == first
        assert pods.within("default") == pods.of("o") == [first]
        await kernel.sleep(1)
        assert cache.get("p", "default") == pods.get(KEY) == first
        assert told == [("", uid_of(first))]

        # Gone as far as we know, and another one of that name made, before any of it is seen.
        await client.delete(POD, "p", "default", grace_period_seconds=0)
        pods.removed(first)
        assert cache.get("p", "default") == first
        assert pods.get(KEY) is None
        assert pods.within("default") == pods.of("o") == []
        second = await client.create(POD, body, "default")
        pods.wrote(second)
        assert pods.within("default") == pods.of("o") == [second]
        await kernel.sleep(1)
        assert pods.get(KEY) == cache.get("p", "default") == second
        assert told[1:] == [(uid_of(first), ""), ("", uid_of(second))]

        # What others do is told when it is seen.
        await client.patch(POD, "p", {"metadata": {"ownerReferences": None}}, "default")
        await client.delete(POD, "p", "default", grace_period_seconds=0)
        assert pods.of("o") == [second]
        await kernel.sleep(1)
        assert pods.get(KEY) is None
        assert not pods.of("o")
        assert not pods.has_orphans("default")
        # It loses its owner, is marked, and goes.
        assert told[3:] == [(uid_of(second), uid_of(second))] * 2 + [(uid_of(second), "")]

    kernel.run(kernel.spawn("story", story()))
