"""Start, end and deletion of pods on one node, with exact times."""

from __future__ import annotations

import pytest

from rayrig_core.objects import JsonObject, condition_of


def phase(pod: JsonObject) -> str:
    return str(pod["status"]["phase"])


def is_ready(pod: JsonObject) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def state(pod: JsonObject) -> str:
    statuses = pod["status"].get("containerStatuses")
    if not statuses:
        return ""
    (kind, value), *_ = statuses[0]["state"].items()
    return " ".join(str(x) for x in (kind, value.get("reason"), value.get("exitCode")) if x is not None)


@pytest.mark.accepts("KL-004", "KL-007")
def test_a_present_image_is_not_pulled_and_a_container_without_probe_is_ready_as_it_runs(node):
    node.play(node.add_pod, until_s=5)
    assert node.story(phase) == [(0.0, "Pending"), (0.0, "Running")]
    assert node.story(is_ready)[-1] == (0.0, True)
    assert node.reasons() == ["Pulled", "Created", "Started"]
    assert "already present on machine" in node.texts("Pulled")[0]


@pytest.mark.accepts("KL-002", "K8-069")
def test_the_first_status_has_a_host_but_no_pod_address(node):
    slow = {"images": {"registry.test/slow:1": [{"delay": 5}]}}
    node.play(lambda: node.add_pod(slow, container={"image": "registry.test/slow:1"}), until_s=4)
    status = node.last()["status"]
    assert (status["hostIP"], status.get("podIP"), bool(status["startTime"])) == ("10.0.0.1", None, True)
    assert state(node.last()) == "waiting ContainerCreating"
    assert [c["type"] for c in status["conditions"]] == [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]


@pytest.mark.accepts("KL-003")
def test_a_pod_waits_for_its_image(node):
    slow = {"images": {"registry.test/slow:1": [{"delay": 5}]}}
    node.play(lambda: node.add_pod(slow, container={"image": "registry.test/slow:1"}), until_s=10)
    assert node.story(phase) == [(0.0, "Pending"), (5.0, "Running")]
    assert node.reasons() == ["Pulling", "Pulled", "Created", "Started"]
    assert node.texts("Pulled") == [
        'Successfully pulled image "registry.test/slow:1" in 5s (5s including waiting). Image size: 1000 bytes.'
    ]


@pytest.mark.accepts("KL-005")
def test_the_tag_latest_is_always_pulled(node):
    image = "registry.test/present/app:latest"
    node.play(lambda: node.add_pod({"images": {image: [{"delay": 1}]}}, container={"image": image}), until_s=5)
    assert node.story(phase)[-1] == (1.0, "Running")


@pytest.mark.accepts("KL-006")
def test_the_first_container_runs_while_the_image_of_the_second_is_pulled(node):
    script = {"images": {"registry.test/b:1": [{"delay": 3}]}}
    containers = [{"name": "a", "image": "registry.test/present/a:1"}, {"name": "b", "image": "registry.test/b:1"}]
    node.play(lambda: node.add_pod(script, containers=containers), until_s=6)
    assert (node.starts("a"), node.starts("b")) == ([0.0], [3.0])
    assert node.story(phase) == [(0.0, "Pending"), (3.0, "Running")]


@pytest.mark.accepts("KL-008")
def test_a_sandbox_that_fails_is_tried_again_each_ten_seconds(node):
    node.play(lambda: node.add_pod({"sandbox": {"error": "no addresses", "times": 2}}), until_s=30)
    assert node.event_times("FailedCreatePodSandBox") == [0.0, 10.0]
    assert node.story(phase) == [(0.0, "Pending"), (20.0, "Running")]


@pytest.mark.accepts("KL-010")
def test_a_pod_on_the_host_network_has_the_address_of_its_node(node):
    node.play(lambda: node.add_pod(hostNetwork=True), until_s=2)
    assert node.last()["status"]["podIP"] == node.last()["status"]["hostIP"] == "10.0.0.1"


