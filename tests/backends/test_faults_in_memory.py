"""Every kind of fault strikes in the world in memory, shows what it should, and what can heal heals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rayrig_backends.faults import FAULTS
from rayrig_backends.memory_faults import MemoryFaults
from rayrig_core.errors import InputError
from rayrig_core.objects import condition_of, has_condition, name_of
from rayrig_core.trace import Kind

Stand = Any
Make = Callable[..., Stand]


def test_the_world_in_memory_can_do_every_fault() -> None:
    assert [kind for kind in FAULTS if not hasattr(MemoryFaults, "_" + kind.replace("-", "_"))] == []


# Pods and containers


def test_pod_kill_deletes_a_pod_and_another_takes_its_place(stand: Make) -> None:
    world = stand()
    victim = name_of(world.pods("worker")[0])
    assert world.strike("pod-kill", role="worker", index=0) == f"deleted pod {victim}"
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="10s")
    world.rig.wait({"pods": {"service": "fruit-stand", "total": 3, "ready": 3}}, timeout="1m")
    assert world.pod(victim) is None
    assert world.when(Kind.EVENT, f"pods/default/{victim}", reason="Killing") == [0.003]
    assert len(world.when(Kind.EVENT, reason="CreatedWorkerPod")) == 1
    # Out of the endpoints with the deletion, long before its processes end.
    assert world.when(Kind.ENDPOINTS, "fruit-stand-serve-svc")[0] < 0.1
    assert world.stop() == {"ok": world.shoppers.sent}
    # What Serve did about it names the fault as its cause.
    stopping = next(event for event in world.events(Kind.REPLICA) if event["state"] == "STOPPING")
    assert any(cause.kind is Kind.FAULT for cause in world.rig.trace.causes_of(stopping.seq))


def test_pod_kill_without_grace_is_at_once(stand: Make) -> None:
    world = stand()
    victim = name_of(world.pods("worker")[0])
    world.strike("pod-kill", pod=victim, grace="0s")
    world.rig.sleep("100ms")
    assert world.pod(victim) is None


@pytest.mark.accepts("KL-050")
def test_container_kill_shows_the_reason_and_the_kubelet_starts_it_again(stand: Make) -> None:
    world = stand()
    victim = name_of(world.pods("worker")[0])
    world.strike("container-kill", role="worker", reason="OOMKilled")
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="5s")
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 3}}, timeout="1m")
    pod = world.pod(victim)
    assert pod is not None
    (status,) = pod["status"]["containerStatuses"]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert world.when(Kind.RAY, component="node", state="gone") == [1.0], "its connection to the GCS is broken"
    world.stop()


@pytest.mark.accepts("RS-134")
def test_head_crash_of_the_pod_brings_another_head_and_the_configuration_again(stand: Make) -> None:
    world = stand("fruit-stand")
    old = name_of(world.pods("head")[0])
    world.strike("head-crash", mode="pod")
    world.rig.wait({"pods": {"service": "fruit-stand", "role": "head", "ready": 1}}, timeout="2m")
    world.rig.wait({"application": {"name": "fruit_app", "status": "RUNNING"}}, timeout="5m")
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="2m")
    (head,) = world.pods("head")
    assert name_of(head) != old
    assert len(world.when(Kind.EVENT, reason="UpdatedServeApplications")) == 1
    world.rig.sleep("3s")
    answer = world.rig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2])
    assert (answer.status, answer.json()) == (200, 6)
    asked = {event["pod"] for event in world.events(Kind.REQUEST) if event["fate"] == "ok"}
    assert name_of(head) in asked
    assert len(world.rig.objects("RayCluster")) == 1
    world.stop()


@pytest.mark.accepts("RS-132", "RS-133")
def test_head_crash_with_fault_tolerance_is_not_noticed_by_clients(stand: Make) -> None:
    world = stand("fruit-stand-ha")
    name = name_of(world.pods("head")[0])
    world.strike("head-crash", mode="container")
    world.rig.wait({"pods": {"service": "fruit-stand", "role": "head", "ready": 0}}, timeout="10s")
    world.rig.wait({"pods": {"service": "fruit-stand", "role": "head", "ready": 1}}, timeout="1m")
    world.rig.sleep("30s")
    (head,) = world.pods("head")
    (status,) = head["status"]["containerStatuses"]
    assert (name_of(head), status["restartCount"]) == (name, 1)
    assert world.when(Kind.EVENT, reason="UpdatedServeApplications") == [], "nothing is submitted again"
    statuses = world.service["status"]["activeServiceStatus"]["applicationStatuses"]
    assert statuses["fruit_app"]["status"] == "RUNNING"
    assert [has_condition(pod, "Ready") for pod in world.pods("worker")] == [True, True]
    assert world.stop() == {"ok": world.shoppers.sent}


@pytest.mark.accepts("RC-079")
def test_head_crash_of_the_pod_with_fault_tolerance_leaves_workers_and_their_actors(stand: Make) -> None:
    world = stand("fruit-stand-ha")
    old = name_of(world.pods("head")[0])
    workers = [pod["metadata"]["uid"] for pod in world.pods("worker")]

    def replicas() -> list[str]:
        answer = world.rig.request("fruit-stand-head-svc", "/api/serve/applications/", port=8265)
        deployments = answer.json()["applications"]["fruit_app"]["deployments"]
        return [replica["actor_id"] for one in deployments.values() for replica in one["replicas"]]

    before = replicas()
    world.strike("head-crash", mode="pod")
    world.rig.sleep("5s")
    world.rig.wait({"pods": {"service": "fruit-stand", "role": "head", "total": 1, "ready": 1}}, timeout="2m")
    world.rig.sleep("10s")
    assert name_of(world.pods("head")[0]) != old
    assert [pod["metadata"]["uid"] for pod in world.pods("worker")] == workers
    assert replicas() == before
    assert world.stop() == {"ok": world.shoppers.sent}


def test_image_pull_failure_backs_off_and_heals(stand: Make) -> None:
    world = stand()
    world.strike("image-pull-failure", image="rayproject/ray:2.100.0", duration="40s")
    image = "spec.rayClusterConfig.headGroupSpec.template.spec.containers[ray-head].image"
    world.rig.apply("RayService/fruit-stand", {image: "rayproject/ray:2.100.0"})
    condition = {"service": "fruit-stand", "cluster": "pending", "role": "head", "unready": 1}
    world.rig.wait({"pods": {**condition, "reason": "ErrImagePull"}}, timeout="30s")
    world.rig.wait({"pods": {**condition, "reason": "ImagePullBackOff"}}, timeout="30s")
    world.rig.wait({"upgrade-complete": "fruit-stand"}, timeout="5m")
    assert len(world.when(Kind.FAULT, kind="image-pull-failure")) == 2
    (pulled, *_) = world.when(Kind.IMAGE, image="rayproject/ray:2.100.0", state="pulled")
    assert pulled > 40
    assert len(world.when(Kind.EVENT, "pods/", reason="Failed")) >= 2
    world.stop()


# Nodes


@pytest.mark.accepts("KL-075", "SV-141")
def test_node_loss_is_noticed_late_and_its_pods_are_evicted_after_five_minutes(stand: Make) -> None:
    world = stand()
    pod = world.pods("worker")[0]
    node, victim = pod["spec"]["nodeName"], name_of(pod)
    assert world.strike("node-loss", role="worker", index=0) == f"lost node {node}"
    world.rig.sleep("35s")
    assert has_condition(world.pod(victim), "Ready"), "nobody knows yet"
    world.rig.sleep("20s")
    (lost,) = (obj for obj in world.rig.objects("Node") if name_of(obj) == node)
    assert condition_of(lost, "Ready")["status"] == "Unknown"
    assert {(taint["key"], taint["effect"]) for taint in lost["spec"]["taints"]} == {
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    }
    assert not has_condition(world.pod(victim), "Ready")
    assert 40 <= world.when(Kind.NODE, state="unknown")[0] <= 55
    # Ray gives the silent node up after a minute, Serve starts replicas that find no place.
    world.rig.sleep("10s")
    assert world.when(Kind.RAY, component="node", state="gone") == [60.0]
    # Five minutes after the taint the pod is to be deleted; with nobody to confirm it, it stays.
    world.rig.sleep("5m")
    assert world.pod(victim)["metadata"]["deletionTimestamp"]
    (marked,) = world.when(Kind.EVENT, f"pods/default/{victim}", reason="TaintManagerEviction")
    (unknown,) = world.when(Kind.NODE, state="unknown")
    assert 300 <= marked - unknown <= 300.5
    # Only requests that were on their way there were lost.
    fates = world.stop()
    assert set(fates) == {"ok", "timeout"}
    assert fates["timeout"] < 20


def test_node_restore_brings_the_machine_back_with_its_pods_gone(stand: Make) -> None:
    world = stand()
    pod = world.pods("worker")[0]
    node, victim = pod["spec"]["nodeName"], name_of(pod)
    world.strike("node-loss", node=node)
    world.rig.sleep("7m")
    world.strike("node-restore", node=node)
    world.rig.wait({"pods": {"service": "fruit-stand", "total": 3, "ready": 3}}, timeout="3m")
    assert world.pod(victim) is None, "it was to be deleted, and now somebody confirms it"
    world.rig.sleep("10s")
    (back,) = (obj for obj in world.rig.objects("Node") if name_of(obj) == node)
    assert has_condition(back, "Ready")
    assert not back["spec"].get("taints")
    world.rig.wait({"application": {"name": "fruit_app", "status": "RUNNING"}}, timeout="1m")
    world.stop()


@pytest.mark.accepts("KL-076")
def test_a_node_away_for_half_a_minute_is_missed_by_nobody_but_its_processes(stand: Make) -> None:
    world = stand()
    pod = world.pods("worker")[0]
    node, victim = pod["spec"]["nodeName"], name_of(pod)
    world.strike("node-loss", node=node)
    world.rig.sleep("20s")
    world.rig.fault("node-restore", node=node)
    world.rig.sleep("15s")
    assert world.when(Kind.NODE, state="unknown") == []
    found = world.pod(victim)
    assert found is not None
    assert [status["restartCount"] for status in found["status"]["containerStatuses"]] == [1]
    world.rig.wait({"pods": {"service": "fruit-stand", "total": 3, "ready": 3}}, timeout="1m")
    world.stop()


def test_node_drain_moves_its_pods_elsewhere(stand: Make) -> None:
    world = stand()
    pod = world.pods("worker")[0]
    node, victim = pod["spec"]["nodeName"], name_of(pod)
    world.strike("node-drain", role="worker", index=0)
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="10s")
    world.rig.wait({"pods": {"service": "fruit-stand", "total": 3, "ready": 3}}, timeout="1m")
    (drained,) = (obj for obj in world.rig.objects("Node") if name_of(obj) == node)
    assert drained["spec"]["unschedulable"] is True
    assert world.pod(victim) is None
    assert node not in {pod["spec"]["nodeName"] for pod in world.pods()}
    assert [event["state"] for event in world.events(Kind.NODE)] == ["draining", "cordoned", "drained"]
    assert world.stop() == {"ok": world.shoppers.sent}


# Operator and API

UPGRADE = {"spec.rayClusterConfig.rayVersion": "2.100.0"}


@pytest.mark.parametrize("after", ["0s", "1s", "2.005s", "2.02s", "10s", "20s", "26s"])
def test_operator_crash_in_mid_upgrade_delays_it_and_no_third_cluster_comes(stand: Make, after: str) -> None:
    world = stand("fruit-stand", connection_age="20s")
    world.rig.apply("RayService/fruit-stand", UPGRADE)
    world.rig.sleep(after)
    world.strike("operator-crash", restart_after="15s")
    world.rig.wait({"upgrade-complete": "fruit-stand"}, timeout="5m")
    world.rig.wait({"old-cluster-gone": "fruit-stand"}, timeout="5m")
    world.rig.expect({"clusters": {"service": "fruit-stand", "created": 2, "peak": 2, "count": 1, "switches": 1}})
    down = [event.t_s for event in world.events(Kind.RECONCILE) if 0 < event.t_s - world.began_s < 15]
    assert down == [], "a dead operator does nothing"
    assert world.stop() == {"ok": world.shoppers.sent}


@pytest.mark.accepts("RS-045")
def test_operator_crash_of_an_idle_service_submits_once_more_and_changes_nothing(stand: Make) -> None:
    world = stand()
    before = [pod["metadata"]["uid"] for pod in world.pods()]
    world.strike("operator-crash", restart_after="10s")
    with pytest.raises(InputError, match="down already"):
        world.rig.fault("operator-crash")
    world.rig.sleep("30s")
    assert len(world.when(Kind.EVENT, reason="UpdatedServeApplications")) == 1
    assert world.when(Kind.EVENT, reason="UpdatedServeApplications")[0] > 10
    assert [pod["metadata"]["uid"] for pod in world.pods()] == before
    assert world.stop() == {"ok": world.shoppers.sent}


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"actor": "operator", "duration": "15s"}, id="all of the operator's for a while"),
        pytest.param({"actor": "operator", "verb": "create", "count": 3}, id="some creates"),
        pytest.param(
            {"actor": "operator", "verb": "update", "count": 3, "code": 409, "reason": "Conflict"}, id="conflicts"
        ),
        pytest.param({"actor": "operator", "count": 8, "after_effect": True}, id="answers lost after the effect"),
        pytest.param({"actor": "kubelet", "duration": "5s"}, id="the kubelets'"),
        pytest.param({"actor": "kube-controller-manager", "verb": "update", "count": 2}, id="slices"),
    ],
)
def test_api_errors_delay_an_upgrade_and_break_nothing(stand: Make, params: dict[str, Any]) -> None:
    world = stand("fruit-stand", connection_age="20s")
    world.strike("api-error", **params)
    world.rig.apply("RayService/fruit-stand", UPGRADE)
    world.rig.wait({"upgrade-complete": "fruit-stand"}, timeout="5m")
    world.rig.wait({"old-cluster-gone": "fruit-stand"}, timeout="5m")
    world.rig.expect({"clusters": {"service": "fruit-stand", "created": 2, "peak": 2, "count": 1, "switches": 1}})
    struck = [event for event in world.events(Kind.FAULT) if event["kind"] in ("ErrorBefore", "LostReply")]
    assert len(struck) >= params.get("count", 1)
    assert {str(event["detail"]).split("/")[0].split()[0] for event in struck} == {params["actor"]}
    assert world.stop() == {"ok": world.shoppers.sent}


def test_api_latency_makes_everything_later(stand: Make) -> None:
    times = []
    for delay in ("", "300ms"):
        world = stand("fruit-stand")
        if delay:
            world.strike("api-latency", delay=delay, actor="operator")
        began = world.rig.now_s
        world.rig.apply("RayService/fruit-stand", UPGRADE)
        world.rig.wait({"upgrade-complete": "fruit-stand"}, timeout="5m")
        created = (
            event.t_s
            for event in world.events(Kind.API_WRITE)
            if event["verb"] == "create" and event.subject.startswith("pods/") and event.t_s > began
        )
        times.append(next(created) - began)
        world.stop()
    fast, slow = times
    assert 0.3 * 4 < slow - fast < 5, (
        "status, RayCluster, its Service, its head Pod: the operator's calls follow one another"
    )


# Ray and Serve


@pytest.mark.accepts("SV-089")
def test_replica_kill_is_made_good_by_another(stand: Make) -> None:
    world = stand()
    told = world.strike("replica-kill", application="fruit_app", deployment="MangoStand", index=1)
    killed = told.split()[2]
    world.rig.sleep("20s")
    (stopped,) = world.when(Kind.REPLICA, killed, state="STOPPED")
    assert stopped <= 11, "at the next health check"
    (started,) = (
        event for event in world.events(Kind.REPLICA) if event["state"] == "STARTING" and "MangoStand" in event.subject
    )
    assert round(started.t_s - world.began_s, 3) == stopped, "in the same step"
    assert [event["status"] for event in world.events(Kind.DEPLOYMENT)] == ["UNHEALTHY", "HEALTHY"]
    assert set(world.stop()) <= {"ok", "error-500"}


def test_replica_kill_of_none_is_refused(stand: Make) -> None:
    world = stand()
    with pytest.raises(InputError, match="has 2 replicas, none has index 2"):
        world.strike("replica-kill", application="fruit_app", deployment="MangoStand", index=2)
    with pytest.raises(InputError, match="has 0 replicas"):
        world.strike("replica-kill", application="fruit_app", deployment="Mango")
    world.stop()


@pytest.mark.accepts("SV-113", "KL-034")
def test_proxy_kill_makes_the_worker_unready_until_the_next_proxy(stand: Make) -> None:
    world = stand()
    victim = name_of(world.pods("worker")[0])
    world.strike("proxy-kill", role="worker", index=0)
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="10s")
    assert world.rig.now_s - world.began_s < 5.5, "with the first probe"
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 3}}, timeout="1m")
    (unhealthy,) = world.when(Kind.PROXY, victim, state="UNHEALTHY")
    assert 20 <= unhealthy <= 35, "three checks"
    (healthy,) = world.when(Kind.PROXY, victim, state="HEALTHY")
    ready = world.rig.now_s - world.began_s
    assert healthy < ready < healthy + 5.5, "with the first probe that succeeds"
    fates = world.stop()
    assert set(fates) <= {"ok", "connection-reset", "refused"}
    assert fates["ok"] > world.shoppers.sent - 10


@pytest.mark.accepts("KL-035")
def test_proxy_hang_makes_requests_time_out_and_the_worker_unready(stand: Make) -> None:
    world = stand(timeout="5s")
    world.strike("proxy-hang", role="worker", index=0)
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 2}}, timeout="10s")
    (failure,) = (event for event in world.events(Kind.PROBE) if event["result"] == "failure")
    assert str(failure["message"]).startswith('command timed out: "bash -c ')
    assert "timed out after 2s" in str(failure["message"])
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 3}}, timeout="1m")
    assert world.when(Kind.PROXY, state="UNHEALTHY")[0] > 20
    fates = world.stop()
    assert set(fates) == {"ok", "timeout"}


@pytest.mark.accepts("RS-047", "KL-036")
def test_dashboard_errors_freeze_the_status_and_leave_clients_alone(stand: Make) -> None:
    world = stand()
    before = world.service["status"]
    world.strike("dashboard-error", duration="25s")
    world.rig.sleep("5s")
    world.rig.apply("RayService/fruit-stand", {"metadata.labels": {"a": "b"}})
    world.rig.sleep("15s")
    assert world.service["status"] == before
    outcomes = [str(event["outcome"]) for event in world.events(Kind.RECONCILE) if "rayservices" in event.subject]
    assert outcomes
    assert all("failed to get Serve application statuses" in outcome for outcome in outcomes)
    assert world.when(Kind.EVENT, "rayservices/") == []
    # The head's own probes ask the dashboard, too, but ten failures in a row it takes.
    assert len(world.when(Kind.EVENT, reason="Unhealthy")) >= 4
    world.rig.sleep("20s")
    assert [has_condition(pod, "Ready") for pod in world.pods()] == [True] * 3
    assert [status["restartCount"] for pod in world.pods() for status in pod["status"]["containerStatuses"]] == [0] * 3
    assert world.stop() == {"ok": world.shoppers.sent}


@pytest.mark.accepts("RS-132")
def test_gcs_kill_ends_the_head_when_its_raylet_gives_up_and_clients_notice_nothing(stand: Make) -> None:
    world = stand("fruit-stand-ha")
    (head,) = world.pods("head")
    world.strike("gcs-kill")
    world.rig.sleep("59s")
    (status,) = world.pods("head")[0]["status"]["containerStatuses"]
    assert (status["ready"], status["restartCount"]) == (False, 0), "unready by its probe, but its processes go on"
    with pytest.raises(InputError, match="no GCS runs"):
        world.strike("gcs-kill")
    world.rig.sleep("5s")
    assert world.when(Kind.RAY, component="head", state="gone") == [1.0], (
        "60 s after the GCS; times count from the last"
    )
    world.rig.wait({"pods": {"service": "fruit-stand", "role": "head", "ready": 1}}, timeout="1m")
    (back,) = world.pods("head")
    (status,) = back["status"]["containerStatuses"]
    assert (name_of(back), status["restartCount"]) == (name_of(head), 1)
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert [has_condition(pod, "Ready") for pod in world.pods("worker")] == [True, True]
    assert world.stop() == {"ok": world.shoppers.sent}


def test_gcs_redis_loss_needs_redis_and_takes_the_gcs_with_it(stand: Make) -> None:
    plain = stand()
    with pytest.raises(InputError, match="keeps its tables in memory"):
        plain.strike("gcs-redis-loss")
    plain.stop()
    world = stand("fruit-stand-ha")
    world.strike("gcs-redis-loss", duration="20s")
    world.rig.sleep("60s")
    assert len(world.when(Kind.FAULT, kind="gcs-redis-loss")) == 2
    world.rig.wait({"pods": {"service": "fruit-stand", "ready": 3}}, timeout="5m")
    world.rig.wait({"application": {"name": "fruit_app", "status": "RUNNING"}}, timeout="5m")
    assert world.stop()["ok"] > world.shoppers.sent * 0.9


# Traffic


def test_traffic_surge_sends_more_for_a_while(stand: Make) -> None:
    world = stand()
    before = world.shoppers.sent
    world.strike("traffic-surge", factor=5, duration="10s")
    world.rig.sleep("10s")
    surged = world.shoppers.sent
    assert surged - before == pytest.approx(1000, abs=5)
    world.rig.sleep("10s")
    assert world.shoppers.sent - surged == pytest.approx(200, abs=5)
    assert world.stop() == {"ok": world.shoppers.sent}


# What every fault has in common


def test_a_fault_without_a_target_says_what_there_is(stand: Make) -> None:
    world = stand()
    for kind, params, words in [
        ("pod-kill", {"service": "nobody"}, 'no RayService "nobody"'),
        ("pod-kill", {"role": "worker", "index": 7}, "none has index 7"),
        ("pod-kill", {"pod": "nobody"}, 'no pod "nobody"'),
        ("head-crash", {"cluster": "pending"}, "has no pending cluster now"),
        ("container-kill", {"container": "nobody"}, "container nobody of pod"),
        ("node-loss", {"node": "n-9"}, 'no node "n-9"'),
        ("traffic-surge", {"traffic": "nobody"}, 'no traffic "nobody"'),
    ]:
        with pytest.raises(InputError, match=words) as raised:
            world.rig.fault(kind, **params)
        assert raised.value.remedy
    assert world.stop() == {"ok": world.shoppers.sent}
