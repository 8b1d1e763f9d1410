"""`rayrig why`: of a run, which is repeated to be asked, or of a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rayrig.cli.reach import Reach
from rayrig_core.errors import InputError

if TYPE_CHECKING:
    from rayrig_scenarios.results import RunResult
    from rayrig_scenarios.why.chain import Chain

_NO_HISTORY = "a cluster keeps no history"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Which run to ask. Without a scenario the last one; without a seed its own."""

    scenario: str
    seed: int | None
    feature_gates: str
    at: str
    script: Path | None = None
    kuberay: str = ""


def why_command(pod: str, options: RunOptions, reach: Reach, namespace: str, *, as_json: bool) -> int:
    """The exit code: 0 ready, 1 not ready. Raises `InputError`."""
    if reach.server or reach.kubeconfig is not None:
        return _of_cluster(pod, options, reach, namespace or "default", as_json=as_json)
    result = _repeated(options)
    wanted = f"{namespace}/{pod}" if namespace and pod and "/" not in pod else pod
    if wanted:
        return _print(result.why(wanted, _time(options.at)), as_json=as_json)
    chains = result.why_each(_time(options.at))
    return _print_all([chain for chain in chains if not namespace or chain.namespace == namespace], as_json=as_json)


def _time(text: str) -> str | float | None:
    """A duration as scenarios write it, or a number of seconds."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _repeated(options: RunOptions) -> RunResult:
    from rayrig.cli.last_run import LastRun, recall
    from rayrig.cli.run import perform
    from rayrig_scenarios.language.load import load

    chosen = recall() if not options.scenario else LastRun(options.scenario, -1, options.feature_gates)
    if chosen is None:
        raise InputError("which run?", remedy="give --scenario NAME or FILE, or --server or --kubeconfig for a cluster")
    script = options.script or (Path(chosen.script) if chosen.script else None)
    scenario = load(chosen.target, script=script, kuberay=options.kuberay or chosen.kuberay)
    scenario = scenario.with_gates(options.feature_gates or chosen.feature_gates)
    given = options.seed if options.seed is not None else chosen.seed
    seed = None if given < 0 else given
    if not options.scenario:
        print(
            f"rayrig: of the last run: {scenario.replay_line(scenario.seed if seed is None else seed)}", file=sys.stderr
        )
    result = perform(scenario, seed, show_progress=True)
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def _of_cluster(pod: str, options: RunOptions, reach: Reach, namespace: str, *, as_json: bool) -> int:
    for name, given in (
        ("--scenario", options.scenario),
        ("--at", options.at),
        ("--seed", options.seed),
        ("--script", options.script),
        ("--kuberay", options.kuberay),
    ):
        if given not in ("", None):
            raise InputError(
                "a run is meant, but a cluster is asked", where=name, remedy=f"leave it out: {_NO_HISTORY}"
            )
    connection = reach.connection()
    import asyncio
    import time

    from rayrig_backends.cluster.first_answer import requires_answers
    from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
    from rayrig_core.errors import ApiError
    from rayrig_scenarios.why.from_cluster import evidence_of, why, why_each

    in_namespace, slash, name = pod.rpartition("/")
    if slash and in_namespace not in ("pod", "pods"):
        namespace, pod = in_namespace, name

    async def gather() -> list[Chain]:
        from random import Random

        client = HttpKubernetesClient(connection, Random(0), user_agent="rayrig-why")
        try:
            evidence = await evidence_of(client, namespace, time.time_ns())
        finally:
            await client.aclose()
        return [why(evidence, pod, namespace)] if pod else why_each(evidence, namespace)

    with requires_answers(connection.server):
        try:
            chains = asyncio.run(gather())
        except ApiError as refused:
            raise InputError(refused.message, where=connection.server, remedy="may this user list pods?") from None
    return _print(chains[0], as_json=as_json) if pod else _print_all(chains, as_json=as_json)


def _print(chain: Chain, *, as_json: bool) -> int:
    from rayrig.cli import BROKEN, HELD

    if as_json:
        print(json.dumps(chain.as_json_value(), indent=2))
    else:
        from rayrig.report.console import console
        from rayrig.report.why import print_chain

        print_chain(console(), chain)
    return HELD if chain.is_ready else BROKEN


def _print_all(chains: Sequence[Chain], *, as_json: bool) -> int:
    from rayrig.cli import BROKEN, HELD

    unready = [chain for chain in chains if chain.wants_ready]
    if as_json:
        print(json.dumps([chain.as_json_value() for chain in chains], indent=2))
    else:
        from rayrig.report.console import console
        from rayrig.report.why import print_overview

        print_overview(console(), unready, len(chains) - len(unready))
    return BROKEN if unready else HELD
