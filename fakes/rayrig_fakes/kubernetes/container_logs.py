"""What containers have written, as whoever models them tells: nothing runs in the containers of a fake."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from rayrig_core.timestamps import NS, rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_KEPT_LINES = 10_000
_KEPT_CONTAINERS = 2_000


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log is asked for (`PodLogOptions`)."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_unix_ns: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = ""

    def check(self, pod: str) -> None:
        """Raises `ApiError` 422."""
        causes: list[Cause] = []
        if self.tail_lines is not None and self.tail_lines < 0:
            causes.append(status.invalid_value("tailLines", self.tail_lines, "must be greater than or equal to 0"))
        if self.limit_bytes is not None and self.limit_bytes < 1:
            causes.append(status.invalid_value("limitBytes", self.limit_bytes, "must be greater than 0"))
        if self.since_seconds is not None and self.since_unix_ns is not None:
            text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
            causes.append(status.forbidden_field("[]", text))
        elif self.since_seconds is not None and self.since_seconds < 1:
            causes.append(status.invalid_value("sinceSeconds", self.since_seconds, "must be greater than 0"))
        if self.stream:
            causes.append(status.forbidden_field("stream", "may not be specified"))
        if causes:
            raise status.invalid("PodLogOptions", "", pod, causes)

    def query(self) -> str:
        """As the API server hands it on to a kubelet."""
        given: Mapping[str, object] = {
            "follow": "true" if self.follow else None,
            "limitBytes": self.limit_bytes,
            "previous": "true" if self.previous else None,
            "sinceSeconds": self.since_seconds,
            "sinceTime": rfc3339(self.since_unix_ns).replace(":", "%3A") if self.since_unix_ns is not None else None,
            "tailLines": self.tail_lines,
            "timestamps": "true" if self.timestamps else None,
        }
        return "&".join(f"{name}={value}" for name, value in given.items() if value is not None)


@dataclass(slots=True)
class _Log:
    """Lines (time in ns, text without its end) of one run of a container."""

    lines: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    #: Lines that were ever written.
    count: int = 0
    waiting: list[Callable[[], None]] = field(default_factory=list)


class PodLogs:
    """The logs of all containers of a server, by pod uid and container; the last 10,000 lines of each are kept."""

    __slots__ = ("_logs", "_previous")

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str], _Log] = {}
        self._previous: dict[tuple[str, str], _Log] = {}

    def write(self, uid: str, container: str, lines: Iterable[str], unix_ns: int) -> None:
        """Append lines that the container wrote at this time."""
        log = self._log(uid, container)
        for line in lines:
            log.lines.append((unix_ns, line))
            log.count += 1
        waiting, log.waiting = log.waiting, []
        for ready in waiting:
            ready()

    def restart(self, uid: str, container: str) -> None:
        """The container runs anew: what it wrote until now is the log of its previous run."""
        log = self._logs.pop((uid, container), None)
        if log is not None:
            self._previous[uid, container] = log
            for ready in log.waiting:
                ready()

    def _log(self, uid: str, container: str) -> _Log:
        log = self._logs.get((uid, container))
        if log is None:
            for logs in (self._logs, self._previous):
                while len(logs) >= _KEPT_CONTAINERS:
                    del logs[next(iter(logs))]
            log = self._logs[uid, container] = _Log()
        return log

    def has_previous(self, uid: str, container: str) -> bool:
        return (uid, container) in self._previous

    def read(self, uid: str, container: str, options: LogOptions, now_unix_ns: int) -> str:
        """The text asked for."""
        logs = self._previous if options.previous else self._logs
        log = logs.get((uid, container))
        return _shown(log.lines, options, now_unix_ns) if log is not None else ""

    def place(self, uid: str, container: str) -> int:
        """Where the log ends now, to go on from with `after`."""
        return self._log(uid, container).count

    def after(self, uid: str, container: str, place: int, *, timestamps: bool) -> tuple[str, int]:
        """What was written after a place, and the new place."""
        log = self._log(uid, container)
        # A container that was restarted begins anew.
        place = min(place, log.count)
        missed = min(log.count - place, len(log.lines))
        fresh = islice(log.lines, len(log.lines) - missed, None)
        return "".join(_line(each, timestamps) for each in fresh), log.count

    def call_when_more(self, uid: str, container: str, ready: Callable[[], None]) -> None:
        """Call `ready` once when something is written."""
        self._log(uid, container).waiting.append(ready)


def _line(line: tuple[int, str], timestamps: bool) -> str:
    return f"{rfc3339(line[0])[:-1]}.{line[0] % NS:09d}Z {line[1]}\n" if timestamps else f"{line[1]}\n"


def _shown(lines: Iterable[tuple[int, str]], options: LogOptions, now_unix_ns: int) -> str:
    since = options.since_unix_ns or 0
    if options.since_seconds is not None:
        since = now_unix_ns - options.since_seconds * NS
    chosen = [line for line in lines if line[0] >= since]
    if options.tail_lines is not None:
        chosen = chosen[-options.tail_lines :] if options.tail_lines else []
    text = "".join(_line(line, options.timestamps) for line in chosen)
    if options.limit_bytes is not None:
        text = text.encode()[: options.limit_bytes].decode("utf-8", "ignore")
    return text
