"""`rayrig operator`: the KubeRay controllers against any API server, on wall time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from rayrig.cli.reach import Reach
from rayrig_core.errors import InputError

if TYPE_CHECKING:
    from rayrig_controllers.options import OperatorOptions

_PROFILES = {"1.7": "v1.7.0", "1.1": "v1.1.0"}


def operator_command(
    reach: Reach, *, port: int, install_definitions: bool, profile: str, feature_gates: str, **settings: Any
) -> int:
    """Works until SIGINT or SIGTERM. The exit code: 0 stopped, 1 the Lease was lost. Raises `InputError`."""
    options = _options(profile, feature_gates, settings)
    connection = reach.connection()
    from rayrig_backends.cluster.operator_process import LostLease, OperatorProcess, OperatorSettings

    process = OperatorProcess(
        OperatorSettings(connection, options, port, install_definitions),
        # Names must differ from those of an operator that worked here before.
        SystemRandom(),
    )

    async def work() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: process.stop() if is_up else task.cancel())
        await process.run(ready)

    is_up = False

    def ready() -> None:
        nonlocal is_up
        is_up = True
        print(f"ready {process.url}", flush=True)

    try:
        asyncio.run(work())
    except asyncio.CancelledError:
        return 0
    except LostLease:
        print("rayrig: lost the Lease; another operator works now", file=sys.stderr)
        return 1
    return 0


def _options(profile: str, feature_gates: str, settings: dict[str, Any]) -> OperatorOptions:
    from rayrig_controllers.options import OperatorOptions
    from rayrig_core.resources.feature_gates import FeatureGates

    if profile not in _PROFILES:
        raise InputError(f"there is no profile {profile!r}", where="--kuberay", remedy=f"one of {', '.join(_PROFILES)}")
    return OperatorOptions.from_environment(
        os.environ,
        profile=profile,
        kuberay_version=_PROFILES[profile],
        gates=FeatureGates.parse(feature_gates),
        host_name=socket.gethostname(),
        recover_panics=True,
        **settings,
    )
