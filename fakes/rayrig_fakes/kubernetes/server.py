"""The API server: typed calls in, answers and watch cursors out. No sockets, no clock of its own, no waiting."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from rayrig_core.errors import ApiError
from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject, Vouched
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, ResourceType
from rayrig_core.timestamps import rfc3339
from rayrig_core.trace import Kind, Trace
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import WRITES, Answer, ApiCall, Page
from rayrig_fakes.kubernetes.identity import ADMIN
from rayrig_fakes.kubernetes.kinds.builtin import install
from rayrig_fakes.kubernetes.kinds.reviews import ReviewRules
from rayrig_fakes.kubernetes.registry import Registry, Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.storage.store import Store
from rayrig_fakes.kubernetes.storage.watch import WatchCursor
from rayrig_fakes.kubernetes.verbs.deleting import Deleter
from rayrig_fakes.kubernetes.verbs.reading import Reader
from rayrig_fakes.kubernetes.verbs.subresources import Subresources
from rayrig_fakes.kubernetes.verbs.vouched import VouchedWriter
from rayrig_fakes.kubernetes.verbs.writing import Writer

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.tables.cells import Column
    from rayrig_fakes.kubernetes.tables.printing import Row

#: Namespaces that are there from the beginning.
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_RBAC, _GRANTING = "rbac.authorization.k8s.io", ("create", "update", "patch")


class ApiServer:
    """One fake cluster's API. Every write emits `api.write`, every refused one `api.refused`; reads emit nothing."""

    __slots__ = ("_deleter", "_reader", "_subresources", "_vouched", "_writer", "state")

    def __init__(
        self,
        now_unix_ns: Callable[[], int],
        rng: Random,
        *,
        trace: Trace | None = None,
        history_limit: int = 100_000,
    ) -> None:
        """`now_unix_ns` stamps objects; `rng` gives uids, suffixes and addresses; `history_limit` changes are kept per
        resource before the older half is forgotten."""
        registry = Registry()
        self.state = state = ServerState(Store(history_limit), registry, now_unix_ns, rng, trace)
        install(state)
        self._reader = Reader(state)
        self._writer = Writer(state)
        self._vouched = VouchedWriter(state, self._writer)
        self._deleter = Deleter(state, self._reader)
        self._subresources = Subresources(state, self._reader, self._writer, self._deleter)
        for name in FIRST_NAMESPACES:
            self._add_namespace(name)
        # A server knows no history from before its start.
        self.compact()

    def _add_namespace(self, name: str) -> None:
        state = self.state
        now = state.now_unix_ns()
        obj: JsonObject = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": random_uuid(state.rng),
                "creationTimestamp": rfc3339(now),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        state.store.collection(NAMESPACE.plural).put(name, obj, now)

    def add_definitions(self, definitions: Iterable[JsonObject], *, trusted: bool = False) -> None:
        """Serve custom resources from the start, without a trace event. Raises `Invalid` for a bad definition.

        `trusted`: the definitions are known to be good.
        """
        state = self.state
        trace, state.trace = state.trace, None
        try:
            for definition in definitions:
                self.call(ApiCall("create", CUSTOM_RESOURCE_DEFINITION, body=definition, trusted=trusted))
        finally:
            state.trace = trace

    # What both faces call

    def served(self, resource: ResourceType) -> Served:
        """Raises `NotFound` when the resource is not served."""
        found = self.state.registry.find(resource)
        if found is None:
            raise status.unknown_resource()
        return found

    def call(self, call: ApiCall) -> Answer:
        """Any verb but list and watch. Raises `ApiError`."""
        served = self.state.registry.find(call.resource)
        if served is None:
            raise status.unknown_resource()
        if call.verb == "get" and not call.subresource:
            return self._reader.get(served, call)
        try:
            return self._act(served, call)
        except ApiError as refused:
            self._refuse(served, call, refused)
            raise

    def _act(self, served: Served, call: ApiCall) -> Answer:
        if served.verbs and call.verb not in served.verbs:
            raise status.method_not_allowed()
        if type(call.body) is Vouched:
            if (answer := self._vouched.write(served, call)) is not None:
                return answer
            if not call.subresource or call.subresource == "status":
                call = call._replace(body=dict(call.body))
        if isinstance(served.rules, ReviewRules):
            return served.rules.answer(served, call)
        if served.type.group == _RBAC and call.verb in _GRANTING and self.state.authorizer.enforces_roles:
            self._check_grant(served, call)
        if call.subresource and not (call.subresource == "status" and served.rules.has_status):
            return self._subresources.call(served, call)
        if call.verb == "get":
            return self._reader.get(served, call)
        if call.verb == "create" and not call.subresource:
            return self._writer.create(served, call)
        if call.verb == "update":
            return self._writer.update(served, call)
        if call.verb == "patch":
            return self._writer.patch(served, call)
        if call.verb == "delete" and not call.subresource:
            return self._deleter.delete(served, call)
        raise status.method_not_allowed()

    def _check_grant(self, served: Served, call: ApiCall) -> None:
        """Raises `ApiError` 403 when a role or binding would give what its writer does not have."""
        current = self.state.lookup(served.storage, served.key(call.namespace, call.name)) if call.name else None
        writer = self._writer
        trial = call._replace(dry_run=True)
        tried = writer.create if call.verb == "create" else writer.update if call.verb == "update" else writer.patch
        obj = tried(served, trial).body
        self.state.authorizer.check_grant(call.user or ADMIN, served.type, obj, current)

    def _refuse(self, served: Served, call: ApiCall, refused: ApiError) -> None:
        trace = self.state.trace
        if trace is None or call.verb not in WRITES or call.dry_run:
            return
        name = call.name
        if not name and isinstance(call.body, dict):
            meta = call.body.get("metadata")
            if isinstance(meta, dict):
                name = str(meta.get("name") or meta.get("generateName") or "")
        subject = served.subject_of(call.namespace, name)
        trace.emit(Kind.API_REFUSED, subject, call.verb, served.subject, refused.code, refused.reason)

    def list(self, call: ApiCall) -> Page:
        """Shared objects in key order. Raises `ApiError`."""
        return self._reader.list(self.served(call.resource), call)

    def delete_collection(self, call: ApiCall) -> Page:
        """What was deleted. Raises `ApiError`."""
        served = self.served(call.resource)
        if (served.type.namespaced and not call.namespace) or served.type == NAMESPACE:
            raise status.method_not_allowed()
        # The list is that of before.
        revision = self.state.store.revision
        return Page(self._deleter.delete_collection(served, call), revision)

    def watch(self, call: ApiCall) -> WatchCursor:
        """Raises `ApiError`; that a revision is compacted shows when the first event is taken."""
        return self._reader.watch(self.served(call.resource), call)

    # Administration: for tests, reports and fault plans

    def objects(self, resource: ResourceType, namespace: str = "") -> builtins.list[JsonObject]:
        """Current objects in key order, shared: read only. Empty for what is not served."""
        served = self.state.registry.find(resource)
        if served is None:
            return []
        return [self._reader.shown(served, stored).obj for stored in self.state.collection(served).scan(namespace)]

    def object(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject | None:
        """A current object, shared: read only."""
        served = self.state.registry.find(resource)
        if served is None:
            return None
        stored = self.state.collection(served).get(served.key(namespace, name))
        return self._reader.shown(served, stored).obj if stored is not None else None

    def table(self, resource: ResourceType, namespace: str = "") -> tuple[builtins.list[Column], builtins.list[Row]]:
        """Columns and rows of the current objects, as `kubectl get` would show them. Raises `NotFound`."""
        from rayrig_fakes.kubernetes.tables.printing import table

        return table(self.served(resource), self.objects(resource, namespace), self.state.now_unix_ns())

    @property
    def revision(self) -> int:
        return self.state.store.revision

    def compact(self, revision: int | None = None) -> None:
        """Forget history up to `revision` (all of it when None): older reads and watches answer 410 (K8-058)."""
        self.state.store.compact(self.state.store.revision if revision is None else revision)
