"""The `KubernetesClient` port in front of a server in this process: no JSON, no HTTP, but latency, faults and interleaving."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from rayrig_core import faultpoints
from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import Faults, Reaction
from rayrig_core.objects import Json, JsonObject, Vouched
from rayrig_core.ports import (
    Cancelled,
    ObjectList,
    PatchType,
    Preconditions,
    PropagationPolicy,
    Runtime,
    Signal,
    Watched,
    WatchStream,
    WatchType,
)
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.revisions import Change
from rayrig_fakes.kubernetes.storage.watch import WatchCursor


def struck(reaction: faultpoints.ErrorBefore) -> ApiError:
    """The error that a fault makes of a call."""
    retry = reaction.retry_after_s
    details: JsonObject | None = {"retryAfterSeconds": retry} if retry else None
    return status.error(reaction.code, reaction.reason, reaction.message, details)


class InProcessClient:
    """One actor's connection. Half of a call's latency passes before its effect and half after; a fault may strike at either.

    The fault point of a call is (actor, verb, `plural/namespace/name[/subresource]`); that of a watch event is (actor, `deliver`,
    `plural/namespace/name`).
    """

    def __init__(
        self,
        server: ApiServer,
        runtime: Runtime,
        *,
        actor: str,
        latency: Callable[[str], float] | None = None,
        faults: Faults | None = None,
        on_crash: Callable[[str], None] | None = None,
        watch_lag_s: float = 0.0,
        shares_answers: bool = False,
    ) -> None:
        """`shares_answers`: what is answered is the server's own, and this client's user changes none of it.

        `latency` gives seconds for a verb; `on_crash` is told the actor's name before a crash fault raises `Cancelled`;
        watch events arrive `watch_lag_s` seconds after their write."""
        self.actor = actor
        self.server = server
        self._runtime = runtime
        self._latency = latency
        self._faults = faults
        self.has_faults = faults is not None
        self._on_crash = on_crash
        self._watch_lag_ns = round(watch_lag_s * NS)
        self._shares_answers = shares_answers

    # Passing the port

    def _half_s(self, verb: str) -> float:
        """Half the latency of a call; negative when it takes no time at all."""
        return self._latency(verb) / 2 if self._latency is not None else -1.0

    def _strike(self, verb: str, target: str) -> Reaction | None:
        """Let a fault strike."""
        if self._faults is None:
            return None
        reaction = self._faults.pass_through(self.actor, verb, target)
        if reaction is not None:
            self._report(verb, target, reaction)
        return reaction

    async def _before(self, half_s: float, reaction: Reaction | None) -> None:
        if isinstance(reaction, faultpoints.Delay):
            await self._runtime.sleep(reaction.delay_s)
        elif isinstance(reaction, faultpoints.CrashBefore):
            self._crash()
        if half_s >= 0.0:
            await self._runtime.sleep(half_s)
        if isinstance(reaction, faultpoints.ErrorBefore):
            if half_s >= 0.0:
                await self._runtime.sleep(half_s)
            raise struck(reaction)

    async def _after(self, half_s: float, reaction: Reaction | None) -> None:
        if isinstance(reaction, faultpoints.CrashAfter):
            self._crash()
        if half_s >= 0.0:
            await self._runtime.sleep(half_s)
        if isinstance(reaction, faultpoints.LostReply):
            raise status.error(reaction.code, reaction.reason, reaction.message)

    def _crash(self) -> NoReturn:
        if self._on_crash is not None:
            self._on_crash(self.actor)
        raise Cancelled

    def _report(self, verb: str, target: str, reaction: Reaction) -> None:
        self._runtime.trace.emit(Kind.FAULT, target, type(reaction).__name__, f"{self.actor} {verb}")

    def _target(self, resource: ResourceType, namespace: str, name: str, subresource: str = "") -> str:
        if self._faults is None:
            return ""
        target = resource.plural
        if resource.namespaced and namespace:
            target += f"/{namespace}"
        if name:
            target += f"/{name}"
        return f"{target}/{subresource}" if subresource else target

    async def _call(self, call: ApiCall, sent_name: str = "") -> JsonObject:
        """`sent_name` is that of an object which the call does not name."""
        half_s = self._half_s(call.verb)
        reaction: Reaction | None = None
        if self._faults is not None:
            target = self._target(call.resource, call.namespace, call.name or sent_name, call.subresource)
            reaction = self._strike(call.verb, target)
        if reaction is None and half_s >= 0.0:
            answer = await self._runtime.do_between(half_s, partial(self.server.call, call), half_s)
        else:
            answer = await self._call_struck(call, half_s, reaction)
        # The caller's own, unless he has said that he changes nothing.
        return answer.body if self._shares_answers or type(call.body) is Vouched else answer.own()

    async def _call_struck(self, call: ApiCall, half_s: float, reaction: Reaction | None) -> Answer:
        await self._before(half_s, reaction)
        if isinstance(reaction, faultpoints.StaleRead):
            call = call._replace(stale=reaction)
        try:
            answer = self.server.call(call)
        except ApiError:
            await self._after(half_s, reaction)
            raise
        await self._after(half_s, reaction)
        return answer

    # Verbs

    def get(self, resource: ResourceType, name: str, namespace: str = "") -> Coroutine[Any, Any, JsonObject]:
        return self._call(ApiCall("get", resource, namespace, name))

    async def list(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        call = ApiCall(
            "list",
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_token=continue_token,
        )
        half_s, reaction = self._half_s("list"), self._strike("list", self._target(resource, namespace, ""))
        await self._before(half_s, reaction)
        if isinstance(reaction, faultpoints.StaleRead):
            call = call._replace(stale=reaction)
        page = self.server.list(call)
        items = [stored.copy() for stored in page.items]
        await self._after(half_s, reaction)
        return ObjectList(items, str(page.revision), page.continue_token)

    def create(
        self, resource: ResourceType, obj: JsonObject, namespace: str = "", *, dry_run: bool = False
    ) -> Coroutine[Any, Any, JsonObject]:
        meta = obj.get("metadata") or {}
        namespace = namespace or str(meta.get("namespace") or "")
        sent_name = str(meta.get("name") or meta.get("generateName") or "")
        return self._call(ApiCall("create", resource, namespace, body=obj, dry_run=dry_run), sent_name)

    def update(
        self, resource: ResourceType, obj: JsonObject, *, subresource: str = "", dry_run: bool = False
    ) -> Coroutine[Any, Any, JsonObject]:
        meta = obj["metadata"]
        namespace = meta.get("namespace", "") if resource.namespaced else ""
        return self._call(ApiCall("update", resource, namespace, meta["name"], subresource, body=obj, dry_run=dry_run))

    def patch(
        self,
        resource: ResourceType,
        name: str,
        patch: Json,
        namespace: str = "",
        *,
        patch_type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Coroutine[Any, Any, JsonObject]:
        return self._call(
            ApiCall(
                "patch",
                resource,
                namespace,
                name,
                subresource,
                body=patch,
                dry_run=dry_run,
                patch_type=patch_type,
                field_manager=field_manager,
                force=force,
            )
        )

    def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str = "",
        *,
        propagation_policy: PropagationPolicy | None = None,
        grace_period_seconds: int | None = None,
        preconditions: Preconditions | None = None,
    ) -> Coroutine[Any, Any, JsonObject]:
        return self._call(
            ApiCall(
                "delete",
                resource,
                namespace,
                name,
                propagation_policy=propagation_policy,
                grace_period_seconds=grace_period_seconds,
                preconditions=preconditions,
            )
        )

    async def delete_collection(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        call = ApiCall(
            "deletecollection", resource, namespace, label_selector=label_selector, field_selector=field_selector
        )
        half_s = self._half_s("deletecollection")
        reaction = self._strike("deletecollection", self._target(resource, namespace, ""))
        await self._before(half_s, reaction)
        self.server.delete_collection(call)
        await self._after(half_s, reaction)

    def create_subresource(
        self, resource: ResourceType, name: str, subresource: str, body: JsonObject, namespace: str = ""
    ) -> Coroutine[Any, Any, JsonObject]:
        return self._call(ApiCall("create", resource, namespace, name, subresource, body=body))

    async def watch(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> InProcessWatch:
        call = ApiCall(
            "watch",
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
        )
        half_s, reaction = self._half_s("watch"), self._strike("watch", self._target(resource, namespace, ""))
        await self._before(half_s, reaction)
        cursor = self.server.watch(call)
        if isinstance(reaction, faultpoints.ExpireWatch):
            cursor.fail(status.expired("too old resource version: injected fault"))
        await self._after(half_s, reaction)
        return InProcessWatch(cursor, self._runtime, self, resource, self._watch_lag_ns)

    def strike_delivery(self, resource: ResourceType, obj: JsonObject) -> Reaction | None:
        """Fault point of one watch event."""
        meta = obj["metadata"]
        return self._strike("deliver", self._target(resource, meta.get("namespace", ""), meta.get("name", "")))


class InProcessWatch(WatchStream):
    """An open watch (port `WatchStream`)."""

    __slots__ = ("_again", "_client", "_cursor", "_lag_ns", "_resource", "_runtime")

    def __init__(
        self, cursor: WatchCursor, runtime: Runtime, client: InProcessClient, resource: ResourceType, lag_ns: int
    ) -> None:
        self._cursor = cursor
        self._runtime = runtime
        self._client = client
        self._resource = resource
        self._lag_ns = lag_ns
        #: A fault delivers it twice.
        self._again: Change | None = None

    async def next(self) -> Change:
        if self._again is not None:
            again, self._again = self._again, None
            return again
        cursor = self._cursor
        while True:
            change = cursor.take()
            if change is None:
                if cursor.closed:
                    raise StopAsyncIteration
                signal = self._runtime.signal()
                cursor.call_when_ready(partial(signal.set, None))
                await signal
                continue
            if self._lag_ns:
                await self._wait_for(change)
            if not self._client.has_faults:
                return change
            reaction = self._client.strike_delivery(self._resource, change.object)
            if reaction is not None:
                if isinstance(reaction, faultpoints.DropWatchEvent):
                    continue
                if isinstance(reaction, faultpoints.CutWatch):
                    cursor.close()
                    raise StopAsyncIteration
                if isinstance(reaction, faultpoints.DuplicateWatchEvent):
                    self._again = change
                if isinstance(reaction, faultpoints.ExpireWatch):
                    cursor.close()
                    raise status.expired("too old resource version: injected fault")
                if isinstance(reaction, faultpoints.Delay):
                    await self._runtime.sleep(reaction.delay_s)
            return change

    async def deliver(self, handle: Callable[[Watched], None]) -> None:
        if self._lag_ns or self._client.has_faults:
            # Something may come between an event and its delivery.
            await super().deliver(handle)
            return
        cursor = self._cursor
        ended: Signal[ApiError | None] = self._runtime.signal()
        is_over = False

        def hand_over() -> None:
            nonlocal is_over
            if is_over:
                return
            try:
                while (change := cursor.take()) is not None:
                    handle(change)
            except ApiError as lost:
                is_over = True
                ended.set(lost)
                return
            is_over = cursor.closed
            if is_over:
                ended.set(None)
            else:
                cursor.call_when_ready(ring)

        ring = self._runtime.bell(hand_over)
        hand_over()
        error = await ended
        if error is not None:
            raise error

    async def _wait_for(self, delivery: Change) -> None:
        """Events arrive `lag` after their write; those of the first list at once."""
        due = delivery.unix_ns + self._lag_ns - self._runtime.unix_ns()
        if due > 0 and delivery.type is not WatchType.BOOKMARK:
            await self._runtime.sleep(due / NS)

    def close(self) -> None:
        self._cursor.close()
