"""Get, list and watch (`kubernetes-api.md` section 5)."""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections.abc import Iterator

from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import StaleRead
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import to_ns
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.bodies import Malformed, parse_json
from rayrig_fakes.kubernetes.calls import Answer, ApiCall, Page
from rayrig_fakes.kubernetes.json_syntax import syntax_error
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.selectors import ObjectPredicate, equal_label, object_predicate, parse_field_selector
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.storage.feeds import EVERYTHING, Selection
from rayrig_fakes.kubernetes.storage.store import Collection, Stored
from rayrig_fakes.kubernetes.storage.watch import WatchCursor
from rayrig_fakes.kubernetes.typed.decoding import json_type

_TOKEN_VERSION = "meta.k8s.io/v1"

_TOKEN_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Reader:
    """Answers reads. What it returns is shared with the store."""

    __slots__ = ("_state",)

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def get(self, served: Served, call: ApiCall) -> Answer:
        if call.resource_version:
            asked, now = parse_revision(call.resource_version), self._state.store.revision
            if asked > now:
                raise too_large(asked, now)
        if call.stale is None:
            stored = self.stored(served, call.namespace, call.name)
        else:
            stored = self._stored_once(served, call, call.stale)
        if served.rules.serves_stored_form:
            return Answer(200, stored.obj, stored)
        shown = self.shown(served, stored)
        return Answer(200, shown.obj, shown)

    def stored(self, served: Served, namespace: str, name: str) -> Stored:
        """Raises `NotFound`."""
        found = self._state.store.collection(served.storage).get(served.key(namespace, name))
        if found is None:
            raise status.not_found(served.type, name)
        return found

    def _stored_once(self, served: Served, call: ApiCall, stale: StaleRead) -> Stored:
        """Raises `NotFound`."""
        collection = self._state.collection(served)
        then = collection.snapshot(self._stale_revision(collection, stale))
        obj = then.get(served.key(call.namespace, call.name))
        if obj is None:
            raise status.not_found(served.type, call.name)
        return Stored(obj, int(obj["metadata"]["resourceVersion"]))

    def _stale_revision(self, collection: Collection, stale: StaleRead) -> int:
        """The older state that a stale read shows; the present one when there is none."""
        log = collection.log
        entries = log.entries
        if stale.lag_s > 0:
            then = self._state.now_unix_ns() - to_ns(stale.lag_s)
            place = bisect_right(entries, then, key=lambda change: change.unix_ns)
        else:
            place = max(0, len(entries) - stale.changes)
        if place >= len(entries):
            return self._state.store.revision
        return max(log.compacted, entries[place].revision - 1)

    def shown(self, served: Served, stored: Stored) -> Stored:
        """In the version it is asked for."""
        if served.rules.serves_stored_form:
            return stored
        return Stored(served.rules.served_form(stored.obj), stored.revision)

    def predicate(self, served: Served, call: ApiCall) -> ObjectPredicate | None:
        if not call.label_selector and not call.field_selector:
            return None
        return object_predicate(call.label_selector, call.field_selector, served.fields, served.unsupported_field)

    def list(self, served: Served, call: ApiCall) -> Page:
        """Objects in key order. Raises `ApiError` 400 for bad selectors and tokens, `Gone` for compacted revisions."""
        matches = self.predicate(served, call)
        collection = self._state.collection(served)
        revision, after = self._where(collection, call, is_custom=served.rules.is_custom)
        if call.stale is not None and not call.continue_token:
            revision = min(revision, self._stale_revision(collection, call.stale))
        now = self._state.store.revision
        if revision == now or collection.log.after(revision) == collection.log.end:
            source: Iterator[Stored] = collection.scan(call.namespace, after=after)
        else:
            source = _scan_snapshot(collection.snapshot(revision), call.namespace, after)
        # What is answered from the watch cache comes whole.
        limit = 0 if call.resource_version == "0" and not call.continue_token else call.limit
        shown: list[Stored] = []
        if limit <= 0:
            for stored in source:
                one = self.shown(served, stored)
                if matches is None or matches(one.obj):
                    shown.append(one)
            return Page(shown, revision)
        remaining = 0
        last_key = ""
        for stored in source:
            one = self.shown(served, stored)
            if matches is not None and not matches(one.obj):
                continue
            if len(shown) < limit:
                shown.append(one)
                meta = one.obj["metadata"]
                last_key = served.key(meta.get("namespace", ""), meta["name"])
            else:
                remaining += 1
        if not remaining:
            return Page(shown, revision)
        return Page(shown, revision, _token(revision, last_key), remaining if matches is None else None)

    def _where(self, collection: Collection, call: ApiCall, *, is_custom: bool) -> tuple[int, str]:
        """Revision to read at, and the key to go on after."""
        now = self._state.store.revision
        if call.continue_token:
            revision, after = _parse_token(call.continue_token, is_custom=is_custom)
            if call.resource_version not in ("", "0"):
                raise status.bad_request("specifying resource version is not allowed when using continue")
            if revision < 0:
                revision = now
            if revision < collection.log.compacted:
                text = (
                    "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    "list without the continue parameter, or use the continue token in this response to retrieve the "
                    "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                    "objects that were created, modified, or deleted between the time the first chunk was returned and "
                    "now may show up in the list."
                )
                raise status.expired(text, _token(-1, after))
            return revision, after
        if call.resource_version in ("", "0"):
            return now, ""
        asked = parse_revision(call.resource_version, in_list=True)
        if asked > now:
            # Pages and exact versions are read where there is nothing to wait for.
            raise too_large(asked, now, waits=not call.limit and call.resource_version_match != "Exact")
        if call.resource_version_match == "Exact":
            if asked < collection.log.compacted:
                raise status.expired("The resourceVersion for the provided list is too old.")
            return asked, ""
        return now, ""

    def watch(self, served: Served, call: ApiCall) -> WatchCursor:
        """A cursor after `resource_version`, or with the present objects as ADDED first when there is none.

        A revision that is compacted shows when the first event is taken.
        """
        collection = self._state.collection(served)
        selection = self._selection(served, call)
        version = call.resource_version
        now = self._state.store.revision
        if call.send_initial_events and version and (asked := parse_revision(version)) > now:
            return WatchCursor(collection, selection, lost=too_large(asked, now), waits_for=asked)
        if version in ("", "0") or call.send_initial_events:
            initial = collection.feed.initial(selection, lambda: collection.scan(selection.namespace))
            return WatchCursor(collection, selection, initial=initial)
        asked = parse_revision(version)
        compacted = collection.log.compacted
        if asked < compacted:
            return WatchCursor(
                collection, selection, lost=status.expired(f"too old resource version: {asked} ({compacted})")
            )
        return WatchCursor(collection, selection, after=asked)

    def _selection(self, served: Served, call: ApiCall) -> Selection:
        namespace = call.namespace if served.type.namespaced else ""
        matches = self.predicate(served, call)
        present = None if served.rules.serves_stored_form else served.rules.served_form
        if matches is None and present is None and not namespace:
            return EVERYTHING
        key, field, label = "", None, None
        wanted = parse_field_selector(call.field_selector)
        for path, operator, value in wanted:
            if operator != "=":
                continue
            if path == "metadata.name" and (namespace or not served.type.namespaced):
                key = served.key(namespace, value)
            elif path not in ("metadata.name", "metadata.namespace") or not namespace:
                field = (path, served.fields[path], value)
        if not key and field is None and call.label_selector:
            label = equal_label(call.label_selector)
        # The resource as it is served now: a definition that changes makes another.
        identity = (id(served), namespace, call.label_selector, call.field_selector)
        field = None if key else field
        is_by_field_alone = (
            field is not None and len(wanted) == 1 and not (namespace or call.label_selector) and present is None
        )
        return Selection(identity, namespace, matches, present, key, field, label, served, is_by_field_alone)


