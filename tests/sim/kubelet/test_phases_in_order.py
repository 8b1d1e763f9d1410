"""The whole life of a pod as a watcher sees it: phases, conditions and container states, with their times (kubernetes-api.md 8)."""

from __future__ import annotations

import pytest

from rayrig_core.objects import JsonObject

PULLED = "registry.test/slow:1"


def phase_and_conditions(pod: JsonObject) -> tuple[str, str]:
    """The phase, and a letter for each condition that is True."""
    status = pod["status"]
    letters = {
        "PodScheduled": "s",
        "PodReadyToStartContainers": "n",
        "Initialized": "i",
        "ContainersReady": "c",
        "Ready": "R",
    }
    true = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
    return status["phase"], "".join(letter for name, letter in letters.items() if name in true)


@pytest.mark.accepts("K8-069")
def test_a_pod_with_init_container_pull_and_probe_runs_through_all_conditions(node):
    script = {
        "init": {"runs": [{"for": 2, "exit": 0}]},
        "main": {"runs": [{"for": 20, "exit": 0}], "http": {"8080": {"*": [[0, "200:ok"]]}}},
        "images": {PULLED: [{"delay": 3}]},
    }
    probe = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 4}
    spec = {
        "initContainers": [{"name": "init", "image": "registry.test/present/app:1"}],
        "container": {"image": PULLED, "readinessProbe": probe},
        "restartPolicy": "Never",
    }
    node.play(lambda: node.add_pod(script, **spec), until_s=40)
    # Initialized after 2 s, image after 5 s, the first look of the probe after its delay, the end after 20 s of running.
    assert node.story(phase_and_conditions) == [
        (0.0, ("Pending", "")),
        (0.0, ("Pending", "sn")),
        (2.0, ("Pending", "sni")),
        (5.0, ("Running", "sni")),
        (15.0, ("Running", "snicR")),
        (25.0, ("Running", "sni")),
        (25.0, ("Succeeded", "si")),
    ]


@pytest.mark.accepts("K8-069")
def test_states_of_a_container_carry_its_times_by_the_fakes_clock(node):
    node.play(lambda: node.add_pod({"main": {"runs": [{"for": 7, "exit": 3}]}}, restartPolicy="Never"), until_s=20)
    (container,) = node.last()["status"]["containerStatuses"]
    ended = container["state"]["terminated"]
    created = node.last()["metadata"]["creationTimestamp"]
    assert (ended["exitCode"], ended["reason"], container["ready"], container["started"]) == (3, "Error", False, False)
    assert ended["startedAt"] == created
    assert ended["finishedAt"] == created.replace(":00Z", ":07Z")


@pytest.mark.accepts("K8-072")
def test_each_step_of_a_sick_container_is_told_in_an_event_and_repetitions_are_counted(node):
    script = {"main": {"http": {"8080": {"*": [[0, "500:sick"]]}}}}
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 3}
    node.play(lambda: node.add_pod(script, container={"livenessProbe": probe}), until_s=60)
    assert node.reasons() == ["Pulled", "Created", "Started", "Unhealthy", "Killing", "BackOff"]
    assert node.texts("Unhealthy") == ["Liveness probe failed: HTTP probe failed with statuscode: 500"]
    assert node.texts("Killing") == ["Container main failed liveness probe, will be restarted"]
    assert node.texts("BackOff")[0].startswith("Back-off restarting failed container main in pod p_default(")
    counts = [count for _, reason, _, count in node.events if reason == "Unhealthy"]
    assert counts == list(range(1, len(counts) + 1))
    assert len(counts) > 3


@pytest.mark.accepts("K8-073")
def test_a_slow_image_holds_its_pod_in_container_creating_and_is_no_error(node):
    slow = {"images": {PULLED: [{"delay": 45}]}}
    node.play(lambda: node.add_pod(slow, container={"image": PULLED}), until_s=60)
    assert node.reasons() == ["Pulling", "Pulled", "Created", "Started"]
    assert node.event_times("Pulled") == [45.0]
    assert node.starts() == [45.0]
