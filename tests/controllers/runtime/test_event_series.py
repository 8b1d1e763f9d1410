"""Events and their series, as client-go's recorder makes them."""

from typing import Any

from rayrig_controllers.event_recorder import EventRecorder
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import EVENT


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
