"""`rayrig dashboard`: a modelled Ray cluster with Serve behind the real REST surface, and a data plane that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rayrig.cli.interrupted import run_until_interrupted
from rayrig.cli.speed import check_speed


def dashboard_command(*, app_dir: Path | None, nodes: int, speed: float, **settings: Any) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    check_speed(speed)
    from rayrig_backends.dashboard_server.server import DashboardServer, DashboardSettings

    server = DashboardServer(DashboardSettings(app_dir=app_dir, nodes=nodes, speed=speed, **settings))
    return run_until_interrupted(server, f"ready {server.url}")
