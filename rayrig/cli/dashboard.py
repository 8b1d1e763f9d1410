"""`rayrig dashboard`: a modelled Ray cluster with Serve behind the real REST surface, and a data plane that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rayrig.cli.interrupted import run_until_interrupted
from rayrig_core.errors import InputError


def dashboard_command(*, app_dir: Path | None, nodes: int, speed: float, **settings: Any) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    if speed <= 0:
        raise InputError(f"time cannot pass {speed:g} times as fast", where="--speed", remedy="give a positive number")
    from rayrig_backends.dashboard_server.server import DashboardServer, DashboardSettings

    server = DashboardServer(DashboardSettings(app_dir=app_dir, nodes=nodes, speed=speed, **settings))
    return run_until_interrupted(server, f"ready {server.url}")
