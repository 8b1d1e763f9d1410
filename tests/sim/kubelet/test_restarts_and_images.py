"""Back-off of restarts and pulls, and what is told meanwhile, with every wait at its shortest."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import SECRET
from rayrig_sim.kubernetes.backoff import Backoff
from rayrig_sim.kubernetes.kubelet.images import invalid_reference, pull_policy


def state(pod: JsonObject) -> str:
    statuses = pod["status"].get("containerStatuses")
    if not statuses:
        return ""
    (kind, value), *_ = statuses[0]["state"].items()
    return " ".join(str(x) for x in (kind, value.get("reason"), value.get("exitCode")) if x is not None)


def waits(starts: list[float], run_s: float) -> list[float]:
    """From each exit to the start after it."""
    return [round(later - start - run_s, 2) for start, later in pairwise(starts)]


@pytest.mark.accepts("KL-043", "KL-044", "K8-071")
@pytest.mark.parametrize("code", [0, 1])
def test_waits_double_up_to_five_minutes_whatever_the_exit_code(node, code):
    node.play(lambda: node.add_pod({"main": {"runs": [{"for": 1, "exit": code}]}}), until_s=1000)
    assert waits(node.starts(), 1) == [0, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.accepts("KL-045", "K8-071")
def test_a_crash_loop_shows_terminated_until_the_next_sync(node):
    node.play(lambda: node.add_pod({"main": {"runs": [{"for": 1, "exit": 1}]}}), until_s=13.5)
    assert node.story(state)[-5:] == [
        (1.0, "running"),
        (2.0, "terminated Error 1"),
        (12.0, "waiting CrashLoopBackOff"),
        (12.0, "running"),
        (13.0, "terminated Error 1"),
    ]
    assert node.texts("BackOff")[0].startswith("Back-off restarting failed container main in pod p_default(")


@pytest.mark.accepts("KL-046", "K8-071")
def test_a_long_run_makes_the_next_restart_immediate(node):
    runs = [{"for": 1, "exit": 1}, {"for": 1, "exit": 1}, {"for": 604, "exit": 1}, {"for": 1, "exit": 1}, {}]
    node.play(lambda: node.add_pod({"main": {"runs": runs}}), until_s=700)
    starts = node.starts()
    assert [round(b - a, 2) for a, b in pairwise(starts)] == [1, 11, 604, 11]


@pytest.mark.accepts("KL-048")
def test_on_failure_restarts_what_failed_and_ends_what_succeeded(node):
    runs = [{"for": 2, "exit": 1}, {"for": 2, "exit": 0}]
    node.play(lambda: node.add_pod({"main": {"runs": runs}}, restartPolicy="OnFailure"), until_s=10)
    assert (node.last()["status"]["phase"], node.starts()) == ("Succeeded", [0.0, 2.0])


@pytest.mark.accepts("KL-050", "K8-071")
def test_a_container_killed_for_its_memory_is_told_as_such(node):
    runs = [{"for": 3, "exit": 137, "reason": "OOMKilled"}, {}]
    node.play(lambda: node.add_pod({"main": {"runs": runs}}), until_s=10)
    status = node.last()["status"]["containerStatuses"][0]
    ended = status["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"], status["restartCount"]) == ("OOMKilled", 137, 1)


@pytest.mark.accepts("KL-054")
def test_a_command_that_does_not_exist_backs_off_in_a_running_pod(node):
    node.play(lambda: node.add_pod({"main": {"runs": [{"start_error": "exec: not found"}]}}), until_s=5)
    status = node.last()["status"]
    container = status["containerStatuses"][0]
    assert (status["phase"], container["state"]["waiting"]["reason"]) == ("Running", "RunContainerError")
    assert (container["lastState"]["terminated"]["reason"], container["restartCount"]) == ("StartError", 1)
    assert len(node.event_times("BackOff")) == 1


@pytest.mark.accepts("KL-055")
def test_a_container_starts_once_its_secret_exists(node):
    async def add_secret() -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "dg=="}}
        await node.client.create(SECRET, secret, "default")

    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    node.play(lambda: node.add_pod(container={"env": env}), lambda: node.sleep(8), add_secret, until_s=20)
    assert "waiting CreateContainerConfigError" in [value for _, value in node.story(state)]
    assert node.texts("Failed") == ['Error: secret "s" not found']
    assert node.starts() == [10.0]


@pytest.mark.accepts("KL-056", "K8-073")
def test_pulls_of_an_image_that_does_not_exist_come_at_growing_distances(node):
    image = "registry.test/nosuch:1"
    script = {"images": {image: [{"error": "not found", "code": "NOT_FOUND"}]}}
    node.play(lambda: node.add_pod(script, container={"image": image}), until_s=300)
    assert node.event_times("Pulling") == [0.0, 10.0, 30.0, 70.0, 150.0]
    told = [value for _, value in node.story(state)]
    assert told[:3] == ["", "waiting ContainerCreating", "waiting ErrImagePull"]
    assert "waiting ImagePullBackOff" in told
    assert node.last()["status"]["phase"] == "Pending"


@pytest.mark.accepts("KL-057", "K8-073")
def test_an_absent_image_that_is_never_pulled(node):
    container = {"image": "registry.test/absent:1", "imagePullPolicy": "Never"}
    node.play(lambda: node.add_pod(container=container), until_s=5)
    assert (state(node.last()), node.event_times("Pulling")) == ("waiting ErrImageNeverPull", [])


@pytest.mark.accepts("KL-058")
def test_pulls_go_one_by_one(node):
    images = {f"registry.test/{n}:1": [{"delay": 4}] for n in "ab"}
    node.play(
        lambda: node.add_pod({"images": images}, name="a", container={"image": "registry.test/a:1"}),
        lambda: node.add_pod({"images": images}, name="b", container={"image": "registry.test/b:1"}),
        until_s=20,
    )
    assert node.starts() == [4.0, 8.0]
    assert node.event_times("Pulling") == [0.0, 0.0]


@pytest.mark.accepts("KL-059")
def test_a_name_that_is_none(node):
    node.play(lambda: node.add_pod(container={"image": "Not//Valid:::x"}), until_s=5)
    assert state(node.last()) == "waiting InvalidImageName"


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("rayproject/ray:2.46.0", ""),
        ("ray", ""),
        ("localhost:5000/a/b_c:x", ""),
        ("registry.test/app@sha256:" + "0" * 64, ""),
        ("Not//Valid:::x", "invalid reference format: repository name (/Valid) must be lowercase"),
        ("Ray", "invalid reference format: repository name (Ray) must be lowercase"),
        ("a b", "invalid reference format"),
        ("", "invalid reference format"),
    ],
)
def test_what_an_image_name_may_look_like(image, why):
    assert invalid_reference(image) == why


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("h:5000/a", "Always"),
        ("a@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image, policy):
    assert pull_policy({"image": image}) == policy


@pytest.mark.accepts("KL-047")
def test_a_smaller_maximum_is_the_first_wait_too():
    backoff = Backoff(longest_s=8)
    backoff.next("k", 0, 0)
    assert backoff.wait_ns("k") == 8 * 10**9
    backoff.next("k", 10**9, 2 * 10**9)
    assert backoff.wait_ns("k") == 8 * 10**9


def test_jitter_lengthens_waits_by_up_to_half(make_node):
    world = make_node(rng=Random(3))
    world.play(lambda: world.add_pod({"main": {"runs": [{"for": 1, "exit": 1}]}}), until_s=400)
    for wait, low in zip(waits(world.starts(), 1)[1:], (10, 20, 40, 80), strict=False):
        assert low <= wait <= low * 1.5 + 1
