"""`rayrig up`: a modelled world that is served: Kubernetes, the operator, Ray and Serve, and KubeRay's API server."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rayrig.cli.interrupted import run_until_interrupted
from rayrig.cli.speed import check_speed
from rayrig_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rayrig_backends.world import NodeSpec, WorldSpec
    from rayrig_core.objects import JsonObject


def up_command(
    target: str,
    *,
    port: int,
    apiserver_port: int,
    kubeconfig_file: Path | None,
    node_texts: Sequence[str],
    speed: float,
    seed: int | None,
    kuberay: str,
    feature_gates: str,
) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    check_speed(speed)
    nodes = _nodes(node_texts)
    spec, objects = _of_file(target, seed, kuberay, feature_gates) if target else _empty(seed, kuberay, feature_gates)
    # Ages that kubectl works out itself are from its own clock.
    spec = replace(spec, start_unix_ns=time.time_ns(), nodes=nodes or spec.nodes)
    from rayrig.served_world import ServedWorld, ServedWorldSettings
    from rayrig_fakes.kubernetes.kubeconfig import kubeconfig, write_kubeconfig

    served = ServedWorld(ServedWorldSettings(spec, port, apiserver_port, speed, objects))
    if kubeconfig_file is not None:
        write_kubeconfig(kubeconfig_file, kubeconfig(served.url))
    ready = f"ready {served.url} (Kubernetes)\nready {served.apiserver_url} (KubeRay API server)"
    return run_until_interrupted(served, ready)


def _nodes(texts: Sequence[str]) -> tuple[NodeSpec, ...]:
    from rayrig_scenarios.manifest_checks.capacity import nodes_from

    each = [asked for text in texts for asked in [nodes_from(text, where="--nodes")] for _ in range(asked.count)]
    return tuple(replace(asked, prefix=f"node-{number}", count=1, exact_name=True) for number, asked in enumerate(each))


def _of_file(target: str, seed: int | None, kuberay: str, gates: str) -> tuple[WorldSpec, list[JsonObject]]:
    """The scenario's world, and the objects that it has at the top."""
    from rayrig_scenarios.language.load import load

    scenario = load(target, kuberay=kuberay).with_gates(gates)
    spec = scenario.world_spec(scenario.seed if seed is None else seed)
    return spec, [written.object for written in scenario.manifests]


def _empty(seed: int | None, kuberay: str, gates: str) -> tuple[WorldSpec, list[JsonObject]]:
    from rayrig_backends.world import WorldSpec
    from rayrig_controllers.releases import KUBERAY_1_7, RELEASES, profile_of
    from rayrig_core.resources.feature_gates import FeatureGates

    release = RELEASES[profile_of(kuberay, "--kuberay")] if kuberay else KUBERAY_1_7
    if gates and not release.has_feature_gates:
        raise InputError(
            f"KubeRay {release.version} has no feature gates", where="--feature-gates", remedy="leave it out"
        )
    return WorldSpec(seed=seed or 0, profile=release.version, gates=FeatureGates.parse(gates)), []
