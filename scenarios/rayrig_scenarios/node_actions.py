"""What `kubectl drain`, `cordon` and `uncordon` of a scenario do. A node that is not there is an `InputError`."""

from __future__ import annotations

from rayrig_backends.world import World
from rayrig_core.errors import ApiError, InputError, NotFound
from rayrig_core.objects import labels_of, name_of
from rayrig_core.remedies import closest
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import to_ns
from rayrig_scenarios.language.node_steps import DrainOf, NodeOf, drain_options
from rayrig_sim.kubernetes.nodes.drain import Drain, DrainOutcome, set_unschedulable

_CLIENT = "kubectl"
#: By then every node of a world is there.
_ALL_REGISTERED_NS = to_ns(5)
_LOOK_AGAIN_S = 0.01


async def cordon(world: World, written: NodeOf, wanted: bool) -> str:
    """No new pods on the node (`wanted`), or again. Answers what kubectl prints. Raises `ApiError`, `InputError`."""
    node = await _registered(world, written)
    try:
        return await set_unschedulable(world.client(_CLIENT), world.runtime, node, wanted)
    except NotFound:
        raise _no_node(world, node) from None


async def drain(world: World, written: DrainOf) -> tuple[str, DrainOutcome]:
    """Drain a node; its name, and how it went. Raises `ApiError`, `InputError`."""
    node = await _registered(world, written)
    try:
        return node, await Drain(world.runtime, world.client(_CLIENT), node, drain_options(written)).run()
    except NotFound:
        raise _no_node(world, node) from None


async def start_drain(world: World, written: DrainOf) -> str:
    """Drain a node in the background. Answers what was begun. Raises `InputError`."""
    node = await _registered(world, written)
    world.spawn(
        f"kubectl/drain/{node}", _drain_aside(Drain(world.runtime, world.client(_CLIENT), node, drain_options(written)))
    )
    return f"draining node {node}"


async def _drain_aside(work: Drain) -> None:
    try:
        await work.run()
    except ApiError as error:
        # Nobody waits for it; the trace has the refusal.
        work.outcome.errors.append(error.message)


async def _registered(world: World, written: NodeOf) -> str:
    """The node that is meant, which may be about to register when a run begins."""
    node, runtime = node_of(world, written), world.runtime
    while node not in [name_of(each) for each in world.objects(NODE)]:
        if runtime.monotonic_ns() >= _ALL_REGISTERED_NS:
            raise _no_node(world, node)
        await runtime.sleep(_LOOK_AGAIN_S)
    return node


def node_of(world: World, written: NodeOf) -> str:
    """Name of the node that is meant. Raises `InputError` when no pod with these labels is on one."""
    if written.node:
        return written.node
    for pod in world.objects(POD, written.namespace):
        has, node = labels_of(pod), pod["spec"].get("nodeName")
        if node and all(has.get(name) == value for name, value in written.labels.items()):
            return str(node)
    labels = ",".join(f"{name}={value}" for name, value in written.labels.items())
    raise InputError(f"no pod with labels {labels} is on a node", remedy="wait until there is one")


def _no_node(world: World, node: str) -> InputError:
    return InputError(
        f'no node is called "{node}"', remedy=closest(node, [name_of(each) for each in world.objects(NODE)])
    )


def in_words(node: str, outcome: DrainOutcome) -> str:
    """How a drain went, in one line."""
    if not outcome.is_drained:
        return f'unable to drain node "{node}" due to error: {outcome.error}'
    pods = f"{len(outcome.gone)} pod{'' if len(outcome.gone) == 1 else 's'} evicted"
    refused = f", {outcome.refusals} evictions refused for a budget" if outcome.refusals else ""
    return f"node/{node} drained: {pods}{refused}"
