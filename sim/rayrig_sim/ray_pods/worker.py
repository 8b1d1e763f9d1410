"""`ray start --address=…`: agent and raylet in one container. How a worker finds its cluster, loses it, and is given up.

Source: ray-serve.md 5.10, 11; kuberay-operator.md 3.16, 3.17.
"""

from __future__ import annotations

from typing import Any

from rayrig_core.http import Failure, HttpFailure
from rayrig_core.timestamps import to_ns
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Reach
from rayrig_sim.ray.cluster import RayCluster
from rayrig_sim.ray_pods.container import RayContainer, lose_processes
from rayrig_sim.ray_pods.health import OpenPort
from rayrig_sim.ray_pods.start_command import METRICS_PORT, node_labels, node_resources

#: A raylet whose process was killed is noticed by its broken connection (ray-serve.md 11; unverified there).
_BROKEN_CONNECTION_NS = to_ns(1)
#: A silent machine: five health checks of the GCS (recorded 58 to 64 s).
_SILENCE_NS = to_ns(60)
_CONNECT_RETRY_S = 1.0


class WorkerContainer(RayContainer):
    """`ray start --address=…`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waits_since_ns: int | None = None
        self.spawn("worker", self._run())

    async def _run(self) -> None:
        platform, kernel, calibration = self.platform, self.kernel, self.platform.calibration
        give_up_ns = kernel.monotonic_ns() + to_ns(self.reconnect_timeout_s)
        while True:
            cluster = await self._find_cluster()
            if cluster is not None:
                await kernel.sleep_ns(calibration.raylet_start.draw_ns(self._rng))
                if cluster.is_gcs_up:
                    break
            if kernel.monotonic_ns() >= give_up_ns:
                self.end(1, "could not connect to the GCS", message="Failed to connect to GCS.")
                return
            await kernel.sleep(_CONNECT_RETRY_S)
        self.cluster = cluster
        self.node = cluster.add_node(
            self.name,
            self.ip,
            node_resources(self.command, self.spec, host_cpus=self.host_cpus),
            labels=node_labels(self.command),
            instance_id=self.env.get("RAY_CLOUD_INSTANCE_ID", ""),
        )
        platform.network.on_gone(self.ip, self._unreachable)
        self.listen(self.command.port("metrics-export-port", METRICS_PORT), OpenPort())
        await kernel.sleep_ns(calibration.dashboard_agent_start.draw_ns(self._rng))
        self._start_agent(is_head=False)

    async def _find_cluster(self) -> RayCluster | None:
        client = NetworkClient(self.platform.network, self.ip, namespace=self.namespace)
        try:
            answer = await client.request("GET", f"http://{self.command.address}/join", timeout_s=5.0)
        except HttpFailure:
            return None
        return self.platform.by_session(answer.body.decode()) if answer.status == 200 else None

    # The GCS goes and comes

    def gcs_is_lost(self, cause: int | None) -> None:
        if self._waits_since_ns is None:
            self._waits_since_ns = self.kernel.monotonic_ns()
            self.spawn("reconnect", self._give_up_later(self._waits_since_ns, cause))

    async def _give_up_later(self, since_ns: int, cause: int | None) -> None:
        self.kernel.cause = cause
        await self.kernel.sleep(self.reconnect_timeout_s)
        if self._waits_since_ns == since_ns:
            self.end(1, "the GCS did not come back in time", message="Failed to reconnect to GCS.")

    def gcs_is_back(self) -> None:
        """A restarted GCS serves the same cluster: the raylet registers again."""
        if self._waits_since_ns is not None:
            self.spawn("register again", self._register_again(self._waits_since_ns))

    async def _register_again(self, since_ns: int) -> None:
        await self.kernel.sleep_ns(self.platform.calibration.raylet_reconnect.draw_ns(self._rng))
        if self._waits_since_ns == since_ns and self.cluster is not None and self.cluster.is_gcs_up:
            self._waits_since_ns = None
            self.cluster.emit("node", "reconnected", self.name)

    # Leaving

    def _leave(self, reason: str, is_ordered: bool) -> None:
        cluster, node = self.cluster, self.node
        if cluster is None or node is None:
            return
        if is_ordered:
            cluster.remove_node(node, reason)
            return
        lose_processes(node, reason, self.kernel.cause)
        cause = self.kernel.cause

        def noticed(_: Any) -> None:
            cluster.remove_node(node, reason, cause=cause)

        self.kernel.call_later(_BROKEN_CONNECTION_NS, noticed)

    def _unreachable(self, failure: Failure) -> None:
        if failure is Failure.TIMEOUT and not self.ended:
            cause = self.kernel.cause
            self.kernel.call_later(_SILENCE_NS, lambda _: self._expel(cause))

    def _expel(self, cause: int | None) -> None:
        """The GCS has given the silent node up."""
        cluster, node = self.cluster, self.node
        if self.ended or cluster is None or node is None or not node.is_alive:
            return
        if self._is_reachable():
            self.platform.network.on_gone(self.ip, self._unreachable)
            return
        cluster.remove_node(node, "it did not answer the GCS's health checks", cause=cause)
        self.kernel.call_later(to_ns(1), self._end_when_back)

    def _end_when_back(self, _: Any) -> None:
        """A raylet that finds itself declared dead ends."""
        if self.ended:
            return
        if self._is_reachable():
            self.end(1, "the raylet was declared dead", message="This node has been marked dead.")
        else:
            self.kernel.call_later(to_ns(1), self._end_when_back)

    def _is_reachable(self) -> bool:
        head = self.cluster.head if self.cluster is not None else None
        return self.platform.network.reach(head.ip if head is not None else "", self.ip) is Reach.OK
