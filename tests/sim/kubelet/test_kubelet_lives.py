"""A kubelet that is restarted, frozen, or lost with its machine; and what its recorder writes."""

from __future__ import annotations

from random import Random

import pytest

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.objects import JsonObject, condition_of
from rayrig_core.resource_types import CORE_EVENT
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.series_recorder import SeriesEventRecorder


def is_ready(pod: JsonObject) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


OK = {"main": {"http": {"8080": {"*": [[0, "200:ok"]]}}}}
PROBED = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 5}}


@pytest.mark.accepts("KL-076")
def test_a_restarted_kubelet_changes_nothing_for_its_pods(node):
    async def restart() -> None:
        node.kubelet.stop()
        await node.sleep(4)
        node.kubelet.start()

    node.play(lambda: node.add_pod(OK, container=PROBED), lambda: node.sleep(7), restart, until_s=60)
    assert node.story(is_ready) == [(0.0, False), (0.0, True)]
    assert node.starts() == [0.0]
    assert node.kubelet.probe_history("default", "p")[-1].t_ns > 50 * NS


def test_what_ended_while_nobody_looked_is_dealt_with_afterwards(node):
    async def restart() -> None:
        node.kubelet.stop()
        await node.sleep(5)
        assert node.starts() == [0.0]
        node.kubelet.start()

    script = {"main": {"runs": [{"for": 7, "exit": 1}, {}]}}
    node.play(lambda: node.add_pod(script), lambda: node.sleep(5), restart, until_s=30)
    assert node.starts() == [0.0, 11.0]
    assert node.last()["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_container_whose_pod_went_while_nobody_looked_is_stopped(node):
    async def restart() -> None:
        node.kubelet.stop()
        await node.delete(grace_s=0)
        await node.sleep(5)
        node.kubelet.start()

    node.play(lambda: node.add_pod({"main": {"term": {"ignore": True}}}), lambda: node.sleep(5), restart, until_s=30)
    ended = [round(e.t_s, 3) for e in node.kernel.trace if "state=terminated" in e.line()]
    assert ended == [15.0]


def test_a_frozen_kubelet_says_nothing_and_makes_up_for_one_probe(node):
    async def freeze() -> None:
        node.kubelet.freeze()
        await node.sleep(22)
        node.kubelet.thaw()

    script = {"main": {"http": {"8080": {"*": [[0, "200:ok"], [8, "503:no"]]}}}}
    node.play(lambda: node.add_pod(script, container=PROBED), lambda: node.sleep(6), freeze, until_s=45)
    made = [round(o.t_ns / NS) for o in node.kubelet.probe_history("default", "p")]
    assert made == [0, 5, 28, 30, 35, 35, 40]
    assert node.story(is_ready)[-1] == (35.0, False)


def test_a_machine_that_comes_back_starts_its_containers_anew(node):
    async def lose() -> None:
        node.kubelet.stop(containers_live=False)
        await node.sleep(20)
        node.kubelet.start()

    node.play(node.add_pod, lambda: node.sleep(5), lose, until_s=60)
    container = node.last()["status"]["containerStatuses"][0]
    assert node.starts() == [0.0, 26.0]
    assert (container["restartCount"], container["lastState"]["terminated"]["reason"]) == (1, "ContainerStatusUnknown")
    assert is_ready(node.last())


def test_two_runs_of_one_story_are_the_same(make_node):
    def digest() -> str:
        world = make_node(rng=Random(5))
        script = {"main": {"runs": [{"for": 2, "exit": 1}], "http": {"8080": {"*": [[0, "503:no"]]}}}}
        world.play(lambda: world.add_pod(script, container=PROBED), until_s=100)
        return world.kernel.trace.digest()

    assert digest() == digest()


# Recorders


async def _events(node, pairs):
    """Record (time, note) pairs about one pod, then give the Event objects."""
    recorder = CoreEventRecorder(node.kernel, node.client, component="tester", host="h")
    about = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x", "namespace": "default", "uid": "u"}}
    for at, note in pairs:
        await node.sleep(max(0.0, at - node.kernel.monotonic_ns() / NS))
        recorder.event(about, "Warning", "Sick", note)
    await node.sleep(1)
    found = await node.client.list(CORE_EVENT, "default")
    return [(e["message"], e["count"]) for e in found.items]


@pytest.mark.accepts("K8-072")
def test_the_same_event_raises_a_count(node):
    got = []

    async def story() -> None:
        got.extend(await _events(node, [(1, "a"), (2, "a"), (3, "b"), (4, "a")]))

    node.play(story, until_s=10)
    assert got == [("a", 3), ("b", 1)]


def test_after_twenty_five_one_event_each_five_minutes_shows_the_true_count(node):
    got = []

    async def story() -> None:
        got.extend(await _events(node, [(t, "a") for t in range(1, 40)] + [(400, "a")]))

    node.play(story, until_s=500)
    assert got == [("a", 40)]
    assert max(count for t, _, _, count in node.events if t < 300) == 25


def test_a_repeated_scheduler_event_becomes_a_series_that_is_written_once(node):
    recorder = SeriesEventRecorder(node.kernel, node.client, controller="default-scheduler")
    about = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x", "namespace": "default", "uid": "u"}}
    got: list[JsonObject] = []

    async def story() -> None:
        for _ in range(4):
            recorder.event(about, "Warning", "FailedScheduling", "0/1 nodes", action="Scheduling")
            await node.sleep(1)
        got.extend((await node.client.list(CORE_EVENT, "default")).items)

    node.play(story, until_s=10)
    assert [(e["reason"], e["message"], e["series"]["count"]) for e in got] == [("FailedScheduling", "0/1 nodes", 2)]


def test_a_young_container_is_probed_at_once_by_a_restarted_kubelet(node):
    async def restart() -> None:
        node.kubelet.stop()
        await node.sleep(2)
        node.kubelet.start()

    node.play(lambda: node.add_pod(OK, container=PROBED), lambda: node.sleep(3), restart, until_s=30)
    assert node.story(is_ready) == [(0.0, False), (0.0, True)]


def test_a_container_that_was_not_ready_is_not_taken_for_ready_by_a_restarted_kubelet(node):
    sick = {"main": {"http": {"8080": {"*": [[0, "503:no"]]}}}}

    async def restart() -> None:
        node.kubelet.stop()
        await node.sleep(2)
        node.kubelet.start()

    node.play(lambda: node.add_pod(sick, container=PROBED), lambda: node.sleep(13), restart, until_s=40)
    assert node.story(is_ready) == [(0.0, False)]
