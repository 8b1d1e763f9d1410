"""Events and their series, as client-go's recorder makes them."""

from typing import Any

import pytest

from rayrig_controllers.event_recorder import EventRecorder
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import EVENT
from rayrig_core.trace import Kind


def cluster(resource_version: str = "5") -> JsonObject:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "rc", "namespace": "default", "uid": "u", "resourceVersion": resource_version},
    }


def recorder(plane: Any) -> EventRecorder:
    return EventRecorder(plane.kernel, plane.client("operator"), "raycluster-controller", "host")


def told(plane: Any) -> list[tuple[str, str, int | None]]:
    return [(e["reason"], e["note"], (e.get("series") or {}).get("count")) for e in plane.list(EVENT)]


def test_a_second_event_of_a_series_counts_2_and_its_note_is_never_seen(plane: Any) -> None:
    events = recorder(plane)
    for number in range(3):
        events.event(cluster(), "Normal", "CreatedWorkerPod", f"Created worker Pod {number}", action="Create")
    plane.kernel.run(until_s=1)
    assert told(plane) == [("CreatedWorkerPod", "Created worker Pod 0", 2)]


def test_reason_type_and_resource_version_make_different_series(plane: Any) -> None:
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "one", action="Create")
    events.event(cluster(), "Warning", "A", "two", action="Create")
    events.event(cluster("6"), "Normal", "A", "three", action="Create")
    plane.kernel.run(until_s=1)
    assert told(plane) == [("A", "one", None), ("A", "two", None), ("A", "three", None)]


def test_a_series_that_fell_quiet_is_written_a_last_time_and_forgotten(plane: Any) -> None:
    events = recorder(plane)
    for _ in range(5):
        events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=719)
    assert told(plane) == [("A", "x", 2)]
    plane.kernel.run(until_s=721)
    assert told(plane) == [("A", "x", 5)]
    events.event(cluster(), "Normal", "A", "y", action="Create")
    plane.kernel.run(until_s=722)
    assert told(plane) == [("A", "x", 5), ("A", "y", None)]


def test_the_event_says_who_reports_and_what_it_is_about(plane: Any) -> None:
    recorder(plane).event(cluster(), "Warning", "A", "n" * 2000, action="Validate")
    plane.kernel.run(until_s=1)
    (event,) = plane.list(EVENT)
    assert event["reportingController"] == "raycluster-controller"
    assert event["reportingInstance"] == "raycluster-controller-host"
    assert event["regarding"] == {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "namespace": "default",
        "name": "rc",
        "uid": "u",
        "resourceVersion": "5",
    }
    assert (event["action"], event["type"], len(event["note"])) == ("Validate", "Warning", 1024)


def test_an_unavailable_server_is_tried_again_and_a_refused_event_is_dropped(plane: Any) -> None:
    plane.faults.plan = [
        ("create", "events/default/rc", 1, ErrorBefore(503, "ServiceUnavailable")),
    ]
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "kept", action="Create")
    plane.kernel.run(until_s=9)
    assert told(plane) == []
    plane.kernel.run(until_s=11)
    assert told(plane) == [("A", "kept", None)]
    events.event(
        cluster() | {"metadata": {**cluster()["metadata"], "name": "BAD/NAME"}},
        "Normal",
        "B",
        "dropped",
        action="Create",
    )
    plane.kernel.run(until_s=200)
    assert told(plane) == [("A", "kept", None)]


def test_two_controllers_may_speak_of_one_object_at_the_same_moment(plane: Any) -> None:
    client = plane.client("operator")
    for name in ("raycluster-controller", "networkpolicy-controller"):
        EventRecorder(plane.kernel, client, name, "host").event(cluster(), "Normal", "A", name, action="Create")
    plane.kernel.run(until_s=1)
    assert sorted(told(plane)) == [("A", "networkpolicy-controller", None), ("A", "raycluster-controller", None)]


def test_an_event_as_it_is_stored(plane: Any) -> None:
    plane.kernel.run(until_s=1.5)
    recorder(plane).event(cluster(), "Normal", "A", "note", action="Create")
    plane.kernel.run(until_s=2)
    (event,) = plane.list(EVENT)
    name = event["metadata"].pop("name")
    assert name.startswith("rc.")
    assert {
        key: event[key] for key in event if key not in ("metadata", "regarding") and not key.startswith("deprecated")
    } == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2026-01-01T00:00:01.500000Z",
        "reportingController": "raycluster-controller",
        "reportingInstance": "raycluster-controller-host",
        "action": "Create",
        "reason": "A",
        "note": "note",
        "type": "Normal",
    }
    assert event["metadata"]["namespace"] == "default"


