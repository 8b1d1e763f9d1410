"""Workloads that are not Ray's, in the world in memory: what containers are said to do, and what becomes of pods and requests."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import InputError
from rayrig_core.http import Failure, HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind
from rayrig_scenarios.api import Broken, Rig

READY = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}


def pod(name: str = "web", *, probe: JsonObject | None = READY, image: str = "web:1", **spec: Any) -> JsonObject:
    container: JsonObject = {"name": "main", "image": image}
    if probe is not None:
        container["readinessProbe"] = probe
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def workload(kind: str, name: str = "web", *, template: JsonObject | None = None, **spec: Any) -> JsonObject:
    made = template or pod(name)
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": made["spec"]},
            **spec,
        },
    }


def service(name: str = "web") -> JsonObject:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def ask(rig: Rig, path: str = "/") -> tuple[int, str]:
    answer = rig.request("web", path, port=80)
    return answer.status, answer.body.decode()


def failure(rig: Rig, path: str, timeout: str = "2s") -> Failure:
    with pytest.raises(HttpFailure) as caught:
        rig.request("web", path, port=80, timeout=timeout)
    return caught.value.failure


def events(rig: Rig, reason: str) -> list[str]:
    return [str(event["message"]) for event in rig.trace.select(Kind.EVENT) if event["reason"] == reason]


def test_readiness_follows_the_script_and_endpoints_follow_readiness() -> None:
    rig = Rig()
    rig.script(image="web", http={"8080": {"/ready": {"0s": 503, "40s": 200, "60s": 503, "70s": 200}}})
    rig.apply(service())
    rig.apply(workload("Deployment", replicas=2))
    rig.wait({"endpoints": {"name": "web", "total": 2, "ready": 0}})
    rig.wait({"endpoints": {"name": "web", "ready": 2}})
    assert 40 <= rig.now_s < 42
    rig.wait({"endpoints": {"name": "web", "ready": 0}})
    assert 60 <= rig.now_s < 62
    rig.wait({"endpoints": {"name": "web", "ready": 2}})
    assert 70 <= rig.now_s < 72
    rig.expect({"endpoints": {"name": "web", "fewest": 0, "most": 2, "unavailable": "12s"}})
    assert not rig.holds({"endpoints": {"name": "web", "unavailable": "5s"}})
    rig.expect({"pods": {"labels": {"app": "web"}, "restarts": 0}})
    rig.expect({"condition": {"kind": "Deployment", "name": "web", "type": "Available"}})


def test_requests_through_the_service_get_the_scripted_answers() -> None:
    rig = Rig()
    paths = {"/": "200:hello", "/busy": "503:later", "/slow": "200:done@1500ms", "/hang": "hang", "/reset": "reset"}
    rig.script(image="web", http={"8080": {"/ready": 200, **paths}})
    rig.apply(service())
    rig.apply(pod())
    rig.wait({"endpoints": {"name": "web", "ready": 1}})
    rig.sleep("1s")
    assert ask(rig) == (200, "hello")
    assert ask(rig, "/busy") == (503, "later")
    assert ask(rig, "/nowhere") == (404, "not found")
    began = rig.now_s
    assert ask(rig, "/slow?with=query") == (200, "done")
    assert 1.5 < rig.now_s - began < 1.52
    assert failure(rig, "/slow", timeout="1s") is Failure.TIMEOUT
    assert failure(rig, "/hang") is Failure.TIMEOUT
    assert failure(rig, "/reset") is Failure.RESET


def test_nobody_listens_before_and_after_the_script_says_so() -> None:
    rig = Rig()
    rig.script(image="web", http={"8080": {"*": 200, "listen": {"0s": False, "10s": True}}})
    rig.apply(service())
    rig.apply(pod(probe=None))
    rig.wait({"endpoints": {"name": "web", "ready": 1}})
    rig.sleep("1s")
    assert failure(rig, "/") is Failure.REFUSED
    rig.sleep("10s")
    assert ask(rig)[0] == 200


def test_tcp_grpc_and_exec_probes_are_answered() -> None:
    rig = Rig()
    rig.script(
        image="*",
        http={"8080": {"listen": {"0s": False, "3s": True}}},
        grpc={"9100": {"0s": "NOT_SERVING", "6s": "SERVING"}},
        exec={"match": "check", "schedule": {"0s": {"exit": 1, "out": "not yet"}, "9s": 0}},
    )
    probes: dict[str, JsonObject] = {
        "tcp": {"tcpSocket": {"port": 8080}},
        "grpc": {"grpc": {"port": 9100}},
        "exec": {"exec": {"command": ["check", "--all"]}},
    }
    found = []
    for name, probe in probes.items():
        rig.apply(pod(name, probe={**probe, "periodSeconds": 1}))
    for name in probes:
        rig.wait({"pods": {"labels": {"app": name}, "ready": 1}})
        found.append(rig.now_s)
    # The first probe after the script's change: up to a period later.
    assert [least <= at < least + 2 for at, least in zip(found, (3, 6, 9), strict=True)] == [True, True, True]
    assert "Readiness probe failed: not yet" in events(rig, "Unhealthy")


def test_out_of_memory_restarts_with_back_off() -> None:
    rig = Rig()
    rig.script(image="web", runs=[{"for": "5s", "reason": "OOMKilled"}, {"for": "5s", "exit": 3, "log": "gave up"}, {}])
    rig.apply(pod(probe=None))
    rig.wait({"pods": {"restarts": 1, "ready": 1}})
    assert 5 <= rig.now_s < 7
    status = rig.get("Pod", "web")["status"]["containerStatuses"][0]  # type: ignore[index]
    assert (status["lastState"]["terminated"]["reason"], status["lastState"]["terminated"]["exitCode"]) == (
        "OOMKilled",
        137,
    )
    rig.wait({"pods": {"restarts": 2, "ready": 1}})
    # 10 s of back-off from the second exit on, lengthened by up to half.
    assert 20 <= rig.now_s < 28


def test_a_jobs_pods_end_as_they_are_said_to() -> None:
    rig = Rig()
    rig.script(image="batch", runs={"for": "20s", "exit": 0})
    template = pod("batch", probe=None, image="batch", restartPolicy="Never")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "batch"},
        "spec": {"completions": 2, "template": {"metadata": {"labels": {"app": "batch"}}, "spec": template["spec"]}},
    }
    rig.apply(job)
    rig.wait({"condition": {"kind": "Job", "name": "batch", "type": "Complete"}})
    assert 40 <= rig.now_s < 50


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "ReplicaSet"])
def test_other_workloads_run_too(kind: str) -> None:
    rig = Rig()
    rig.node(count=2)
    rig.script(image="web", http={"8080": 200})
    rig.apply(workload(kind, **({} if kind == "DaemonSet" else {"replicas": 2})))
    rig.wait(
        {
            "field": {
                "kind": kind,
                "name": "web",
                "path": "status.numberReady" if kind == "DaemonSet" else "status.readyReplicas",
                "equals": 2,
            }
        }
    )


def test_pulls_take_their_time_and_fail_as_said() -> None:
    rig = Rig()
    rig.script(image="slow", pull="20s")
    rig.script(image="late", pull=[{"error": "manifest unknown", "code": "NOT_FOUND"}, {"delay": "1s"}])
    rig.apply(pod("slow", probe=None, image="slow:1"))
    rig.wait({"pods": {"labels": {"app": "slow"}, "ready": 1}})
    assert 20 <= rig.now_s < 22
    began = rig.now_s
    rig.apply(pod("late", probe=None, image="late:1"))
    rig.wait({"pods": {"labels": {"app": "late"}, "unready": 1, "reason": "manifest unknown"}}, timeout="10s")
    rig.wait({"pods": {"labels": {"app": "late"}, "ready": 1}})
    assert 11 <= rig.now_s - began < 35
    assert any("NotFound desc = manifest unknown" in text for text in events(rig, "Failed"))


def test_sigterm_ignored_lasts_until_the_grace_period_is_over() -> None:
    rig = Rig()
    rig.script(image="web", term="ignore", http={"8080": {"*": 200}})
    rig.apply(pod(terminationGracePeriodSeconds=15))
    rig.wait({"pods": {"ready": 1}})
    began = rig.now_s
    rig.delete("Pod", "web")
    rig.wait({"gone": "Pod/web"})
    assert 15 <= rig.now_s - began < 17
    rig.expect({"happened": {"what": "kubelet.container", "with": {"state": "terminated", "exit_code": 137}}})


def test_a_draining_container_is_unready_from_sigterm_on_and_ends_in_time() -> None:
    rig = Rig()
    rig.script(image="web", term={"after": "6s", "exit": 0, "http": {"/ready": 503}}, http={"8080": {"*": 200}})
    rig.apply(service())
    rig.apply(pod())
    rig.wait({"endpoints": {"name": "web", "ready": 1}})
    began = rig.now_s
    rig.delete("Pod", "web")
    rig.wait({"endpoints": {"name": "web", "ready": 0, "serving": 1, "terminating": 1}}, timeout="1s")
    rig.wait({"endpoints": {"name": "web", "serving": 0, "terminating": 1}}, timeout="3s")
    rig.wait({"gone": "Pod/web"})
    assert 6 <= rig.now_s - began < 8


def test_requests_under_way_are_lost_with_their_container_and_say_why() -> None:
    rig = Rig()
    rig.script(image="web", http={"8080": {"/ready": 200, "*": "200:done@5s"}}, runs=[{"for": "30s", "exit": 1}, {}])
    rig.apply(service())
    rig.apply(pod())
    rig.wait({"endpoints": {"name": "web", "ready": 1}})
    rig.sleep("1s")
    traffic = rig.traffic("web", rate="2/s", port=80)
    rig.sleep("40s")
    traffic.stop()
    causes = dict(list(traffic.accounting.causes))
    assert causes["connection-reset"] == "container main ended with 1 before it had answered"
    assert traffic.fates["ok"] > 40


def test_two_containers_of_a_pod_cannot_have_one_port() -> None:
    rig = Rig()
    rig.script(image="web", http={"8080": 200})
    both = pod(probe=None)
    both["spec"]["containers"].append(
        {"name": "second", "image": "web:1", "terminationMessagePolicy": "FallbackToLogsOnError"}
    )
    rig.apply(both)
    path = "status.containerStatuses[second].lastState.terminated.message"
    rig.wait(
        {"field": {"kind": "Pod", "name": "web", "path": path, "contains": "bind: address already in use"}},
        timeout="2m",
    )
    rig.expect(
        {"field": {"kind": "Pod", "name": "web", "path": "status.containerStatuses[main].restartCount", "equals": 0}}
    )


def test_a_sidecar_of_a_ray_pod_has_a_script_and_ray_runs_on() -> None:
    rig = Rig()
    rig.script(container="metrics", http={"9090": 200}, runs=[{"for": "30s", "exit": 1}, {}])
    worker = "spec.rayClusterConfig.workerGroupSpecs[0].template.spec.containers"
    (manifest,) = (w.object for w in rig._chosen("one-per-node"))
    containers = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    rig.apply("one-per-node", {worker: [*containers, {"name": "metrics", "image": "metrics:1"}]})
    rig.wait_ready("orchard")
    rig.wait({"pods": {"service": "orchard", "role": "worker", "restarts": 2, "ready": 2}}, timeout="3m")
    rig.expect({"application": {"name": "orchard", "status": "RUNNING"}})


def test_what_is_said_in_a_running_world_holds_for_later_pods() -> None:
    rig = Rig()
    rig.apply(pod("first"))
    rig.sleep("5s")
    rig.script(image="web", http={"8080": 200})
    rig.apply(pod("second"))
    rig.wait({"pods": {"labels": {"app": "second"}, "ready": 1}}, timeout="10s")
    assert rig.holds({"pods": {"labels": {"app": "first"}, "unready": 1}})


def test_an_annotation_stands_before_what_was_said_and_a_broken_one_is_an_event() -> None:
    rig = Rig()
    rig.script(image="web", http={"8080": 503})
    own, broken = pod("own"), pod("broken")
    own["metadata"]["annotations"] = {"script": '{"main": {"http": {"8080": 200}}}'}
    broken["metadata"]["annotations"] = {"script": '{"main": {"htp": 200}}'}
    rig.apply(own)
    rig.apply(broken)
    rig.wait({"pods": {"labels": {"app": "own"}, "ready": 1}}, timeout="10s")
    rig.expect({"pods": {"labels": {"app": "broken"}, "pending": 1}})
    (text, *_) = events(rig, "FailedCreatePodSandBox")
    assert text.endswith('annotation script: main.htp: no field is called "htp" (did you mean "http"?)')


def test_mistakes_in_python_are_named_as_in_yaml() -> None:
    rig = Rig()
    with pytest.raises(InputError, match=r'script\.htp: no field is called "htp" \(did you mean "http"\?\)'):
        rig.script(image="web", htp=200)
    with pytest.raises(InputError, match=r'script\.runs\[0\]\.for: 2 has no unit \(write "2s" or "2ms"\)'):
        rig.script(image="web", runs=[{"for": 2}])
    with pytest.raises(InputError, match="script: says not which containers"):
        rig.script(http={"8080": 200})


# Drains


def budget(least: int) -> JsonObject:
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}


def two_nodes_and_three_pods(rig: Rig) -> None:
    """All three on node-0."""
    rig.node(count=2)
    rig.script(image="web", http={"8080": {"/ready": {"0s": 503, "3s": 200}}}, term={"after": "1s", "exit": 0})
    rig.cordon("node-1")
    rig.apply(budget(2))
    rig.apply(workload("Deployment", replicas=3))
    rig.wait({"pods": {"labels": {"app": "web"}, "ready": 3}})
    rig.uncordon("node-1")


def test_a_budget_lets_pods_go_one_by_one() -> None:
    rig = Rig()
    two_nodes_and_three_pods(rig)
    began = rig.now_s
    assert rig.drain("node-0") == "node/node-0 drained: 3 pods evicted, 3 evictions refused for a budget"
    # Asked again each 5 s; a replacement is ready after 3.
    assert 11 < rig.now_s - began < 13
    rig.expect({"pods": {"labels": {"app": "web"}, "total": 3, "ready": ">= 2"}})
    assert {each["spec"]["nodeName"] for each in rig.objects("Pod")} == {"node-1"}
    refused = {"what": "node", "with": {"state": "eviction refused"}, "count": 3}
    rig.expect({"happened": refused})


def test_a_drain_that_a_budget_forbids_ends_after_its_time() -> None:
    rig = Rig()
    two_nodes_and_three_pods(rig)
    rig.apply(budget(3))
    rig.sleep("1s")
    began = rig.now_s
    with pytest.raises(Broken, match="global timeout reached: 7s"):
        rig.drain("node-0", timeout="7s")
    # The time is looked at before each attempt.
    assert 10 < rig.now_s - began < 10.2
    rig.drain("node-0", timeout="7s", disable_eviction=True)
    rig.wait({"pods": {"labels": {"app": "web"}, "ready": 3}})


def test_a_drain_in_the_background_goes_on_beside_the_test() -> None:
    rig = Rig()
    two_nodes_and_three_pods(rig)
    assert rig.drain("node-0", background=True) == "draining node node-0"
    rig.wait({"happened": {"what": "node", "subject": "node-0", "with": {"state": "drained"}}}, timeout="1m")


def test_a_drain_needs_consent_and_a_node() -> None:
    rig = Rig()
    rig.node(count=1)
    rig.script(image="web", http={"8080": 200})
    rig.apply(pod(volumes=[{"name": "scratch", "emptyDir": {}}]))
    rig.wait({"pods": {"ready": 1}})
    with pytest.raises(Broken, match=r"use --delete-emptydir-data to override\): default/web"):
        rig.drain(labels={"app": "web"})
    with pytest.raises(
        Broken, match=r'cannot delete Pods that declare no controller .*; wanted an error with "budget"'
    ):
        rig.drain("node-0", delete_emptydir_data=True, refused="budget")
    assert rig.drain("node-0", delete_emptydir_data=True, force=True) == "node/node-0 drained: 1 pod evicted"
    assert rig.objects("Pod") == []
    with pytest.raises(InputError, match=r'no node is called "node-7" \(did you mean "node-0"\?\)'):
        rig.drain("node-7")
    with pytest.raises(InputError, match="no pod with labels app=web is on a node"):
        rig.drain(labels={"app": "web"})
    assert rig.cordon("node-0") == "node/node-0 already cordoned"
    assert rig.uncordon("node-0") == "node/node-0 uncordoned"


def test_a_drain_tells_what_the_api_server_refused(rig_with_a_pod: Rig) -> None:
    rig = rig_with_a_pod
    rig.fault("api-error", actor="kubectl", verb="get", resource="pods", count=1, code=500)
    with pytest.raises(Broken, match='error when waiting for pod "web" in namespace "default" to terminate: '):
        rig.drain("node-0", force=True)
    rig.fault("api-error", actor="kubectl", verb="list", resource="pods", count=1, code=500)
    with pytest.raises(Broken, match="drain was refused: 500"):
        rig.drain("node-0", force=True)


@pytest.fixture
def rig_with_a_pod() -> Rig:
    rig = Rig()
    rig.node(count=1)
    rig.apply(pod(probe=None))
    rig.wait({"pods": {"ready": 1}})
    return rig


def test_what_a_script_says_of_the_log_comes_out_of_kubectl_logs() -> None:
    rig = Rig()
    rig.script(image="web", runs=[{"log": ["starting", "no database"], "for": "2s", "exit": 1}, {"log": "serving"}])
    rig.apply(pod(probe=None))
    rig.wait({"pods": {"total": 1, "ready": 1}})
    assert rig.logs("web") == "starting\nno database\n"
    rig.wait({"pods": {"restarts": 1, "ready": 1}})
    assert rig.logs("web", "main") == "serving\n"
    assert rig.logs("web", previous=True) == "starting\nno database\n"
    with pytest.raises(InputError, match='pods "other" not found'):
        rig.logs("other")


def test_the_log_tells_of_a_port_that_is_taken() -> None:
    rig = Rig()
    rig.script(container="main", http={"8080": 200})
    rig.script(container="late", http={"8080": 200}, log="here I am")
    late = {"name": "late", "image": "any"}
    made = pod(probe=None)
    made["spec"]["containers"].append(late)
    rig.apply(made)
    rig.sleep("5s")
    assert rig.logs("web", "late") == "here I am\nlisten tcp :8080: bind: address already in use\n"
