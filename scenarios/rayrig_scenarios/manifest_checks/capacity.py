"""Whether given nodes have room for what a manifest asks: pod by pod, in all, and for the two clusters of an upgrade."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rayrig_backends.world import NodeSpec
from rayrig_core.errors import InputError
from rayrig_core.resources.quantities import milli, whole
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.language.node_sizing import PodNeed, pod_needs
from rayrig_scenarios.manifest_checks.finding import Finding, Level, at_path

_COUNT = re.compile(r"([0-9]+)x")
_EXAMPLE = "2xcpu=8,memory=32Gi,nvidia.com/gpu=1"


def nodes_from(text: str, *, where: str = "--node") -> NodeSpec:
    """`2xcpu=8,memory=32Gi,nvidia.com/gpu=1`: two nodes of that size; one when no count is given. `where` is what errors call it.
    Raises `InputError`."""
    remedy = f"such as {where} {_EXAMPLE}" if where.startswith("-") else f"such as {_EXAMPLE}"
    counted = _COUNT.match(text)
    count, rest = (int(counted[1]), text[counted.end() :]) if counted else (1, text)
    amounts: dict[str, str] = {}
    for word in rest.split(","):
        name, separator, amount = word.partition("=")
        if not separator or not name:
            raise InputError(f"{word!r} is no resource of a node", where=where, remedy=remedy)
        try:
            size = whole(amount) if name != "cpu" else milli(amount)
        except ValueError:
            raise InputError(f"{amount!r} is no quantity", where=f"{where} {name}", remedy=remedy) from None
        if size < 0:
            raise InputError(f"{amount!r} is less than nothing", where=f"{where} {name}", remedy=remedy)
        amounts[name] = amount
    cpu, memory = amounts.pop("cpu", "0"), amounts.pop("memory", "0")
    return NodeSpec(count=count, cpu=cpu, memory=memory, extended=amounts)


def room_findings(written: WrittenObject, nodes: Sequence[NodeSpec]) -> Iterator[Finding]:
    """Pods that fit no node, totals that exceed all nodes; and, as a warning, an upgrade that has no room for a second cluster."""
    needs = list(pod_needs(written.object))
    capacities = [(_capacity(node), node.count) for node in nodes]
    path = "spec.rayClusterConfig" if written.kind == "RayService" else "spec"
    too_large = False
    for need in dict.fromkeys(needs):
        asked = _asked(need)
        if not any(all(has.get(name, 0) >= amount for name, amount in asked.items()) for has, _ in capacities):
            too_large = True
            yield at_path(
                written, path, Level.ERROR, f"a pod that asks for {_text(asked)} fits on no node", "give larger nodes"
            )
    if too_large:
        return
    total = _sum(needs)
    there: dict[str, int] = {}
    for has, count in capacities:
        for name, amount in has.items():
            there[name] = there.get(name, 0) + amount * count
    short = {name: amount for name, amount in total.items() if amount > there.get(name, 0)}
    if short:
        has_all = {name: there.get(name, 0) for name in short}
        yield at_path(
            written, path, Level.ERROR, f"its pods ask for {_text(short)}, all nodes have {_text(has_all)}", "add nodes"
        )
    elif written.kind == "RayService" and _upgrades_by_a_new_cluster(written):
        twice = {name: 2 * amount for name, amount in total.items() if 2 * amount > there.get(name, 0)}
        if twice:
            has_all = {name: there.get(name, 0) for name in twice}
            yield at_path(
                written,
                path,
                Level.WARNING,
                f"an upgrade runs two clusters, which ask for {_text(twice)}; all nodes have {_text(has_all)}",
                "add nodes, or upgrade with NewClusterWithIncrementalUpgrade",
            )


def _upgrades_by_a_new_cluster(written: WrittenObject) -> bool:
    strategy = (written.object.get("spec") or {}).get("upgradeStrategy") or {}
    return bool(strategy.get("type", "NewCluster") == "NewCluster")


def _capacity(node: NodeSpec) -> dict[str, int]:
    extended = {name: whole(amount) for name, amount in node.extended.items()}
    return {"cpu": milli(node.cpu), "memory": whole(node.memory), **extended}


def _asked(need: PodNeed) -> dict[str, int]:
    asked = {"cpu": need.cpu_millis, "memory": need.memory, **dict(need.devices), **dict(need.others)}
    return {name: amount for name, amount in asked.items() if amount}


def _sum(needs: list[PodNeed]) -> dict[str, int]:
    total: dict[str, int] = {}
    for need in needs:
        for name, amount in _asked(need).items():
            total[name] = total.get(name, 0) + amount
    return total


def _text(amounts: dict[str, int]) -> str:
    return ", ".join(f"{name} {_quantity(name, amount)}" for name, amount in amounts.items())


def _quantity(name: str, amount: int) -> str:
    if name == "cpu":
        return f"{amount / 1000:g}"
    if name == "memory":
        return f"{amount / (1 << 30):g}Gi"
    return str(amount)
