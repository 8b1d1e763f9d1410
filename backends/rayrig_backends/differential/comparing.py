"""Two answers to one request, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rayrig_backends.differential.unknowns import Unknowns
from rayrig_core.objects import Json, JsonObject

#: Headers a client may act on.
HEADERS = ("content-type", "warning", "retry-after", "www-authenticate", "location", "allow", "cache-control")
ABSENT = "(absent)"
#: Objects that a cluster puts in every namespace by itself.
_FURNITURE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_LIST_SUFFIX = "List"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request got: a whole answer, or the events of a watch that began with it."""

    status: int
    #: Lower-case names; those that repeat are joined in order.
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    #: Events as JSON values; None when the answer was no stream.
    events: tuple[Json, ...] | None = None
    #: No answer came: why.
    failure: str = ""

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    def value(self) -> Json:
        """The body as JSON or YAML, or as its text."""
        kind = self.header("content-type")
        text = self.body.decode("utf-8", "replace")
        if "json" in kind:
            try:
                return json.loads(text)
            except ValueError:
                return text
        if "yaml" in kind:
            return _of_yaml(text)
        return text


def _of_yaml(text: str) -> Json:
    """YAML as its scalars are written, so that times stay texts."""
    import yaml  # Heavy, and rarely answered.

    try:
        parsed: Json = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return text
    return parsed


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the answers part. `at` is `status`, `header X`, or a JSON path; values are shown as JSON."""

    at: str
    left: str
    right: str


@dataclass(slots=True)
class Comparison:
    """Compares the answers of one story, one pair after the other."""

    unknowns: Unknowns = field(default_factory=Unknowns)

    def expect_name(self, prefix: str) -> None:
        """A request asks for a name with that beginning."""
        self.unknowns.prefixes.append(prefix)

    def of(self, left: Answer, right: Answer) -> list[Difference]:
        """Where the answers differ, in order; after a different status nothing else is looked at but the message."""
        if left.failure or right.failure:
            if left.failure == right.failure:
                return []
            return [Difference("failure", left.failure or str(left.status), right.failure or str(right.status))]
        if left.status != right.status:
            return [Difference("status", _answered(left), _answered(right))]
        found = [
            Difference(f"header {name}", left.header(name) or ABSENT, right.header(name) or ABSENT)
            for name in HEADERS
            if not self.unknowns.agree("", left.header(name), right.header(name))
        ]
        if left.events is not None and right.events is not None:
            return found + list(self._events(left.events, right.events))
        ours, theirs = left.value(), right.value()
        if isinstance(ours, dict) and isinstance(theirs, dict):
            _loosen(ours)
            _loosen(theirs)
        return found + list(self._values(ours, theirs, "", ""))

    # Values

    def _values(self, left: Json, right: Json, path: str, name: str, of_list: bool = False) -> Iterator[Difference]:
        if isinstance(left, dict) and isinstance(right, dict):
            yield from self._objects(left, right, path)
        elif isinstance(left, list) and isinstance(right, list):
            yield from self._lists(left, right, path, name)
        elif isinstance(left, str) and isinstance(right, str):
            if not self.unknowns.agree(name, left, right, of_list=of_list):
                yield Difference(path or "body", shown(left), shown(right))
        elif (type(left) is not type(right) and not _numbers(left, right)) or left != right:
            yield Difference(path or "body", shown(left), shown(right))

    def _objects(self, left: JsonObject, right: JsonObject, path: str) -> Iterator[Difference]:
        self._bind_identity(left, right)
        is_list = path == "" and str(left.get("kind", "")).endswith((_LIST_SUFFIX, "Table"))
        # Of a list, a table or a bookmark.
        of_list = path.endswith("metadata") and "uid" not in left and "name" not in left
        if is_list:
            left, right = _without_furniture(left), _without_furniture(right)
        right = self._same_keys(left, right)
        for key in dict.fromkeys((*left, *right)):
            below = f"{path}.{_key(key)}" if path else _key(key)
            one, other = left.get(key), right.get(key)
            if one is None and other is None:
                continue
            if one is None or other is None:
                yield Difference(below, shown(one, key in left), shown(other, key in right))
                continue
            yield from self._values(one, other, below, key, of_list)

    def _same_keys(self, left: JsonObject, right: JsonObject) -> JsonObject:
        """Keys that hold unknowns (`k:{"uid":"…"}`) are those of the left where they agree."""
        only = [key for key in left if key not in right]
        others = [key for key in right if key not in left]
        renamed = {}
        for key in only:
            match = next(
                (other for other in others if other not in renamed and self.unknowns.agree("", key, other)), None
            )
            if match is not None:
                renamed[match] = key
        return {renamed.get(key, key): value for key, value in right.items()} if renamed else right

    def _lists(self, left: list[Any], right: list[Any], path: str, name: str) -> Iterator[Difference]:
        if name == "managedFields":
            left, right = sorted(left, key=_manager), sorted(right, key=_manager)
        if len(left) != len(right):
            yield Difference(path, f"{len(left)} elements: {shown(left)}", f"{len(right)} elements: {shown(right)}")
            return
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from self._values(one, other, f"{path}[{index}]", name)

    def _bind_identity(self, left: JsonObject, right: JsonObject) -> None:
        """Generated names of two objects that stand at the same place."""
        prefix = left.get("generateName")
        names = left.get("name"), right.get("name")
        if isinstance(prefix, str) and prefix == right.get("generateName") and names[0] != names[1]:
            self.unknowns.bind_name(prefix, str(names[0]), str(names[1]))

    # Watches

    def _events(self, left: tuple[Json, ...], right: tuple[Json, ...]) -> Iterator[Difference]:
        ours, theirs = notable(left), notable(right)
        told = _line(ours), _line(theirs)
        for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one.get("type") != other.get("type"):
                yield Difference("events", told[0], told[1])
                return
            found = list(self._values(one.get("object"), other.get("object"), f"events[{index}].object", "object"))
            yield from found
            if found:
                return
        if len(ours) != len(theirs):
            yield Difference("events", told[0], told[1])


def notable(events: Sequence[Json]) -> list[JsonObject]:
    """Without bookmarks that come by the clock, and without what a cluster puts into every namespace."""
    found = []
    for event in events:
        if not isinstance(event, dict):
            found.append({"type": "(not an event)", "object": {"text": event}})
            continue
        shape = event.get("object")
        meta = (shape.get("metadata") or {}) if isinstance(shape, dict) else {}
        if event.get("type") == "BOOKMARK" and not (isinstance(meta, dict) and meta.get("annotations")):
            continue
        if isinstance(shape, dict) and _is_furniture(shape):
            continue
        found.append(event)
    return found


def _line(events: list[JsonObject]) -> str:
    """`ADDED a, MODIFIED a`."""
    parts = []
    for event in events:
        shape = event.get("object")
        meta = (shape.get("metadata") or {}) if isinstance(shape, dict) else {}
        parts.append(f"{event.get('type')} {meta.get('name', '') if isinstance(meta, dict) else ''}".strip())
    return ", ".join(parts) or "(none)"


def _is_furniture(shape: JsonObject) -> bool:
    meta = shape.get("metadata")
    return isinstance(meta, dict) and (shape.get("kind"), meta.get("name")) in _FURNITURE


def _without_furniture(answer: JsonObject) -> JsonObject:
    items = answer.get("items")
    if not isinstance(items, list):
        return answer
    kind = str(answer.get("kind", "")).removesuffix(_LIST_SUFFIX)
    kept = [item for item in items if not (isinstance(item, dict) and _is_furniture({"kind": kind, **item}))]
    return {**answer, "items": kept}


def _loosen(body: JsonObject) -> None:
    """Several causes come in any order, in the list and in the message: one server's own answers differ in it."""
    details = body.get("details")
    if body.get("kind") != "Status" or not isinstance(details, dict):
        return
    causes = details.get("causes")
    if isinstance(causes, list) and len(causes) > 1:
        causes.sort(key=lambda cause: json.dumps(cause, sort_keys=True))
        if isinstance(body.get("message"), str):
            body["message"] = body["message"].split(": [")[0]


def _manager(entry: Any) -> str:
    """Entries of managedFields are sorted by time, which is not the same on both sides."""
    if not isinstance(entry, dict):
        return ""
    return "/".join(str(entry.get(part, "")) for part in ("manager", "operation", "apiVersion", "subresource"))


def _numbers(left: Json, right: Json) -> bool:
    return all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (left, right))


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key, ensure_ascii=False)


def _answered(answer: Answer) -> str:
    """`404 configmaps "a" not found`."""
    if answer.events is not None:
        return f"{answer.status} (a stream)"
    value = answer.value()
    said = value.get("message") or value.get("kind", "") if isinstance(value, dict) else value
    return f"{answer.status} {said if isinstance(said, str) else shown(said)}".strip()


def shown(value: Any, present: bool = True) -> str:
    """A value as JSON; None of an absent field is told apart from null."""
    if value is None and not present:
        return ABSENT
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