def test_the_second_of_a_series_tells_when_it_was_last(plane: Any) -> None:
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=5)
    events.event(cluster(), "Normal", "A", "y", action="Create")
    plane.kernel.run(until_s=6)
    (event,) = plane.list(EVENT)
    assert event["series"] == {"count": 2, "lastObservedTime": "2026-01-01T00:00:05.000000Z"}
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "RayService"},
        {"metadata": {"name": "another"}},
        {"metadata": {"namespace": "kube-system"}},
        {"metadata": {"uid": "another"}},
        {"metadata": {"resourceVersion": "6"}},
        {"reason": "B"},
        {"action": "Delete"},
        {"type_": "Warning"},
    ],
)
def test_what_makes_another_series(plane: Any, change: dict[str, Any]) -> None:
    events = recorder(plane)
    given = {"type_": "Normal", "reason": "A", "action": "Create"}
    events.event(cluster(), given["type_"], given["reason"], "x", action=given["action"])  # type: ignore[arg-type]
    about = cluster()
    about = {**about, **{key: value for key, value in change.items() if key == "kind"}}
    about["metadata"] = {**about["metadata"], **change.get("metadata", {})}
    given |= {key: value for key, value in change.items() if key in given}
    events.event(about, given["type_"], given["reason"], "x", action=given["action"])  # type: ignore[arg-type]
    plane.kernel.run(until_s=1)
    found = [*plane.list(EVENT), *plane.list(EVENT, "kube-system")]
    assert [event.get("series") for event in found] == [None, None]
    assert events.recorded == 2


def test_an_object_without_namespace_version_and_uid_may_be_spoken_of(plane: Any) -> None:
    about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}
    recorder(plane).event(about, "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=1)
    (event,) = plane.list(EVENT)
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    (told_,) = plane.kernel.trace.select(Kind.EVENT)
    assert told_.subject == "nodes//node-1"


def test_each_is_told_in_the_trace_with_its_count_and_is_the_cause_of_what_is_written(plane: Any) -> None:
    events = recorder(plane)
    for note in ("one", "two", "three"):
        events.event(cluster(), "Normal", "A", note, action="Create")
    plane.kernel.run(until_s=1)
    told_ = list(plane.kernel.trace.select(Kind.EVENT))
    assert [(e.subject, e["type"], e["reason"], e["message"], e["count"]) for e in told_] == [
        ("rayclusters/default/rc", "Normal", "A", "one", 1),
        ("rayclusters/default/rc", "Normal", "A", "two", 2),
        ("rayclusters/default/rc", "Normal", "A", "three", 3),
    ]
    writes = [(e["verb"], e.cause) for e in plane.kernel.trace.select(Kind.API_WRITE)]
    assert writes == [("create", told_[0].seq), ("patch", told_[1].seq)]


def test_a_long_series_is_written_every_half_hour(plane: Any) -> None:
    events = recorder(plane)
    counts: list[tuple[int, int]] = []
    for minute in range(75):
        if minute:
            plane.kernel.run(until_s=60 * minute)
        events.event(cluster(), "Normal", "A", "x", action="Create")
        plane.kernel.run(until_s=60 * minute + 1)
        (event,) = plane.list(EVENT)
        count = (event.get("series") or {}).get("count", 1)
        if not counts or counts[-1][1] != count:
            counts.append((minute, count))
    # At 1,800 and 3,600 s, with what had been counted until then and the one of that moment.
    assert counts == [(0, 1), (1, 2), (30, 31), (60, 61)]


def test_a_single_event_is_forgotten_without_another_write(plane: Any) -> None:
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=1000)
    assert [e["verb"] for e in plane.kernel.trace.select(Kind.API_WRITE)] == ["create"]
    assert events.tasks() == []
    events.event(cluster(), "Normal", "A", "y", action="Create")
    plane.kernel.run(until_s=1001)
    assert told(plane) == [("A", "x", None), ("A", "y", None)]
    assert len(events.tasks()) == 1, "the housekeeper"


def test_a_series_whose_event_is_gone_is_created_anew(plane: Any) -> None:
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=1)
    (event,) = plane.list(EVENT)
    plane.delete(EVENT, event["metadata"]["name"])
    events.event(cluster(), "Normal", "A", "y", action="Create")
    plane.kernel.run(until_s=2)
    assert told(plane) == [("A", "x", 2)]


def test_after_twelve_attempts_an_event_is_dropped(plane: Any) -> None:
    plane.faults.plan = [
        ("create", "events/default/rc", nth, ErrorBefore(503, "ServiceUnavailable")) for nth in range(1, 13)
    ]
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=300)
    assert told(plane) == []
    plane.faults.plan = [
        ("create", "events/default/rc", nth, ErrorBefore(503, "ServiceUnavailable")) for nth in range(1, 12)
    ]
    events.event(cluster("6"), "Normal", "A", "y", action="Create")
    plane.kernel.run(until_s=300 + 109)
    assert told(plane) == []
    plane.kernel.run(until_s=300 + 111)
    assert told(plane) == [("A", "y", None)]


def test_what_the_server_refuses_is_not_sent_again(plane: Any) -> None:
    plane.faults.plan = [("create", "events/default/rc", 1, ErrorBefore(499, "Unknown"))]
    events = recorder(plane)
    events.event(cluster(), "Normal", "A", "x", action="Create")
    plane.kernel.run(until_s=100)
    assert told(plane) == []
