"""`rayrig control-plane`: scheduler and controllers for an API server that runs alone."""

from __future__ import annotations

from rayrig.cli.interrupted import run_until_interrupted
from rayrig.cli.reach import Reach
from rayrig_core.errors import InputError


def control_plane_command(reach: Reach, *, controllers: str, scheduler: bool, seed: int) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    from rayrig_sim.kubernetes.controller_names import ControllerName, left_out

    try:
        leave_out = left_out([word.strip() for word in controllers.split(",")])
    except ValueError as unknown:
        raise InputError(
            f"no such controller: {unknown}", where="--controllers", remedy=f"there are {', '.join(ControllerName)}"
        ) from None
    connection = reach.connection()
    from rayrig_backends.cluster.control_plane_process import ControlPlaneProcess, ControlPlaneSettings

    process = ControlPlaneProcess(ControlPlaneSettings(connection, scheduler, leave_out, seed))
    return run_until_interrupted(process, f"ready at {connection.server}")
