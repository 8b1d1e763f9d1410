"""Durations as Go prints them, for texts that people and scripts compare."""

from __future__ import annotations


def go_duration(ns: int) -> str:
    """`1m20s`, `4.003s`, `300ms`, `0s`. Below a millisecond nothing is shown."""
    milliseconds = ns // 1_000_000
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f"{rest:03d}".rstrip("0")
    text = f"{seconds}.{fraction}s" if fraction else f"{seconds}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
