"""What the parts of one Serve instance share."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray.cluster import RayCluster
from rayrig_sim.serve.application_code import Registry
from rayrig_sim.serve.routers import Routers

#: The controller's loop sleeps this long after each step (ray-serve.md 10).
STEP_NS = 100_000_000

#: Times at which nothing is due.
NEVER_NS = 1 << 62


@dataclass(slots=True)
class ServeContext:
    """One Serve instance's surroundings. `http_options` are those the running proxies use."""

    kernel: Kernel
    cluster: RayCluster
    calibration: Calibration
    registry: Registry
    routers: Routers
    network: Network | None
    rng: Random
    http_options: JsonObject = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Beginning of the subjects of this instance's trace events."""
        return f"serve/{self.cluster.namespace}/{self.cluster.name}"

    @property
    def now_ns(self) -> int:
        return self.kernel.monotonic_ns()

    def stream(self, name: str) -> Random:
        """A random stream of this instance."""
        return self.kernel.streams.stream(f"{self.subject}/{name}")
