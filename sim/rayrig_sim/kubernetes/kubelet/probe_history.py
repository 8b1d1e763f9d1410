"""What the probes of a pod got, over its whole life, in little room: equal answers at equal distances are one run.

A run is what a person tells of probes ("every 5 s from 10.3 s to 231.3 s, 45 times, each 503"), and what is left of probes that
were not made because their answer could not have changed: their times are computed, and `add_run` takes them as one.
No part of the trace, so keeping it changes no digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_sim.kubernetes.kubelet.probes import ProbeAnswer, ProbeKind, Verdict

#: Runs kept of one probe of one container, the newest; a probe that flaps for hours forgets its first hour.
_RUNS = 64
#: Pods of which a kubelet remembers the probes, gone ones with them.
_PODS = 1_024
#: On wall time no two distances are equal.
_TOLERANCE_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class ProbeObservation:
    """One probe that was made: when it ended (nanoseconds since the run began) and what it got.

    `detail` says what each part of a command got, where `text`, what the kubelet reports, does not tell.
    """

    t_ns: int
    container: str
    kind: ProbeKind
    verdict: Verdict
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """Probes of one container that got the same answer one after the other: `count` of them, the first ended at `first_ns`, the
    others at equal distances up to `last_ns`."""

    container: str
    kind: ProbeKind
    verdict: Verdict
    text: str
    detail: str
    first_ns: int
    last_ns: int
    count: int

    @property
    def step_ns(self) -> int:
        """From one to the next; 0 when it was one only."""
        return (self.last_ns - self.first_ns) // (self.count - 1) if self.count > 1 else 0

    def until(self, t_ns: int) -> ProbeRun | None:
        """The part that had ended by then; None when nothing had."""
        if self.last_ns <= t_ns:
            return self
        if self.first_ns > t_ns:
            return None
        step_ns = self.step_ns
        count = (t_ns - self.first_ns) // step_ns + 1
        last_ns = self.first_ns + (count - 1) * step_ns
        return ProbeRun(self.container, self.kind, self.verdict, self.text, self.detail, self.first_ns, last_ns, count)


class _OpenRun:
    __slots__ = ("answer", "count", "first_ns", "last_ns", "step_ns")

    def __init__(self, answer: ProbeAnswer, t_ns: int) -> None:
        self.answer = answer
        self.first_ns = self.last_ns = t_ns
        self.count = 1
        self.step_ns = 0


def _begun(runs: list[_OpenRun], run: _OpenRun) -> _OpenRun:
    """One more run, in place of the oldest when there are too many."""
    if len(runs) == _RUNS:
        del runs[0]
    runs.append(run)
    return run


class ProbeHistory:
    """The probes of one pod."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[tuple[str, ProbeKind], list[_OpenRun]] = {}

    def add(self, t_ns: int, container: str, kind: ProbeKind, answer: ProbeAnswer) -> None:
        """One probe, which ended at `t_ns`."""
        self._add(t_ns, container, kind, answer)

    def add_run(
        self, first_ns: int, last_ns: int, count: int, container: str, kind: ProbeKind, answer: ProbeAnswer
    ) -> None:
        """`count` probes at equal distances, the first of which ended at `first_ns` and the last at `last_ns`. As if each had been
        added."""
        if count == 1:
            self._add(last_ns, container, kind, answer)
            return
        step_ns = (last_ns - first_ns) // (count - 1)
        for left in range(count - 1, -1, -1):
            run = self._add(last_ns - left * step_ns, container, kind, answer)
            if left and run.count > 1 and abs(run.step_ns - step_ns) <= _TOLERANCE_NS:
                run.last_ns = last_ns
                run.count += left
                return

    def _add(self, t_ns: int, container: str, kind: ProbeKind, answer: ProbeAnswer) -> _OpenRun:
        """The run it belongs to: the last one, if it goes on with that."""
        runs = self._runs.get((container, kind))
        if runs is None:
            runs = self._runs[container, kind] = []
        if runs:
            last = runs[-1]
            if last.answer == answer:
                gap_ns = t_ns - last.last_ns
                step_ns = last.step_ns or gap_ns
                if gap_ns > 0 and abs(gap_ns - step_ns) <= _TOLERANCE_NS:
                    last.step_ns = step_ns
                    last.last_ns = t_ns
                    last.count += 1
                    return last
                if gap_ns > 0 and last.count == 2:
                    # Two make no rhythm: the second begins another, with this one.
                    run = _OpenRun(answer, last.last_ns)
                    last.last_ns, last.count, last.step_ns = last.first_ns, 1, 0
                    run.last_ns, run.count, run.step_ns = t_ns, 2, gap_ns
                    return _begun(runs, run)
        return _begun(runs, _OpenRun(answer, t_ns))

    def runs(self) -> list[ProbeRun]:
        """Oldest first."""
        found = [
            ProbeRun(name, kind, *run.answer, first_ns=run.first_ns, last_ns=run.last_ns, count=run.count)
            for (name, kind), runs in self._runs.items()
            for run in runs
        ]
        return sorted(found, key=lambda run: (run.first_ns, run.last_ns))

    def observations(self, most: int) -> list[ProbeObservation]:
        """The last probes, oldest first, `most` at most."""
        found = []
        for run in self.runs():
            step_ns = run.step_ns
            for back in range(min(run.count, most)):
                t_ns = run.last_ns - back * step_ns
                found.append(ProbeObservation(t_ns, run.container, run.kind, run.verdict, run.text, run.detail))
        return sorted(found, key=lambda one: one.t_ns)[-most:]


class ProbeLog:
    """The probes of a kubelet's pods by uid: those it looks after and, as far as there is room, those it looked after."""

    __slots__ = ("_pods",)

    def __init__(self) -> None:
        self._pods: dict[str, ProbeHistory] = {}

    def of(self, uid: str) -> ProbeHistory | None:
        return self._pods.get(uid)

    def all_runs(self) -> dict[str, list[ProbeRun]]:
        """Of all pods, by uid."""
        return {uid: history.runs() for uid, history in self._pods.items()}

    def begin(self, uid: str) -> ProbeHistory:
        """The pod's history, begun if there is none: a kubelet that comes back goes on with it."""
        found = self._pods.get(uid)
        if found is None:
            if len(self._pods) >= _PODS:
                del self._pods[next(iter(self._pods))]
            found = self._pods[uid] = ProbeHistory()
        return found
