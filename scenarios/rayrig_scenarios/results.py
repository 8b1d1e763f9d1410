"""What a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from rayrig_backends.record import Record
from rayrig_backends.world import ObjectTable, Usage
from rayrig_core.objects import JsonObject
from rayrig_core.trace import Trace
from rayrig_scenarios.language.scenario import Scenario
from rayrig_sim.traffic.accounting import Accounting

if TYPE_CHECKING:
    from rayrig_scenarios.why.chain import Chain


class Verdict(StrEnum):
    """Of a step, an expectation or a run. A run cut short never passes: what it could not show is unknown."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


#: The worst wins.
_ORDER = (Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL)


def worst(*verdicts: Verdict) -> Verdict:
    return max(verdicts, key=_ORDER.index, default=Verdict.PASS)


class StepState(StrEnum):
    """How far a step came."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step: when, how it ended, what was found. Times are nanoseconds of virtual time, None when it did not come to that.
    `seq` is the trace event of its end."""

    index: int
    title: str
    action: str
    state: StepState
    started_ns: int | None = None
    ended_ns: int | None = None
    detail: str = ""
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class ExpectationRecord:
    """One expectation and its verdict."""

    title: str
    verdict: Verdict
    detail: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class UnreadyPod:
    """A pod that is not ready at the end, and the verdict on it; `RunResult.why` tells what is behind it."""

    name: str
    namespace: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """All there is to say about a run.

    `objects` are the final ones by plural (`pods`, `rayservices`), `tables` the same as `kubectl get` prints them. `requests` is
    by traffic; `simulated_ns` is virtual, `wall_s` the time it took. `interrupted` when the user broke it off, `cut_short` says
    why when it did not come to its end.
    """

    scenario: Scenario
    seed: int
    verdict: Verdict
    steps: tuple[StepRecord, ...]
    expectations: tuple[ExpectationRecord, ...]
    trace: Trace = field(repr=False)
    digest: str
    requests: Mapping[str, Accounting]
    usage: Usage
    unready: tuple[UnreadyPod, ...]
    objects: Mapping[str, list[JsonObject]]
    tables: Mapping[str, ObjectTable]
    simulated_ns: int
    wall_s: float
    replay: str
    record: Record = field(repr=False)
    interrupted: bool = False
    cut_short: str = ""

    def why(self, pod: str, at: str | float | None = None) -> Chain:
        """Why a pod is as it is at the end, or was as it was `at` a time ("95s", seconds), down to the cause.

        `pod` is its name, or as much of it as only one pod has; pods that are gone count. Raises `InputError`.
        """
        from rayrig_scenarios.language.given import given_duration
        from rayrig_scenarios.why.from_run import why

        return why(self.record, self.trace, pod, given_duration(at, "at") if isinstance(at, str) else at)

    def why_each(self, at: str | float | None = None) -> list[Chain]:
        """The same for each pod that is there at the end, or was there at that time."""
        from rayrig_scenarios.language.given import given_duration
        from rayrig_scenarios.why.from_run import why_each

        return why_each(self.record, self.trace, given_duration(at, "at") if isinstance(at, str) else at)

    def why_unready(self) -> list[Chain]:
        """Why the pods of `unready` are not ready, in their order."""
        from rayrig_scenarios.why.from_run import why_each

        keys = [(pod.namespace, pod.name) for pod in self.unready]
        if not keys:
            return []
        chains = why_each(self.record, self.trace, keys={f"{namespace}/{name}" for namespace, name in keys})
        return sorted(chains, key=lambda chain: keys.index((chain.namespace, chain.pod)))

    def why_command(self, pod: str) -> str:
        """The command that tells why a pod is as it is at the end of this run."""
        return self.replay.replace("rayrig run ", f"rayrig why {pod} --scenario ", 1)

    @property
    def exit_code(self) -> int:
        """0 held, 1 broken, 2 could not be told."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 2}[self.verdict]


#: Pods of which a failure tells.
_MOST_UNREADY = 3


def what_broke(result: RunResult) -> list[str]:
    """A line for each step that failed, each expectation that did not hold, and the first pods that are not ready; the last repeats
    the run."""
    lines = [f"step {s.index} {s.title}: {s.detail}" for s in result.steps if s.state is StepState.FAILED]
    lines += [
        f"{record.verdict}: {record.title}: {record.detail}"
        for record in result.expectations
        if record.verdict is not Verdict.PASS
    ]
    unready = result.why_unready()
    lines += [f"pod {chain.pod} is not ready: {chain.short()}" for chain in unready[:_MOST_UNREADY]]
    if unready:
        lines.append(f"all of it: {result.why_command(unready[0].pod)}")
    return [*lines, f"replay: {result.replay}"]
