"""The shell commands of KubeRay's probes, without a shell: `wget … URL | grep WORD && wget …` (`reference/kubelet.md` section 6).

Only that shape is understood: commands joined by `&&`, each a `wget -O-` to an address of the pod itself, optionally piped into
`grep`. What wget would print goes through grep to the output, so a failing second half still leaves the words of the first.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_sim.kubernetes.kubelet.containers import ExecResult, ExecTimeout

#: Port, path with query, headers, seconds allowed.
Get = Callable[[int, str, Mapping[str, str], float], Awaitable[HttpResponse]]

_WGET_TIMEOUT_S = 900.0
_NETWORK_FAILURE, _SERVER_ERROR = 4, 8


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One `wget` with its filter (empty: none)."""

    port: int
    path: str
    timeout_s: float
    pattern: str
    headers: Mapping[str, str]


class NotUnderstood(ValueError):
    """The command is not of the shape this module knows."""


@lru_cache(maxsize=512)
def parse(command: tuple[str, ...]) -> tuple[HealthCheck, ...]:
    """The checks a command makes, in order. Raises `NotUnderstood`."""
    if len(command) >= 3 and command[0].rpartition("/")[2] in ("bash", "sh") and command[1].startswith("-"):
        line = command[2]
    else:
        line = shlex.join(command)
    return tuple(_check(part) for part in line.split("&&"))


def _check(part: str) -> HealthCheck:
    fetch, _, rest = part.partition("|")
    words = shlex.split(fetch)
    if not words or words[0] != "wget":
        raise NotUnderstood(f"{part.strip()!r} is no wget")
    timeout_s, url = _WGET_TIMEOUT_S, ""
    options = iter(words[1:])
    for word in options:
        if word in ("-T", "--timeout"):
            timeout_s = float(next(options, "0")) or _WGET_TIMEOUT_S
        elif word in ("-t", "--tries", "-O"):
            next(options, "")
        elif word.startswith("--timeout="):
            timeout_s = float(word.partition("=")[2]) or _WGET_TIMEOUT_S
        elif not word.startswith("-"):
            url = word
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise NotUnderstood(f"{url!r} is not an address of the pod itself")
    pattern = ""
    if rest:
        filter_words = shlex.split(rest)
        if len(filter_words) != 2 or filter_words[0] != "grep":
            raise NotUnderstood(f"{rest.strip()!r} is no plain grep")
        pattern = filter_words[1]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or 80
    headers = {
        "Host": f"{parts.hostname}:{port}",
        "User-Agent": "Wget/1.21.3",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "Keep-Alive",
    }
    return HealthCheck(port, path, timeout_s, pattern, headers)


async def run(command: Sequence[str], get: Get) -> ExecResult:
    """Run the command with `get` for wget. Raises `NotUnderstood`."""
    output = ""
    done: list[str] = []
    for check in parse(tuple(command)):
        code, body = 0, ""
        try:
            response = await get(check.port, check.path, check.headers, check.timeout_s)
        except HttpFailure as failure:
            code, got = _NETWORK_FAILURE, _REFUSALS.get(failure.failure, "no answer")
        except ExecTimeout as timeout:
            timeout.detail = _told(done, check, "no answer in time")
            raise
        else:
            got = f"answered {response.status}"
            if response.status >= 400:
                code = _SERVER_ERROR
            else:
                body = response.body.decode(errors="replace")
        if check.pattern:
            code, lines = _grep(body, check.pattern)
            if body and code:
                got = f"{got} without {check.pattern!r}"
            body = lines
        output += body
        if code:
            return ExecResult(code, output, _told(done, check, got))
        done.append(f"{check.path} ok")
    return ExecResult(0, output)


GetAtOnce = Callable[[int, str], HttpResponse | None]


class Foreseen:
    """What `run` would answer with a `get` that takes no time, asked again and again. It is worked out anew when a check would get
    another answer than before."""

    __slots__ = ("_answers", "_checks", "_result", "command")

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        try:
            self._checks = parse(tuple(command))
        except NotUnderstood:
            self._checks = ()
        self._answers: list[HttpResponse | None] = [None] * len(self._checks)
        self._result: ExecResult | None = None

    def success(self, get: GetAtOnce) -> ExecResult | None:
        """The result if all checks succeed; None when one does not, when `get` does not know an answer, or the command is none of
        those known here."""
        is_known = True
        answers = self._answers
        for index, check in enumerate(self._checks):
            answer = get(check.port, check.path)
            if answer is None:
                # Whatever was asked before it is worked out anew.
                answers[:] = [None] * len(answers)
                return None
            if answer is not answers[index]:
                answers[index] = answer
                is_known = False
        if not is_known:
            self._result = self._success(answers)
        return self._result

    def _success(self, answers: Sequence[HttpResponse | None]) -> ExecResult | None:
        output = ""
        for check, answer in zip(self._checks, answers, strict=True):
            if answer is None or answer.status >= 400:
                return None
            body = answer.body.decode(errors="replace")
            if check.pattern:
                code, body = _grep(body, check.pattern)
                if code:
                    return None
            output += body
        return ExecResult(0, output)


def _grep(text: str, pattern: str) -> tuple[int, str]:
    """Exit code and output of grep."""
    lines = [line for line in text.splitlines() if pattern in line]
    return 0 if lines else 1, "".join(f"{line}\n" for line in lines)


_REFUSALS = {
    Failure.REFUSED: "connection refused",
    Failure.RESET: "connection broken off",
    Failure.TIMEOUT: "timed out",
}


def _told(done: list[str], check: HealthCheck, got: str) -> str:
    """What each check got, the one that failed last: `/api/local_raylet_healthz ok; localhost:8000/-/healthz: answered 503`."""
    return "; ".join([*done, f"localhost:{check.port}{check.path}: {got}"])
