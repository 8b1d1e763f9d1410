"""How pods with sidecars, hooks and restart rules end, and what is read of containers (Kubernetes 1.36.2)."""

from __future__ import annotations

from random import Random

import pytest

from rayrig_core.objects import JsonObject, condition_of
from rayrig_core.resource_types import NODE, POD

IMAGE = "registry.test/present/app:1"


def phase(pod: JsonObject) -> str:
    return str((pod.get("status") or {}).get("phase"))


def ready_reason(pod: JsonObject) -> str | None:
    condition = condition_of(pod, "Ready")
    return condition.get("reason", "") if condition is not None else None


def status_of(pod: JsonObject, name: str = "main") -> JsonObject:
    status = pod["status"]
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next(each for each in every if each["name"] == name)


def stops(node) -> list[tuple[float, str, str]]:
    return [(round(e.t_s, 2), e["container"], e["reason"]) for e in node.kernel.trace if "state=stopping" in e.line()]


def sidecar(name: str = "side", **fields: object) -> JsonObject:
    return {"name": name, "image": IMAGE, "restartPolicy": "Always", **fields}


def test_sidecars_are_stopped_when_the_main_container_is_done_and_only_then_the_pod_has_ended(node):
    script = {"main": {"runs": [{"for": 3, "exit": 0}]}, "side": {"term": {"after": 2, "exit": 0}}}
    node.play(
        lambda: node.add_pod(
            script, initContainers=[sidecar()], restartPolicy="Never", terminationGracePeriodSeconds=7
        ),
        until_s=12,
    )
    assert stops(node) == [(3.0, "side", "SIGTERM, grace 7 s")]
    assert node.story(phase) == [(0.0, "Pending"), (0.0, "Running"), (5.001, "Succeeded")]
    assert node.story(ready_reason)[-3:] == [(0.0, ""), (3.0, "ContainersNotReady"), (5.001, "PodCompleted")]


def test_a_sidecar_that_fails_its_liveness_probe_is_killed_as_an_init_container(node):
    side = sidecar(livenessProbe={"httpGet": {"path": "/", "port": 9000}, "periodSeconds": 1, "failureThreshold": 2})
    script = {
        "side": {"runs": [{"http": {"9000": {"*": [[0, "500:no"]]}}}, {"http": {"9000": {"*": [[0, "200:ok"]]}}}]}
    }
    node.play(lambda: node.add_pod(script, initContainers=[side]), until_s=6)
    assert node.texts("Killing") == ["Init container side failed liveness probe"]
    assert node.starts("side") == [0.0, 2.051]


def test_a_sidecar_does_not_wait_for_an_init_container_that_is_stopped_beside_it(node):
    script = {"side": {"term": {"after": 1, "exit": 0}}, "setup": {"term": {"after": 2}}}
    init = [sidecar(), {"name": "setup", "image": IMAGE}]
    node.play(
        lambda: node.add_pod(script, initContainers=init),
        lambda: node.sleep(4),
        lambda: node.delete(grace_s=10),
        until_s=10,
    )
    assert sorted(stops(node)) == [(4.0, "setup", "SIGTERM, grace 10 s"), (4.0, "side", "SIGTERM, grace 10 s")]


@pytest.mark.parametrize("grace_s", [0, 1])
def test_a_hook_has_a_second_even_when_the_deletion_gives_none(node, grace_s):
    script = {"main": {"exec": [{"match": "hook", "schedule": [[0, {"delay": 5}]]}], "term": {"ignore": True}}}
    lifecycle = {"preStop": {"exec": {"command": ["hook"]}}}
    node.play(
        lambda: node.add_pod(script, container={"lifecycle": lifecycle}),
        lambda: node.sleep(4),
        lambda: node.delete(grace_s=grace_s),
        until_s=10,
    )
    assert stops(node) == [(5.0, "main", "SIGTERM, grace 2 s")]


def test_a_restart_rule_goes_before_the_policy_of_pod_and_container(node):
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    script = {"main": {"runs": [{"for": 2, "exit": 42}, {"for": 3, "exit": 1}]}}
    container = {"restartPolicy": "Never", "restartPolicyRules": [rule]}
    node.play(lambda: node.add_pod(script, container=container, restartPolicy="Never"), until_s=12)
    assert node.starts() == [0.0, 2.0]
    assert node.story(phase)[-2:] == [(0.0, "Running"), (5.0, "Failed")]


def test_a_pod_that_is_failed_while_its_container_waits_reports_it_as_lost(node):
    script = {"main": {"runs": [{"for": 1, "exit": 1}]}}
    node.play(lambda: node.add_pod(script, activeDeadlineSeconds=8), until_s=12)
    last = node.last()
    assert (phase(last), last["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    terminated = status_of(last)["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")


def test_of_a_termination_message_the_last_4096_bytes_are_read(node):
    script = {"main": {"runs": [{"for": 1, "exit": 1, "message": "a" * 1000 + "z" * 4096}]}}
    node.play(lambda: node.add_pod(script, restartPolicy="Never"), until_s=5)
    assert status_of(node.last())["state"]["terminated"]["message"] == "z" * 4096


def test_of_what_a_probe_command_says_10_kib_are_read(node):
    script = {"main": {"exec": [{"schedule": [[0, {"exit": 1, "out": "y" * 12000}]]}]}}
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=2)
    assert node.texts("Unhealthy") == ["Readiness probe failed: " + "y" * 10240]


def test_a_probe_that_is_sent_in_a_circle_gives_up_with_the_place_as_it_was_given(node):
    script = {"main": {"http": {"80": {"*": [[0, "302:/again"]]}}}}
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=2)
    assert node.texts("Unhealthy") == ['Readiness probe failed: Get "/again": stopped after 10 redirects']


