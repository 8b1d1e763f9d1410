"""The older part of a long trace is packed; nobody who reads it notices."""

from __future__ import annotations

import pytest

from rayrig_core import trace as traces
from rayrig_core.packed_records import PART, PackedRecords
from rayrig_core.trace import Kind, Trace

_LENGTH = 3 * PART + 5


def story() -> Trace:
    trace = Trace()
    cause = None
    for number in range(_LENGTH):
        cause = trace.emit(
            Kind.EVENT, f"pods/default/p-{number % 7}", "Normal", "Told", f"ü {number}", number, cause=cause
        )
        assert cause == number
    return trace


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> Trace:
    monkeypatch.setattr(traces, "_UNPACKED", PART + 10)
    return story()


def test_a_packed_trace_reads_like_one_that_is_not(packed: Trace) -> None:
    plain = story()
    assert packed.digest() == plain.digest()
    assert len(packed) == len(plain) == _LENGTH
    assert list(packed) == list(plain)
    assert list(packed.record_reprs(PART - 1)) == list(plain.record_reprs(PART - 1))
    subject = "pods/default/p-3"
    assert list(packed.select(Kind.EVENT, subject=subject)) == list(plain.select(Kind.EVENT, subject=subject))


def test_records_are_read_from_any_place_on(packed: Trace) -> None:
    everything = packed.records()
    for start in (0, 1, PART - 1, PART, PART + 1, 2 * PART, _LENGTH - 1, _LENGTH):
        assert packed.records(start) == everything[start:]
    assert packed[-1].seq == -1
    assert packed[-1].data == packed[_LENGTH - 1].data


def test_causes_are_followed_into_the_packed_part(packed: Trace) -> None:
    chain = packed.causes_of(2 * PART + 3)
    assert [event.seq for event in chain] == list(range(2 * PART + 2, 2 * PART - 998, -1))


def test_values_that_cannot_be_packed_stay_as_they_are() -> None:
    class Text(str):
        __slots__ = ()

    records = PackedRecords[tuple[str]]()
    records.add([(Text("a"),)] * PART)
    assert records[PART - 1] == ("a",)
