"""One node with a kubelet and scripted containers, on an API server in memory."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import CORE_EVENT, NODE, POD
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.scripted_containers import Script, ScriptedContainer, ScriptedContainerRuntime

IMAGE = "registry.test/present/app:1"


class Prompt(Random):
    """Every wait at its shortest: looks and retries come at once, jitter adds nothing."""

    def random(self) -> float:
        return 0.0


class RecordingRuntime(ScriptedContainerRuntime):
    """Keeps what was started."""

    started: list[tuple[float, str, int]]
    containers: dict[tuple[str, str], ScriptedContainer]

    def make_container(self, name: str, script: Script, attempt: int, pod_ip: str) -> ScriptedContainer:
        container = super().make_container(name, script, attempt, pod_ip)
        self.started.append((self._runtime.monotonic_ns() / NS, name, attempt))
        self.containers[pod_ip, name] = container
        return container


class OneNode:
    """A story is a list of (seconds, what a watcher saw). Times are rounded to milliseconds."""

    def __init__(self, options: KubeletOptions | None = None, rng: Random | None = None) -> None:
        self.kernel = kernel = Kernel(1)
        self.server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        self.client = self.connect("user")
        self.scripts: dict[str, Script] = {}
        self._addresses = 0
        self.runtime = RecordingRuntime(
            kernel, allocate_ip=self._allocate_ip, script_of=lambda pod: self.scripts.get(name_of(pod), {})
        )
        self.runtime.started, self.runtime.containers = [], {}
        self.kubelet = Kubelet(
            kernel,
            self.connect("kubelet/n1"),
            "n1",
            self.runtime,
            rng or Prompt(),
            options or KubeletOptions(host_ip="10.0.0.1"),
        )
        self.seen: list[tuple[float, str, str, JsonObject]] = []
        self.events: list[tuple[float, str, str, int]] = []
        kernel.spawn("setup", self._set_up())

    def connect(self, actor: str) -> InProcessClient:
        return InProcessClient(self.server, self.kernel, actor=actor)

    def _allocate_ip(self, pod: JsonObject) -> str:
        self._addresses += 1
        return f"10.244.0.{self._addresses}"

    async def _set_up(self) -> None:
        allocatable = {"cpu": "2", "memory": "8Gi", "pods": "110", "nvidia.com/gpu": "1"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n1", "labels": {"disk": "ssd"}},
            "status": {"capacity": allocatable, "allocatable": allocatable},
        }
        await self.client.create(NODE, node)
        self.kernel.spawn("kubelet/n1", self.kubelet.run())
        self.kernel.spawn("watch/pods", self._watch_pods())
        self.kernel.spawn("watch/events", self._watch_events())

    @property
    def now_s(self) -> float:
        return round(self.kernel.monotonic_ns() / NS, 3)

    async def _watch_pods(self) -> None:
        stream = await self.connect("watcher").watch(POD)
        while True:
            event = await stream.next()
            self.seen.append((self.now_s, event.type.value, name_of(event.object), event.object))

    async def _watch_events(self) -> None:
        stream = await self.connect("watcher").watch(CORE_EVENT)
        while True:
            event = await stream.next()
            if event.type is not WatchType.DELETED:
                obj = event.object
                self.events.append((self.now_s, obj["reason"], obj["message"], obj.get("count", 1)))

    # What a test does

    async def add_pod(self, script: Script | None = None, /, *, name: str = "p", **spec: Any) -> None:
        """A pod bound to the node. Keywords are fields of the spec; `container` those of its only container."""
        self.scripts[name] = script or {}
        container = {"name": "main", "image": IMAGE, **spec.pop("container", {})}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": "n1", "containers": [container], **spec},
        }
        await self.client.create(POD, pod, "default")

    async def sleep(self, duration_s: float) -> None:
        await self.kernel.sleep(duration_s)

    async def delete(self, name: str = "p", grace_s: int | None = None) -> None:
        await self.client.delete(POD, name, "default", grace_period_seconds=grace_s)

    def play(self, *steps: Callable[[], Any], until_s: float) -> None:
        """Run the steps one after the other from the first moment on, and the world until that time."""

        async def run() -> None:
            for step in steps:
                await step()

        self.kernel.spawn("story", run())
        self.kernel.run(until_s=until_s)

    # What was seen

    def story(self, of: Callable[[JsonObject], Any], name: str = "p") -> list[tuple[float, Any]]:
        """(seconds, value) at each change of the value that `of` reads from the pod."""
        told: list[tuple[float, Any]] = []
        for t, _, pod_name, pod in self.seen:
            if pod_name == name:
                value = of(pod)
                if not told or told[-1][1] != value:
                    told.append((t, value))
        return told

    def last(self, name: str = "p") -> JsonObject:
        return next(pod for _, _, pod_name, pod in reversed(self.seen) if pod_name == name)

    def gone_s(self, name: str = "p") -> float | None:
        return next((t for t, kind, pod_name, _ in self.seen if kind == "DELETED" and pod_name == name), None)

    def reasons(self) -> list[str]:
        """Reasons of events in the order in which they were first written."""
        return list(dict.fromkeys(reason for _, reason, _, _ in self.events))

    def event_times(self, reason: str) -> list[float]:
        return [t for t, found, _, _ in self.events if found == reason]

    def texts(self, reason: str) -> list[str]:
        return list(dict.fromkeys(text for _, found, text, _ in self.events if found == reason))

    def starts(self, name: str = "main") -> list[float]:
        return [round(t, 3) for t, found, _ in self.runtime.started if found == name]


@pytest.fixture
def make_node() -> type[OneNode]:
    """For tests that need other options or draws, or more than one world."""
    return OneNode


@pytest.fixture
def node() -> OneNode:
    return OneNode()
