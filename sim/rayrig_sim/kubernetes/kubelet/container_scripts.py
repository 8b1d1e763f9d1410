"""The vocabulary of container scripts: what may be written, and the one form that is played.

    http: {"8080": {/ready: {0s: 503, 40s: 200}, "*": 200:hello, listen: {0s: false, 5s: true}}}
    grpc: {"9100": {0s: NOT_SERVING, 10s: SERVING}}
    exec: [{match: check, schedule: {0s: {exit: 1, out: "not yet"}, 10s: 0}}]
    runs: [{for: 2s, exit: 1}, {}]         # one for each attempt, the last repeats; no `for`: for ever
    term: {after: 5s, exit: 0}             # or {ignore: true}; `http: {"*": 503}` answers from SIGTERM on
    log: "last words"                      # or a list of lines
    message: "what its termination message file says"

Any of these may stand in a run and holds for that run, beside `for`, `exit`, `reason` (`OOMKilled`), `start-error`, `create-error`
and `times`. A script of a pod has one such mapping for each container, and beside them `images`, by image, one entry for each pull,
the last repeats: `[{delay: 20s}, {error: text, code: NOT_FOUND}]`; and `sandbox`: `{delay: 3s, error: text, times: 2}`.

Answers over time are by the container's age: a mapping of ages, a list of pairs `[age, answer]`, or one answer for ever. An answer
over HTTP is a status, `STATUS:body`, `STATUS:body@DURATION` (after that time), `302:/location`, `hang`, `reset`, or a mapping of
`status`, `body` and `delay`; of a command, an exit code or a mapping of `exit`, `out`, `err`, `delay`, `error` (the runtime
refuses) and `real` (a health command of the shape `health_commands` knows is carried out).

The form that is played is that of the recordings in golden/kubelet: ages and durations are seconds, schedules lists of pairs,
answers over HTTP texts, names with underscores. What is in that form already stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from rayrig_core.remedies import closest
from rayrig_sim.calibration import duration_s

#: A script in the form that is played: of one container, or of a pod (then by container, beside `images` and `sandbox`).
Script: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[str | int, ...]

GRPC_STATUSES = ("SERVING", "NOT_SERVING", "UNKNOWN", "SERVICE_UNKNOWN", "NOT_FOUND", "hang")
RPC_CODES = ("NOT_FOUND", "UNAVAILABLE", "UNKNOWN", "INTERNAL")
_OOM, _OOM_EXIT = "OOMKilled", 137


class ScriptProblem(ValueError):
    """What is wrong with a script: `place` in it, `what`, and the `remedy`."""

    def __init__(self, place: Place, what: str, remedy: str) -> None:
        self.place, self.what, self.remedy = place, what, remedy
        where = ".".join(str(part) for part in place)
        super().__init__(f"{where}: {what} ({remedy})" if where else f"{what} ({remedy})")


#: Seconds from a duration as it is written. Raises `ValueError`, or `ScriptProblem` with words of its own.
Seconds: TypeAlias = Callable[[Any], float]
_Read: TypeAlias = Callable[[Any, Place, Seconds], Any]


def read_container(written: Any, *, seconds: Seconds = duration_s, place: Place = ()) -> Script:
    """The script of one container. Raises `ScriptProblem`."""
    return _fields(written, place, seconds, _CONTAINER)


def read_pod(written: Any, *, seconds: Seconds = duration_s) -> Script:
    """The script of a pod, by container, with `images` and `sandbox`. Raises `ScriptProblem`."""
    pod: dict[str, Any] = {}
    for name, value in _mapping(written, ()).items():
        match name:
            case "images":
                images = _mapping(value, ("images",))
                pod[name] = {image: read_pulls(plays, seconds, ("images", image)) for image, plays in images.items()}
            case "sandbox":
                pod[name] = read_sandbox(value, seconds, ("sandbox",))
            case _:
                pod[name] = read_container(value, seconds=seconds, place=(name,))
    return pod


def read_pulls(written: Any, seconds: Seconds = duration_s, place: Place = ()) -> list[Script]:
    """How an image is pulled, one entry for each pull; a duration alone is a `delay`. Raises `ScriptProblem`."""
    plays = written if isinstance(written, list) else [written]
    found: list[Script] = []
    for index, play in enumerate(plays):
        here = (*place, index) if isinstance(written, list) else place
        if not isinstance(play, Mapping):
            play = {"delay": play}
        found.append(_fields(play, here, seconds, _PULL))
    return found


def read_sandbox(written: Any, seconds: Seconds = duration_s, place: Place = ()) -> Script:
    """How a pod's network is set up; a duration alone is a `delay`. Raises `ScriptProblem`."""
    return _fields(written if isinstance(written, Mapping) else {"delay": written}, place, seconds, _SANDBOX)


# Values


def _mapping(value: Any, place: Place) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ScriptProblem(place, f"this is {_shown(value)}", "give a mapping")


