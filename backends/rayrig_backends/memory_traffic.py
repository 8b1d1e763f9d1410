"""Traffic of the world in memory: the world's `Traffic` over the sources of the simulation."""

from __future__ import annotations

from rayrig_backends.world import TrafficSpec
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.network.fabric import Network
from rayrig_sim.traffic import requests
from rayrig_sim.traffic.accounting import Accounting
from rayrig_sim.traffic.closed_loop import ClosedLoop
from rayrig_sim.traffic.open_loop import OpenLoop


class MemoryTraffic:
    """One source of requests."""

    def __init__(self, kernel: Kernel, network: Network, spec: TrafficSpec, calibration: Calibration) -> None:
        self.spec = spec
        target: requests.Target | requests.GatewayTarget = requests.Target(spec.service, spec.namespace, spec.port)
        if spec.gateway:
            target = requests.GatewayTarget(spec.gateway, spec.namespace, spec.port)
        connections = (
            requests.KeepAlive(max_age_s=spec.connection_age_s) if spec.keep_alive else requests.FreshConnections()
        )
        self._source: OpenLoop | ClosedLoop
        if spec.rate_per_s is not None:
            self._source = OpenLoop(
                kernel,
                network,
                target,
                spec.rate_per_s,
                arrival=spec.arrival,
                name=spec.name,
                mix=spec.classes,
                connections=connections,
                timeout_s=spec.timeout_s,
                calibration=calibration,
            )
        else:
            self._source = ClosedLoop(
                kernel,
                network,
                target,
                spec.clients or 1,
                think=spec.think_s,
                name=spec.name,
                mix=spec.classes,
                connections=connections,
                timeout_s=spec.timeout_s,
                calibration=calibration,
            )

    def start(self) -> None:
        self._source.start()

    def stop(self) -> None:
        self._source.stop()

    async def settled(self) -> None:
        await self._source.settled()

    def accounting(self) -> Accounting:
        return self._source.accounting()

    def scale(self, factor: float) -> None:
        """Send `factor` times as much as the spec says."""
        if isinstance(self._source, OpenLoop):
            self._source.set_rate((self.spec.rate_per_s or 0.0) * factor)
        else:
            self._source.set_clients(max(1, round((self.spec.clients or 1) * factor)))