@pytest.mark.accepts("KL-049", "KL-051", "K8-069")
def test_a_pod_that_never_restarts_fails_when_both_containers_have_ended(node):
    script = {"a": {"runs": [{"for": 3, "exit": 0}]}, "b": {"runs": [{"for": 6, "exit": 1}]}}
    containers = [{"name": n, "image": "registry.test/present/app:1"} for n in ("a", "b")]
    node.play(lambda: node.add_pod(script, containers=containers, restartPolicy="Never"), until_s=10)

    def told(pod: JsonObject) -> tuple[str, str | None]:
        condition = condition_of(pod, "Ready") or {}
        return phase(pod), condition.get("reason")

    assert node.story(told)[-3:] == [
        (3.0, ("Running", "ContainersNotReady")),
        (6.0, ("Running", "PodFailed")),
        (6.0, ("Failed", "PodFailed")),
    ]


@pytest.mark.accepts("KL-053")
def test_the_end_of_the_log_stands_for_a_missing_termination_message(node):
    script = {"main": {"runs": [{"for": 1, "exit": 1}], "log": "line one\nlast line"}}
    container = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    node.play(lambda: node.add_pod(script, container=container, restartPolicy="Never"), until_s=5)
    ended = node.last()["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["message"]) == ("Error", "line one\nlast line\n")


@pytest.mark.accepts("KL-067")
def test_a_deleted_pod_is_gone_when_its_container_has_ended_long_before_its_grace(node):
    node.play(
        lambda: node.add_pod({"main": {"term": {"after": 2}}}),
        lambda: node.sleep(5),
        node.delete,
        until_s=20,
    )
    assert node.story(phase)[-1] == (7.001, "Failed")
    assert node.gone_s() == 7.001


@pytest.mark.accepts("KL-068")
def test_a_container_that_ignores_sigterm_is_killed_at_the_end_of_its_grace(node):
    node.play(
        lambda: node.add_pod({"main": {"term": {"ignore": True}}}),
        lambda: node.sleep(3),
        lambda: node.delete(grace_s=5),
        until_s=20,
    )
    assert node.story(state)[-1] == (8.0, "terminated Error 137")


@pytest.mark.accepts("KL-069")
def test_a_forced_deletion_removes_the_object_at_once_and_gives_the_container_two_seconds(node):
    node.play(
        lambda: node.add_pod({"main": {"term": {"after": 30}}}),
        lambda: node.sleep(3),
        lambda: node.delete(grace_s=0),
        until_s=20,
    )
    assert node.gone_s() == 3.0
    ended = [e.t_s for e in node.kernel.trace if e.line().find("state=terminated") > 0]
    assert [round(t, 3) for t in ended] == [5.0]
    assert node.kubelet.pods() == []


@pytest.mark.accepts("KL-064")
@pytest.mark.parametrize(("hook_s", "grace_s", "sigterm_s", "killed_s"), [(4, 10, 4.0, 10.0), (20, 6, 6.0, 8.0)])
def test_a_prestop_hook_eats_from_the_grace(node, hook_s, grace_s, sigterm_s, killed_s):
    script = {"main": {"exec": [{"schedule": [[0, {"delay": hook_s}]]}], "term": {"ignore": True}}}
    container = {"lifecycle": {"preStop": {"exec": {"command": ["hook"]}}}}
    node.play(
        lambda: node.add_pod(script, container=container),
        lambda: node.sleep(5),
        lambda: node.delete(grace_s=grace_s),
        until_s=40,
    )
    stops = [round(e.t_s - 5, 3) for e in node.kernel.trace if "state=stopping" in e.line()]
    ends = [round(e.t_s - 5, 3) for e in node.kernel.trace if "state=terminated" in e.line()]
    assert (stops, ends) == ([sigterm_s], [killed_s])


@pytest.mark.accepts("KL-065")
def test_a_container_counts_as_running_only_after_its_poststart_hook(node):
    script = {"main": {"exec": [{"schedule": [[0, {"delay": 4}]]}]}}
    container = {"lifecycle": {"postStart": {"exec": {"command": ["hook"]}}}}
    node.play(lambda: node.add_pod(script, container=container), until_s=10)
    assert node.story(state) == [(0.0, ""), (0.0, "waiting ContainerCreating"), (4.0, "running")]


@pytest.mark.accepts("KL-060")
def test_init_containers_run_one_after_the_other(node):
    script = {"i1": {"runs": [{"for": 3}]}, "i2": {"runs": [{"for": 2}]}}
    init = [{"name": n, "image": "registry.test/present/app:1"} for n in ("i1", "i2")]
    node.play(lambda: node.add_pod(script, initContainers=init), until_s=10)
    assert (node.starts("i1"), node.starts("i2"), node.starts("main")) == ([0.0], [3.0], [5.0])
    assert node.story(phase) == [(0.0, "Pending"), (5.0, "Running")]


@pytest.mark.accepts("KL-061")
def test_a_failing_init_container_fails_a_pod_that_never_restarts(node):
    init = [{"name": "i1", "image": "registry.test/present/app:1"}]
    script = {"i1": {"runs": [{"for": 2, "exit": 3}]}}
    node.play(lambda: node.add_pod(script, initContainers=init, restartPolicy="Never"), until_s=10)
    assert (phase(node.last()), state(node.last()), node.starts()) == ("Failed", "waiting PodInitializing", [])


@pytest.mark.accepts("KL-063")
def test_sidecars_are_stopped_after_the_main_container_the_last_first(node):
    quick = {"term": {"after": 1, "exit": 0}}
    script = {"s1": quick, "s2": quick, "main": {"term": {"after": 2, "exit": 0}}}
    init = [{"name": n, "image": "registry.test/present/app:1", "restartPolicy": "Always"} for n in ("s1", "s2")]
    node.play(
        lambda: node.add_pod(script, initContainers=init),
        lambda: node.sleep(5),
        lambda: node.delete(grace_s=20),
        until_s=40,
    )
    stops = [(round(e.t_s, 2), e["container"], e["reason"]) for e in node.kernel.trace if "state=stopping" in e.line()]
    assert stops == [
        (5.0, "main", "SIGTERM, grace 20 s"),
        (7.0, "s2", "SIGTERM, grace 18 s"),
        (8.0, "s1", "SIGTERM, grace 17 s"),
    ]


@pytest.mark.accepts("KL-081")
@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            {"container": {"resources": {"requests": {"cpu": "64"}}}},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 64000, used: 0, capacity: 2000",
        ),
        (
            {"container": {"resources": {"requests": {"memory": "9Gi"}}}},
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 9663676416, used: 0, capacity: 8589934592",
        ),
        (
            {"nodeSelector": {"disk": "tape"}},
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
    ],
)
def test_a_node_refuses_a_bound_pod_it_cannot_take(node, spec, reason, message):
    node.play(lambda: node.add_pod(**spec), until_s=5)
    status = node.last()["status"]
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", reason, f"Pod was rejected: {message}")
    assert "containerStatuses" not in status
    assert node.texts(reason) == [message]
    assert node.starts() == []


@pytest.mark.accepts("KL-052")
def test_an_active_deadline_stops_the_pod(node):
    spec = {"activeDeadlineSeconds": 8, "terminationGracePeriodSeconds": 5}
    node.play(lambda: node.add_pod({"main": {"term": {"after": 2}}}, **spec), until_s=20)
    status = node.last()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert node.event_times("Killing") == [8.0]
    assert node.story(phase)[-1] == (10.001, "Failed")


def test_a_status_that_says_what_the_last_one_said_is_not_written(node):
    probe = {"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1}}
    node.play(lambda: node.add_pod(container=probe), until_s=60)
    assert len([t for t, *_ in node.seen if t > 1]) == 0