def _shown(value: Any) -> str:
    return "nothing" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _fields(value: Any, place: Place, seconds: Seconds, readers: Mapping[str, _Read]) -> dict[str, Any]:
    found = {}
    for name, inner in _mapping(value, place).items():
        reader = readers.get(str(name).replace("-", "_"))
        if reader is None:
            known = [each.replace("_", "-") for each in readers]
            raise ScriptProblem((*place, name), f'no field is called "{name}"', closest(str(name), known))
        found[str(name).replace("-", "_")] = reader(inner, (*place, name), seconds)
    return found


def _text(value: Any, place: Place, seconds: Seconds) -> str:
    if isinstance(value, str):
        return value
    raise ScriptProblem(place, f"this is {_shown(value)}", "give a text")


def _lines(value: Any, place: Place, seconds: Seconds) -> str:
    """A text, or a list of its lines."""
    if isinstance(value, list):
        return "".join(_text(line, (*place, index), seconds) + "\n" for index, line in enumerate(value))
    return _text(value, place, seconds)


def _flag(value: Any, place: Place, seconds: Seconds) -> bool:
    if isinstance(value, bool):
        return value
    raise ScriptProblem(place, f"this is {_shown(value)}", "give true or false")


def _duration(value: Any, place: Place, seconds: Seconds) -> float:
    try:
        found = seconds(value)
    except ScriptProblem as problem:
        raise ScriptProblem(place, problem.what, problem.remedy) from None
    except (ValueError, OverflowError):
        raise ScriptProblem(place, f"{_shown(value)} is no duration", "write one such as 40s or 250ms") from None
    if found < 0:
        raise ScriptProblem(place, f"{_shown(value)} is negative", "give 0 or more")
    return value if isinstance(value, int) and not isinstance(value, bool) else found


