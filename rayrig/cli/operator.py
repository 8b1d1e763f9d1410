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


def operator_command(
    reach: Reach, *, port: int, install_definitions: bool, profile: str, feature_gates: str, **settings: Any
) -> int:
    """Works until SIGINT or SIGTERM. The exit code: 0 stopped, 1 the Lease was lost. Raises `InputError`."""
    options = _options(profile, feature_gates, settings)
    connection = reach.connection()
    from rayrig_backends.cluster.operator_process import LostLease, OperatorProcess, OperatorSettings
    from rayrig_fakes.kubernetes.http.serving import event_loop

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
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(work())
    except asyncio.CancelledError:
        return 0
    except LostLease:
        print("rayrig: lost the Lease; another operator works now", file=sys.stderr)
        return 1
    return 0


def _options(profile: str, feature_gates: str, settings: dict[str, Any]) -> OperatorOptions:
    from rayrig_controllers.options import OperatorOptions
    from rayrig_controllers.releases import RELEASES, profile_of
    from rayrig_core.resources.feature_gates import FeatureGates

    known = profile_of(profile, "--kuberay")
    if feature_gates and not RELEASES[known].has_feature_gates:
        raise InputError(f"KubeRay {known} has no feature gates", where="--feature-gates", remedy="leave it out")
    return OperatorOptions.from_environment(
        os.environ,
        profile=known,
        gates=FeatureGates.parse(feature_gates),
        host_name=socket.gethostname(),
        recover_panics=True,
        **settings,
    )
