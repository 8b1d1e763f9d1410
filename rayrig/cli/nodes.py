"""`rayrig nodes`: hollow nodes for an API server that has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rayrig.cli.interrupted import run_until_interrupted
from rayrig.cli.reach import Reach
from rayrig_core.errors import InputError


def nodes_command(reach: Reach, sizes: Sequence[str], *, name: str, seed: int, script: Path | None = None) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    from rayrig_scenarios.language.script_files import script_file
    from rayrig_scenarios.manifest_checks.capacity import nodes_from

    scripts = () if script is None else script_file(script)
    connection = reach.connection()
    from rayrig_backends.cluster.hollow_nodes import HollowNodes, HollowNodesSettings
    from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

    specs: list[NodeSpec] = []
    for size in sizes:
        asked = nodes_from(size, where="RESOURCES")
        capacity = {"cpu": asked.cpu, "memory": asked.memory, "pods": str(asked.pods), **asked.extended}
        for _ in range(asked.count):
            number = len(specs)
            address = f"172.18.{number // 250}.{number % 250 + 2}"
            specs.append(NodeSpec(f"{name}-{number}", capacity=capacity, address=address))
    if not specs:
        raise InputError("no nodes asked for", remedy="such as rayrig nodes 3xcpu=8,memory=32Gi --server URL")
    nodes = HollowNodes(HollowNodesSettings(connection, specs, seed, scripts))
    return run_until_interrupted(nodes, f"ready {len(specs)} nodes at {connection.server}")
