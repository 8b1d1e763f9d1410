"""A fuzzer of the fake Kubernetes' HTTP face.

    python -m tests.fuzz.kubernetes_http [--minutes 10] [--seed 0] [--clients 16] [--failures FOLDER] [--replay FILE...]

It starts a `rayrig kube` of its own, sends what `http_cases` makes up, and asks of every case: no answer 500, an answer (or the end
of the connection) in time, and bodies that are what their content type says. Meanwhile the server must answer others, its memory
must come to rest after a warm-up, and connections that are parked half way must not pile up. Each input that fails is written to a
file that `--replay` sends again. Exit code: 0 nothing found, 1 something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.corpus import NAMESPACES, RESOURCES
from tests.fuzz.http_cases import TOKEN, Case, Cases

#: A whole request must be answered, or its connection closed, within this time.
ANSWER_WITHIN_S = 10.0
_READ_AT_ONCE = 1 << 16
_CLEAN_UP_EVERY_S = 15.0
_SAMPLE_EVERY_S = 1.0
_PARKED = 50
#: Written for what is no HTTP at all; everything else on the server's standard error is a finding.
_WARNINGS = (
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
    "No supported WebSocket library detected.",
    "rayrig kube: warning:",
)

#: A few refusals of the real server have the code 500, too: those of its parts that know no codes (typed patches, watch options,
#: creating what has a version). They are a Status without a reason, where a failure of the server itself has this one.
_FAILURE = "InternalError"
#: And those that have it nevertheless.
_RIGHTLY = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    "the spec replicas field",
)


@dataclass(slots=True)
class Answer:
    """One response as far as it came."""

    code: int
    headers: dict[str, str]
    body: bytes
    #: Everything that was announced has come.
    is_whole: bool


@dataclass(slots=True)
class Findings:
    """What a run has seen."""

    sent: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[Case, str]] = field(default_factory=list)
    #: (seconds, MiB) of the server.
    memory: list[tuple[float, float]] = field(default_factory=list)
    slowest_s: float = 0.0


class Gone(Exception):
    """The server closed the connection."""


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False, leave_at: float | None = None) -> Answer:
    """The next response. Raises `Gone` when the connection ends before there is one, and `ValueError` for what is no HTTP."""
    while True:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as ended:
            left = getattr(ended, "partial", b"")
            if left:
                raise ValueError(f"half a response: {left[:80]!r}") from None
            raise Gone from None
        line, *lines = raw.decode("latin-1").split("\r\n")
        version, _, rest = line.partition(" ")
        code = int(rest[:3])
        if not version.startswith("HTTP/1."):
            raise ValueError(f"no HTTP: {line!r}")
        if code != 100:
            break
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines if each)}
    if head or code in (204, 304):
        return Answer(code, headers, b"", True)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(code, headers, *await _read_chunks(reader, leave_at))
    if "content-length" in headers:
        length = int(headers["content-length"])
        try:
            return Answer(code, headers, await reader.readexactly(length), True)
        except (asyncio.IncompleteReadError, ConnectionError) as ended:
            return Answer(code, headers, getattr(ended, "partial", b""), False)
    return Answer(code, headers, await reader.read(), True)


async def _read_chunks(reader: asyncio.StreamReader, leave_at: float | None) -> tuple[bytes, bool]:
    loop = asyncio.get_running_loop()
    body = b""
    while True:
        rest_s = None if leave_at is None else leave_at - loop.time()
        if rest_s is not None and rest_s <= 0:
            return body, False
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\r\n"), rest_s)
            size = int(line.split(b";")[0], 16)
            body += (await reader.readexactly(size + 2))[:-2]
        except TimeoutError:
            return body, False
        except (asyncio.IncompleteReadError, ConnectionError):
            return body, False
        if size == 0:
            return body, True


async def send(case: Case, port: int, findings: Findings | None = None) -> str | None:
    """What is wrong with the answers to a case; None when nothing is. Raises `OSError` when the server cannot be reached."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    began = loop.time()
    try:
        try:
            for position, chunk in enumerate(case.chunks):
                if position and case.pause_s:
                    await asyncio.sleep(case.pause_s)
                writer.write(chunk)
                await asyncio.wait_for(writer.drain(), ANSWER_WITHIN_S)
            if case.ending == "half-close":
                writer.write_eof()
        except TimeoutError:
            return f"the server took no more bytes for {ANSWER_WITHIN_S} s"
        except OSError:
            pass  # Refused half way: the answer may have come nevertheless.
        if case.ending == "close":
            writer.transport.abort()
            return None
        leave_at = loop.time() + case.leave_after_s if case.leave_after_s else None
        return await _judge(case, reader, leave_at, findings)
    finally:
        if findings is not None:
            findings.slowest_s = max(findings.slowest_s, loop.time() - began - case.pause_s * len(case.chunks))
        writer.transport.abort()


