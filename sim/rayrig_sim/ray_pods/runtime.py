"""A node's container runtime that knows Ray's containers by their command and leaves the others to a scripted runtime.

A container that somebody gave a script plays it, whatever its command.

Images, sandboxes and starts take the calibration's time. Source: kuberay-operator.md 3.16.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.kubernetes.kubelet.container_scripts import Script
from rayrig_sim.kubernetes.kubelet.containers import Container, ContainerRuntime, ImagePullFailed
from rayrig_sim.kubernetes.kubelet.mounted_files import secret_value
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRules
from rayrig_sim.kubernetes.kubelet.scripted_containers import (
    SCRIPT_ANNOTATION,
    ScriptedContainer,
    ScriptedContainerRuntime,
    WriteLog,
)
from rayrig_sim.ray.external_storage import StorageKey
from rayrig_sim.ray_pods.autoscaler import AutoscalerContainer
from rayrig_sim.ray_pods.container import RayContainer
from rayrig_sim.ray_pods.gcs_wait import GcsWait
from rayrig_sim.ray_pods.head import HeadContainer
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.redis import (
    CLEANUP_TRIES,
    CLEANUP_WAIT_S,
    RedisContainer,
    is_redis,
    knock,
    redis_settings,
)
from rayrig_sim.ray_pods.start_command import command_text, environment, expanded, start_command
from rayrig_sim.ray_pods.worker import WorkerContainer

_HEALTH_CHECK = re.compile(r"ray\s+health-check\b[^;&|]*?--address[ =](\S+)")
_AUTOSCALER = "ray kuberay-autoscaler"
_CLEANUP = "cleanup_redis_storage"
_CLEANUP_NS = to_ns(2)
#: How long a container takes that is there to end, such as one that makes certificates.
_ONCE_NS = to_ns(1)
#: What events tell of a Ray image's size, which no manifest states. Goes with the calibration's time to pull one.
_IMAGE_BYTES = 1_500_000_000

#: Why an image cannot be pulled now, or None. Faults set it.
ImageFault = Callable[[str], ImagePullFailed | None]


class RayContainerRuntime:
    """Protocol `ContainerRuntime` for one node. `host_cpus` is what `ray start` finds where no limit is set; `scripts` gives
    pods their scripts."""

    def __init__(
        self,
        platform: RayPlatform,
        node_name: str,
        *,
        host_cpus: float = 8.0,
        fallback: ContainerRuntime | None = None,
        scripts: ScriptRules | None = None,
        image_fault: ImageFault = lambda image: None,
        present_images: tuple[str, ...] = (),
        write_log: WriteLog | None = None,
    ) -> None:
        self.platform = platform
        self.node_name = node_name
        self.host_cpus = host_cpus
        self.image_fault = image_fault
        self._images = dict.fromkeys(present_images)
        self._addresses: dict[str, str] = {}
        self._rng = platform.kernel.streams.stream(f"container-runtime/{node_name}")
        self._rules = scripts or ScriptRules()
        #: Scripts of pods by uid, as they were when the pod's sandbox was made.
        self._scripts: dict[str, Script] = {}
        self._fallback: Any = fallback or ScriptedContainerRuntime(
            platform.kernel,
            allocate_ip=self._allocate,
            script_of=self._script,
            is_present=self._images.__contains__,
            ports=platform.network,
            write_log=write_log,
        )

    def _allocate(self, pod: JsonObject) -> str:
        uid = uid_of(pod)
        ip = self._addresses.get(uid)
        if ip is None:
            ip = self._addresses[uid] = self.platform.network.allocate_pod_ip(self.node_name)
        return ip

    def _script(self, pod: JsonObject) -> Script:
        """Raises `ValueError` for an annotation that is no script."""
        uid = uid_of(pod)
        script = self._scripts.get(uid)
        if script is None:
            script = self._scripts[uid] = self._rules.script_of(pod)
        return script

    def _is_scripted(self, pod: JsonObject, container: str) -> bool:
        return SCRIPT_ANNOTATION in (pod["metadata"].get("annotations") or {}) or container in self._script(pod)

    def _is_sandbox_scripted(self, pod: JsonObject) -> bool:
        """Whether its network takes no time but what its script says: that of a pod all of whose containers play one."""
        if SCRIPT_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            return True
        script = self._script(pod)
        return "sandbox" in script or all(each["name"] in script for each in pod["spec"]["containers"])

    def _plays(self, pod: JsonObject, image: str) -> bool:
        """Whether a scripted container has this image."""
        spec = pod["spec"]
        containers = (*(spec.get("initContainers") or ()), *spec["containers"])
        return any(each.get("image") == image and self._is_scripted(pod, each["name"]) for each in containers)

    # Images

    def has_image(self, image: str) -> bool:
        return image in self._images or bool(self._fallback.has_image(image))

    async def pull_image(self, image: str, pod: JsonObject) -> int | None:
        fault = self.image_fault(image)
        if fault is not None:
            raise fault
        if self._plays(pod, image):
            size: int | None = await self._fallback.pull_image(image, pod)
        else:
            calibration = self.platform.calibration
            duration = calibration.image_present if image in self._images else calibration.image_pull
            await self.platform.kernel.sleep_ns(duration.draw_ns(self._rng))
            fault = self.image_fault(image)
            if fault is not None:
                raise fault
            size = _IMAGE_BYTES
        self._images[image] = None
        return size

    # Sandboxes

    async def start_sandbox(self, pod: JsonObject) -> str:
        if self._is_sandbox_scripted(pod):
            ip: str = await self._fallback.start_sandbox(pod)
            return ip
        await self.platform.kernel.sleep_ns(self.platform.calibration.sandbox_start.draw_ns(self._rng))
        return self._allocate(pod)

    async def stop_sandbox(self, pod: JsonObject) -> None:
        if self._is_sandbox_scripted(pod):
            await self._fallback.stop_sandbox(pod)
        else:
            await self.platform.kernel.sleep_ns(self.platform.calibration.sandbox_stop.draw_ns(self._rng))
        self._scripts.pop(uid_of(pod), None)
        ip = self._addresses.pop(uid_of(pod), None)
        if ip is not None:
            self.platform.network.remove_pod(ip)

    # Containers

    async def start_container(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> Container:
        if self._is_scripted(pod, spec["name"]):
            scripted: Container = await self._fallback.start_container(pod, spec, pod_ip, attempt)
            return scripted
        platform = self.platform
        await platform.kernel.sleep_ns(platform.calibration.container_start.draw_ns(self._rng))
        text = command_text(spec)
        waits_for = _HEALTH_CHECK.search(text)
        env = environment(pod, spec, pod_ip)
        if waits_for is not None:
            address = waits_for[1].strip("\"'").replace("$FQ_RAY_IP", env.get("FQ_RAY_IP", ""))
            return GcsWait(platform, pod, pod_ip, address.replace("${FQ_RAY_IP}", env.get("FQ_RAY_IP", "")))
        if _AUTOSCALER in expanded(text, env):
            return await self._autoscaler(pod, spec, pod_ip, attempt)
        command = start_command(text, env)
        if command is not None:
            if command.is_head and "RAY_REDIS_ADDRESS" in env:
                env |= await self._password(pod, spec)
            kind: type[RayContainer] = HeadContainer if command.is_head else WorkerContainer
            return kind(platform, pod, spec, pod_ip, command, env, host_cpus=self.host_cpus)
        if _CLEANUP in text:
            return await self._redis_cleanup(pod, spec, env, pod_ip)
        if is_redis(text):
            return RedisContainer(
                platform, pod, spec, pod_ip, await redis_settings(self._client(), pod, spec, expanded(text, env))
            )
        if _ends_by_itself(pod, spec):
            return self._once(pod, spec, pod_ip, _ONCE_NS)
        other: Container = await self._fallback.start_container(pod, spec, pod_ip, attempt)
        return other

    async def _autoscaler(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> Container:
        platform, namespace = self.platform, namespace_of(pod)
        cluster = labels_of(pod).get("ray.io/cluster", "")
        if platform.connect is None or not cluster:
            other: Container = await self._fallback.start_container(pod, spec, pod_ip, attempt)
            return other
        client = platform.connect(f"ray-autoscaler/{namespace}/{cluster}")
        return AutoscalerContainer(platform, client, namespace, cluster, name_of(pod), pod_ip)

    def _client(self) -> KubernetesClient | None:
        """The kubelet's: what a container has of ConfigMaps and Secrets comes through it."""
        connect = self.platform.connect
        return connect(f"kubelet/{self.node_name}") if connect is not None else None

    async def _password(self, pod: JsonObject, spec: JsonObject) -> dict[str, str]:
        """`REDIS_PASSWORD` of a container that has it from a Secret."""
        client = self._client()
        for variable in spec.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if variable["name"] == "REDIS_PASSWORD" and reference and client is not None:
                value = await secret_value(client, namespace_of(pod), reference)
                return {} if value is None else {"REDIS_PASSWORD": value}
        return {}

    def _once(
        self, pod: JsonObject, spec: JsonObject, pod_ip: str, takes_ns: int, code: int = 0, log: str = ""
    ) -> ScriptedContainer:
        """A container that does something nobody asks about, and ends."""
        script = {"runs": [{"for": takes_ns / NS, "exit": code}], "log": log}
        name = f"{namespace_of(pod)}/{name_of(pod)}/{spec['name']}"
        return ScriptedContainer(self.platform.kernel, name, script, 0, pod_ip)

    async def _redis_cleanup(
        self, pod: JsonObject, spec: JsonObject, env: dict[str, str], pod_ip: str
    ) -> ScriptedContainer:
        """KubeRay's job that erases the external data of a deleted RayCluster. Without its Redis it fails in the end."""
        platform = self.platform
        env |= await self._password(pod, spec)
        access = knock(platform, pod_ip, namespace_of(pod), env)
        if access.refusal:
            tries = 1 if access.is_final else CLEANUP_TRIES
            return self._once(pod, spec, pod_ip, to_ns(tries * CLEANUP_WAIT_S), 1, access.refusal)
        namespace = env.get("RAY_external_storage_namespace", "") or labels_of(pod).get("ray.io/cluster", "")
        platform.forget_storage(StorageKey(env.get("RAY_REDIS_ADDRESS", ""), namespace))
        return self._once(pod, spec, pod_ip, _CLEANUP_NS)


def _ends_by_itself(pod: JsonObject, spec: JsonObject) -> bool:
    """Whether a container nobody knows anything about has an end: one that others wait for, and that is no sidecar."""
    initial = pod["spec"].get("initContainers") or ()
    return spec.get("restartPolicy") != "Always" and any(each["name"] == spec["name"] for each in initial)
