"""A node of the world in memory: the machine, its kubelet, and a container runtime that remembers what it started.

The runtime is a thin shell around that of the model: it lets faults find a running container by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.objects import JsonObject, key_of
from rayrig_sim.kubernetes.kubelet.containers import Container, ContainerRuntime, ImagePullFailed
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.network.fabric import Network


@dataclass(frozen=True, slots=True)
class BrokenImage:
    """Images whose name contains `part` cannot be pulled."""

    part: str
    code: str


class BrokenImages:
    """The images that cannot be pulled just now, on any node."""

    def __init__(self) -> None:
        self._broken: list[BrokenImage] = []

    def add(self, image: BrokenImage) -> None:
        self._broken.append(image)

    def remove(self, image: BrokenImage) -> None:
        self._broken.remove(image)

    def failure(self, image: str) -> ImagePullFailed | None:
        """Why an image cannot be pulled now, if so."""
        for broken in self._broken:
            if broken.part in image:
                return ImagePullFailed(f'failed to pull image "{image}": injected fault', broken.code)
        return None


class TrackedRuntime:
    """A `ContainerRuntime` in front of another."""

    def __init__(self, inner: ContainerRuntime) -> None:
        self._inner = inner
        self._running: dict[tuple[str, str, str], Container] = {}

    def container(self, pod: JsonObject, name: str) -> Container | None:
        """The container of a pod that runs, or ran last."""
        return self._running.get((*key_of(pod), name))

    def go_dark(self) -> None:
        """The machine loses power: whoever can tell what that is like for its processes is told."""
        for container in self._running.values():
            went = getattr(container, "go_dark", None)
            if went is not None:
                went()

    def kill_all(self) -> None:
        """The machine starts anew: of what ran on it nothing runs any more."""
        for container in list(self._running.values()):
            if not container.exited.is_set:
                container.kill()

    def has_image(self, image: str) -> bool:
        return self._inner.has_image(image)

    async def pull_image(self, image: str, pod: JsonObject) -> int | None:
        return await self._inner.pull_image(image, pod)

    async def start_sandbox(self, pod: JsonObject) -> str:
        return await self._inner.start_sandbox(pod)

    async def stop_sandbox(self, pod: JsonObject) -> None:
        await self._inner.stop_sandbox(pod)
        namespace, name = key_of(pod)
        for key in [key for key in self._running if key[:2] == (namespace, name)]:
            del self._running[key]

    async def start_container(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> Container:
        container = await self._inner.start_container(pod, spec, pod_ip, attempt)
        self._running[(*key_of(pod), spec["name"])] = container
        return container


class Machine:
    """What a node runs on (protocol `NodeMachine`)."""

    def __init__(self, node: str, kubelet: Kubelet, runtime: TrackedRuntime, network: Network) -> None:
        self.node = node
        self.kubelet = kubelet
        self.runtime = runtime
        self._network = network

    def power_off(self) -> None:
        # Silence first: nobody out there hears its processes die. They are ended only when the machine is back.
        self._network.silence_node(self.node)
        self.runtime.go_dark()
        self.kubelet.stop()

    def power_on(self) -> None:
        self.runtime.kill_all()
        self._network.restore_node(self.node)
        self.kubelet.start()