async def _judge(
    case: Case, reader: asyncio.StreamReader, leave_at: float | None, findings: Findings | None
) -> str | None:
    number = 0
    while case.answers == 0 or number < case.answers:
        number += 1
        try:
            answer = await asyncio.wait_for(read_answer(reader, head=case.head, leave_at=leave_at), ANSWER_WITHIN_S)
        except TimeoutError:
            return f"no answer {number} for {ANSWER_WITHIN_S} s"
        except Gone:
            return None
        except (ValueError, IndexError) as problem:
            return f"no HTTP response: {problem}"
        if findings is not None:
            findings.codes[answer.code] += 1
        if (problem_found := complaint(answer)) is not None:
            return problem_found
        if not answer.is_whole and leave_at is None:
            return f"half a body after {answer.code}"
        if answer.headers.get("connection", "").lower() == "close":
            return None
    return None


def complaint(answer: Answer) -> str | None:
    """What is wrong with a response."""
    text = answer.body.decode("utf-8", "replace")
    if answer.code == 500 and ("Status" not in text or _FAILURE in text) and not any(each in text for each in _RIGHTLY):
        return f"answered 500: {text[:400]}"
    if not 100 <= answer.code < 600:
        return f"answered {answer.code}"
    if not answer.is_whole or not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    is_stream = answer.headers.get("transfer-encoding", "").lower() == "chunked"
    try:
        for line in text.splitlines() if is_stream else ([text] if text else []):
            _check_status(json.loads(line), answer.code)
    except (ValueError, AssertionError) as problem:
        return f"answered {answer.code} with a body that is no JSON of its kind ({problem}): {text[:200]}"
    return None


def _check_status(value: Any, code: int) -> None:
    if code >= 400 and isinstance(value, dict):
        assert value.get("kind") == "Status", "not a Status"
        assert value.get("code") == code, "another code"


# The server


class Server:
    """A `rayrig kube` of the fuzzer's own, with RBAC, so that authorization is in the way of everything."""

    def __init__(self, folder: Path) -> None:
        tokens = folder / "tokens.csv"
        tokens.write_text(f'{TOKEN},fuzz,u1,"system:masters"\n')
        command = [sys.executable, "-m", "rayrig", "kube", "--token-file", str(tokens), "--authorization", "RBAC"]
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    @property
    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status")
        if status.exists():
            for line in status.read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
            return 0.0
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True)
        return int(told.stdout or 0) / 1024

    @property
    def connections(self) -> int:
        """Open sockets of the server, -1 where that cannot be told."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        if not folder.is_dir():
            return -1
        found = 0
        for each in folder.iterdir():
            try:
                found += os.readlink(each).startswith("socket:")
            except OSError:
                continue
        return found

    def stop(self) -> int:
        """The exit code."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode


async def ask(port: int, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
    """One right request."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        writer.write(f"{lines}Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        return await asyncio.wait_for(read_answer(reader), ANSWER_WITHIN_S)
    finally:
        writer.transport.abort()


async def prepare(port: int) -> None:
    """Namespaces and a definition, so that requests have somewhere to go."""
    for name in NAMESPACES:
        await ask(port, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    (definition,) = (each for each in RESOURCES if each.kind == "CustomResourceDefinition")
    body = {"metadata": {"name": "widgets.fuzz.example.com"}, **definition.body}
    await ask(port, "POST", definition.path(), body)


async def clean_up(port: int) -> None:
    """Delete what cases have made: what is left to grow is the server's own."""
    merge = "application/merge-patch+json"
    for resource in RESOURCES:
        if resource.plural in ("subjectaccessreviews", "customresourcedefinitions"):
            continue
        listed = await ask(port, "GET", resource.path())
        if listed.code != 200:
            continue
        for item in json.loads(listed.body)["items"]:
            meta = item["metadata"]
            name, namespace = meta["name"], meta.get("namespace", "")
            if resource.plural == "namespaces" and (name in (*NAMESPACES, "default") or name.startswith("kube-")):
                continue
            if namespace.startswith("kube-") or (namespace == "default" and name == "kubernetes"):
                continue
            path = f"{resource.path(namespace)}/{name}"
            if meta.get("finalizers"):
                await ask(port, "PATCH", path, {"metadata": {"finalizers": None}}, merge)
            await ask(port, "DELETE", f"{path}?gracePeriodSeconds=0")
    await prepare(port)


# A run


async def fuzz(server: Server, *, minutes: float, seed: int, clients: int, folder: Path) -> Findings:
    """Send cases until the time is over."""
    findings = Findings()
    cases = Cases(Random(seed))
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = began + minutes * 60

    async def client() -> None:
        while loop.time() < end and server.process.poll() is None:
            case = cases.next()
            findings.sent[case.kind] += 1
            try:
                problem = await send(case, server.port, findings)
            except OSError as unreachable:
                problem = f"the server could not be reached: {unreachable}"
            if problem is not None:
                note(findings, case, problem, folder)

    async def sample() -> None:
        while loop.time() < end:
            findings.memory.append((loop.time() - began, server.resident_mib))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    async def look_after() -> None:
        while loop.time() < end:
            await asyncio.sleep(min(_CLEAN_UP_EVERY_S, max(0.1, end - loop.time())))
            try:
                await clean_up(server.port)
            except (OSError, TimeoutError, Gone, ValueError) as problem:
                note(findings, Case("clean-up", ()), f"right requests fail: {problem!r}", folder)

    await prepare(server.port)
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
        group.create_task(sample())
        group.create_task(look_after())
    return findings


def note(findings: Findings, case: Case, problem: str, folder: Path) -> None:
    findings.failures.append((case, problem))
    file = folder / f"{len(findings.failures):04}-{case.kind.replace(' ', '-')}.json"
    file.write_text(json.dumps({**case.to_json(), "problem": problem}))
    print(f"{case.kind}: {problem}\n    {file}", flush=True)


async def park(server: Server, seconds: float) -> str | None:
    """Half requests that nobody goes on with: the server must let go of them by itself."""
    before = server.connections
    held = []
    for number in range(_PARKED):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            (b"GET /api/v1/pods HTTP/1.1\r\nHos", b"POST /api/v1/pods HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"")[
                number % 3
            ]
        )
        held.append((reader, writer))
    try:
        for reader, _ in held:
            try:
                await asyncio.wait_for(reader.read(), seconds)
            except TimeoutError:
                return f"a half request is still waited for after {seconds:.0f} s"
            except ConnectionError:
                continue
        await asyncio.sleep(0.5)
        if server.connections > before + 2:
            return f"{server.connections - before} connections are left of {_PARKED} that were given up"
        return None
    finally:
        for _, writer in held:
            writer.transport.abort()


