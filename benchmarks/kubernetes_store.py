"""How fast the fake Kubernetes core is, in process, with full semantics, on a pod-sized object.

    python benchmarks/kubernetes_store.py [--objects N]

Ratios are to a plain dict that hands out `copy.deepcopy`s, in the same run: the least a fake can do without any semantics. Numbers
are the best of three rounds, by the time this process had the processor (others on the machine count for little), with Python's
cyclic collector set as in every run of a world. Pods of one template differ in a value of a variable and in their image; those of
no template in an amount of their requests, too. What is accounted for has managedFields, and is looked through for unknown fields
and for what deserves a warning, as by HTTP.
"""

from __future__ import annotations

import argparse
import copy
import gc
import resource
import time
from collections.abc import Callable
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from rayrig_backends.collector import seldom_collecting
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import CONFIG_MAP, POD, RAY_SERVICE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.trace import Trace
from rayrig_fakes.kubernetes.calls import ApiCall, FieldValidation
from rayrig_fakes.kubernetes.server import ApiServer

_NOW_NS = 1_767_225_600 * 1_000_000_000


def pod(name: str) -> JsonObject:
    """What an operator sends for a worker: about 1 KiB of JSON."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"ray.io/cluster": "c", "ray.io/group": "g", "ray.io/node-type": "worker", "app": "x"},
            "annotations": {"ray.io/ft-enabled": "false"},
        },
        "spec": {
            "containers": [
                {
                    "name": "ray-worker",
                    "image": "rayproject/ray:2.52.0",
                    "env": [{"name": f"RAY_VARIABLE_{i}", "value": "value"} for i in range(10)],
                    "ports": [{"containerPort": 8000, "name": "serve"}, {"containerPort": 8080, "name": "metrics"}],
                    "resources": {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}},
                    "readinessProbe": {"exec": {"command": ["bash", "-c", "true"]}, "initialDelaySeconds": 10},
                    "volumeMounts": [{"mountPath": "/dev/shm", "name": "shared-mem"}],
                }
            ],
            "volumes": [{"name": "shared-mem", "emptyDir": {"medium": "Memory"}}],
        },
    }


def ray_service(name: str) -> JsonObject:
    template = {"spec": pod("p")["spec"]}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "serveConfigV2": "applications: []\n",
            "rayClusterConfig": {
                "rayVersion": "2.52.0",
                "headGroupSpec": {"rayStartParams": {}, "template": template},
                "workerGroupSpecs": [{"groupName": "g", "replicas": 1, "rayStartParams": {}, "template": template}],
            },
        },
    }


class PlainDict:
    """The baseline."""

    def __init__(self) -> None:
        self._objects: dict[str, JsonObject] = {}

    def create(self, obj: JsonObject) -> JsonObject:
        self._objects[obj["metadata"]["name"]] = copy.deepcopy(obj)
        return copy.deepcopy(obj)

    def get(self, name: str) -> JsonObject:
        return copy.deepcopy(self._objects[name])


def per_second(prepare: Callable[[], Callable[[], Any]], operations: int, rounds: int = 3) -> float:
    """Best rate of the rounds; each prepares anew, untimed."""
    best = 0.0
    for _ in range(rounds):
        work = prepare()
        gc.collect()
        gc.freeze()
        with seldom_collecting():
            start = time.process_time()
            work()
            best = max(best, operations / (time.process_time() - start))
        gc.unfreeze()
        del work
    return best


def new_server() -> ApiServer:
    server = ApiServer(lambda: _NOW_NS, Random(1), trace=Trace())
    server.add_definitions(custom_resource_definitions())
    return server


def creates(make: Callable[[str], JsonObject], kind: ResourceType, count: int, manager: str = "") -> float:
    def prepare() -> Callable[[], None]:
        server, objects = new_server(), [make(f"object-{i}") for i in range(count)]
        validation: FieldValidation = "Warn" if manager else "Ignore"

        def work() -> None:
            for obj in objects:
                call = ApiCall("create", kind, "default", body=obj, field_manager=manager, field_validation=validation)
                server.call(call).own()

        return work

    return per_second(prepare, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    count = parser.parse_args().objects

    # Creates come first: the heap of later measurements would slow them.
    pods = creates(pod, POD, count)
    own_pods = creates(_pod_of_its_own, POD, count)
    managed_pods = creates(_pod_of_its_own, POD, count, "benchmark")
    unlike_pods = creates(_unlike_pod, POD, count)
    unlike_managed_pods = creates(_unlike_pod, POD, count, "benchmark")
    config_maps = creates(_config_map, CONFIG_MAP, count)
    services = creates(ray_service, RAY_SERVICE, count // 4)

    plain_objects = [pod(f"object-{i}") for i in range(count)]
    plain = PlainDict()

    def plain_creates() -> None:
        for obj in plain_objects:
            plain.create(obj)

    base_creates = per_second(lambda: plain_creates, count)
    names = [f"object-{i}" for i in range(count)]

    def each(work: Callable[[Any], Any], values: list[Any]) -> Callable[[], Callable[[], None]]:
        def run() -> None:
            for value in values:
                work(value)

        return lambda: run

    base_gets = per_second(each(plain.get, names), count)

    server = new_server()
    for obj in plain_objects:
        server.call(ApiCall("create", POD, "default", body=obj))
    calls = [ApiCall("get", POD, "default", name) for name in names]
    gets = per_second(each(lambda call: server.call(call).own(), calls), count)
    shared = per_second(each(server.call, calls), count)

    def list_all(_: int) -> None:
        for one in server.list(ApiCall("list", POD)).items:
            one.copy()

    lists = per_second(each(list_all, [0]), count)

    def status_patches() -> None:
        for name in names:
            patch = {"status": {"podIP": f"10.0.0.{server.revision % 250}", "phase": "Running"}}
            server.call(ApiCall("patch", POD, "default", name, "status", body=patch)).own()

    patches = per_second(lambda: status_patches, count)

    def updates() -> None:
        for name in names:
            obj = copy_json(server.object(POD, name, "default") or {})
            obj["metadata"]["labels"]["round"] = str(server.revision)
            server.call(ApiCall("update", POD, "default", name, body=obj)).own()

    puts = per_second(lambda: updates, count)

    def fan_out(watchers: int) -> float:
        events = count // 10
        return per_second(lambda: _watched_creates(plain_objects[:events], watchers), events)

    rows: list[tuple[str, float, float | None, str]] = [
        ("get, own copy", gets, base_gets, "≥ 50,000"),
        ("get, shared", shared, base_gets, ""),
        ("list, objects with own copy", lists, base_gets, ""),
        ("create pod, all the same", pods, base_creates, ""),
        ("create pod of one template", own_pods, base_creates, "≥ 20,000"),
        ("  accounted for", managed_pods, base_creates, ""),
        ("create pod of no template", unlike_pods, base_creates, ""),
        ("  accounted for", unlike_managed_pods, base_creates, ""),
        ("create config map", config_maps, base_creates, ""),
        ("create RayService", services, base_creates, ""),
        ("update pod", puts, base_creates, ""),
        ("patch pod status", patches, base_creates, ""),
        ("create pod, 1 watcher", fan_out(1), base_creates, ""),
        ("create pod, 100 watchers", fan_out(100), base_creates, ""),
        ("baseline get", base_gets, None, ""),
        ("baseline create", base_creates, None, ""),
    ]
    table = Table(title=f"Fake Kubernetes core, {count:,} objects")
    for column in ("operation", "per second", "times baseline", "target"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for name, rate, base, target in rows:
        table.add_row(name, f"{rate:,.0f}", f"{rate / base:.1f}" if base else "", target)
    Console().print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Console().print(f"peak resident memory {peak:,.0f} MiB")


def _watched_creates(objects: list[JsonObject], watchers: int) -> Callable[[], None]:
    """Creates with watchers that take each event as soon as they are told; checks that each got every one."""
    server = new_server()
    cursors = [server.watch(ApiCall("watch", POD, "default")) for _ in range(watchers)]
    seen = [0] * watchers
    ready: list[int] = []

    def drain(index: int) -> None:
        while cursors[index].take() is not None:
            seen[index] += 1
        cursors[index].call_when_ready(lambda: ready.append(index))

    for index in range(watchers):
        drain(index)

    def work() -> None:
        for obj in objects:
            server.call(ApiCall("create", POD, "default", body=obj)).own()
            told = ready[:]
            ready.clear()
            for index in told:
                drain(index)
        if seen != [len(objects)] * watchers:
            raise RuntimeError("an event was lost")

    return work


def _pod_of_its_own(name: str) -> JsonObject:
    obj = pod(name)
    container = obj["spec"]["containers"][0]
    container["env"][0]["value"] = name
    container["image"] = f"rayproject/ray:{name}"
    return obj


def _unlike_pod(name: str) -> JsonObject:
    obj = _pod_of_its_own(name)
    obj["spec"]["containers"][0]["resources"]["requests"]["memory"] = f"{int(name.rpartition('-')[2]) + 1}Ki"
    return obj


def _config_map(name: str) -> JsonObject:
    return {"metadata": {"name": name}, "data": {"key": "value" * 20}}


if __name__ == "__main__":
    main()
