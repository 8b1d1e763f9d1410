"""What two sides gave for one request, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rayrig_backends.dashboard_differential.looks import Tracks
from rayrig_backends.dashboard_differential.normal_form import VOLATILE, canonical, normal, normal_keys
from rayrig_backends.dashboard_differential.telling import Turn
from rayrig_backends.differential.comparing import ABSENT, Difference
from rayrig_backends.differential.unknowns import Unknowns
from rayrig_core.objects import Json

#: A state that was shorter than this may be missed by who looks; seconds.
_SHORT_S = 0.5
#: How long a warning about a slow start takes says more about the machine than about Serve.
_SLOW = "have taken more than 30s to be"
#: Each stands for one on the other side, for the whole story: ids wherever they are, times at their place.
_IDS = frozenset(("actor_id", "node_id", "pid", "replica_id", "worker_id"))
_TIMES = frozenset(("last_deployed_time_s", "start_time_s"))
#: Lists without an order.
_UNORDERED = ("replicas", "recent_dead_replicas", "targets")


class Comparison:
    """Compares the turns of one story, one pair after the other."""

    def __init__(self) -> None:
        self._unknowns = Unknowns()

    def of(self, left: Turn, right: Turn) -> list[Difference]:
        """Where they differ; after another status nothing else is looked at."""
        if left.status != right.status:
            return [Difference("status", _answered(left), _answered(right))]
        found = [
            Difference(f"header {name}", left.headers.get(name, ABSENT), right.headers.get(name, ABSENT))
            for name in sorted({*left.headers, *right.headers})
            if left.headers.get(name) != right.headers.get(name)
        ]
        found += self._values(left.body, right.body, "body", "")
        if left.tracks is not None and right.tracks is not None:
            found += compare_tracks(left.tracks, right.tracks)
            found += self._values(left.details, right.details, "then", "")
        return found

    def _values(self, left: Json, right: Json, at: str, name: str, *, binds: bool = True) -> Iterator[Difference]:
        """`binds`: ids in there are those of one thing that can be told from its like."""
        if name == "proxies" and isinstance(left, dict) and isinstance(right, dict):
            left, right = list(left.values()), list(right.values())
        if name == "controller_health_metrics" and isinstance(left, dict) and isinstance(right, dict):
            left, right = sorted(left), sorted(right)
        if isinstance(left, dict) and isinstance(right, dict):
            left, right = _with_plain_keys(left), _with_plain_keys(right)
            for key in dict.fromkeys((*left, *right)):
                if key not in left or key not in right:
                    yield Difference(f"{at}.{key}", _shown(left, key), _shown(right, key))
                else:
                    yield from self._values(left[key], right[key], f"{at}.{key}", key, binds=binds)
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                yield Difference(at, f"{len(left)} elements", f"{len(right)} elements")
                return
            if name in (*_UNORDERED, "proxies"):
                left, right = sorted(left, key=_form), sorted(right, key=_form)
                binds = binds and len(left) == 1
            for index, (one, other) in enumerate(zip(left, right, strict=True)):
                yield from self._values(one, other, f"{at}[{index}]", "", binds=binds)
        elif name in VOLATILE:
            yield from self._volatile(left, right, at, name, binds)
        elif _form(left) != _form(right):
            yield Difference(at, canonical(normal(left)), canonical(normal(right)))

    def _volatile(self, left: Json, right: Json, at: str, name: str, binds: bool) -> Iterator[Difference]:
        if (left in (None, "")) != (right in (None, "")):
            yield Difference(at, canonical(left), canonical(right))
        elif binds and name in _IDS | _TIMES:
            family = f"{name} {at}" if name in _TIMES else name
            is_known = (family, str(left)) in self._unknowns.left, (family, str(right)) in self._unknowns.right
            if not self._unknowns.bind(family, str(left), str(right)):
                yield Difference(at, *("seen before" if known else "new" for known in is_known))


def _answered(turn: Turn) -> str:
    return f"{turn.status} {canonical(normal(turn.body))}" if turn.status else "no answer"


def _with_plain_keys(value: dict[str, Any]) -> dict[str, Any]:
    return {next(iter(normal_keys({key: None}))): item for key, item in value.items()}


def _shown(value: dict[str, Any], key: str) -> str:
    return canonical(normal(value[key])) if key in value else ABSENT


def _form(value: Json) -> str:
    return canonical(normal(value))


# Tracks


def compare_tracks(left: Tracks, right: Tracks) -> Iterator[Difference]:
    """What lasted on one side must have been on the other, too, in the same order, and both must end alike.

    Of replicas by state count the most that were there at once for a while, those that stop left out, and the end.
    """
    for name in sorted({*left, *right}):
        if name in ("http", "apps", "proxies", "controller"):
            continue
        tracks = left.get(name, []), right.get(name, [])
        if name.startswith(("replicas:", "dead:")):
            told = [_bounds(track) for track in tracks]
            is_same = told[0] == told[1]
        else:
            values = [_values(track) for track in tracks]
            lasting = [_values(track, _SHORT_S) for track in tracks]
            is_same = (
                values[0][-1] == values[1][-1]
                and _is_within(lasting[0], values[1])
                and _is_within(lasting[1], values[0])
            )
            told = [" > ".join(each) for each in lasting]
        if not is_same:
            yield Difference(name, *told)


def _values(track: Sequence[Sequence[Any]], shortest_s: float = 0.0) -> list[str]:
    """In order; those that lasted less than `shortest_s`, and were not the last, left out."""
    kept = [entry for entry in track if not (isinstance(entry[1], str) and _SLOW in entry[1])]
    values: list[str] = []
    for index, (at_s, value) in enumerate(kept):
        is_short = index < len(kept) - 1 and kept[index + 1][0] - at_s < shortest_s
        if not is_short and (not values or values[-1] != _form(value)):
            values.append(_form(value))
    return values or ["null"]


def _is_within(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(value in rest for value in part)


def _bounds(track: Sequence[Sequence[Any]]) -> str:
    ends_s = [at_s for at_s, _ in track[1:]]
    counts = [
        value
        for (at_s, value), end_s in zip(track, [*ends_s, float("inf")], strict=False)
        if isinstance(value, dict) and end_s - at_s >= _SHORT_S
    ]
    most = max((sum(count.values()) - count.get("STOPPING", 0) for count in counts), default=0)
    last = track[-1][1] if track else None
    return f"at most {most}, in the end {_form(last)}"
