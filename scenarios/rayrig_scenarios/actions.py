"""What a step does to the world. Used by the runner for scenario files and by the Python twin for tests.

Everything here is `async`, takes virtual time, and goes through the same ports as any other actor. A step that does not come true
raises `StepFailed`; a step that cannot be taken at all raises `InputError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rayrig_backends.world import Traffic, TrafficSpec, World
from rayrig_core.errors import AlreadyExists, ApiError, NotFound, RayrigError
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.merge_patch import merge_patch_between
from rayrig_core.objects import Json, JsonObject, copy_json, name_of
from rayrig_core.resource_types import GATEWAY, RAY_SERVICE, ResourceType
from rayrig_core.resources.labels import GATEWAY_PORT
from rayrig_core.timestamps import NS, to_ns
from rayrig_scenarios import node_actions
from rayrig_scenarios.judgement import Finding, is_watched, judge, resources_of
from rayrig_scenarios.language.conditions import Condition
from rayrig_scenarios.language.node_steps import DrainOf, NodeOf
from rayrig_scenarios.language.paths import assign, lookup, parse_path, shown
from rayrig_scenarios.language.steps import ExpectedAnswer
from rayrig_scenarios.language.world_values import SERVICE_PORT
from rayrig_scenarios.observations import ALWAYS_WATCHED, Observations, active_cluster
from rayrig_scenarios.resource_kinds import KINDS

#: Conditions on what no watch reports are looked at this often.
_LOOK_AGAIN_S = 1.0
_ASK_AGAIN_S = 0.5


class StepFailed(RayrigError):
    """A step did not come true."""


class Actions:
    """The verbs of a scenario in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen = Observations(world)
        self.client = world.client("scenario")
        self._applied: dict[tuple[str, str, str], JsonObject] = {}

    def begin(self, conditions: Iterable[Condition] = ()) -> None:
        """Start to watch what the conditions speak of."""
        self.seen.watch([*ALWAYS_WATCHED, *resources_of(conditions)])

    # Objects

    def applied(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        """The object as it was applied last. Not to be changed."""
        return self._applied.get((kind, namespace, name))

    async def apply(self, obj: JsonObject, *, refused: str | None = None) -> str:
        """As `kubectl apply`: create it, or patch what differs from what was applied before. Answers which, in words.

        With `refused` the API server must refuse it and have that in its answer.
        """
        resource, namespace, name = self._identify(obj)
        key = (resource.kind, namespace, name)
        before = self._applied.get(key)
        self.seen.changed_seq = len(self.world.trace)
        self._remember_active(resource, namespace, name)
        obj = copy_json(obj)
        try:
            if before is None:
                try:
                    await self.client.create(resource, copy_json(obj), namespace)
                    verb = "created"
                except AlreadyExists:
                    await self.client.patch(resource, name, obj, namespace, patch_type="merge")
                    verb = "configured"
            else:
                patch = merge_patch_between(before, obj)
                if not patch:
                    return f"{resource.kind}/{name} unchanged"
                try:
                    await self.client.patch(resource, name, patch, namespace, patch_type="merge")
                    verb = "configured"
                except NotFound:
                    await self.client.create(resource, copy_json(obj), namespace)
                    verb = "created"
        except ApiError as error:
            return _refused(f"apply of {resource.kind}/{name}", error, refused)
        _must_be_refused(f"{resource.kind}/{name} {verb}", refused)
        self._applied[key] = obj
        return f"{resource.kind}/{name} {verb}"

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        *,
        merge: JsonObject | None = None,
        json_patch: list[JsonObject] | None = None,
        fields: Mapping[str, Json] | None = None,
        refused: str | None = None,
    ) -> str:
        """As `kubectl patch`. `fields` replaces single fields by path; `refused` as in `apply`."""
        resource = KINDS[kind]
        namespace = namespace if resource.namespaced else ""
        self.seen.changed_seq = len(self.world.trace)
        self._remember_active(resource, namespace, name)
        try:
            if json_patch is not None:
                await self.client.patch(resource, name, json_patch, namespace, patch_type="json")
            else:
                if fields is not None:
                    live = await self.client.get(resource, name, namespace)
                    changed = live
                    for path, value in fields.items():
                        changed = assign(changed, parse_path(path), value)
                    merge = merge_patch_between(live, changed)
                await self.client.patch(resource, name, merge or {}, namespace, patch_type="merge")
        except ValueError as error:
            raise StepFailed(f"patch of {kind}/{name}: {error}") from error
        except ApiError as error:
            return _refused(f"patch of {kind}/{name}", error, refused)
        _must_be_refused(f"{kind}/{name} patched", refused)
        return f"{kind}/{name} patched"

    async def delete(self, kind: str, name: str, namespace: str) -> str:
        resource = KINDS[kind]
        namespace = namespace if resource.namespaced else ""
        self.seen.changed_seq = len(self.world.trace)
        try:
            await self.client.delete(resource, name, namespace)
        except ApiError as error:
            return _refused(f"delete of {kind}/{name}", error, None)
        self._applied.pop((kind, namespace, name), None)
        return f"{kind}/{name} deleted"

    def _identify(self, obj: JsonObject) -> tuple[ResourceType, str, str]:
        resource = KINDS[obj["kind"]]
        namespace = (obj["metadata"].get("namespace") or "default") if resource.namespaced else ""
        return resource, namespace, name_of(obj)

    def _remember_active(self, resource: ResourceType, namespace: str, name: str) -> None:
        """An upgrade is complete when another cluster is active than at the last change."""
        if resource is RAY_SERVICE:
            service = self.seen.object(RAY_SERVICE, name, namespace)
            if service is not None:
                self.seen.active_before[(namespace, name)] = active_cluster(service)

    # Time

    async def wait(self, conditions: Sequence[Condition], timeout_s: float) -> str:
        """Until all conditions hold at one time; answers what was found. Raises `StepFailed` after `timeout_s`."""
        runtime = self.world.runtime
        self.begin(conditions)
        deadline_ns = runtime.monotonic_ns() + to_ns(timeout_s)
        looks_again = not all(is_watched(condition) for condition in conditions)
        while True:
            findings = [judge(condition, self.seen) for condition in conditions]
            if all(finding.holds for finding in findings):
                return "; ".join(finding.detail for finding in findings)
            left_s = (deadline_ns - runtime.monotonic_ns()) / NS
            if left_s <= 0:
                raise StepFailed(f"not within {timeout_s:g} s: {_first_open(findings)}")
            change = self.seen.next_change()
            if await runtime.wait(change, min(left_s, _LOOK_AGAIN_S) if looks_again else left_s):
                # So that whatever this step leads to says what it was waiting for.
                runtime.cause = await change

    async def hold(self, conditions: Sequence[Condition], duration_s: float) -> str:
        """All conditions must hold for so long, looked at with every change. Raises `StepFailed` as soon as one does not."""
        runtime = self.world.runtime
        self.begin(conditions)
        began_ns = runtime.monotonic_ns()
        looks_again = not all(is_watched(condition) for condition in conditions)
        while True:
            findings = [judge(condition, self.seen) for condition in conditions]
            passed_s = (runtime.monotonic_ns() - began_ns) / NS
            if not all(finding.holds for finding in findings):
                raise StepFailed(f"no longer after {passed_s:g} s: {_first_open(findings)}")
            left_s = duration_s - passed_s
            if left_s <= 0:
                return "; ".join(finding.detail for finding in findings)
            change = self.seen.next_change()
            if await runtime.wait(change, min(left_s, _LOOK_AGAIN_S) if looks_again else left_s):
                runtime.cause = await change

    async def sleep(self, duration_s: float) -> None:
        await self.world.runtime.sleep(duration_s)

    def value(self, kind: str, name: str, namespace: str, path: str) -> Json:
        """The value of a field now. Raises `StepFailed` when there is none."""
        obj = self.seen.object(KINDS[kind], name, namespace)
        if obj is None:
            raise StepFailed(f"no {kind} {name}")
        value = lookup(obj, parse_path(path))
        if value is None:
            raise StepFailed(f"{kind}/{name} has no {path}")
        return value

    # Requests

    async def request(
        self,
        service: str,
        path: str = "/",
        *,
        gateway: str = "",
        namespace: str = "default",
        port: int | None = None,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        """One HTTP request from inside the cluster, to a Service or through a `gateway`.

        Raises `HttpFailure` when no answer came.
        """
        if gateway:
            host = self._gateway_address(gateway, namespace)
            url = f"http://{host}:{GATEWAY_PORT if port is None else port}{path}"
        else:
            url = f"http://{service}.{namespace}:{SERVICE_PORT if port is None else port}{path}"
        http = self.world.http("scenario")
        return await http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)

    def _gateway_address(self, gateway: str, namespace: str) -> str:
        """Where the Gateway says it is reached."""
        obj = self.seen.object(GATEWAY, gateway, namespace)
        addresses = ((obj or {}).get("status") or {}).get("addresses") or ()
        if not addresses:
            what = "has no address yet" if obj is not None else "is not there"
            raise HttpFailure(Failure.UNRESOLVED, f"Gateway {namespace}/{gateway} {what}")
        return str(addresses[0]["value"])

    async def expect_answer(self, expected: ExpectedAnswer, *, within_s: float = 0.0, **request: Any) -> str:
        """One request that must be answered so, sent again until it is or `within_s` has passed; answers what came, in words.

        Raises `StepFailed` with what came last.
        """
        runtime = self.world.runtime
        deadline_ns = runtime.monotonic_ns() + to_ns(within_s)
        while True:
            try:
                return await self._answer(expected, request)
            except StepFailed:
                if runtime.monotonic_ns() + to_ns(_ASK_AGAIN_S) > deadline_ns:
                    raise
            await runtime.sleep(_ASK_AGAIN_S)

    async def _answer(self, expected: ExpectedAnswer, request: Mapping[str, Any]) -> str:
        try:
            response = await self.request(**request)
        except HttpFailure as failure:
            if expected.failure and expected.failure in ("any", _FAILURE_NAMES[failure.failure]):
                return f"no answer, as expected: {failure}"
            raise StepFailed(f"no answer: {failure}") from failure
        problem = answer_problem(expected, response)
        if problem:
            raise StepFailed(problem)
        return f"{response.status} {_short(response)}"

    # Traffic and faults

    def make_traffic(self, spec: TrafficSpec) -> Traffic:
        source = self.seen.traffic[spec.name] = self.world.traffic(spec)
        return source

    def start_traffic(self, names: Iterable[str]) -> None:
        for source in self._sources(names):
            source.start()

    def stop_traffic(self, names: Iterable[str]) -> None:
        for source in self._sources(names):
            source.stop()

    def _sources(self, names: Iterable[str]) -> list[Traffic]:
        wanted = list(names)
        if wanted == ["all"]:
            return list(self.seen.traffic.values())
        return [self.seen.traffic[name] for name in wanted]

    async def settle_traffic(self) -> None:
        """Stop all traffic and wait until every request has its fate."""
        for source in self.seen.traffic.values():
            source.stop()
        for source in self.seen.traffic.values():
            await source.settled()

    # Nodes

    async def drain(self, written: DrainOf) -> str:
        """As `kubectl drain`; answers how it went. Raises `StepFailed` when it ends otherwise than it should."""
        self.seen.changed_seq = len(self.world.trace)
        if written.background:
            return await node_actions.start_drain(self.world, written)
        try:
            node, outcome = await node_actions.drain(self.world, written)
        except ApiError as error:
            return _refused("drain", error, written.refused or None)
        words = node_actions.in_words(node, outcome)
        if outcome.is_drained == bool(written.refused) or written.refused not in outcome.error:
            wanted = f'; wanted an error with "{written.refused}"' if written.refused else ""
            raise StepFailed(words + wanted)
        return words

    async def cordon(self, written: NodeOf, wanted: bool) -> str:
        """As `kubectl cordon`, or `kubectl uncordon` when not `wanted`; answers what it prints."""
        self.seen.changed_seq = len(self.world.trace)
        try:
            return await node_actions.cordon(self.world, written, wanted)
        except ApiError as error:
            return _refused("cordon" if wanted else "uncordon", error, None)

    async def fault(self, kind: str, params: Mapping[str, Any]) -> str:
        self.seen.changed_seq = len(self.world.trace)
        return await self.world.fault(kind, **params)


