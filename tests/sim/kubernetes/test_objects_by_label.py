"""Objects of a cache by their labels: the same ones, in the same order, as when each of them is asked."""

from __future__ import annotations

from random import Random
from typing import Any

from rayrig_core.objects import JsonObject, labels_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.services_by_label import ServicesByLabel
from rayrig_sim.kubernetes.object_cache import ObjectCache

WANTED: list[dict[str, str]] = [
    {"app": "a"},
    {"app": "a", "tier": "x"},
    {"tier": "y"},
    {"tier": "y", "app": "c"},
    {"no": "one"},
]


def asked_each(cache: ObjectCache, namespace: str, wanted: dict[str, str]) -> list[JsonObject]:
    return [
        obj
        for obj in cache
        if obj["metadata"]["namespace"] == namespace and all(labels_of(obj).get(k) == v for k, v in wanted.items())
    ]


def test_selected_objects_are_those_that_match_in_the_order_in_which_they_were_first_seen() -> None:
    kernel, rng = Kernel(3), Random(3)
    server = ApiServer(kernel.unix_ns, Random(1))
    client = InProcessClient(server, kernel, actor="test")
    cache = ObjectCache(kernel, client, POD)
    compared: list[int] = []

    def compare(type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        # The first selections come when there are objects already, others are kept from then on.
        for namespace in ("default", "kube-system"):
            for wanted in WANTED[: 1 + len(compared) // 20]:
                found = cache.selected(namespace, wanted)
                assert found == asked_each(cache, namespace, wanted)
                compared.append(len(found))

    async def change() -> None:
        names: list[tuple[str, str]] = []
        for number in range(150):
            labels: Any = {"app": rng.choice("abc"), "tier": rng.choice("xyz")}
            verb = rng.choice(("create", "create", "relabel", "delete")) if names else "create"
            if verb == "create":
                key = (rng.choice(("default", "kube-system")), f"pod-{number}")
                names.append(key)
                spec = {"containers": [{"name": "main", "image": "main"}]}
                pod = {"metadata": {"name": key[1], "labels": labels}, "spec": spec}
                await client.create(POD, pod, key[0])
            elif verb == "relabel":
                key = rng.choice(names)
                patch = {"metadata": {"labels": {"tier": rng.choice(["x", "y", None])}}}
                await client.patch(POD, key[1], patch, key[0], patch_type="merge")
            else:
                key = names.pop(rng.randrange(len(names)))
                await client.delete(POD, key[1], key[0], grace_period_seconds=0)
            if number == 10:
                cache.on_change(compare)

    kernel.spawn("cache", cache.run())
    kernel.run(kernel.spawn("change", change()))
    assert len(compared) > 500
    assert max(compared) >= 5


def test_a_service_is_found_by_the_label_that_few_others_ask_for() -> None:
    index = ServicesByLabel()
    for number in range(100):
        selector = {"ray.io/cluster": f"cluster-{number}", "created-by": "operator"}
        index.put("default", f"service-{number}", selector)
    assert index.of("default", {"ray.io/cluster": "cluster-7", "created-by": "operator"}) == ("service-7",)
    homes = [len(services) for services in index._by_label.values()]
    assert max(homes) == 1
    index.drop("default", "service-7")
    assert index.of("default", {"ray.io/cluster": "cluster-7", "created-by": "operator"}) == ()
