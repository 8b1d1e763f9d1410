"""Runs a scenario: an actor of its own takes the steps in virtual time, then the expectations are judged.

`run` raises `InputError` when the scenario turns out not to be runnable; a step that fails or an expectation that does not hold
is a result. Ctrl-C ends the run with what is known by then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from rayrig_backends.faults import FAULTS
from rayrig_backends.world import World, WorldFactory
from rayrig_core.errors import InputError
from rayrig_core.objects import Json, JsonObject, copy_json, has_condition, key_of
from rayrig_core.ports import Cancelled, Signal
from rayrig_core.resource_types import (
    CORE_EVENT,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    JOB,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    RAY_CLUSTER,
    RAY_SERVICE,
    SERVICE,
    STATEFUL_SET,
    ResourceType,
)
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.actions import Actions, StepFailed
from rayrig_scenarios.judgement import Finding, describe, judge
from rayrig_scenarios.language.applying import changed_object, choose_manifests
from rayrig_scenarios.language.conditions import Condition, Expectation
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.language.paths import shown
from rayrig_scenarios.language.remembered import filled_model
from rayrig_scenarios.language.scenario import Scenario
from rayrig_scenarios.language.steps import Apply, ObjectField, Step
from rayrig_scenarios.language.world_values import request_body
from rayrig_scenarios.results import (
    ExpectationRecord,
    RunResult,
    StepRecord,
    StepState,
    UnreadyPod,
    Verdict,
    worst,
)

#: Kinds of which the final objects are kept.
FINAL_KINDS: tuple[ResourceType, ...] = (
    RAY_SERVICE,
    RAY_CLUSTER,
    POD,
    SERVICE,
    ENDPOINT_SLICE,
    NODE,
    CORE_EVENT,
)

#: Of these the final objects are kept where there are any.
_WORKLOADS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, POD_DISRUPTION_BUDGET)

_TICK_S = 1.0
#: Of the seconds in which nothing happened so many are told.
_LAST_TICKS = 10


class ProgressListener(Protocol):
    """Told how a run goes on. Called in the middle of it: be quick, change nothing. Times are nanoseconds of virtual time."""

    def step_started(self, index: int, count: int, title: str, t_ns: int) -> None: ...

    def step_ended(self, record: StepRecord) -> None: ...

    def tick(self, t_ns: int) -> None:
        """Once every virtual second, and more seldom while nothing happens for long."""
        ...


class _Ticks:
    """Ticks while nothing happens: of a long time the last ones will do (port `Recurrence`)."""

    is_instant = True

    def __init__(self, progress: ProgressListener) -> None:
        self._progress = progress

    def holds(self) -> bool:
        return True

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        period_ns = round(_TICK_S * NS)
        last_ns = due_ns + (before_ns - 1 - due_ns) // period_ns * period_ns
        for t_ns in range(max(due_ns, last_ns - _LAST_TICKS * period_ns), last_ns + 1, period_ns):
            self._progress.tick(t_ns)
        return last_ns + period_ns, last_ns


def memory_world() -> WorldFactory:
    """The world in this process, imported when it is first needed."""
    from rayrig_backends.memory import MemoryWorld

    return MemoryWorld


def run(
    scenario: Scenario,
    *,
    seed: int | None = None,
    progress: ProgressListener | None = None,
    world_factory: WorldFactory | None = None,
) -> RunResult:
    """Run a scenario to its end. Without `seed` the scenario's own. Raises `InputError`."""
    factory = world_factory or memory_world()
    # The time of the run, not that of the world's first import.
    began = time.perf_counter()
    seed = scenario.seed if seed is None else seed
    world = factory(scenario.world_spec(seed))
    performance = Performance(scenario, world, progress)
    interrupted = False
    world.start()
    try:
        world.run_until(world.spawn("scenario", performance.perform()))
    except KeyboardInterrupt:
        interrupted = True
    if performance.unusable is not None:
        raise performance.unusable
    return performance.result(seed, time.perf_counter() - began, interrupted=interrupted)


