"""Holds what a play produced against what was recorded.

Compared are snapshots, events, responses and the exchanges with dashboards; never times. Null, absent and empty are the same. What
differed between two runs of the real system is listed in the case as `unstable` and left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from rayrig_core.objects import Json, JsonObject
from tests.conformance.operator.player import slim_pod

_EMPTY: tuple[object, ...] = (None, "", {}, [])
_TIME = re.compile(r"<T[+-][0-9.]+>")
_INDEX = re.compile(r"\[\d+\]")
_WORD = re.compile(r"^\w+$")
_NUMBERED = re.compile(r"<(POD|RAYCLUSTER)-\d+")
_SERVICE = re.compile(r"-(head|serve)-svc")
PRESENT, ABSENT = "present", "absent"


class Difference(NamedTuple):
    """At a JSON path (`SNAPSHOT: Kind/name:$.path` for objects)."""

    path: str
    recorded: Any
    produced: Any

    def __str__(self) -> str:
        return f"{self.path}: recorded {_short(self.recorded)}, produced {_short(self.produced)}"


def _short(value: Any, limit: int = 300) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"


def value_differences(recorded: Json, produced: Json, path: str = "$") -> list[Difference]:
    """Of two JSON values. Times differ in nothing but their form."""
    if isinstance(recorded, dict) and isinstance(produced, dict):
        return [
            difference
            for key in {**recorded, **produced}
            for difference in value_differences(
                recorded.get(key), produced.get(key), f"{path}.{key}" if _WORD.match(key) else f'{path}["{key}"]'
            )
        ]
    if isinstance(recorded, list) and isinstance(produced, list):
        found: list[Difference] = []
        for i in range(max(len(recorded), len(produced))):
            want = recorded[i] if i < len(recorded) else None
            got = produced[i] if i < len(produced) else None
            found += value_differences(want, got, f"{path}[{i}]")
        return found
    if recorded == produced or (recorded in _EMPTY and produced in _EMPTY):
        return []
    if isinstance(recorded, str) and isinstance(produced, str) and _timeless(recorded) == _timeless(produced):
        return []
    return [Difference(path, recorded, produced)]


def _timeless(text: str) -> str:
    return _TIME.sub("<T>", text)


def object_differences(recorded: Iterable[JsonObject], produced: Iterable[JsonObject]) -> list[Difference]:
    """Of two lists of objects, matched by kind and name."""
    want, got = ({_key(obj): obj for obj in objects} for objects in (recorded, produced))
    found: list[Difference] = []
    for key in {**want, **got}:
        if key not in got:
            found.append(Difference(key, PRESENT, ABSENT))
        elif key not in want:
            found.append(Difference(key, ABSENT, PRESENT))
        else:
            found += value_differences(want[key], got[key], f"{key}:$")
    return found


def _key(obj: JsonObject) -> str:
    metadata = obj["metadata"]
    return f"{obj['kind']}/{metadata.get('name') or (metadata.get('labels') or {}).get('kubernetes.io/service-name')}"


def differences(case: JsonObject, produced: JsonObject) -> list[Difference]:
    """Of a recorded case and a play of it; none when the case holds."""
    recorded, unstable = case["recorded"], case.get("unstable") or {}
    found = _snapshot_differences(case, produced, unstable)
    ignored = frozenset(unstable.get("events") or ())
    found += _set_differences("event", _events(recorded["events"], ignored), _events(produced["events"], ignored))
    found += _response_differences(recorded["responses"], produced["responses"])
    want, got = recorded.get("dashboard") or [], produced.get("dashboard") or []
    if not unstable.get("puts"):
        found += value_differences(_puts(want), _puts(got), "dashboard PUTs:$")
    if not unstable.get("paths"):
        found += _set_differences("dashboard", _paths(want), _paths(got))
    known = recorded.get("problems") or ()
    found += [Difference("problem", None, each) for each in produced.get("problems") or () if each not in known]
    return found


# Snapshots


def _snapshot_differences(case: JsonObject, produced: JsonObject, unstable: JsonObject) -> list[Difference]:
    found: list[Difference] = []
    has_random_ports = '"headService"' in json.dumps(case["steps"])
    for name, want in _whole(case["recorded"]["snapshots"]).items():
        if name not in produced["snapshots"]:
            found.append(Difference(f"snapshot {name}", PRESENT, ABSENT))
            continue
        got = produced["snapshots"][name]["objects"]
        if any(obj["kind"] == "Pod" and "apiVersion" not in obj for obj in want):
            got = [slim_pod(obj) if obj["kind"] == "Pod" and "apiVersion" in obj else obj for obj in got]
        if has_random_ports:
            want, got = _with_sorted_ports(want), _with_sorted_ports(got)
        found += [
            Difference(f"{name}: {difference.path}", difference.recorded, difference.produced)
            for difference in object_differences(want, got)
            if not _is_excused(_INDEX.sub("[*]", difference.path), unstable.get(name) or ())
        ]
    return found


def _is_excused(path: str, unstable: Iterable[str]) -> bool:
    return any(path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in unstable)


def _whole(snapshots: JsonObject) -> dict[str, list[JsonObject]]:
    """With the objects that a recording calls `unchanged`."""
    first: dict[tuple[str, str], JsonObject] = {}
    return {
        name: [
            obj if not obj.get("unchanged") else first[obj["kind"], obj["metadata"]["name"]]
            for obj in snapshot["objects"]
            if obj.get("unchanged") or first.setdefault((obj["kind"], obj["metadata"].get("name", "")), obj)
        ]
        for name, snapshot in snapshots.items()
    }


def _with_sorted_ports(objects: list[JsonObject]) -> list[JsonObject]:
    """With a template for the head Service the real operator appends its ports in random order."""
    return [
        {**obj, "spec": {**obj["spec"], "ports": sorted(obj["spec"]["ports"], key=lambda port: str(port.get("name")))}}
        if obj["kind"] == "Service" and (obj.get("spec") or {}).get("ports")
        else obj
        for obj in objects
    ]


# Events, responses, exchanges


def _events(events: Iterable[JsonObject], ignored: frozenset[str]) -> list[tuple[str, ...]]:
    """Distinct ones. Which of several objects the note of a series names is a matter of timing."""
    found = {
        (
            event["regarding"],
            event["type"],
            event["reason"],
            event["action"],
            _SERVICE.sub("-svc", _NUMBERED.sub(r"<\1", event["note"])),
        )
        for event in events
        if event["reason"] not in ignored and not _is_race(event)
    }
    return sorted(found)


def _is_race(event: JsonObject) -> bool:
    """A second create of a cluster that the cache doesn't show yet: comes and goes with the real operator."""
    return bool(event["reason"] == "FailedToCreateRayCluster" and event["note"].endswith("already exists"))


