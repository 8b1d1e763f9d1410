"""`rayrig apiserver`: the KubeRay API server in front of any Kubernetes API server, on wall time."""

from __future__ import annotations

import logging
from random import SystemRandom

from rayrig.cli.interrupted import run_until_interrupted
from rayrig.cli.reach import Reach
from rayrig_core.errors import InputError


def apiserver_command(
    reach: Reach,
    *,
    port: int,
    use_kubernetes_proxy: bool,
    security_token: str,
    cors_allow_origin: str,
    serve_submission: bool,
    v2: bool,
    call_timeout_s: float,
    verbose: bool,
) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    if call_timeout_s <= 0:
        raise InputError("a call needs some time", where="--call-timeout", remedy="give a positive number of seconds")
    connection = reach.connection()
    from rayrig.apiserver.server import ApiServerSettings
    from rayrig.apiserver.serving import ApiServerProcess, ProcessSettings

    if verbose:
        logging.basicConfig(format="%(asctime)s %(message)s")
        logging.getLogger("rayrig.apiserver").setLevel(logging.INFO)
    settings = ApiServerSettings(
        token=security_token,
        cors_origin=cors_allow_origin,
        serve_submission=serve_submission,
        v2=v2,
        call_timeout_s=call_timeout_s,
    )
    process = ApiServerProcess(ProcessSettings(connection, port, use_kubernetes_proxy, settings), SystemRandom())
    return run_until_interrupted(process, f"ready {process.url}")