def too_large(asked: int, now: int, *, waits: bool = True) -> ApiError:
    """`waits`: who serves requests waits for the version a while, and asks again, before it says so."""
    details: JsonObject = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    }
    if waits:
        details["retryAfterSeconds"] = 1
    return status.error(504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {now}", details)


def parse_revision(version: str, *, in_list: bool = False) -> int:
    """Raises `ApiError`: 400 in a list, 500 in a watch."""
    if not version.isdecimal():
        text = f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        if in_list:
            raise status.bad_request(f"invalid resource version: resourceVersion: {text}")
        raise status.error(500, "", f"resourceVersion: {text}")
    return int(version)


def _scan_snapshot(snapshot: dict[str, JsonObject], namespace: str, after: str) -> Iterator[Stored]:
    prefix = f"{namespace}/" if namespace else ""
    for key, obj in snapshot.items():
        if key > after and key.startswith(prefix):
            yield Stored(obj, int(obj["metadata"]["resourceVersion"]))


def _token(revision: int, last_key: str) -> str:
    """Where a list goes on: opaque to clients. Revision -1 means the present state."""
    text = json.dumps({"v": _TOKEN_VERSION, "rv": revision, "start": last_key + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_token(token: str, *, is_custom: bool) -> tuple[int, str]:
    """(revision, key) of a continue token. Raises `ApiError` 400."""
    stray = next((at for at, letter in enumerate(token) if letter not in _TOKEN_ALPHABET), None)
    if stray is not None or len(token) % 4 == 1:
        raise _bad_token(f"illegal base64 data at input byte {len(token) - 1 if stray is None else stray}")
    packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        value = parse_json(packed.decode("utf-8", "surrogateescape"))
    except Malformed as problem:
        # A byte that cannot be is named as a byte in lists of built-in kinds, as a letter in those of custom ones (both recorded).
        why = syntax_error(packed.decode("latin-1"), in_letters=True) if is_custom else str(problem)
        raise _bad_token(why) from None
    if not isinstance(value, dict):
        raise _bad_token(f"json: cannot unmarshal {json_type(value)} into Go value of type storage.continueToken")
    version, revision, start = value.get("v", ""), value.get("rv", 0), value.get("start", "")
    if version != _TOKEN_VERSION or type(revision) is not int or not isinstance(start, str):
        raise _bad_token(f"server does not recognize this encoded version {version}")
    if not start:
        raise _bad_token(f"encoded start key empty (version {version})")
    return revision, packed_text(start).rstrip("\0")


def _bad_token(why: str) -> Exception:
    return status.bad_request(f"invalid continue token: continue key is not valid: {why}")


def packed_text(text: str) -> str:
    """UTF-8 that was read byte by byte."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
