from __future__ import annotations

import pytest

from rayrig_core.trace import Kind, Trace


def test_equal_events_give_equal_digests_and_a_changed_field_does_not() -> None:
    def digest(message: str) -> str:
        trace = Trace()
        trace.emit(Kind.NOTE, "pods/default/a", message)
        return trace.digest()

    assert digest("x") == digest("x")
    assert digest("x") != digest("y")


def test_digest_depends_on_the_order_of_events() -> None:
    first, second = Trace(), Trace()
    first.emit(Kind.NOTE, "a", "1")
    first.emit(Kind.NOTE, "b", "2")
    second.emit(Kind.NOTE, "b", "2")
    second.emit(Kind.NOTE, "a", "1")
    assert first.digest() != second.digest()


def test_causes_are_followed_to_their_beginning() -> None:
    trace = Trace()
    root = trace.emit(Kind.FAULT, "nodes/n1", "node-loss", "")
    middle = trace.emit(Kind.NODE, "nodes/n1", "NotReady", "", cause=root)
    last = trace.emit(Kind.REQUEST, "r", 1, "reset", 5, None, "app", "pod", "", cause=middle)
    assert [event.kind for event in trace.causes_of(last)] == [Kind.NODE, Kind.FAULT]


def test_an_event_with_the_wrong_number_of_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="takes"):
        Trace().emit(Kind.NOTE, "a")


def test_fields_are_read_by_name() -> None:
    trace = Trace()
    seq = trace.emit(Kind.SCHEDULED, "pods/default/a", "node-1")
    assert trace[seq]["node"] == "node-1"
    with pytest.raises(KeyError):
        trace[seq]["colour"]


def test_selection_is_by_kind_and_subject() -> None:
    trace = Trace()
    trace.emit(Kind.NOTE, "a", "1")
    trace.emit(Kind.NOTE, "b", "2")
    trace.emit(Kind.SCHEDULED, "a", "n")
    assert [event["detail"] for event in trace.select(Kind.NOTE, subject="a")] == ["1"]
    assert len(list(trace.select())) == 3