def _response_differences(recorded: list[JsonObject], produced: list[JsonObject]) -> list[Difference]:
    found: list[Difference] = []
    for i in range(max(len(recorded), len(produced))):
        want = recorded[i] if i < len(recorded) else None
        got = produced[i] if i < len(produced) else None
        if want is None or got is None:
            found.append(Difference(f"response {i}", want, got))
        else:
            timeless = {key: value for key, value in want.items() if key != "at"}
            found += value_differences(timeless, got, f"response {i}:$")
    return found


def _puts(exchanges: Iterable[JsonObject]) -> dict[str, list[Any]]:
    """Configurations accepted by each cluster, without repetitions."""
    found: dict[str, list[Any]] = {}
    last: dict[str, Any] = {}
    for each in exchanges:
        if each["method"] != "PUT" or each["role"] != "dashboard":
            continue
        cluster = each["cluster"]
        body = last.get(cluster) if each.get("body") == "as before" else each.get("body")
        last[cluster] = body
        accepted = found.setdefault(cluster, [])
        if each.get("status") == 200 and (not accepted or accepted[-1] != body):
            accepted.append(body)
    return found


def _paths(exchanges: Iterable[JsonObject]) -> list[tuple[str, ...]]:
    return sorted({(each["cluster"], each["role"], each["method"], each["path"]) for each in exchanges})


def _set_differences(what: str, recorded: list[tuple[str, ...]], produced: list[tuple[str, ...]]) -> list[Difference]:
    missing = [Difference(what, each, ABSENT) for each in recorded if each not in produced]
    return missing + [Difference(what, ABSENT, each) for each in produced if each not in recorded]