def _integer(value: Any, place: Place, seconds: Seconds, *, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ScriptProblem(place, f"this is {_shown(value)}", f"give a whole number from {least} to {most}")


_exit_code = partial(_integer, least=0, most=255)
_count = partial(_integer, least=0, most=1 << 30)


# Answers over time


def _is_age(key: Any) -> bool:
    return isinstance(key, (int, float)) or (isinstance(key, str) and key[:1].isdigit())


def _schedule(value: Any, place: Place, seconds: Seconds, answer: _Read) -> list[list[Any]]:
    entries: list[tuple[Any, Any, Place]]
    if isinstance(value, Mapping) and value and all(_is_age(key) for key in value):
        entries = [(age, inner, (*place, age)) for age, inner in value.items()]
    elif isinstance(value, list):
        entries = []
        for index, pair in enumerate(value):
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise ScriptProblem((*place, index), f"this is {_shown(pair)}", "give pairs such as [40s, 200]")
            entries.append((pair[0], pair[1], (*place, index)))
    else:
        return [[0, answer(value, place, seconds)]]
    found: list[list[Any]] = []
    for age, inner, here in entries:
        age_s = _duration(age, here, seconds)
        if found and age_s <= found[-1][0]:
            raise ScriptProblem(
                here, f"{_shown(age)} comes after {found[-1][0]:g} s", "let ages grow from entry to entry"
            )
        found.append([age_s, answer(inner, here, seconds)])
    return found


def _http_answer(value: Any, place: Place, seconds: Seconds) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        fields = _fields(value, place, seconds, _HTTP_ANSWER)
        if "status" not in fields:
            raise ScriptProblem(place, '"status" is missing', "add status: 200")
        body = f"{fields['status']}:{fields.get('body', '')}"
        return f"{body}@{fields.get('delay', 0):g}" if "delay" in fields or "@" in body else body
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{_status(value, place, seconds)}:"
    if not isinstance(value, str):
        raise ScriptProblem(place, f"this is {_shown(value)}", "write a status, 200:body, hang or reset")
    if value in ("hang", "reset"):
        return value
    status, colon, body = value.partition(":")
    if not status.isdecimal() or not 100 <= int(status) <= 599:
        raise ScriptProblem(place, f'"{value}" is no answer', "write a status, 200:body, 200:body@1.5s, hang or reset")
    body, at, delay = body.rpartition("@") if "@" in body else (body, "", "")
    if not at:
        return value if colon else f"{status}:"
    try:
        delay_s = duration_s(float(delay) if _is_number(delay) else delay)
    except ValueError:
        remedy = "end it with the time it takes, such as @1.5s; in a mapping of status and body it may stand"
        raise ScriptProblem(place, f'what follows "@" in "{value}" is no duration', remedy) from None
    return f"{status}:{body}@{delay_s:g}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


_status = partial(_integer, least=100, most=599)


def _grpc_answer(value: Any, place: Place, seconds: Seconds) -> str | None:
    if value is None or value in GRPC_STATUSES:
        return str(value) if value is not None else None
    raise ScriptProblem(place, f"this is {_shown(value)}", closest(str(value), GRPC_STATUSES))


def _exec_answer(value: Any, place: Place, seconds: Seconds) -> Script:
    if isinstance(value, Mapping):
        return _fields(value, place, seconds, _EXEC_ANSWER)
    return {"exit": _exit_code(value, place, seconds)}


# Parts of a container


def _ports(value: Any, place: Place, seconds: Seconds, port: _Read) -> dict[str, Any]:
    found = {}
    for number, inner in _mapping(value, place).items():
        here = (*place, str(number))
        if not str(number).isdecimal() or not 0 < int(number) < 65536:
            raise ScriptProblem(here, f'"{number}" is no port', 'give a number from 1 to 65535, in quotes: "8080"')
        found[str(number)] = port(inner, here, seconds)
    return found


_PORT_FIELDS = ("listen", "tls", "host")


def _http_port(value: Any, place: Place, seconds: Seconds) -> Script:
    """What is answered by path; an answer, or answers over time, alone are those of every path."""
    is_by_path = isinstance(value, Mapping) and all(
        str(key).startswith(("/", "*")) or key in _PORT_FIELDS for key in value
    )
    if not is_by_path:
        if isinstance(value, Mapping) and not all(_is_age(key) or key in _HTTP_ANSWER for key in value):
            wrong = next(k for k in value if not (_is_age(k) or str(k).startswith(("/", "*")) or k in _PORT_FIELDS))
            raise ScriptProblem(
                (*place, wrong), f'"{wrong}" is no path', 'write /path, "*" for any, listen, tls or host'
            )
        return {"*": _schedule(value, place, seconds, _http_answer)}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        here = (*place, key)
        match key:
            case "listen":
                found[key] = _schedule(inner, here, seconds, _flag)
            case "tls":
                found[key] = _flag(inner, here, seconds)
            case "host":
                found[key] = _text(inner, here, seconds)
            case _:
                found[key] = _schedule(inner, here, seconds, _http_answer)
    return found


def _term(value: Any, place: Place, seconds: Seconds) -> Script:
    """`ignore` alone, or the time it takes to end, alone."""
    if value == "ignore":
        return {"ignore": True}
    return _fields(value if isinstance(value, Mapping) else {"after": value}, place, seconds, _TERM)


def _by_path(value: Any, place: Place, seconds: Seconds) -> Script:
    if not isinstance(value, Mapping) or not all(str(key).startswith(("/", "*")) for key in value):
        return {"*": _http_answer(value, place, seconds)}
    return {path: _http_answer(inner, (*place, path), seconds) for path, inner in value.items()}


def _commands(value: Any, place: Place, seconds: Seconds) -> list[Script]:
    rules = value if isinstance(value, list) else [value]
    found: list[Script] = []
    for index, rule in enumerate(rules):
        here = (*place, index) if isinstance(value, list) else place
        if not isinstance(rule, Mapping):
            rule = {"schedule": rule}
        elif not {"match", "schedule"} & set(rule):
            rule = {"schedule": dict(rule)}
        elif "schedule" not in rule:
            rule = {"match": rule["match"], "schedule": {key: each for key, each in rule.items() if key != "match"}}
        found.append(_fields(rule, here, seconds, _COMMAND))
    return found


def _runs(value: Any, place: Place, seconds: Seconds) -> list[Script]:
    runs = value if isinstance(value, list) else [value]
    found: list[Script] = []
    for index, run in enumerate(runs):
        fields = _fields(run, (*place, index) if isinstance(value, list) else place, seconds, _RUN)
        if fields.get("reason") == _OOM:
            fields.setdefault("exit", _OOM_EXIT)
        found.append(fields)
    if not found:
        raise ScriptProblem(place, "the list is empty", "give at least one run, {} for one that lasts for ever")
    return found


_http_ports: _Read = partial(_ports, port=_http_port)
_grpc_ports: _Read = partial(_ports, port=partial(_schedule, answer=_grpc_answer))

_TERM: dict[str, _Read] = {"after": _duration, "exit": _exit_code, "ignore": _flag, "http": _by_path}
_HTTP_ANSWER: dict[str, _Read] = {"status": _status, "body": _text, "delay": _duration}
_EXEC_ANSWER: dict[str, _Read] = {
    "exit": _exit_code,
    "out": _text,
    "err": _text,
    "delay": _duration,
    "error": _text,
    "real": _flag,
}
_COMMAND: dict[str, _Read] = {"match": _text, "schedule": partial(_schedule, answer=_exec_answer)}
_PULL: dict[str, _Read] = {"delay": _duration, "error": _text, "code": _text}
_SANDBOX: dict[str, _Read] = {"delay": _duration, "error": _text, "times": _count}
_PLAY: dict[str, _Read] = {
    "http": _http_ports,
    "grpc": _grpc_ports,
    "exec": _commands,
    "term": _term,
    "log": _lines,
    "message": _text,
}
_RUN: dict[str, _Read] = {
    "for": _duration,
    "exit": _exit_code,
    "reason": _text,
    "start_error": _text,
    "create_error": _text,
    "times": _count,
    **_PLAY,
}
_CONTAINER: dict[str, _Read] = {**_PLAY, "runs": _runs}

#: Fields of a container's script, as they are written.
CONTAINER_FIELDS = ("http", "grpc", "exec", "runs", "term", "log", "message")