_FAILURE_NAMES = {
    Failure.REFUSED: "refused",
    Failure.RESET: "reset",
    Failure.TIMEOUT: "timeout",
    Failure.UNRESOLVED: "unresolved",
    Failure.UNREACHABLE: "unreachable",
}


def answer_problem(expected: ExpectedAnswer, response: HttpResponse) -> str:
    """What is not as expected in an answer; empty when all is."""
    if expected.failure:
        return f"answered {response.status} {_short(response)}, wanted no answer ({expected.failure})"
    if response.status != expected.status:
        return f"answered {response.status} {_short(response)}, wanted {expected.status}"
    text = response.body.decode("utf-8", "replace")
    if "json_" in expected.model_fields_set:
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if value != expected.json_:
            return f"answered {shown(value)}, wanted {shown(expected.json_)}"
    if expected.text is not None and text != expected.text:
        return f"answered {shown(text)}, wanted {shown(expected.text)}"
    if expected.contains not in text:
        return f"answered {shown(text)}, wanted {shown(expected.contains)} in it"
    return ""


def _short(response: HttpResponse) -> str:
    text = response.body.decode("utf-8", "replace").strip()
    return text if len(text) <= 60 else text[:57] + "..."


def _refused(what: str, error: ApiError, wanted: str | None) -> str:
    """What a refusal comes to: a word on it when it is `wanted`, otherwise `StepFailed`."""
    told = f"{what} was refused: {error.code} {error.reason}: {error.message}"
    if wanted is None:
        raise StepFailed(told) from error
    if wanted not in f"{error.code} {error.reason}: {error.message}":
        raise StepFailed(f"{told}; wanted {shown(wanted)} in it") from error
    return f"as expected, {told}"


def _must_be_refused(done: str, wanted: str | None) -> None:
    if wanted is not None:
        raise StepFailed(f"{done}, wanted it to be refused: {wanted}")


def _first_open(findings: Sequence[Finding]) -> str:
    return next(finding.detail for finding in findings if not finding.holds)
