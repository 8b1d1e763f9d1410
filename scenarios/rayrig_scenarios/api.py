"""The Python twin of the scenario language: the same verbs as plain calls, each of which lets virtual time pass.

    rig = Rig(seed=7)
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand")
    with rig.traffic("fruit-stand-serve-svc", rate="50/s", path="/fruit/", json=["MANGO", 2]) as shoppers:
        rig.upgrade("fruit-stand")
    assert shoppers.failed == 0

Conditions are written as in YAML (`{"pods": {"ready": 2}}`), durations and rates as texts (`"30s"`, `"50/s"`). What does not come
true raises `Broken`, an `AssertionError`; what cannot be understood raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rayrig_backends.world import ApplicationSpec, NodeSpec, World, WorldFactory, WorldSpec
from rayrig_core.errors import ApiError, InputError
from rayrig_core.http import HttpResponse
from rayrig_core.objects import Json, JsonObject, copy_json, key_of
from rayrig_core.timestamps import NS
from rayrig_core.trace import Trace
from rayrig_scenarios.actions import Actions, StepFailed
from rayrig_scenarios.judgement import judge
from rayrig_scenarios.language.applying import changed_object
from rayrig_scenarios.language.conditions import Condition
from rayrig_scenarios.language.container_scripts import ContainerScript, script_rule
from rayrig_scenarios.language.documents import Document
from rayrig_scenarios.language.from_manifest import HARMLESS_CHANGE
from rayrig_scenarios.language.given import given_distribution, given_duration, given_model
from rayrig_scenarios.language.load import load
from rayrig_scenarios.language.manifests import (
    WrittenObject,
    bundled_manifest,
    bundled_manifests,
    check_object,
    manifest_file,
)
from rayrig_scenarios.language.node_sizing import nodes_for
from rayrig_scenarios.language.node_steps import DrainOf, NodeOf
from rayrig_scenarios.language.scenario_file import Nodes, TrafficSource
from rayrig_scenarios.language.steps import Apply, Fault
from rayrig_scenarios.language.world_values import body_of, node_spec, traffic_spec
from rayrig_scenarios.resource_kinds import KINDS
from rayrig_scenarios.results import RunResult, Verdict, what_broke
from rayrig_scenarios.rig_traffic import RigTraffic
from rayrig_scenarios.runner import memory_world, run
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule
from rayrig_sim.traffic.accounting import Accounting

if TYPE_CHECKING:
    from rayrig_scenarios.why.chain import Chain

T = TypeVar("T")

_UNSET: Any = object()
_RULES_FOLLOW = "1s"
#: Pods of which a failure tells.
_MOST_UNREADY = 3


class Broken(AssertionError):
    """Something did not come true in the world."""


class Rig:
    """One world, made when it is first needed; everything before that (nodes, applications, calibration) shapes it."""

    def __init__(self, *, seed: int = 0, world_factory: WorldFactory | None = None, folder: Path | None = None) -> None:
        """`folder` is where relative manifest paths begin, the working directory when left out."""
        self.seed = seed
        self._world_factory = world_factory
        self._folder = folder or Path()
        self._nodes: list[NodeSpec] = []
        self._applications: list[ApplicationSpec] = []
        self._scripts: list[ScriptRule] = []
        self._calibration = Calibration()
        self._world: World | None = None
        self._actions: Actions | None = None
        self._latest: dict[tuple[str, str, str], WrittenObject] = {}
        self._traffics = 0

    # Before the world is there

    def node(
        self,
        name: str = "node",
        *,
        count: int = 1,
        cpu: str | int = "16",
        memory: str = "64Gi",
        gpus: int = 0,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[str] = (),
        resources: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Add nodes, called `<name>-0`, …; their names. In a running world they join now."""
        given: JsonObject = {"name": name, "count": count, "cpu": cpu, "memory": memory, "gpus": gpus}
        given |= {"labels": dict(labels or {}), "taints": list(taints), "resources": dict(resources or {})}
        spec = node_spec(given_model(Nodes, given, "node"))
        if self._world is not None:
            return self._world.add_nodes(spec)
        self._nodes.append(spec)
        return spec.names()

    def application(
        self,
        import_path: str,
        *,
        latency: Any = None,
        result: Json = _UNSET,
        handler: Any = None,
        startup: Any = None,
        fails_with: str = "",
    ) -> None:
        """Say how the application at an import path behaves. `latency` and `startup` are durations or distributions."""
        self._not_yet("application")
        self._applications.append(
            ApplicationSpec(
                import_path,
                latency=given_distribution(latency, "latency"),
                result=None if result is _UNSET else result,
                has_result=result is not _UNSET,
                handler=handler,
                startup=given_distribution(startup, "startup"),
                fails_with=fails_with,
            )
        )

    def script(
        self,
        *,
        image: str = "",
        container: str = "",
        pod: str = "",
        namespace: str = "",
        labels: Mapping[str, str] | None = None,
        **script: Any,
    ) -> None:
        """Say what containers do: those of this image, name, pod, namespace and these labels (`*` matches any text).

        `script` as in YAML: `http`, `grpc`, `exec`, `runs`, `term`, `log`, `message`, `pull`, `sandbox`. In a running world it
        holds for pods that start from now on. What was said last counts.
        """
        given: JsonObject = {"image": image, "container": container, "pod": pod, "namespace": namespace}
        rule = script_rule(given_model(ContainerScript, {**given, "labels": dict(labels or {}), **script}, "script"))
        if self._world is not None:
            self._world.script(rule)
        else:
            self._scripts.insert(0, rule)

    def calibrate(self, **durations: Any) -> None:
        """Replace durations that no manifest states: `calibrate(image_pull="8s")`."""
        self._not_yet("calibrate")
        self._calibration = self._calibration.with_overrides(durations)

    def _not_yet(self, verb: str) -> None:
        if self._world is not None:
            raise InputError(f"{verb} comes too late", remedy="call it before the first apply, wait or request")

    # The world

    @property
    def world(self) -> World:
        """The world, started."""
        if self._world is None:
            nodes = tuple(self._nodes) or nodes_for(written.object for written in self._latest.values())
            factory = self._world_factory or memory_world()
            spec = WorldSpec(
                seed=self.seed,
                nodes=nodes,
                calibration=self._calibration,
                applications=tuple(self._applications),
                scripts=tuple(self._scripts),
            )
            self._world = factory(spec)
            self._world.start()
            self._actions = Actions(self._world)
            self._actions.begin()
            # Every actor takes its first step, so that a world that is thrown away leaves none that never ran.
            self._world.run_until(self._world.spawn("test", self._actions.sleep(0.0)))
        return self._world

    @property
    def _act(self) -> Actions:
        assert self.world is not None
        assert self._actions is not None
        return self._actions

    @property
    def traffics(self) -> dict[str, Accounting]:
        """Requests of each traffic so far."""
        return {name: source.accounting() for name, source in self._act.seen.traffic.items()}

    @property
    def is_started(self) -> bool:
        return self._world is not None

    @property
    def trace(self) -> Trace:
        return self.world.trace

    @property
    def digest(self) -> str:
        return self.world.trace.digest()

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.world.runtime.monotonic_ns() / NS

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Let time pass until the coroutine has ended."""
        __tracebackhide__ = True
        results: list[T] = []
        errors: list[Exception] = []

        async def test() -> None:
            try:
                results.append(await coroutine)
            except Exception as error:
                errors.append(error)

        world = self.world
        world.run_until(world.spawn("test", test()))
        if errors:
            error = errors[0]
            if isinstance(error, StepFailed):
                raise Broken(str(error)) from None
            raise error
        return results[0]

    # Objects

    def apply(
        self,
        manifest: str | Path | JsonObject,
        changes: Mapping[str, Json] | None = None,
        *,
        merge: JsonObject | None = None,
    ) -> list[str]:
        """As `kubectl apply`; answers what was done.

        `manifest` is an object, a path, the name of an object applied before, or of one of rayrig's manifests. `changes` replaces
        single fields by path, `merge` is a merge patch; both need a manifest of one object.
        """
        __tracebackhide__ = True
        chosen = self._chosen(manifest)
        if changes or merge:
            if len(chosen) != 1:
                raise InputError(
                    "changes several objects alike", remedy="apply them first, then change each by its name"
                )
            given: JsonObject = {"manifest": chosen[0].name, "set": dict(changes or {}), "merge": dict(merge or {})}
            apply = given_model(Apply, given, "apply")
            try:
                changed = changed_object(chosen[0].object, apply)
            except ValueError as error:
                raise InputError(str(error), where="apply", remedy="name a field of the manifest") from None
            chosen = [WrittenObject(changed, chosen[0].document, chosen[0].base)]
            check_object(chosen[0])
        for written in chosen:
            self._latest[written.key] = written
        return [self._do(self._act.apply(written.object)) for written in chosen]

    def _chosen(self, manifest: str | Path | JsonObject) -> list[WrittenObject]:
        if isinstance(manifest, dict):
            written = WrittenObject(copy_json(manifest), Document(manifest, "manifest", {}, 1))
            check_object(written)
            return [written]
        if isinstance(manifest, Path) or manifest.endswith((".yaml", ".yml")) or "\\" in manifest:
            return manifest_file(self._folder / manifest, shown=str(manifest))
        kind, _, name = manifest.rpartition("/")
        found = [w for w in self._latest.values() if w.name == name and (not kind or w.kind == kind)]
        if len(found) == 1:
            return found
        if manifest in bundled_manifests() or not found:
            return bundled_manifest(manifest)
        raise InputError(f'"{manifest}" is the name of several objects', remedy="write Kind/name")

    def patch(
        self,
        kind: str,
        name: str,
        *,
        changes: Mapping[str, Json] | None = None,
        merge: JsonObject | None = None,
        json: list[JsonObject] | None = None,
        namespace: str = "default",
    ) -> str:
        """As `kubectl patch` of a live object: single fields by path, a merge patch, or a JSON patch."""
        __tracebackhide__ = True
        return self._do(self._act.patch(kind, name, namespace, merge=merge, json_patch=json, fields=changes))

    def delete(self, kind: str, name: str, *, namespace: str = "default") -> str:
        __tracebackhide__ = True
        return self._do(self._act.delete(kind, name, namespace))

    def get(self, kind: str, name: str, *, namespace: str = "default") -> JsonObject | None:
        """The object as it is now, a copy; None when there is none. No time passes."""
        found = self._act.seen.object(KINDS[kind], name, namespace)
        return copy_json(found) if found is not None else None

    def objects(self, kind: str, *, namespace: str = "") -> list[JsonObject]:
        """The objects as they are now, copies, by namespace and name. No time passes."""
        return [copy_json(obj) for obj in self.world.objects(KINDS[kind], namespace)]

    def logs(self, pod: str, container: str = "", *, namespace: str = "default", previous: bool = False) -> str:
        """What `kubectl logs` shows of a container: what its script's `log` says. Raises `InputError` where kubectl would fail."""
        try:
            return self.world.logs(pod, namespace, container, previous=previous)
        except ApiError as refused:
            raise InputError(
                refused.message, where="logs", remedy="name a pod, and its container if it has several"
            ) from None

    def why_unready(self, pod: JsonObject) -> str:
        """The verdict on a pod that is not ready, in one line; empty when it is."""
        return self.world.why_unready(pod)

    def why_each(self, at: str | float | None = None) -> list[Chain]:
        """The same for each pod that is there now, or was there at that time."""
        __tracebackhide__ = True
        from rayrig_scenarios.why.from_run import why_each

        return why_each(self.world.record(), self.trace, given_duration(at, "at") if isinstance(at, str) else at)

    def why(self, pod: str | JsonObject, at: str | float | None = None) -> Chain:
        """Why a pod is as it is now, or was as it was `at` a time ("95s", seconds), down to the cause. No time passes.

        `pod` is its name, or as much of it as only one pod has; pods that are gone count. Raises `InputError`.
        """
        __tracebackhide__ = True
        from rayrig_scenarios.why.from_run import why

        wanted = pod if isinstance(pod, str) else "/".join(key_of(pod))
        return why(self.world.record(), self.trace, wanted, given_duration(at, "at") if isinstance(at, str) else at)

    # Waiting

    def wait(self, *conditions: JsonObject, timeout: str = "10m") -> str:
        """Until all conditions hold at one time. Raises `Broken` when `timeout` passes first."""
        __tracebackhide__ = True
        wanted = [given_model(Condition, condition, "wait") for condition in conditions]
        try:
            return self._do(self._act.wait(wanted, given_duration(timeout)))
        except Broken as broken:
            raise Broken("\n".join([str(broken), *self._pods_in_the_way()])) from None

    def _pods_in_the_way(self) -> list[str]:
        """A line for each of the first pods that are not ready."""
        unready = [chain for chain in self.why_each() if chain.wants_ready]
        return [f"pod {chain.pod} is not ready: {chain.short()}" for chain in unready[:_MOST_UNREADY]]

    def wait_ready(self, service: str = "", *, namespace: str = "default", timeout: str = "10m") -> str:
        """Until the RayService is ready, and a second more, in which the nodes' rules for its Services follow.

        Without a name the only one there is.
        """
        __tracebackhide__ = True
        found = self.wait({"ready": {"service": service, "namespace": namespace}}, timeout=timeout)
        self.sleep(_RULES_FOLLOW)
        return found

    def sleep(self, duration: str) -> None:
        __tracebackhide__ = True
        self._do(self._act.sleep(given_duration(duration)))

    def hold(self, *conditions: JsonObject, duration: str) -> str:
        """All conditions must hold now and all the time until `duration` has passed. Raises `Broken` as soon as one does not."""
        __tracebackhide__ = True
        wanted = [given_model(Condition, condition, "hold") for condition in conditions]
        return self._do(self._act.hold(wanted, given_duration(duration)))

    def holds(self, condition: JsonObject) -> bool:
        """Whether a condition holds now. No time passes."""
        return judge(given_model(Condition, condition, "holds"), self._act.seen).holds

    def expect(self, condition: JsonObject) -> str:
        """A condition must hold now; raises `Broken` with what was found otherwise."""
        __tracebackhide__ = True
        finding = judge(given_model(Condition, condition, "expect"), self._act.seen)
        if not finding.holds:
            raise Broken(finding.detail)
        return finding.detail

    def upgrade(
        self,
        service: str,
        changes: Mapping[str, Json] | None = None,
        *,
        merge: JsonObject | None = None,
        timeout: str = "30m",
        until_old_is_gone: bool = True,
    ) -> None:
        """Change a RayService that was applied before and follow its upgrade to the end.

        Without a change the head's pod template gets an annotation, which is enough for a new cluster.
        """
        __tracebackhide__ = True
        written = self._chosen(f"RayService/{service}")[0]
        if not changes and not merge:
            changes = {HARMLESS_CHANGE: str(self.world.runtime.monotonic_ns())}
        self.apply(f"RayService/{service}", changes, merge=merge)
        ref = {"service": service, "namespace": written.namespace}
        self.wait({"upgrade-complete": ref}, timeout=timeout)
        if until_old_is_gone:
            self.wait({"old-cluster-gone": ref}, timeout=timeout)

    # Requests, traffic, faults

    def request(
        self,
        service: str = "",
        path: str = "/",
        *,
        gateway: str = "",
        json: Json = None,
        body: str = "",
        method: str = "",
        headers: Mapping[str, str] | None = None,
        namespace: str = "default",
        port: int | None = None,
        timeout: str = "10s",
    ) -> HttpResponse:
        """One HTTP request to a Service, or through a `gateway`, from inside the cluster.

        Raises `HttpFailure` when no answer came.
        """
        __tracebackhide__ = True
        if bool(service) == bool(gateway):
            what = "has both service and gateway" if service else "has neither service nor gateway"
            raise InputError(f"the request {what}", remedy="name one of them")
        method, sent, all_headers = body_of(json, body, method, headers or {})
        return self._do(
            self._act.request(
                service,
                path,
                gateway=gateway,
                namespace=namespace,
                port=port,
                method=method,
                body=sent,
                headers=all_headers,
                timeout_s=given_duration(timeout),
            )
        )

    def traffic(
        self,
        service: str,
        *,
        rate: str | None = None,
        clients: int | None = None,
        path: str = "/",
        json: Json = None,
        requests: Sequence[JsonObject] = (),
        name: str = "",
        namespace: str = "default",
        port: int = 8000,
        **options: Any,
    ) -> RigTraffic:
        """Requests to a Service, from now on. `options` as in YAML: `timeout`, `keep_alive`, `think_time`, `arrival`."""
        self._traffics += 1
        one: JsonObject = {"path": path} if json is None else {"path": path, "json": json}
        given: JsonObject = {
            "name": name or f"traffic-{self._traffics}",
            "service": service,
            "namespace": namespace,
            "port": port,
            "requests": list(requests) or [one],
            **options,
        }
        if rate is not None:
            given["rate"] = rate
        if clients is not None:
            given["clients"] = clients
        source = self._act.make_traffic(traffic_spec(given_model(TrafficSource, given, "traffic")))
        source.start()
        return RigTraffic(source, self._do)

    def fault(self, kind: str, **params: Any) -> str:
        """Let a fault strike (`rayrig_backends.faults`). Answers what was struck."""
        __tracebackhide__ = True
        fault = given_model(Fault, {"kind": kind, **params}, "fault")
        return self._do(self._act.fault(fault.kind, fault.params))

    # Nodes

    def drain(self, node: str = "", *, labels: Mapping[str, str] | None = None, **options: Any) -> str:
        """As `kubectl drain`; answers how it went, raises `Broken` when it cannot.

        The node is that of the first pod with `labels` where it has no name. `options` as in YAML: `ignore_daemonsets`,
        `delete_emptydir_data`, `force`, `timeout`, `refused`, `background`, ….
        """
        __tracebackhide__ = True
        return self._do(
            self._act.drain(given_model(DrainOf, {"node": node, "labels": dict(labels or {}), **options}, "drain"))
        )

    def cordon(self, node: str) -> str:
        """As `kubectl cordon`: no new pods on the node."""
        __tracebackhide__ = True
        return self._do(self._act.cordon(given_model(NodeOf, {"node": node}, "cordon"), True))

    def uncordon(self, node: str) -> str:
        """As `kubectl uncordon`."""
        __tracebackhide__ = True
        return self._do(self._act.cordon(given_model(NodeOf, {"node": node}, "uncordon"), False))

    # Whole scenarios

    def run(self, scenario: str | Path, *, seed: int | None = None, check: bool = True) -> RunResult:
        """Run a scenario, by name or path, in a world of its own. With `check`, raises `Broken` unless everything held."""
        __tracebackhide__ = True
        path = scenario
        if isinstance(path, str) and path.endswith((".yaml", ".yml")):
            path = self._folder / path
        result = run(load(path), seed=self.seed if seed is None else seed, world_factory=self._world_factory)
        if check and result.verdict is not Verdict.PASS:
            raise Broken("\n".join([f"scenario {result.scenario.name}: {result.verdict}", *what_broke(result)]))
        return result