def memory_verdict(samples: list[tuple[float, float]]) -> str | None:
    """Whether memory has come to rest: the last quarter against the second, so that the first is the warm-up."""
    if len(samples) < 40:
        return None
    quarter = len(samples) // 4
    second = statistics.median(mib for _, mib in samples[quarter : 2 * quarter])
    last = statistics.median(mib for _, mib in samples[3 * quarter :])
    if last > second * 1.25 + 16:
        return f"memory grows: {second:.0f} MiB in the second quarter of the run, {last:.0f} MiB in the last"
    return None


def report(findings: Findings, took_s: float) -> None:
    total = findings.sent.total()
    print(f"\n{total} cases in {took_s:.0f} s ({total / took_s:.0f} /s), slowest {findings.slowest_s:.2f} s")
    print("cases:   " + ", ".join(f"{kind} {count}" for kind, count in sorted(findings.sent.items())))
    print("answers: " + ", ".join(f"{code} x{count}" for code, count in sorted(findings.codes.items())))
    step = max(1, len(findings.memory) // 10)
    print("memory:  " + ", ".join(f"{at:.0f} s {mib:.0f} MiB" for at, mib in findings.memory[::step]))
    print(f"failures: {len(findings.failures)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.kubernetes_http",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="where inputs that fail are kept")
    parser.add_argument("--replay", type=Path, nargs="+", default=[], help="send these again and nothing else")
    parser.add_argument(
        "--park",
        type=float,
        default=90.0,
        metavar="S",
        help="half requests must be given up in S seconds; 0: do not ask",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rayrig-fuzz-") as folder:
        server = Server(Path(folder))
        try:
            found = (
                asyncio.run(replay(server, options.replay)) if options.replay else asyncio.run(_whole(server, options))
            )
        finally:
            alive = server.process.poll() is None
            code = server.stop()
            log = server.log.read_text(errors="replace")
        if not alive:
            print(f"the server died with {code}")
        elif code != 0:
            print(f"the server ended with {code}")
        told = "\n".join(line for line in log.splitlines() if not line.startswith(_WARNINGS))
        if told:
            print(f"the server wrote:\n{told[-6000:]}")
    return 0 if found and alive and code == 0 and not told else 1


async def _whole(server: Server, options: argparse.Namespace) -> bool:
    """Whether nothing was found."""
    options.failures.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    found = await fuzz(
        server, minutes=options.minutes, seed=options.seed, clients=options.clients, folder=options.failures
    )
    report(found, time.monotonic() - began)
    problems = [problem for problem in (memory_verdict(found.memory),) if problem]
    if options.park:
        problems += [problem for problem in (await park(server, options.park),) if problem]
    for problem in problems:
        print(problem)
    return not found.failures and not problems


async def replay(server: Server, files: list[Path]) -> bool:
    """Whether every case in the files goes well now."""
    await prepare(server.port)
    good = True
    for file in files:
        read = json.loads(file.read_text())
        read.pop("problem", None)
        problem = await send(Case.from_json(read), server.port)
        print(f"{file}: {problem or 'good'}")
        good = good and problem is None
    return good


if __name__ == "__main__":
    sys.exit(main())
