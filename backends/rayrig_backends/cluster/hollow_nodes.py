"""Nodes that are only said to be there: real Node objects and kubelets of ours at any API server, on wall time, over HTTP.

The kubelets are the simulation's. Containers do what their pod's script or a rule says (`container_scripts` in the simulation);
else they run until they are stopped and answer nothing. Addresses are of no network: nobody can connect to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.actors_process import ActorsProcess
from rayrig_backends.cluster.connection import Connection
from rayrig_backends.cluster.container_logs import ServedLogs
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import NODE
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule, ScriptRules
from rayrig_sim.kubernetes.kubelet.scripted_containers import ScriptedContainerRuntime
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.nodes.nodes import NodePresence, NodeSpec, follow_cordons
from rayrig_sim.kubernetes.object_cache import ObjectCaches


@dataclass(frozen=True, slots=True)
class HollowNodesSettings:
    """`nodes` by their own names; `seed` decides jitter and probe offsets; `scripts` say what containers do."""

    connection: Connection
    nodes: Sequence[NodeSpec]
    seed: int = 0
    scripts: Sequence[ScriptRule] = ()


class HollowNodes:
    """To be made anywhere, run inside an event loop."""

    def __init__(self, settings: HollowNodesSettings) -> None:
        self.settings = settings
        self._process = ActorsProcess(settings.connection, seed=settings.seed, user_agent="rayrig-nodes")

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`; the Nodes stay, and fall silent. `on_ready` is called when all are registered.

        Raises as `ActorsProcess.run` does.
        """
        await self._process.run(self._start_all, on_ready)

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        self._process.stop()

    async def _start_all(self, runtime: AsyncioRuntime, client: HttpKubernetesClient) -> None:
        logs = ServedLogs(runtime, client)
        presences: dict[str, NodePresence] = {}
        for number, spec in enumerate(self.settings.nodes):
            presences[spec.name] = await self._start(runtime, client, logs, spec, number)
        follow_cordons(ObjectCaches(runtime, client, component="rayrig-nodes").of(NODE), presences)

    async def _start(
        self, runtime: AsyncioRuntime, client: HttpKubernetesClient, logs: ServedLogs, spec: NodeSpec, number: int
    ) -> NodePresence:
        recorder = CoreEventRecorder(runtime, client, component="kubelet", host=spec.name)
        presence = NodePresence(runtime, client, spec, VirtualHeartbeats(runtime), recorder, writes_lease=True)
        await presence.register()
        kubelet = Kubelet(
            runtime,
            client,
            spec.name,
            ScriptedContainerRuntime(
                runtime,
                allocate_ip=_Addresses(number),
                script_of=ScriptRules(self.settings.scripts).script_of,
                is_present=lambda image: True,
                write_log=logs.write,
            ),
            Random(f"{self.settings.seed}/{spec.name}"),
            KubeletOptions(host_ip=spec.address),
            recorder,
        )
        runtime.spawn(f"kubelet/{spec.name}", kubelet.run())
        return presence


class _Addresses:
    """Pod addresses of one node, 10.244.0.0/16 and up, as kubeadm's default pod network lays them out."""

    def __init__(self, node: int) -> None:
        self._prefix = f"10.{244 + node // 256}.{node % 256}"
        self._next = 1

    def __call__(self, pod: JsonObject) -> str:
        self._next = self._next % 253 + 1
        return f"{self._prefix}.{self._next}"
