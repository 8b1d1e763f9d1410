"""Holds a produced timeline against a recorded one, with the tolerances the recordings' README describes.

States must come in the recorded order with the recorded content and texts; of the time only what `tolerance`, `jitter` and the
entries' own allowances leave. Recorded states that lasted less than `BRIEF_S` may be missing, and produced ones that short may come
in between when each part of them belongs to a state about there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Entry: TypeAlias = dict[str, Any]
Key: TypeAlias = Callable[[Entry], str]

SECTIONS = ("pods", "slices", "events", "hits", "runtime", "nodes")
BRIEF_S = 1.0
#: Events that say something of the recording machine only.
_OF_THE_MACHINE = ("CgroupV1", "ClusterIPNotAllocated")
_CALLS = ("RunPodSandbox", "PullImage", "CreateContainer", "StartContainer", "StopContainer", "exit")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLACEHOLDERS = (
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}:\d{2,5}->"), "<ip>:<port>->"),
    (re.compile(r"\b(?!127\.0\.0\.1)(?!198\.51\.100\.)\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<id>"),
    (re.compile(r"in [0-9.]+m?s \([0-9.]+m?s including waiting\)"), "in <dur> (<dur> including waiting)"),
    (re.compile(r"after \d+\.\d+m?s"), "after <dur>"),
    (re.compile(r"kube-probe/[0-9.+]+"), "kube-probe/<version>"),
)
#: How far the search for the best alignment looks ahead among recorded and produced entries.
_AHEAD_RECORDED, _AHEAD_PRODUCED = 14, 8


def normalised(value: Any, namespace: str | None) -> Any:
    """A value with placeholders for what differs from run to run."""
    if isinstance(value, str):
        value = _UID.sub("<uid>", value)
        if namespace:
            value = value.replace(namespace, "<ns>")
        for rule, by in _PLACEHOLDERS:
            value = rule.sub(by, value)
        return value
    if isinstance(value, list):
        return [normalised(item, namespace) for item in value]
    if isinstance(value, dict):
        return {key: normalised(item, namespace) for key, item in value.items()}
    return value


def _pod_key(is_any_node: bool) -> Key:
    def key(entry: Entry) -> str:
        shown = {k: v for k, v in entry.items() if k not in ("t", "tol", "early", "optional", "deletion", "node")}
        shown["conditions"] = dict(entry.get("conditions", {}))
        if entry.get("deletion"):
            shown["grace"] = entry["deletion"].get("grace")
        if entry.get("node"):
            shown["node"] = True if is_any_node else entry["node"]
        return json.dumps(shown, sort_keys=True)

    return key


def _slice_key(entry: Entry) -> str:
    return json.dumps(sorted(entry["endpoints"], key=lambda e: str(e.get("target"))), sort_keys=True)


def _node_key(entry: Entry) -> str:
    ready = entry.get("conditions", {}).get("Ready", [None])[:2]
    return json.dumps([sorted(map(tuple, entry.get("taints", []))), ready, entry.get("unschedulable", False)])


def _call_key(entry: Entry) -> str:
    attempt = entry.get("attempt") if entry["call"] != "PullImage" else None
    return json.dumps(
        [entry["call"], entry.get("container"), attempt, entry.get("timeout"), entry.get("code"), entry.get("image")]
    )


def _difference(recorded: str, produced: str) -> str:
    """The parts of two JSON texts that are not alike."""
    a, b = json.loads(recorded), json.loads(produced)
    if isinstance(a, dict) and isinstance(b, dict):
        parts = [
            f"{k}: {json.dumps(a.get(k))} recorded, {json.dumps(b.get(k))} produced"
            for k in sorted(set(a) | set(b))
            if a.get(k) != b.get(k)
        ]
        return "; ".join(parts)
    return f"{recorded} recorded, {produced} produced"


def _atoms(key: str, *, is_brief: bool = False) -> set[str]:
    """The parts of a state: each condition, container, endpoint, other field. Of a brief state readiness does not count."""
    value = json.loads(key)
    if not isinstance(value, dict):
        return {json.dumps(e["target"] if isinstance(e, dict) else e) for e in value}
    atoms: set[str] = set()
    for name, part in value.items():
        if name == "conditions":
            atoms |= {
                json.dumps([kind, state])
                for kind, state in part.items()
                if not (is_brief and kind in ("Ready", "ContainersReady") and state[1] in ("ContainersNotReady", ""))
            }
        elif name in ("containers", "init"):
            atoms |= {json.dumps([name, {f: v for f, v in c.items() if f != "ready"}]) for c in part}
        else:
            atoms.add(json.dumps([name, part]))
    return atoms


def _is_mixed(key: str, around: list[str]) -> bool:
    parts: set[str] = set()
    for other in around:
        parts |= _atoms(other)
    return bool(around) and _atoms(key, is_brief=True) <= parts


def _distinct(entries: Iterable[Entry], key: Key) -> list[Entry]:
    """Without entries that say what the one before says."""
    kept: list[Entry] = []
    for entry in entries:
        if kept and key(kept[-1]) == key(entry):
            if kept[-1].get("optional") and not entry.get("optional"):
                kept[-1] = {**kept[-1], "optional": False}
            continue
        kept.append(entry)
    return kept


@dataclass(frozen=True, slots=True)
class Comparison:
    """One recorded case and what was produced for it."""

    recorded: Entry
    produced: Entry

    def differences(self) -> list[str]:
        """One line for each difference; none when the case holds."""
        produced = normalised(self.produced, self.produced.get("namespace"))
        comparer = _Comparer(self.recorded, produced)
        for section in SECTIONS:
            if section in self.recorded.get("skip", []):
                continue
            if self.recorded["timeline"].get(section) or produced["timeline"].get(section):
                getattr(comparer, section)()
        return comparer.found


class _Comparer:
    def __init__(self, recorded: Entry, produced: Entry) -> None:
        self._recorded, self._produced = recorded["timeline"], produced["timeline"]
        self._tolerance: float = recorded.get("tolerance", 1.0)
        self._jitter: float = recorded.get("jitter", 0.0)
        self._any_node = set(recorded.get("anyNode", []))
        # Behind this a case with jitter may differ.
        self._end = recorded["duration"] * 0.7 if self._jitter else float("inf")
        self.found: list[str] = []

    # Sections

    def pods(self) -> None:
        recorded, produced = self._recorded["pods"], self._produced.get("pods", {})
        for name in sorted(set(recorded) | set(produced)):
            self._sequence(
                f"pod {name}", recorded.get(name, []), produced.get(name, []), _pod_key(name in self._any_node)
            )

    def slices(self) -> None:
        self._sequence("endpoint slice", self._recorded["slices"], self._produced.get("slices", []), _slice_key)

    def nodes(self) -> None:
        produced = self._produced.get("nodes", {})
        for name, entries in sorted(self._recorded.get("nodes", {}).items()):
            self._sequence(f"node {name}", entries, produced.get(name, []), _node_key)

    def runtime(self) -> None:
        recorded, produced = _by_container(self._recorded), _by_container(self._produced)
        for name in sorted(set(recorded) | set(produced)):
            self._align(f"runtime {name}", recorded.get(name, []), produced.get(name, []), _call_key, are_calls=True)

    def events(self) -> None:
        recorded, produced = _event_groups(self._recorded), _event_groups(self._produced)
        for key in sorted(set(recorded) | set(produced)):
            if key[2] == "Scheduled" and key[0].split("/")[1] in self._any_node:
                continue
            if key not in produced:
                if not recorded[key]["optional"]:
                    self.found.append(f"event missing: {key}")
                continue
            if key not in recorded:
                self.found.append(f"event not recorded: {key}")
                continue
            want, got = recorded[key], produced[key]
            share = 0.3 if self._jitter else 0.1
            least = 1 if self._jitter or want["count"] > 3 else 0
            if abs(want["count"] - got["count"]) > max(want["countTol"], round(want["count"] * share), least):
                self.found.append(f"event {key}: count {got['count']}, recorded {want['count']}")
            slack = max(self._tolerance, want["tol"]) + self._jitter * want["t"] + 1
            if not want["early"] - slack <= got["t"] <= want["t"] + slack:
                self.found.append(f"event {key}: first at {got['t']}, recorded at {want['t']}")

    def hits(self) -> None:
        recorded, produced = _hit_groups(self._recorded), _hit_groups(self._produced)
        for key in sorted(set(recorded) | set(produced), key=str):
            if key not in produced or key not in recorded:
                self.found.append(f"probe {key}: {'never made' if key not in produced else 'not recorded'}")
                continue
            want, got = recorded[key], produced[key]
            if abs(want["n"] - got["n"]) > max(1, want["nTol"], round(want["n"] * 0.15)):
                self.found.append(f"probe {key}: made {got['n']} times, recorded {want['n']}")
            slack = max(self._tolerance, want["tol"]) + self._jitter * want["t"]
            if not want["early"] - slack <= got["t"] <= want["t"] + slack:
                self.found.append(f"probe {key}: first at {got['t']}, recorded at {want['t']}")
            if got["headers"] and want["headers"] and sorted(want["headers"]) != sorted(got["headers"]):
                self.found.append(f"probe {key}: headers {got['headers']}, recorded {want['headers']}")

    # Sequences

    def _is_near(self, want: Entry, got: Entry, want_before: float | None, got_before: float | None) -> bool:
        tolerance = max(self._tolerance, want.get("tol", 0.0))
        if want.get("early", want["t"]) - tolerance <= got["t"] <= want["t"] + tolerance:
            return True
        if want_before is None or got_before is None:
            return False
        a, b = want["t"] - want_before, got["t"] - got_before
        longest = max(a, b)
        allowed: float = tolerance + self._jitter * longest if longest > 5 else tolerance
        return bool(abs(a - b) <= allowed)

    def _sequence(self, what: str, want: list[Entry], got: list[Entry], key: Key) -> None:
        self._align(what, _distinct(want, key), _distinct(got, key), key, are_calls=False)

    def _align(self, what: str, want: list[Entry], got: list[Entry], key: Key, *, are_calls: bool) -> None:
        """Of all ways to lay the two lists side by side the one with the fewest complaints counts."""
        lists = _Lists(want, got, [key(w) for w in want], [key(g) for g in got], self._end, are_calls)
        best: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {(-1, -1): (0, (-1, -1))}
        furthest = (-1, -1)
        pairs = [(i, j) for i in range(len(want)) for j in range(len(got)) if lists.want_keys[i] == lists.got_keys[j]]
        for i, j in sorted([(-1, -1), *pairs]):
            if (i, j) not in best:
                continue
            furthest = max(furthest, (i, j), key=sum)
            for nxt in lists.onward(i, j):
                before = (want[i]["t"] if i >= 0 else None, got[j]["t"] if j >= 0 else None)
                is_ok = self._is_near(want[nxt[0]], got[nxt[1]], *before)
                cost = best[i, j][0] + (not is_ok)
                if nxt not in best or cost < best[nxt][0]:
                    best[nxt] = (cost, (i, j))
        ends = [(cost, at) for at, (cost, _) in best.items() if lists.may_end(*at)]
        if not ends:
            self.found.append(f"{what}: {lists.complaint(*furthest)}")
            return
        _, at = min(ends)
        path = []
        while at != (-1, -1):
            path.append(at)
            at = best[at][1]
        last: tuple[float | None, float | None] = (None, None)
        for i, j in reversed(path):
            if not self._is_near(want[i], got[j], *last):
                allowed = max(self._tolerance, want[i].get("tol", 0))
                self.found.append(
                    f"{what}: at {got[j]['t']}, recorded at {want[i]['t']} (tolerance {allowed}): "
                    f"{lists.want_keys[i][:160]}"
                )
            last = (want[i]["t"], got[j]["t"])


@dataclass(frozen=True, slots=True)
class _Lists:
    """Two lists of entries laid side by side."""

    want: list[Entry]
    got: list[Entry]
    want_keys: list[str]
    got_keys: list[str]
    end: float
    are_calls: bool

    def may_miss(self, n: int, last: int) -> bool:
        """Whether recorded entry `n` may be missing, `last` being the recorded entry matched before."""
        entry = self.want[n]
        if entry.get("optional") or entry["t"] > self.end:
            return True
        if not self.are_calls and entry.get("type") not in ("ADDED", "DELETED") and self._is_brief(n):
            return True
        return last >= 0 and n > last + 1 and self.want_keys[n] == self.want_keys[last]

    def _is_brief(self, n: int) -> bool:
        later = self.want[n + 1 :]
        following = later[:1] + [e for e in later if not e.get("optional")][:1]
        return any(min(e.get("early", e["t"]), e["t"]) - self.want[n]["t"] < BRIEF_S for e in following)

    def may_add(self, m: int, last: int) -> bool:
        """Whether produced entry `m` may be there although it was not recorded."""
        if self.got[m]["t"] > self.end:
            return True
        lasted = self.got[m + 1]["t"] - self.got[m]["t"] if m + 1 < len(self.got) else float("inf")
        around = self.want_keys[max(0, last) : last + 5]
        return not self.are_calls and lasted < BRIEF_S and _is_mixed(self.got_keys[m], around)

    def onward(self, i: int, j: int) -> list[tuple[int, int]]:
        """Pairs that may be matched next after (i, j)."""
        found = []
        for di in range(1, _AHEAD_RECORDED):
            if i + di >= len(self.want) or (di > 1 and not self.may_miss(i + di - 1, i)):
                break
            for dj in range(1, _AHEAD_PRODUCED):
                if j + dj >= len(self.got) or (dj > 1 and not self.may_add(j + dj - 1, i)):
                    break
                if self.want_keys[i + di] == self.got_keys[j + dj]:
                    found.append((i + di, j + dj))
        return found

    def may_end(self, i: int, j: int) -> bool:
        return all(self.may_miss(n, i) for n in range(i + 1, len(self.want))) and all(
            self.may_add(m, i) for m in range(j + 1, len(self.got))
        )

    def complaint(self, i: int, j: int) -> str:
        """Why nothing can be matched after (i, j)."""
        n = next((x for x in range(i + 1, len(self.want)) if not self.may_miss(x, i)), None)
        m = next((x for x in range(j + 1, len(self.got)) if not self.may_add(x, i)), None)
        if n is not None and m is not None:
            difference = _difference(self.want_keys[n], self.got_keys[m])
            return f"entry at {self.got[m]['t']} (recorded {self.want[n]['t']}): {difference[:600]}"
        if n is not None:
            return f"never came: at {self.want[n]['t']} {self.want_keys[n][:300]}"
        if m is not None:
            return f"at {self.got[m]['t']} one more than recorded: {self.got_keys[m][:300]}"
        return f"the states do not follow one another as recorded, from {self.got[j]['t'] if j >= 0 else 0} on"


def _by_container(timeline: Entry) -> dict[str, list[Entry]]:
    calls: dict[str, list[Entry]] = {}
    for entry in timeline.get("runtime", []):
        if entry["call"] in _CALLS:
            calls.setdefault(f"{entry['pod']}/{entry.get('container') or ''}", []).append(entry)
    return calls


def _event_groups(timeline: Entry) -> dict[tuple[str, ...], Entry]:
    groups: dict[tuple[str, ...], Entry] = {}
    for event in timeline["events"]:
        if event["reason"] in _OF_THE_MACHINE:
            continue
        key = (event["object"], event["type"], event["reason"], event["message"], event.get("source") or "")
        first = {
            "t": event["t"],
            "count": 0,
            "optional": event.get("optional"),
            "tol": event.get("tol", 0),
            "countTol": event.get("countTol", 0),
            "early": event.get("early", event["t"]),
        }
        group = groups.setdefault(key, first)
        group["count"] = max(group["count"], event.get("count", 1))
    return groups


def _hit_groups(timeline: Entry) -> dict[tuple[Any, ...], Entry]:
    groups: dict[tuple[Any, ...], Entry] = {}
    for hit in timeline["hits"]:
        if hit["kind"] in ("hangup", "tcp"):
            continue
        target = hit.get("path") or hit.get("service") or " ".join(hit.get("cmd", []))
        key = (hit["pod"], hit["container"], hit.get("attempt", 0), hit["kind"], hit.get("port"), target)
        first = {
            "t": hit["t"],
            "n": 0,
            "headers": hit.get("headers"),
            "tol": hit.get("tol", 0),
            "early": hit.get("early", hit["t"]),
            "nTol": hit.get("nTol", 0),
        }
        groups.setdefault(key, first)["n"] += 1
    return groups
