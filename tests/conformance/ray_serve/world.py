"""A Ray cluster as the recordings had it, and where the targets of their cases listen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rayrig_backends.dashboard_server.ray_machines import HEAD, PROXY_PORT, RayMachines
from rayrig_sim.applications.registry import default_registry
from rayrig_sim.ray_api.registry import AppDirRegistry
from rayrig_sim.ray_pods.start_command import AGENT_PORT, DASHBOARD_PORT

#: The user code of the recordings. The fruit stand and the calculator come with the model.
APPS = Path(__file__).parent / "apps"


class RecordingWorld(RayMachines):
    """The head runs `head_cpus`; a worker `workerN` has 2 CPUs and one of the resource `wN`, and runs no Ray at first."""

    def __init__(self, head_cpus: int, workers: Sequence[str] = (), *, seed: int = 0) -> None:
        super().__init__(AppDirRegistry(APPS, default_registry()), head_cpus=head_cpus, workers=workers, seed=seed)

    def url(self, target: str) -> str:
        """Where a case's target listens."""
        if target in ("dashboard", "proxy", "agent"):
            port = {"dashboard": DASHBOARD_PORT, "proxy": PROXY_PORT, "agent": AGENT_PORT}[target]
            return f"http://{self.address(HEAD)}:{port}"
        name = target.removesuffix("-agent")
        port = AGENT_PORT if target.endswith("-agent") else PROXY_PORT
        return f"http://{self.address(name)}:{port}"
