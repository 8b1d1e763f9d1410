"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds (`metav1.Time`) or microseconds (`metav1.MicroTime`).

Inside, a time is an integer number of nanoseconds since the Unix epoch, so that comparison and order are exact.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(ns: int) -> float:
    """Nanoseconds as seconds."""
    return ns / NS


def to_ns(value_s: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(value_s * NS)


@lru_cache(maxsize=4096)
def _whole(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _whole_utc(second: int) -> str:
    return _whole(second) + "Z"


def rfc3339(unix_ns: int) -> str:
    """`2026-01-01T00:00:07Z`: cut to whole seconds, not rounded, as the API server does."""
    return _whole_utc(unix_ns // NS)


def rfc3339_micro(unix_ns: int) -> str:
    """`2026-01-01T00:00:07.000250Z`."""
    second, rest = divmod(unix_ns, NS)
    return f"{_whole(second)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=4096)
def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the Unix epoch. Raises `ValueError` when the text is no RFC 3339 time."""
    delta = datetime.fromisoformat(text) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS + delta.microseconds * 1000