def test_a_hook_over_http_that_is_refused_says_so(node):
    lifecycle = {"postStart": {"httpGet": {"path": "/start", "port": 80}}}
    node.play(lambda: node.add_pod({}, container={"lifecycle": lifecycle}), until_s=3)
    waiting = status_of(node.last())["state"]["waiting"]
    assert waiting["reason"] == "PostStartHookError"
    assert waiting["message"].startswith('HTTP lifecycle hook (/start) for Container "main" in Pod "p_default(')
    assert waiting["message"].endswith(
        'Get "http://10.244.0.1:80/start": dial tcp 10.244.0.1:80: connect: connection refused'
    )


def test_a_container_that_liveness_restarts_counts_as_started_until_its_startup_probe_has_seen_it(node):
    sick_then_slow = [{"http": {"80": {"*": [[0, "200:ok"], [3, "500:no"]]}}}, {"http": {"80": {"*": [[0, "500:no"]]}}}]
    get = {"httpGet": {"path": "/", "port": 80}}
    container = {
        "startupProbe": {**get, "periodSeconds": 2, "failureThreshold": 99},
        "livenessProbe": {**get, "periodSeconds": 4, "failureThreshold": 1},
    }
    node.play(lambda: node.add_pod({"main": {"runs": sick_then_slow}}, container=container), until_s=8)

    def started(pod: JsonObject) -> tuple[int, bool] | None:
        found = (pod.get("status") or {}).get("containerStatuses")
        return (found[0]["restartCount"], found[0]["started"]) if found else None

    assert node.story(started)[1:] == [(0.0, (0, False)), (2.0, (0, True)), (4.051, (1, True)), (6.0, (1, False))]


class _Middle(Random):
    """Looks come some time after what they find."""

    def random(self) -> float:
        return 0.5


def test_the_room_of_a_pod_is_free_as_soon_as_its_containers_have_ended(make_node):
    node = make_node(rng=_Middle())
    big = {"resources": {"requests": {"cpu": "1500m"}}}
    script = {"main": {"term": {"after": 2, "exit": 0}}}
    node.play(
        lambda: node.add_pod(script, container=big),
        lambda: node.sleep(5.1),
        lambda: node.delete(grace_s=20),
        lambda: node.sleep(2.1),
        lambda: node.add_pod(name="q", container=big),
        until_s=12,
    )
    assert node.gone_s() > 7.2
    assert phase(node.last("q")) == "Running"


def test_a_bound_pod_that_does_not_tolerate_a_no_execute_taint_is_refused_once(node):
    taint = {"key": "maint", "value": "x", "effect": "NoExecute"}
    node.play(
        lambda: node.sleep(0.1),
        lambda: node.client.patch(NODE, "n1", {"spec": {"taints": [taint]}}, patch_type="merge"),
        node.add_pod,
        lambda: node.client.patch(POD, "p", {"metadata": {"labels": {"a": "b"}}}, "default"),
        lambda: node.add_pod(name="q", tolerations=[{"operator": "Exists"}]),
        until_s=3,
    )
    text = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert (phase(node.last()), node.last()["status"]["message"]) == ("Failed", f"Pod was rejected: {text}")
    assert len(node.event_times("TaintToleration")) == 1
    assert phase(node.last("q")) == "Running"


def test_missing_pull_secrets_are_told_and_the_image_is_pulled_all_the_same(node):
    node.play(lambda: node.add_pod(imagePullSecrets=[{"name": "a"}, {"name": "b"}]), until_s=3)
    assert node.texts("FailedToRetrieveImagePullSecret") == [
        "Unable to retrieve some image pull secrets (a, b); attempting to pull the image may not succeed."
    ]
    assert phase(node.last()) == "Running"


def test_a_restarted_kubelet_takes_a_startup_probe_for_passed_that_was_not(node):
    script = {"main": {"http": {"80": {"*": [[0, "500:no"]]}}}}
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 99}

    async def restart() -> None:
        node.kubelet.stop()
        await node.sleep(4)
        node.kubelet.start()

    node.play(
        lambda: node.add_pod(script, container={"startupProbe": probe}), lambda: node.sleep(8), restart, until_s=20
    )
    started = node.story(lambda pod: [c["started"] for c in (pod.get("status") or {}).get("containerStatuses") or ()])
    assert started[1:] == [(0.0, [False]), (13.0, [True])]


def test_a_pod_deleted_while_a_container_waits_for_its_next_start_shows_the_same_end_twice(node):
    script = {"main": {"runs": [{"for": 1, "exit": 3}, {"for": 1, "exit": 4}, {"for": 60, "exit": 0}]}}
    node.play(
        lambda: node.add_pod(script),
        lambda: node.sleep(4),
        lambda: node.client.patch(POD, "p", {"metadata": {"labels": {"a": "b"}}}, "default"),
        lambda: node.sleep(2),
        node.delete,
        until_s=11,
    )
    main = status_of(node.last())
    assert main["restartCount"] == 1
    assert (main["state"]["terminated"]["exitCode"], main["lastState"]["terminated"]["exitCode"]) == (4, 4)
