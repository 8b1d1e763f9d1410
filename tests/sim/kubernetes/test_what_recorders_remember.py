"""What a recorder of events remembers, and for how long."""

from __future__ import annotations

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CORE_EVENT
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel


def pod(name: str) -> JsonObject:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"}}


class Recording:
    def __init__(self) -> None:
        self.kernel = Kernel(0)
        self.api = ApiServer(self.kernel.unix_ns, self.kernel.streams.stream("api"), trace=self.kernel.trace)
        client = InProcessClient(self.api, self.kernel, actor="a")
        self.recorder = CoreEventRecorder(self.kernel, client, component="kubelet", host="node")

    def tell(self, name: str, note: str = "all is well", type_: str = "Normal") -> None:
        self.recorder.event(pod(name), "Warning" if type_ == "Warning" else "Normal", "Told", note)

    def counts(self, name: str) -> list[object]:
        """Of the events told about a pod, in the order in which they were."""
        self.kernel.run()
        found = self.kernel.trace.select(Kind.EVENT, subject=f"pods/default/{name}")
        return [event["count"] for event in found]

    def written(self) -> int:
        return len(self.api.objects(CORE_EVENT))


def test_the_same_again_raises_the_count_of_one_event() -> None:
    recording = Recording()
    for _ in range(3):
        recording.tell("a")
    recording.tell("a", "something else")
    assert recording.counts("a") == [1, 2, 3, 1]
    assert recording.written() == 2


def test_each_type_has_an_allowance_of_its_own() -> None:
    recording = Recording()
    for _ in range(30):
        recording.tell("a")
    recording.tell("a", type_="Warning")
    assert recording.counts("a") == [*range(1, 26), 1]


def test_what_was_said_of_an_object_that_is_gone_is_not_counted_on() -> None:
    recording = Recording()
    for name in ("a", "b"):
        recording.tell(name)
    recording.recorder.forget_about(pod("a"))
    recording.recorder.forget_about(pod("never-seen"))
    for name in ("a", "b"):
        recording.tell(name)
    assert recording.counts("a") == [1, 1]
    assert recording.counts("b") == [1, 2]


def test_of_very_many_events_those_about_the_object_not_spoken_of_for_the_longest_are_forgotten() -> None:
    recording = Recording()
    recording.tell("first")
    recording.tell("second")
    for number in range(4093):
        recording.tell(f"other-{number}")
    recording.tell("first")
    assert recording.counts("first") == [1, 2]
    for number in range(2):
        recording.tell(f"last-{number}")
    recording.tell("second")
    assert recording.counts("second") == [1, 1]
    recording.tell("first")
    assert recording.counts("first") == [1, 2, 3]
