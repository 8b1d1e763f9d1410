"""What the Ray autoscaler decides at one look: which worker groups grow, which workers go.

Pure. Ray's way: what waits for room is packed onto what there is and what is coming; for the rest the group that is used best is
grown, as far as its maximum and the upscaling mode allow; workers that nothing has used for the idle timeout go, down to the
group's minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rayrig_sim.ray.resources import Amounts


class UpscalingMode(StrEnum):
    """`autoscalerOptions.upscalingMode`. CONSERVATIVE lets no more workers be on their way than there are, five at least."""

    DEFAULT = "Default"
    AGGRESSIVE = "Aggressive"
    CONSERVATIVE = "Conservative"


#: Ray's: so many workers may be on their way however few there are.
_ALWAYS_PENDING = 5
_SCARCE = "GPU"


@dataclass(frozen=True, slots=True)
class Group:
    """A worker group. `per_worker` is what one worker offers; bounds and counts are of replicas, each of `hosts` workers."""

    name: str
    per_worker: Mapping[str, int]
    replicas: int
    min_replicas: int
    max_replicas: int
    idle_timeout_ns: int
    hosts: int = 1
    #: Of groups that would do, one of higher priority is grown (Ray 2.56 with autoscaler v2).
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker pod. `available` is None while it is on its way; `idle_ns` is for how long nothing has used it; `replica` names
    the replica of several hosts that it is one of."""

    name: str
    group: str
    available: Mapping[str, int] | None
    idle_ns: int = 0
    replica: str = ""


@dataclass(slots=True)
class Decision:
    """Replicas by group, those that change only, and the workers to delete by group."""

    replicas: dict[str, int] = field(default_factory=dict)
    delete: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.replicas or self.delete)


def decide(
    groups: Sequence[Group],
    workers: Sequence[Worker],
    head_available: Mapping[str, int],
    demand: Iterable[Mapping[str, int]],
    mode: UpscalingMode = UpscalingMode.DEFAULT,
) -> Decision:
    """From the groups, their workers, what is left on the head and the shapes that wait for room."""
    by_name = {group.name: group for group in groups}
    known = [worker for worker in workers if worker.group in by_name]
    room: list[Amounts] = [dict(head_available)]
    users: list[Worker | None] = [None]
    for worker in known:
        room.append(dict(by_name[worker.group].per_worker if worker.available is None else worker.available))
        users.append(worker)
    counts = {group.name: group.replicas for group in groups}
    for group in groups:
        coming = group.replicas * group.hosts - sum(worker.group == group.name for worker in known)
        room += [dict(group.per_worker) for _ in range(coming)]
        users += [None] * max(coming, 0)
    needed, unmet = _pack(demand, room, users)
    _grow(groups, counts, unmet, known, mode)
    for group in groups:
        counts[group.name] = min(max(counts[group.name], group.min_replicas), group.max_replicas)
    decision = Decision({name: count for name, count in counts.items() if count != by_name[name].replicas})
    for group in groups:
        if group.name not in decision.replicas or counts[group.name] < group.replicas:
            _shrink(group, [worker for worker in known if worker.group == group.name], needed, decision)
    return decision


def _pack(
    demand: Iterable[Mapping[str, int]], room: list[Amounts], users: list[Worker | None]
) -> tuple[dict[str, None], list[Mapping[str, int]]]:
    """Names of workers that something was packed onto, and what found no room; large shapes first."""
    needed: dict[str, None] = {}
    unmet: list[Mapping[str, int]] = []
    for shape in sorted(demand, key=lambda shape: (len(shape), sum(shape.values())), reverse=True):
        for left, user in zip(room, users, strict=True):
            if _fits(shape, left):
                _take(shape, left)
                if user is not None:
                    needed[user.name] = None
                break
        else:
            unmet.append(shape)
    return needed, unmet


def _fits(shape: Mapping[str, int], left: Mapping[str, int]) -> bool:
    return all(left.get(name, 0) >= amount for name, amount in shape.items())


def _take(shape: Mapping[str, int], left: Amounts) -> None:
    for name, amount in shape.items():
        left[name] -= amount


def _grow(
    groups: Sequence[Group],
    counts: dict[str, int],
    unmet: list[Mapping[str, int]],
    workers: Sequence[Worker],
    mode: UpscalingMode,
) -> None:
    """Add replicas, each to the group that uses it best, until all is met or nothing helps."""
    limits = {group.name: min(group.max_replicas, _most(group, counts[group.name], workers, mode)) for group in groups}
    while unmet:
        best: tuple[tuple[int, bool, int, float, float], Group, list[Mapping[str, int]]] | None = None
        for group in groups:
            if counts[group.name] >= limits[group.name]:
                continue
            rest = list(unmet)
            scores = [_fill(dict(group.per_worker), group.per_worker, rest) for _ in range(group.hosts)]
            if len(rest) == len(unmet):
                continue
            score = (group.priority, *max(scores))
            if best is None or score > best[0]:
                best = score, group, rest
        if best is None:
            return
        counts[best[1].name] += 1
        unmet[:] = best[2]


def _most(group: Group, count: int, workers: Sequence[Worker], mode: UpscalingMode) -> int:
    """How many replicas the upscaling mode allows now."""
    if mode is not UpscalingMode.CONSERVATIVE:
        return group.max_replicas
    running = sum(worker.group == group.name and worker.available is not None for worker in workers) // group.hosts
    return max(count, running + max(_ALWAYS_PENDING, running))


def _fill(left: Amounts, total: Mapping[str, int], unmet: list[Mapping[str, int]]) -> tuple[bool, int, float, float]:
    """Put what fits into one worker, out of `unmet`. The score of that worker: no scarce device wasted, kinds used, how full."""
    asks_for_scarce = False
    for shape in list(unmet):
        if _fits(shape, left):
            _take(shape, left)
            unmet.remove(shape)
            asks_for_scarce = asks_for_scarce or _SCARCE in shape
    used = [(total[name] - left[name]) / total[name] for name in total if total[name] and name != "memory"]
    kinds = sum(share > 0 for share in used)
    if not used:
        return False, 0, 0.0, 0.0
    return asks_for_scarce or _SCARCE not in total, kinds, min(used), sum(used) / len(used)


def _shrink(group: Group, workers: list[Worker], needed: Mapping[str, None], decision: Decision) -> None:
    """Idle replicas go, each with all of its hosts: one of several hosts goes when every one of them is idle."""
    count = decision.replicas.get(group.name, group.replicas)
    spare = group.replicas - max(group.min_replicas, 0)
    surplus = group.replicas - count
    gone: list[str] = []
    replicas = 0
    for hosts in _replicas_of(workers):
        if replicas >= max(spare, surplus):
            break
        is_idle = len(hosts) >= group.hosts and all(_is_idle(worker, group) for worker in hosts)
        if not any(worker.name in needed for worker in hosts) and (is_idle or replicas < surplus):
            gone += [worker.name for worker in hosts]
            replicas += 1
    if gone:
        decision.delete[group.name] = gone
        decision.replicas[group.name] = max(group.replicas - replicas, group.min_replicas)


def _is_idle(worker: Worker, group: Group) -> bool:
    return worker.available is not None and worker.idle_ns >= group.idle_timeout_ns


def _replicas_of(workers: Iterable[Worker]) -> list[list[Worker]]:
    """Workers by the replica they are hosts of, in order; a worker without one is a replica of its own."""
    found: dict[str, list[Worker]] = {}
    for worker in workers:
        found.setdefault(worker.replica or worker.name, []).append(worker)
    return list(found.values())