class Performance:
    """One run of one scenario in one world."""

    def __init__(self, scenario: Scenario, world: World, progress: ProgressListener | None) -> None:
        self.scenario = scenario
        self.world = world
        self.progress = progress
        self.actions = Actions(world)
        self.steps: list[StepRecord] = []
        self.expectations: list[ExpectationRecord] = []
        self.unusable: InputError | None = None
        self.cut_short = ""
        self.is_over = False
        self._manifests: dict[tuple[str, str, str], WrittenObject] = {w.key: w for w in scenario.manifests}
        self._remembered: dict[str, Json] = {}

    # The actor

    async def perform(self) -> None:
        scenario, runtime = self.scenario, self.world.runtime
        conditions: list[Condition] = list(scenario.file.expect)
        conditions += [condition for step in scenario.file.steps if step.wait for condition in step.wait.for_]
        conditions += [condition for step in scenario.file.steps if step.hold for condition in step.hold.that]
        self.actions.begin(condition for condition in conditions if condition.chosen != "digest")
        for spec in scenario.traffic.values():
            self.actions.make_traffic(spec)
        if self.progress is not None:
            self.world.spawn("scenario/progress", self._ticking(self.progress))
        finished: Signal[None] = runtime.signal()
        steps = runtime.spawn("scenario/steps", self._take_steps(finished))
        if not await runtime.wait(finished, scenario.limit_s):
            steps.cancel()
            await steps
            self.cut_short = f"not at its end after {scenario.limit_s:g} s"
        if self.unusable is not None:
            return
        await self.actions.settle_traffic()
        self._judge_expectations()
        self.is_over = True

    async def _ticking(self, progress: ProgressListener) -> None:
        runtime = self.world.runtime
        while not self.is_over:
            progress.tick(runtime.monotonic_ns())
            await runtime.rest(_TICK_S, _Ticks(progress))

    async def _take_steps(self, finished: Signal[None]) -> None:
        try:
            for index, step in enumerate(self.scenario.file.steps):
                if not await self._take_step(index, step):
                    break
        except InputError as error:
            self.unusable = error
        finished.set(None)

    async def _take_step(self, index: int, step: Step) -> bool:
        runtime = self.world.runtime
        started_ns = runtime.monotonic_ns()
        title = title_of(step)
        subject = f"steps/{index}"
        if self.progress is not None:
            self.progress.step_started(index, len(self.scenario.file.steps), title, started_ns)
        runtime.cause = self.world.trace.emit(Kind.STEP, subject, index, "started", title)
        self.steps.append(StepRecord(index, title, step.chosen, StepState.RUNNING, started_ns))
        try:
            detail = await self._perform_step(index, step)
            state = StepState.DONE
        except StepFailed as failure:
            detail, state = str(failure), StepState.FAILED
        except InputError as error:
            where = self.scenario.document.where(("steps", index, step.chosen.replace("_", "-")))
            raise InputError(error.what, where=error.where or where, remedy=error.remedy) from error
        except Cancelled:
            detail = f"not done after {self.scenario.limit_s:g} s, the limit of the run"
            self._end_step(index, title, step, StepState.FAILED, started_ns, detail)
            raise
        self._end_step(index, title, step, state, started_ns, detail)
        return state is StepState.DONE

    def _end_step(self, index: int, title: str, step: Step, state: StepState, started_ns: int, detail: str) -> None:
        seq = self.world.trace.emit(Kind.STEP, f"steps/{index}", index, state.value, detail)
        ended_ns = self.world.runtime.monotonic_ns()
        self.steps[index] = StepRecord(index, title, step.chosen, state, started_ns, ended_ns, detail, seq)
        if self.progress is not None:
            self.progress.step_ended(self.steps[index])

    async def _perform_step(self, index: int, step: Step) -> str:
        actions = self.actions
        if self._remembered:
            document = self.scenario.document
            step = filled_model(Step, document.data["steps"][index], self._remembered, document, ("steps", index))
        match step.chosen:
            case "apply":
                assert step.apply is not None
                refused = step.apply.refused
                objects = self._objects_to_apply(index, step.apply)
                return ", ".join([await actions.apply(obj, refused=refused) for obj in objects])
            case "patch":
                assert step.patch is not None
                patch = step.patch
                return await actions.patch(
                    patch.kind,
                    patch.name,
                    patch.namespace,
                    merge=patch.merge,
                    json_patch=patch.json_,
                    fields=patch.set,
                    refused=patch.refused,
                )
            case "delete":
                assert step.delete is not None
                return await actions.delete(step.delete.kind, step.delete.name, step.delete.namespace)
            case "wait":
                assert step.wait is not None
                return await actions.wait(step.wait.for_, step.wait.timeout)
            case "hold":
                assert step.hold is not None
                return await actions.hold(step.hold.that, step.hold.for_)
            case "remember":
                assert step.remember is not None
                return self._remember(step.remember)
            case "fault":
                assert step.fault is not None
                return await actions.fault(step.fault.kind, step.fault.params)
            case "drain":
                assert step.drain is not None
                return await actions.drain(step.drain)
            case "cordon" | "uncordon":
                node = step.cordon or step.uncordon
                assert node is not None
                return await actions.cordon(node, step.cordon is not None)
            case "sleep":
                assert step.sleep is not None
                await actions.sleep(step.sleep)
                return ""
            case "request":
                assert step.request is not None
                request = step.request
                method, body, headers = request_body(request)
                return await actions.expect_answer(
                    request.expect,
                    within_s=request.within,
                    service=request.service,
                    gateway=request.gateway,
                    path=request.path,
                    namespace=request.namespace,
                    port=request.port,
                    method=method,
                    body=body,
                    headers=headers,
                    timeout_s=request.timeout,
                )
            case "start_traffic":
                actions.start_traffic(step.start_traffic or ())
                return ""
            case _:
                actions.stop_traffic(step.stop_traffic or ())
                return ""

    def _remember(self, fields: Mapping[str, ObjectField]) -> str:
        for name, field in fields.items():
            value = self.actions.value(field.kind, field.name, field.namespace, field.path)
            self._remembered[name] = copy_json(value)
        return ", ".join(f"{name} is {shown(self._remembered[name])}" for name in fields)

    def _objects_to_apply(self, index: int, apply: Apply) -> list[JsonObject]:
        """The objects of an apply step, which are from now on what is applied last unless they are to be refused."""
        extra = self.scenario.extra_manifests.get(index)
        if extra is not None:
            if apply.refused is None:
                self._manifests.update((written.key, written) for written in extra)
            chosen = list(extra)
        else:
            chosen = choose_manifests(apply.manifest or "", list(self._manifests.values()))
        if apply.set or apply.merge:
            written = chosen[0]
            chosen = [WrittenObject(changed_object(written.object, apply), written.document, written.base)]
            if apply.refused is None:
                self._manifests[written.key] = chosen[0]
        return [written.object for written in chosen]

    # Expectations

    def _judge_expectations(self) -> None:
        file = self.scenario.file
        complete = not self.cut_short and all(record.state is StepState.DONE for record in self.steps)
        for index, expectation in enumerate(file.expect):
            if expectation.digest is not None:
                continue
            if self._remembered:
                document = self.scenario.document
                data = document.data["expect"][index]
                filled = filled_model(Expectation, data, self._remembered, document, ("expect", index))
                finding = judge(filled, self.actions.seen)
            else:
                finding = judge(expectation, self.actions.seen)
            self._record(index, expectation, finding, complete=complete)
        # The digest is over everything else, so it comes last and leaves no event.
        for index, expectation in enumerate(file.expect):
            if expectation.digest is not None:
                digest = self.world.trace.digest()
                finding = Finding(digest == expectation.digest, f"the digest is {digest}")
                self._record(index, expectation, finding, complete=complete)

    def _record(self, index: int, expectation: Expectation, finding: Finding, *, complete: bool) -> None:
        verdict = Verdict.FAIL if not finding.holds else Verdict.PASS if complete else Verdict.UNKNOWN
        title = expectation.name or title_of_expectation(expectation)
        if expectation.digest is None:
            self.world.trace.emit(Kind.EXPECTATION, f"expectations/{index}", verdict.value, finding.detail)
        where = self.scenario.document.where(("expect", index))
        self.expectations.append(ExpectationRecord(title, verdict, finding.detail, where))

    # Result

    def result(self, seed: int, wall_s: float, *, interrupted: bool) -> RunResult:
        world = self.world
        for index in range(len(self.steps), len(self.scenario.file.steps)):
            step = self.scenario.file.steps[index]
            self.steps.append(StepRecord(index, title_of(step), step.chosen, StepState.SKIPPED))
        for expectation in self.scenario.file.expect[len(self.expectations) :]:
            title = expectation.name or title_of_expectation(expectation)
            self.expectations.append(ExpectationRecord(title, Verdict.UNKNOWN, "the run did not come to it"))
        verdicts = [record.verdict for record in self.expectations]
        if any(record.state is StepState.FAILED for record in self.steps):
            verdicts.append(Verdict.FAIL)
        if interrupted or self.cut_short:
            verdicts.append(Verdict.UNKNOWN)
        unready = []
        for pod in world.objects(POD):
            is_done = (pod.get("status") or {}).get("phase") == "Succeeded"
            if not (has_condition(pod, "Ready") or is_done):
                namespace, name = key_of(pod)
                unready.append(UnreadyPod(name, namespace, world.why_unready(pod)))
        kept = (*FINAL_KINDS, *(resource for resource in _WORKLOADS if world.objects(resource)))
        return RunResult(
            scenario=self.scenario,
            seed=seed,
            verdict=worst(*verdicts),
            steps=tuple(self.steps),
            expectations=tuple(self.expectations),
            trace=world.trace,
            digest=world.trace.digest(),
            requests={name: source.accounting() for name, source in self.actions.seen.traffic.items()},
            usage=world.usage(),
            unready=tuple(unready),
            objects={resource.plural: world.objects(resource) for resource in kept},
            tables={resource.plural: world.object_table(resource) for resource in kept},
            simulated_ns=world.runtime.monotonic_ns(),
            wall_s=wall_s,
            replay=self.scenario.replay_line(seed),
            record=world.record(),
            interrupted=interrupted,
            cut_short="interrupted" if interrupted else self.cut_short,
        )


