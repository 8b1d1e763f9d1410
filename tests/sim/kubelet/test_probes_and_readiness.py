"""When probes are made, what is believed of them, and what follows, with exact times."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject, condition_of
from rayrig_core.resource_types import POD
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, Verdict


def is_ready(pod: JsonObject) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def http(port: int = 8080, **probe: Any) -> JsonObject:
    return {"httpGet": {"path": "/ready", "port": port}, **probe}


def answers(*schedule: tuple[float, str], **more: Any) -> JsonObject:
    return {"main": {"http": {"8080": {"*": [list(entry) for entry in schedule]}}, **more}}


@pytest.mark.accepts("KL-011", "K8-070")
def test_a_probe_without_delay_is_made_when_the_container_is_seen_to_run(node):
    container = {"readinessProbe": http(periodSeconds=10)}
    node.play(lambda: node.add_pod(answers((0, "200:ok")), container=container), until_s=5)
    assert node.story(is_ready) == [(0.0, False), (0.0, True)]


@pytest.mark.accepts("KL-013", "K8-070")
@pytest.mark.parametrize(("delay", "period", "first_s"), [(7, 5, 10.0), (3, 1, 3.0), (5, 3, 6.0)])
def test_an_initial_delay_is_over_before_the_first_probe(node, delay, period, first_s):
    container = {"readinessProbe": http(initialDelaySeconds=delay, periodSeconds=period)}
    node.play(lambda: node.add_pod(answers((0, "200:ok")), container=container), until_s=20)
    assert node.kubelet.probe_history("default", "p")[0].t_ns / 1e9 == pytest.approx(first_s, abs=0.001)


@pytest.mark.accepts("KL-014", "KL-016", "K8-070")
def test_three_failures_in_a_row_make_a_pod_unready_and_two_do_not(node):
    script = answers((0, "200:ok"), (4.5, "503:no"), (6.5, "200:ok"), (9.5, "503:no"))
    node.play(lambda: node.add_pod(script, container={"readinessProbe": http(periodSeconds=1)}), until_s=12.5)
    assert node.story(is_ready)[1:] == [(0.0, True), (12.0, False)]
    ready, of_containers = (condition_of(node.last(), kind) or {} for kind in ("Ready", "ContainersReady"))
    assert ready["reason"] == of_containers["reason"] == "ContainersNotReady"
    assert ready["message"] == "containers with unready status: [main]"
    # The threshold's probe and the one that the new status asks for at once.
    times = [round(o.t_ns / 1e9, 3) for o in node.kubelet.probe_history("default", "p")]
    assert times[-2:] == [12.0, 12.0]


@pytest.mark.accepts("KL-015")
def test_a_pod_is_ready_with_the_third_success_when_three_are_asked_for(node):
    container = {"readinessProbe": http(periodSeconds=10, successThreshold=3)}
    node.play(lambda: node.add_pod(answers((0, "200:ok")), container=container), until_s=40)
    made = [round(o.t_ns / 1e9, 3) for o in node.kubelet.probe_history("default", "p")]
    assert node.story(is_ready)[-1] == (made[2], True)


@pytest.mark.accepts("KL-017", "KL-018")
@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ("200:x", True),
        ("204:x", True),
        ("301:/other", True),
        ("302:http://198.51.100.1/x", True),
        ("399:x", True),
        ("301:/broken", False),
        ("400:x", False),
        ("404:x", False),
        ("500:x", False),
    ],
)
def test_the_status_code_decides(node, answer, ready):
    paths = {"/ready": [[0, answer]], "/other": [[0, "200:ok"]], "/broken": [[0, "503:no"]]}
    script = {"main": {"http": {"8080": paths}}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": http(periodSeconds=2)}), until_s=3)
    assert is_ready(node.last()) is ready
    if not ready:
        code = 503 if answer == "301:/broken" else int(answer[:3])
        assert node.texts("Unhealthy") == [f"Readiness probe failed: HTTP probe failed with statuscode: {code}"]


@pytest.mark.accepts("KL-019")
def test_a_port_where_nobody_listens_is_refused(node):
    node.play(lambda: node.add_pod(container={"readinessProbe": http(periodSeconds=2)}), until_s=1)
    text = 'Readiness probe failed: Get "http://10.244.0.1:8080/ready": dial tcp 10.244.0.1:8080: '
    assert node.texts("Unhealthy") == [text + "connect: connection refused"]


@pytest.mark.accepts("KL-020", "K8-070")
def test_an_answer_within_the_timeout_counts_and_a_later_one_does_not(node):
    script = answers((0, "200:slow@1.5"))
    node.play(
        lambda: node.add_pod(script, name="two", container={"readinessProbe": http(timeoutSeconds=2)}),
        lambda: node.add_pod(script, name="one", container={"readinessProbe": http(timeoutSeconds=1)}),
        until_s=9,
    )
    assert node.story(is_ready, "two")[-1] == (1.5, True)
    assert not is_ready(node.last("one"))
    assert node.event_times("Unhealthy")[0] == 1.0
    assert node.texts("Unhealthy")[0].endswith("(Client.Timeout exceeded while awaiting headers)")


@pytest.mark.accepts("KL-021")
def test_a_failing_command_is_reported_with_what_it_printed(node):
    schedule = [[0, {"exit": 1, "out": "no such file\n"}], [5, {"exit": 0, "out": "fine"}]]
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 10}
    script = {"main": {"exec": [{"schedule": schedule}]}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=15)
    assert node.texts("Unhealthy") == ["Readiness probe failed: no such file\n"]
    assert is_ready(node.last())


@pytest.mark.accepts("KL-022", "KL-023")
def test_a_command_that_takes_too_long_fails_and_probes_do_not_overlap(node):
    probe = {"exec": {"command": ["check", "-x"]}, "periodSeconds": 1, "timeoutSeconds": 2}
    script = {"main": {"exec": [{"schedule": [[0, {"delay": 3}]]}]}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=7)
    assert node.texts("Unhealthy") == ['Readiness probe failed: command timed out: "check -x" timed out after 2s']
    ended = [round(o.t_ns / 1e9, 2) for o in node.kubelet.probe_history("default", "p")]
    assert ended == [2.0, 4.0, 6.0]


@pytest.mark.accepts("KL-024")
def test_a_probe_that_cannot_be_made_counts_neither_way(node):
    refuse = {"error": "exec: not found"}
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 1}
    script = {"main": {"exec": [{"schedule": [[0, {}], [7, refuse], [12, {}]]}]}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=20)
    assert node.story(is_ready)[1:] == [(0.0, True)]
    assert node.texts("Unhealthy") == [
        "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = exec: not found"
    ]


@pytest.mark.accepts("KL-025")
def test_only_serving_is_healthy_over_grpc(node):
    probe = {"grpc": {"port": 9100}, "periodSeconds": 2, "failureThreshold": 1}
    script = {"main": {"grpc": {"9100": [[0, "NOT_SERVING"], [5, "SERVING"]]}}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=10)
    assert node.story(is_ready)[-1][1] is True
    assert node.texts("Unhealthy") == ['Readiness probe failed: service unhealthy (responded with "NOT_SERVING")']


@pytest.mark.accepts("KL-026", "KL-028", "K8-070")
def test_a_startup_probe_holds_the_others_back(node):
    paths = {"/start": [[0, "503:no"], [7, "200:ok"]], "*": [[0, "200:ok"]]}
    container = {
        "startupProbe": {"httpGet": {"path": "/start", "port": 8080}, "periodSeconds": 2, "failureThreshold": 10},
        "livenessProbe": http(periodSeconds=3),
        "readinessProbe": http(periodSeconds=3),
    }
    node.play(lambda: node.add_pod({"main": {"http": {"8080": paths}}}, container=container), until_s=7.5)
    status = node.last()["status"]
    assert (status["phase"], status["containerStatuses"][0]["started"], is_ready(node.last())) == (
        "Running",
        False,
        False,
    )
    node.kernel.run(until_s=10)
    first = {}
    for seen in node.kubelet.probe_history("default", "p"):
        first.setdefault(seen.kind, round(seen.t_ns / 1e9, 3))
    assert first == {ProbeKind.STARTUP: 2.0, ProbeKind.READINESS: 8.0, ProbeKind.LIVENESS: 9.0}
    assert node.story(is_ready)[-1] == (8.0, True)


@pytest.mark.accepts("KL-027", "K8-070")
def test_a_startup_probe_that_goes_on_failing_kills_the_container(node):
    container = {"startupProbe": http(periodSeconds=2, failureThreshold=3), "livenessProbe": http()}
    node.play(lambda: node.add_pod(answers((0, "503:no")), container=container), until_s=7)
    assert node.texts("Killing") == ["Container main failed startup probe, will be restarted"]
    assert node.event_times("Killing") == [6.0]


@pytest.mark.accepts("KL-012", "KL-039", "KL-041", "K8-070")
def test_a_liveness_failure_restarts_the_container_on_the_same_grid(node):
    runs = [{"http": {"8080": {"*": [[0, "200:ok"], [5, "503:sick"]]}}}, {"http": {"8080": {"*": [[0, "200:ok"]]}}}]
    script = {"main": {"runs": runs, "term": {"after": 2.5, "exit": 0}}}
    node.play(lambda: node.add_pod(script, container={"livenessProbe": http(periodSeconds=2)}), until_s=20)
    made = [round(o.t_ns / 1e9, 3) for o in node.kubelet.probe_history("default", "p")]
    assert made == [2.0, 4.0, 6.0, 8.0, 10.0, 14.0, 16.0, 18.0]
    assert node.texts("Killing") == ["Container main failed liveness probe, will be restarted"]
    assert node.starts() == [0.0, 12.501]
    assert node.story(is_ready) == [(0.0, False), (0.0, True)]


@pytest.mark.accepts("KL-040")
def test_a_probe_may_bring_its_own_grace(node):
    script = answers((0, "503:sick"), term={"ignore": True})
    probe = http(periodSeconds=1, failureThreshold=1, terminationGracePeriodSeconds=3)
    node.play(lambda: node.add_pod(script, container={"livenessProbe": probe}), until_s=4.5)
    assert node.starts() == [0.0, 4.0]


@pytest.mark.accepts("KL-042")
def test_a_liveness_failure_ends_a_pod_that_never_restarts(node):
    script = answers((0, "503:sick"), term={"after": 1, "exit": 0})
    container = {"livenessProbe": http(periodSeconds=1, failureThreshold=2)}
    node.play(lambda: node.add_pod(script, container=container, restartPolicy="Never"), until_s=6)
    assert node.last()["status"]["phase"] == "Succeeded"
    assert node.texts("Killing") == ["Stopping container main"]


@pytest.mark.accepts("KL-029")
def test_twenty_five_events_are_written_and_the_probes_go_on(node):
    container = {"readinessProbe": http(periodSeconds=1)}
    node.play(lambda: node.add_pod(answers((0, "503:x")), container=container), until_s=61)
    assert max(count for _, reason, _, count in node.events if reason == "Unhealthy") == 25
    assert node.kubelet.probe_history("default", "p")[-1].t_ns > 59e9


@pytest.mark.accepts("KL-030")
def test_ever_different_failures_are_joined_into_one_event(node):
    schedule = [[n, {"exit": 1, "out": f"attempt {n}"}] for n in range(30)]
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1}
    script = {"main": {"exec": [{"schedule": schedule}]}}
    node.play(lambda: node.add_pod(script, container={"readinessProbe": probe}), until_s=15)
    texts = node.texts("Unhealthy")
    joined = [text for text in texts if text.startswith("(combined from similar events): ")]
    assert len(texts) - len(joined) == 9
    newest = [(text, count) for _, reason, text, count in node.events if reason == "Unhealthy"][-1]
    assert newest == ("(combined from similar events): Readiness probe failed: attempt 14", len(joined))


@pytest.mark.accepts("KL-032")
def test_a_readiness_gate_holds_the_pod_back_until_its_condition_is_true(node):
    async def open_gate() -> None:
        condition = {"type": "example.test/extra", "status": "True"}
        await node.client.patch(
            POD, "p", {"status": {"conditions": [condition]}}, "default", patch_type="strategic", subresource="status"
        )

    gates = [{"conditionType": "example.test/extra"}]
    node.play(lambda: node.add_pod(readinessGates=gates), lambda: node.sleep(6), open_gate, until_s=10)

    def told(pod: JsonObject) -> tuple[str, str] | None:
        ready, of_containers = condition_of(pod, "Ready"), condition_of(pod, "ContainersReady")
        return (ready.get("reason", ""), of_containers["status"]) if ready and of_containers else None

    assert node.story(told)[-2:] == [(0.0, ("ReadinessGatesNotReady", "True")), (6.0, ("", "True"))]


@pytest.mark.accepts("KL-070")
def test_readiness_goes_on_while_a_pod_is_stopped_and_liveness_does_not(node):
    script = answers((0, "200:ok"), term={"after": 8, "exit": 0, "http": {"*": "503:draining"}})
    container = {
        "readinessProbe": http(periodSeconds=1, failureThreshold=2),
        "livenessProbe": http(periodSeconds=1, failureThreshold=2),
    }
    node.play(
        lambda: node.add_pod(script, container=container),
        lambda: node.sleep(3.5),
        node.delete,
        until_s=20,
    )
    assert node.story(is_ready)[1:3] == [(0.0, True), (5.0, False)]
    assert len(node.starts()) == 1
    assert all(o.t_ns <= 3.5e9 for o in node.kubelet.probe_history("default", "p") if o.kind is ProbeKind.LIVENESS)


def test_the_trace_tells_only_changes_and_what_followed_from_them(node):
    script = answers((0, "200:ok"), (8.5, "503:no"))
    container = {"readinessProbe": http(periodSeconds=1, failureThreshold=1)}
    node.play(lambda: node.add_pod(script, container=container), until_s=30)
    changes = list(node.kernel.trace.select(Kind.PROBE))
    assert [(e["result"], e["message"]) for e in changes] == [
        ("success", ""),
        ("failure", "HTTP probe failed with statuscode: 503"),
    ]
    writes = [e for e in node.kernel.trace.select(Kind.API_WRITE, subject="pods/default/p") if e.t_s > 8]
    assert [e.cause for e in writes] == [changes[1].seq]


def test_the_history_tells_what_each_probe_got(node):
    container = {"readinessProbe": http(periodSeconds=5)}
    node.play(lambda: node.add_pod(answers((0, "503:no"), (3, "200:ok")), container=container), until_s=8)
    first, *_, last = node.kubelet.probe_history("default", "p")
    assert (first.verdict, first.text) == (Verdict.FAILURE, "HTTP probe failed with statuscode: 503")
    assert (last.verdict, last.kind) == (Verdict.SUCCESS, ProbeKind.READINESS)
    assert node.kubelet.probe_history("default", "other") == []


def test_a_probe_reaches_whichever_container_of_the_pod_listens(node):
    script = {"side": {"http": {"8080": {"*": [[0, "200:ok"]]}}}}
    containers = [
        {"name": "main", "image": "registry.test/present/app:1", "readinessProbe": http(periodSeconds=2)},
        {"name": "side", "image": "registry.test/present/app:1"},
    ]
    node.play(lambda: node.add_pod(script, containers=containers), until_s=4)
    assert is_ready(node.last())
