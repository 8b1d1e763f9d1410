"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest

from rayrig_core.resources.durations import (
    format_go_duration,
    format_milliseconds,
    parse_go_duration,
    parse_seconds_or_duration,
)

MS, S, M, H = 1_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("90s", 90 * S),
        ("1h30m", H + 30 * M),
        ("1.5h", H + 30 * M),
        ("-5s", -5 * S),
        ("+1m", M),
        (".5s", 500 * MS),
        ("1.s", S),
        ("250ms", 250 * MS),
        ("3us", 3000),
        ("3µs", 3000),
        ("7ns", 7),
    ],
)
def test_what_go_reads(text: str, ns: int) -> None:
    assert parse_go_duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1h 5m", "1h5", "abc", "-", "1e3s"])
def test_what_go_does_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_go_duration(text)


def test_a_whole_number_is_seconds() -> None:
    assert parse_seconds_or_duration("300") == 300 * S
    assert parse_seconds_or_duration("5m") == 5 * M


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (10 * S, "10s"),
        (30 * M, "30m0s"),
        (H, "1h0m0s"),
        (90 * S, "1m30s"),
        (10 * S + 2 * MS, "10.002s"),
        (250 * MS, "250ms"),
        (1500, "1.5µs"),
        (7, "7ns"),
        (-90 * S, "-1m30s"),
    ],
)
def test_what_go_writes(ns: int, text: str) -> None:
    assert format_go_duration(ns) == text


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0s"), (999_999, "0s"), (300 * MS, "300ms"), (4 * S + 3 * MS + 1, "4.003s"), (2 * H, "2h0m0s")]
)
def test_the_kubelet_cuts_off_what_is_below_a_millisecond(ns: int, text: str) -> None:
    assert format_milliseconds(ns) == text
