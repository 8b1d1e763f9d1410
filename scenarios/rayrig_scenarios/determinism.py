"""Is a run a function of scenario and seed alone? The same runs in two processes that differ in all that must not matter.

The second process has another `PYTHONHASHSEED` and time zone, and takes the seeds of an order backwards, so that state which leaks
from one run into the next shows as well. Where digests differ, the first event that does is named.
"""

from __future__ import annotations

import ast
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rayrig_core.errors import RayrigError
from rayrig_core.trace import Kind, TraceEvent

#: Seeds per order: their traces are kept until the next, so that a difference is shown from the very runs that differ.
_ORDER_SIZE = 4
_SHOWN_BEFORE = 3
_BY_LABEL = {kind.label: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first event that differs: its number in the trace and its record in each process (None: the trace had ended)."""

    index: int
    left: str | None
    right: str | None
    before: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people: what both did last, then what each did next."""
        told = [f"  both: {_readable(record)}" for record in self.before]
        told.append(f"  one:  {_readable(self.left)}")
        told.append(f"  two:  {_readable(self.right)}")
        return told

    def __str__(self) -> str:
        return f"event {self.index}: {_readable(self.left)} | {_readable(self.right)}"


def _readable(record: str | None) -> str:
    if record is None:
        return "(the run had ended)"
    t_ns, actor, label, subject, data, cause = ast.literal_eval(record)
    event = TraceEvent(0, t_ns, actor, _BY_LABEL[label], subject, data, cause)
    return event.line().strip() + (f" (caused by event {cause})" if cause is not None else "")


@dataclass(frozen=True, slots=True)
class SeedOutcome:
    """One seed of one scenario. `error` when the run itself failed; `verdict` is that of the run."""

    scenario: str
    seed: int
    equal: bool
    digests: tuple[str, str] = ("", "")
    events: int = 0
    verdict: str = ""
    divergence: Divergence | None = None
    error: str = ""
    resumed: bool = False


class WorkerDied(RayrigError):
    """A process of the check ended without an answer."""


class _Process:
    """A long-lived `rayrig_scenarios.digest --serve`."""

    def __init__(self, environment: Mapping[str, str], world: str) -> None:
        command = [sys.executable, "-m", "rayrig_scenarios.digest", "--serve"]
        if world:
            command += ["--world", world]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
        )

    def order(self, order: Mapping[str, Any]) -> None:
        try:
            self._stream(self._process.stdin).write(json.dumps(order) + "\n")
            self._stream(self._process.stdin).flush()
        except (BrokenPipeError, ValueError):
            raise WorkerDied("a process of the determinism check is gone") from None

    def answer(self) -> dict[str, Any]:
        line = self._stream(self._process.stdout).readline()
        if not line:
            code = self._process.wait()
            raise WorkerDied(f"a process of the determinism check ended with code {code}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _stream(stream: Any) -> TextIO:
        assert stream is not None
        text: TextIO = stream
        return text

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            # What was still to be written to a process that is gone is of no use to anybody.
            with suppress(OSError):
                self._stream(stream).close()


class Pair:
    """Two processes that run the same things under different circumstances."""

    def __init__(self, *, hash_seeds: tuple[int, int] = (1, 2), world: str = "") -> None:
        left, right = hash_seeds
        self._processes = (
            _Process({"PYTHONHASHSEED": str(left), "TZ": "UTC"}, world),
            _Process({"PYTHONHASHSEED": str(right), "TZ": "Asia/Kathmandu"}, world),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for process in self._processes:
            process.close()

    def compare(self, scenario: str, seeds: Sequence[int]) -> list[SeedOutcome]:
        """Run the seeds in both processes at the same time."""
        left, right = self._processes
        left.order({"run": scenario, "seeds": list(seeds)})
        right.order({"run": scenario, "seeds": list(reversed(seeds))})
        answers = [{a["seed"]: a for a in (process.answer() for _ in seeds)} for process in self._processes]
        return [self._outcome(scenario, seed, answers[0][seed], answers[1][seed]) for seed in seeds]

    def _outcome(self, scenario: str, seed: int, one: dict[str, Any], two: dict[str, Any]) -> SeedOutcome:
        digests = (str(one.get("digest", "")), str(two.get("digest", "")))
        errors = (str(one.get("error", "")), str(two.get("error", "")))
        if any(errors):
            same = errors[0] == errors[1]
            error = errors[0] if same else f"one: {errors[0] or 'ran'}; two: {errors[1] or 'ran'}"
            return SeedOutcome(scenario, seed, same, digests, error=error)
        equal = digests[0] == digests[1]
        divergence = None if equal else self._diverging(seed)
        return SeedOutcome(scenario, seed, equal, digests, one["events"], str(one["verdict"]), divergence)

    def _diverging(self, seed: int) -> Divergence | None:
        with tempfile.TemporaryDirectory(prefix="rayrig-") as folder:
            paths = [Path(folder) / name for name in ("one.txt", "two.txt")]
            for process, path in zip(self._processes, paths, strict=True):
                process.order({"records": seed, "path": str(path)})
            for process in self._processes:
                process.answer()
            with paths[0].open(encoding="utf-8") as left, paths[1].open(encoding="utf-8") as right:
                return first_divergence((line.rstrip("\n") for line in left), (line.rstrip("\n") for line in right))


def first_divergence(left: Iterable[str], right: Iterable[str]) -> Divergence | None:
    """The first record that differs; None when all are the same."""
    before: list[str] = []
    for index, (one, two) in enumerate(zip_longest(left, right)):
        if one != two:
            return Divergence(index, one, two, tuple(before))
        before = [*before[1 - _SHOWN_BEFORE :], one]
    return None


def verify(
    scenario: str, seeds: Iterable[int], *, hash_seeds: tuple[int, int] = (1, 2), world: str = ""
) -> list[SeedOutcome]:
    """Each seed of one scenario (a name or path, as `load` takes it)."""
    return list(verify_each([(scenario, seeds)], hash_seeds=hash_seeds, world=world))


def verify_each(
    scenarios: Iterable[tuple[str, Iterable[int]]],
    *,
    pairs: int = 1,
    resume: Path | None = None,
    hash_seeds: tuple[int, int] = (1, 2),
    world: str = "",
) -> Iterator[SeedOutcome]:
    """Many seeds of many scenarios, on `pairs` pairs of processes, outcomes as they come.

    With `resume`, equal outcomes are kept in that file and not run again as long as code and scenario are the same.
    Raises `InputError` for a scenario that cannot be read, `WorkerDied` when a process is lost.
    """
    log = _ResumeLog(resume) if resume is not None else None
    orders: list[tuple[str, list[int]]] = []
    for scenario, seeds in scenarios:
        left = []
        for seed in seeds:
            known = log.known(scenario, seed) if log is not None else None
            if known is not None:
                yield known
            else:
                left.append(seed)
        orders += [(scenario, left[start : start + _ORDER_SIZE]) for start in range(0, len(left), _ORDER_SIZE)]
    if not orders:
        return
    for outcome in _work(orders, min(pairs, len(orders)), hash_seeds, world):
        if log is not None and outcome.equal and not outcome.error:
            log.add(outcome)
        yield outcome


def _work(
    orders: list[tuple[str, list[int]]], pairs: int, hash_seeds: tuple[int, int], world: str
) -> Iterator[SeedOutcome]:
    """A thread per pair takes orders; this generator hands on what they find and closes the pairs at the end, whatever ends it."""
    waiting: queue.SimpleQueue[tuple[str, list[int]]] = queue.SimpleQueue()
    for order in orders:
        waiting.put(order)
    found: queue.SimpleQueue[SeedOutcome | BaseException | None] = queue.SimpleQueue()
    workers = [Pair(hash_seeds=hash_seeds, world=world) for _ in range(pairs)]

    def drive(pair: Pair) -> None:
        try:
            while True:
                try:
                    scenario, seeds = waiting.get_nowait()
                except queue.Empty:
                    break
                for outcome in pair.compare(scenario, seeds):
                    found.put(outcome)
        except BaseException as error:
            found.put(error)
        found.put(None)

    threads = [threading.Thread(target=drive, args=(pair,), daemon=True) for pair in workers]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            outcome = found.get()
            if outcome is None:
                running -= 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                yield outcome
    finally:
        for pair in workers:
            pair.close()
        for thread in threads:
            thread.join()


class _ResumeLog:
    """Equal outcomes, a line each, with the fingerprint of code and scenario they are valid for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fingerprints: dict[str, str] = {}
        self._known: dict[tuple[str, int, str], dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[(entry["scenario"], entry["seed"], entry["fingerprint"])] = entry
                except (ValueError, KeyError, TypeError):
                    continue  # the line that was being written when the last check was broken off

    def _fingerprint(self, scenario: str) -> str:
        found = self._fingerprints.get(scenario)
        if found is None:
            from rayrig_scenarios.language.load import load

            found = self._fingerprints[scenario] = f"{code_fingerprint()}-{load(scenario).fingerprint}"
        return found

    def known(self, scenario: str, seed: int) -> SeedOutcome | None:
        entry = self._known.get((scenario, seed, self._fingerprint(scenario)))
        if entry is None:
            return None
        digest = entry["digest"]
        return SeedOutcome(
            scenario, seed, True, (digest, digest), entry["events"], entry.get("verdict", ""), resumed=True
        )

    def add(self, outcome: SeedOutcome) -> None:
        entry = {
            "scenario": outcome.scenario,
            "seed": outcome.seed,
            "fingerprint": self._fingerprint(outcome.scenario),
            "digest": outcome.digests[0],
            "events": outcome.events,
            "verdict": outcome.verdict,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


@cache
def code_fingerprint() -> str:
    """16 hexadecimal digits over all of rayrig's own code that a run depends on."""
    digest = blake2b(digest_size=8)
    packages = ("core", "controllers", "sim", "fakes", "backends", "scenarios")
    for package in packages:
        module = __import__(f"rayrig_{package}")
        for root in sorted(module.__path__):
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
