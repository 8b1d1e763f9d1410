"""Whether what a step gave is what was recorded. The recordings' README says what is compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rayrig_backends.dashboard_differential.normal_form import canonical, normal, normal_keys, normal_text
from rayrig_core.objects import JsonObject

_HEADERS = ("content-type", "allow", "location", "retry-after")
#: A state that was shorter than this in a recording may be missed by a poller; seconds.
_SHORT_S = 0.5
#: Tracks of which only bounds and the end are compared.
_LOOSE = ("replicas:", "dead:", "proxies", "http", "apps")
#: A busy machine may be late enough for the warnings about slow starts.
_SLOW = "have taken more than 30s to be"


def compare_step(step: JsonObject, seen: JsonObject, *, timing: float | None = None) -> list[str]:
    """Differences of one step; none when it holds. `timing`: also fail waits slower or faster than this factor."""
    recorded = step.get("response") or {}
    answers = [recorded, *step.get("also", [])]
    match step["op"]:
        case "request":
            return _first_fit(compare_request(step, answer, seen) for answer in answers)
        case "end":
            return _first_fit(compare_tally(step, answer, seen) for answer in answers)
        case "wait":
            return compare_wait(step, answers, seen, timing=timing)
        case "poll":
            ends = recorded["values"][-1], seen["values"][-1]
            return [] if ends[0] == ends[1] else [f"values: recorded {recorded['values']}, seen {seen['values']}"]
    return []


def _first_fit(comparisons: Iterable[list[str]]) -> list[str]:
    """No difference if any recording fits, else those from the first one."""
    first: list[str] | None = None
    for differences in comparisons:
        if not differences:
            return []
        first = differences if first is None else first
    return first or []


def differences(recorded: Any, seen: Any, path: str = "") -> list[str]:
    """By JSON path."""
    if isinstance(recorded, dict) and isinstance(seen, dict):
        found: list[str] = []
        for key in sorted(recorded.keys() | seen.keys()):
            here = f"{path}/{key}"
            if key not in recorded:
                found.append(f"{here}: not recorded, seen {_short(seen[key])}")
            elif key not in seen:
                found.append(f"{here}: recorded {_short(recorded[key])}, absent")
            else:
                found += differences(recorded[key], seen[key], here)
        return found
    if isinstance(recorded, list) and isinstance(seen, list) and len(recorded) == len(seen):
        pairs = enumerate(zip(recorded, seen, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{path}/{index}")]
    if recorded != seen or isinstance(recorded, bool) != isinstance(seen, bool):
        return [f"{path or '/'}: recorded {_short(recorded)}, seen {_short(seen)}"]
    return []


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) < 400 else f"{text[:200]} ... {text[-190:]}"


# Answers


def compare_request(step: JsonObject, recorded: JsonObject, seen: JsonObject) -> list[str]:
    how = step.get("compare", "exact")
    if how == "none":
        return []
    if recorded.get("status") != seen.get("status") or ("error" in recorded) != ("error" in seen):
        a, b = (answer.get("status") or answer.get("error") for answer in (recorded, seen))
        return [f"status: recorded {a}, seen {b} {_short(seen.get('text') or seen.get('body'))}"]
    if how == "status" or "error" in recorded:
        return []
    found = []
    for name in _HEADERS:
        a, b = ((answer.get("headers") or {}).get(name) for answer in (recorded, seen))
        if a != b:
            found.append(f"header {name}: recorded {a!r}, seen {b!r}")
    a, b = (normal({k: answer[k] for k in ("body", "text") if k in answer}) for answer in (recorded, seen))
    ignored = step.get("ignore", [])
    for pointer in ignored:
        drop(a, pointer)
        drop(b, pointer)
    if how == "shape":
        a, b = normal_keys(recorded["shape"]) if "shape" in recorded else shape(a), shape(b)
        for pointer in ignored:
            drop(a, pointer)
    if step.get("any_order"):
        a, b = unordered(a), unordered(b)
    return found + differences(a, b)


def compare_tally(step: JsonObject, recorded: JsonObject, seen: JsonObject) -> list[str]:
    a, b = recorded["answers"], seen["answers"]
    match step.get("compare", "answers"):
        case "none":
            return []
        case "counts":
            return differences(a, b, "answers")
        case "statuses" | "statuses_within" as how:
            recorded_ones, seen_ones = ({key.split(" ")[0] for key in tally} for tally in (a, b))
            holds = seen_ones == recorded_ones if how == "statuses" else seen_ones <= recorded_ones
            if holds:
                return []
            return [f"answers: recorded statuses {sorted(recorded_ones)}, seen {sorted(seen_ones)}"]
    return [] if sorted(a) == sorted(b) else [f"answers: recorded {sorted(a)}, seen {sorted(b)}"]


# Parts of answers


def unordered(value: Any) -> Any:
    """Lists, and lines of texts, in a fixed order."""
    if isinstance(value, dict):
        return {key: unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((unordered(item) for item in value), key=canonical)
    if isinstance(value, str) and "\n" in value:
        return sorted(value.split("\n"))
    return value


def shape(value: Any) -> Any:
    """Keys and types alone; of a list its first entry."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if value is None:
        return "null"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


def drop(value: Any, pointer: str) -> None:
    """Take out what a JSON pointer leads to; `*` stands for any key."""
    _drop(value, pointer.strip("/").split("/"))


def _drop(value: Any, parts: list[str]) -> None:
    first, rest = parts[0], parts[1:]
    if not rest:
        if isinstance(value, dict):
            for key in list(value) if first == "*" else [first]:
                value.pop(key, None)
    elif first == "*":
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in items:
            _drop(item, rest)
    elif isinstance(value, dict):
        _drop(value.get(first), rest)
    elif isinstance(value, list) and first.isdigit() and int(first) < len(value):
        _drop(value[int(first)], rest)


