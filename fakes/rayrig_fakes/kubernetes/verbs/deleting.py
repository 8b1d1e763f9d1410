"""Delete and deletecollection: preconditions, grace, finalizers, propagation (`kubernetes-api.md` sections 3 and 7)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.ports import PropagationPolicy
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.storage.store import Stored
from rayrig_fakes.kubernetes.verbs.reading import Reader

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


class Deleter:
    """Takes objects away, or marks them when something still holds them."""

    __slots__ = ("_reader", "_state")

    def __init__(self, state: ServerState, reader: Reader) -> None:
        self._state = state
        self._reader = reader

    def delete(self, served: Served, call: ApiCall) -> Answer:
        """The object when it stays (or its kind always answers so), else a Status. Raises `ApiError` 403, 404, 409."""
        stored = self._reader.stored(served, call.namespace, call.name)
        self.check(served, call, stored.obj)
        gone, last = self._delete(served, call, stored)
        if gone and not served.rules.returns_deleted:
            details: JsonObject = {"name": call.name}
            if served.type.group:
                details["group"] = served.type.group
            details |= {"kind": served.type.plural, "uid": last.obj["metadata"]["uid"]}
            return Answer(200, status.success(details))
        shown = self._reader.shown(served, last)
        return Answer(200, shown.obj, shown)

    def delete_collection(self, served: Served, call: ApiCall) -> list[Stored]:
        """Deletes what the selectors match; returns the objects as they were before."""
        found = self._reader.list(served, call).items
        deleted = []
        for stored in found:
            meta = stored.obj["metadata"]
            single = call._replace(
                verb="delete",
                namespace=meta.get("namespace", ""),
                name=meta["name"],
                label_selector="",
                field_selector="",
            )
            current = self._state.collection(served).get(served.key(single.namespace, single.name))
            if current is not None:
                self.check(served, single, current.obj)
                self._delete(served, single, current)
                deleted.append(self._reader.shown(served, current))
        return deleted

    def check(self, served: Served, call: ApiCall, obj: JsonObject) -> None:
        """Raises `Conflict` when a precondition does not hold, and what the kind has against the deletion."""
        wanted, meta = call.preconditions, obj["metadata"]
        if wanted is not None:
            if wanted.uid is not None and wanted.uid != meta["uid"]:
                raise status.failed_precondition(served.type, call.name, "UID", wanted.uid, meta["uid"])
            version = wanted.resource_version
            if version is not None and version != meta["resourceVersion"]:
                found = meta["resourceVersion"]
                raise status.failed_precondition(served.type, call.name, "ResourceVersion", version, found)
        served.rules.check_deletion(obj)

    def _delete(self, served: Served, call: ApiCall, stored: Stored) -> tuple[bool, Stored]:
        """(gone, last state)."""
        state, rules = self._state, served.rules
        old = stored.obj
        old_meta = old["metadata"]
        now = state.now_unix_ns()
        finalizers = _with_policy(old_meta.get("finalizers") or [], call.propagation_policy)
        holders = rules.holds_deletion(old)
        period = rules.grace_period(old, call.grace_period_seconds) if rules.graceful else 0
        obj, meta = dict(old), dict(old_meta)
        obj["metadata"] = meta
        marks = rules.graceful or bool(finalizers) or holders
        if old_meta.get("deletionTimestamp"):
            # A later delete that says so may shorten the grace, counted from the first, never lengthen it (K8-063).
            left = old_meta.get("deletionGracePeriodSeconds") or 0
            asked = call.grace_period_seconds
            if asked is not None and (period := asked if asked >= 0 else 1) < left:
                ends = parse_rfc3339(old_meta["deletionTimestamp"]) + (period - left) * NS
                if ends < now:
                    # It would be over: a moment is left.
                    ends, period = now, min(period, 1)
                meta["deletionGracePeriodSeconds"] = period
                meta["deletionTimestamp"] = rfc3339(ends)
            else:
                period = left
        elif marks:
            meta["deletionTimestamp"] = rfc3339(now + period * NS)
            meta["deletionGracePeriodSeconds"] = period
            if meta.get("generation"):
                meta["generation"] += 1
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
        if marks and not old_meta.get("deletionTimestamp"):
            rules.on_deletion_marked(obj)
        gone = not finalizers and not holders and period == 0
        if call.dry_run:
            return gone, Stored(obj, stored.revision)
        key, collection = served.key(old_meta.get("namespace", ""), old_meta["name"]), state.collection(served)
        if marks and obj != old:
            cause = state.emit_write("delete", served, key, "terminating")
            stored = collection.put(key, obj, now, cause)
            rules.after_commit(obj, old)
        if gone:
            last = dict(stored.obj)
            last["metadata"] = dict(last["metadata"])
            cause = state.emit_write("delete", served, key)
            stored = collection.remove(key, last, now, cause)
            rules.after_removal(last)
        return gone, stored


def _with_policy(finalizers: list[str], policy: PropagationPolicy | None) -> list[str]:
    """Finalizers after a delete with that policy; without one those that are there stay."""
    if policy is None:
        return list(finalizers)
    kept = [finalizer for finalizer in finalizers if finalizer not in (ORPHAN, FOREGROUND)]
    if policy == "Orphan":
        kept.append(ORPHAN)
    elif policy == "Foreground":
        kept.append(FOREGROUND)
    return kept