def title_of(step: Step) -> str:
    """A step in a few words: its own name, or what it does."""
    if step.name:
        return step.name
    if step.apply is not None:
        apply = step.apply
        what = apply.manifest or apply.bundled or apply.file or "inline manifest"
        changes = [f"{path}={shown(value)}" for path, value in apply.set.items()]
        changes += list(apply.merge)
        return f"apply {what}" + (f" with {', '.join(changes)}" if changes else "")
    if step.patch is not None:
        return f"patch {step.patch.kind}/{step.patch.name}"
    if step.delete is not None:
        return f"delete {step.delete.kind}/{step.delete.name}"
    if step.wait is not None:
        return "wait for " + " and ".join(describe(condition) for condition in step.wait.for_)
    if step.hold is not None:
        return f"for {step.hold.for_:g} s " + " and ".join(describe(condition) for condition in step.hold.that)
    if step.remember is not None:
        return "remember " + ", ".join(step.remember)
    if step.fault is not None:
        usual = {name: param.default for name, param in FAULTS[step.fault.kind].params.items()}
        params = [f"{name}={value}" for name, value in step.fault.params.items() if value != usual[name]]
        return f"fault {step.fault.kind}" + (f" ({', '.join(params)})" if params else "")
    for verb in ("drain", "cordon", "uncordon"):
        node = getattr(step, verb)
        if node is not None:
            return f"{verb} {node.node or 'the node of a pod'}"
    if step.sleep is not None:
        return f"sleep {step.sleep:g} s"
    if step.request is not None:
        method, _, _ = request_body(step.request)
        return f"{method} {step.request.service or step.request.gateway}{step.request.path}"
    if step.start_traffic is not None:
        return f"start traffic {', '.join(step.start_traffic)}"
    return f"stop traffic {', '.join(step.stop_traffic or ())}"


def title_of_expectation(expectation: Expectation) -> str:
    return describe(expectation)