# Waits

Track = list[list[Any]]


def compare_wait(
    step: JsonObject, recordings: Sequence[JsonObject], seen: JsonObject, *, timing: float | None = None
) -> list[str]:
    """`recordings`: all recordings of this wait."""
    first = recordings[0]
    if first["met"] and not seen["met"]:
        last = {name: track[-1][1] for name, track in seen["tracks"].items() if track}
        return [f"not met in {step.get('timeout_s', 60)} s: {_short(step['until'])}; last seen {_short(last)}"]
    if seen["met"] and not first["met"]:
        return [f"never met in the recording, here after {seen['after_s']} s"]
    found: list[str] = []
    names = set(seen["tracks"]).union(*(recording["tracks"] for recording in recordings))
    skipped = tuple(step.get("skip_tracks", []))
    for name in sorted(names):
        if not (skipped and name.startswith(skipped)):
            tracks = [recording["tracks"].get(name) for recording in recordings]
            found += _compare_track(step, name, tracks, seen["tracks"].get(name))
    if timing is not None and seen["met"]:
        low = min(recording["after_s"] for recording in recordings)
        high = max(recording["after_s"] for recording in recordings)
        if not low / timing - 1 <= seen["after_s"] <= high * timing + 1:
            found.append(f"took {seen['after_s']:.1f} s, recorded {low:.1f} to {high:.1f} s")
    return found


def _compare_track(
    step: JsonObject, name: str, recorded_tracks: Sequence[Track | None], seen_track: Track | None
) -> list[str]:
    noise = _SLOW if name.startswith("depmsg:") and "messages" not in step["until"] else ""
    seen = _values(seen_track, noise=noise)
    recorded = [_values(track, noise=noise) for track in recorded_tracks]
    last, ends = seen[-1], {values[-1] for values in recorded}
    found: list[str] = []
    is_end_free = name == "proxies" or name.startswith("dead:")
    is_end_free = is_end_free or (name.startswith("replicas:") and not step.get("end_replicas", True))
    if not is_end_free and last not in ends:
        found.append(f"{name} ends with {last}, recorded {' or '.join(sorted(ends))}")
    if name.startswith("replicas:"):
        found += _compare_bounds(step, name, recorded_tracks, seen_track)
    if name.startswith(_LOOSE):
        return found
    if last == "null" and all(values == ["null"] for values in recorded):
        return found  # gone at the first look
    core = _in_common([_values(track, shortest_s=_SHORT_S, noise=noise) for track in recorded_tracks])
    if len(core) > 1 and (core[0] in core[1:] or step.get("late")):
        core = core[1:]  # the state before the change may be over at the first look
    if not _is_within(core, seen):
        found.append(f"{name}: order {' > '.join(seen)}, recorded {' > '.join(core)}")
    later = seen[1:] if len(seen) > 1 else seen
    extra = [value for value in later if all(value not in values for values in recorded)]
    if extra:
        found.append(f"{name}: seen {' > '.join(extra)}, never recorded (recorded {' > '.join(recorded[0])})")
    return found


def _values(track: Track | None, *, shortest_s: float = 0.0, noise: str = "") -> list[str]:
    """The values of a track in order; those that lasted less than `shortest_s`, and were not the last, left out."""
    kept = [entry for entry in track or () if not (noise and isinstance(entry[1], str) and noise in entry[1])]
    values: list[str] = []
    for index, (at_s, value) in enumerate(kept):
        if index < len(kept) - 1 and kept[index + 1][0] - at_s < shortest_s:
            continue
        text = canonical(normal(value))
        if not values or values[-1] != text:
            values.append(text)
    return values or ["null"]


def _compare_bounds(
    step: JsonObject, name: str, recorded_tracks: Sequence[Track | None], seen_track: Track | None
) -> list[str]:
    def bounds(track: Track | None) -> tuple[int, int]:
        counts = [value for _, value in track or () if isinstance(value, dict)]
        most = max((sum(count.values()) for count in counts), default=0)
        return most, min((count.get("RUNNING", 0) for count in counts), default=0)

    recorded = [bounds(track) for track in recorded_tracks]
    most, fewest = max(a for a, _ in recorded), min(b for _, b in recorded)
    seen_most, seen_fewest = bounds(seen_track)
    found = []
    if seen_most > most + step.get("replica_slack", 0):
        found.append(f"{name}: up to {seen_most} replicas at once, recorded {most}")
    if seen_fewest < fewest:
        found.append(f"{name}: down to {seen_fewest} running, recorded {fewest}")
    return found


def _in_common(sequences: Sequence[list[str]]) -> list[str]:
    common = sequences[0]
    for sequence in sequences[1:]:
        common = _longest_common(common, sequence)
    return common


def _longest_common(a: list[str], b: list[str]) -> list[str]:
    """Longest common subsequence."""
    row: list[list[str]] = [[] for _ in range(len(b) + 1)]
    for x in a:
        before, row = row, [[]]
        for j, y in enumerate(b):
            row.append(before[j] + [x] if x == y else max(before[j + 1], row[j], key=len))
    return row[-1]


def _is_within(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(value in rest for value in part)


def tally_key(answer: JsonObject) -> str:
    """What counts as the same answer in a tally."""
    text = answer.get("text")
    if text is None:
        text = json.dumps(answer["body"]) if "body" in answer else ""
    return f"{answer.get('status') or answer.get('error')} {normal_text(text)}"
