"""Why a Ray pod is not ready: from KubeRay's probe down into Ray and Serve."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from why_telling import assert_told, details, ray_pods, stages, story, without_names

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import World, WorldSpec
from rayrig_core.objects import labels_of, name_of
from rayrig_core.resources.labels import NODE_TYPE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.api import Rig
from rayrig_scenarios.language.load import load
from rayrig_scenarios.results import RunResult
from rayrig_scenarios.runner import run
from rayrig_scenarios.why.stages import Stage


@cache
def performed(name: str) -> RunResult:
    return run(load(name))


def pods(rig: Rig, role: str) -> list[str]:
    return [name_of(pod) for pod in rig.objects("Pod") if labels_of(pod)[NODE_TYPE] == role]


def texts(rig: Rig, pod: str) -> list[str]:
    return [link.text for link in rig.why(pod).links]


# The worker without a replica (RayService guide, section 9)


def the_unready(result: RunResult, at: str) -> str:
    (name,) = [chain.pod for chain in result.why_each(at) if not chain.is_ready]
    return name


def test_a_worker_without_replica_has_no_proxy_to_answer_its_probe() -> None:
    result = performed("unready-worker")
    chain = result.why(the_unready(result, "95s"), "95s")
    assert chain.stage is Stage.READINESS_PROBE
    told = [
        "56.04 s: the readiness probe of ray-worker fails",
        "no Serve proxy runs on it, for it has no replica",
        "58.21 s: every replica has its place on another node, and no further one is asked for",
    ]
    assert_told(story(chain), told, within_s=5)
    first, probes, following = details(chain)
    assert (
        first
        == "it asks :52365/api/local_raylet_healthz, then :8000/-/healthz each 5 s, timeout 2 s; one failure counts"
    )
    assert " s, every 5 s: failed " in probes
    assert probes.endswith(
        'times, "success" (/api/local_raylet_healthz ok; localhost:8000/-/healthz: connection refused)'
    )
    assert following.startswith("the next is due at 9")
    (line,) = details(chain, 2)
    others = [name for name in ray_pods(result, "worker", 1) if name != chain.pod]
    assert line.startswith("orchard/Picker: 2 replicas, on ")
    assert all(name in line for name in others)
    expected = [
        "37.38 s: waits for a node",
        "37.39 s: its kubelet has not reported",
        "37.41 s: init container wait-gcs-ready",
        "45.09 s: container not started ray-worker",
        "45.34 s: readiness probe ray-worker",
    ]
    assert_told(stages(chain), expected, within_s=6)
    assert chain.links[0].source is not None
    event = result.trace[chain.links[0].source]
    assert event.subject == f"pods/default/{chain.pod}"
    assert event["result"] == "failure"


def test_the_probes_told_are_those_the_events_count() -> None:
    """Each failure is an Event too, written with its count."""
    result = performed("unready-worker")
    worker = the_unready(result, "95s")
    counted = [
        event.t_ns
        for event in result.trace.select(Kind.EVENT, subject=f"pods/default/{worker}")
        if event["reason"] == "Unhealthy" and event.t_ns <= 95 * NS
    ]
    probes = next(detail for detail in details(result.why(worker, "95s")) if "every 5 s" in detail)
    assert probes.startswith(
        f"{counted[0] / NS:.2f} to {counted[-1] / NS:.2f} s, every 5 s: failed {len(counted)} times"
    )


def test_one_more_replica_makes_it_ready() -> None:
    result = performed("unready-worker")
    chain = result.why(the_unready(result, "95s"))
    assert_told(story(chain), ["246.05 s: it is ready"], within_s=6)
    assert details(chain)[-1].endswith(" s: succeeded")
    (unready,) = chain.unready
    assert unready.to_ns == chain.links[0].t_ns


@pytest.mark.parametrize(
    ("at", "role", "cluster", "told"),
    [
        pytest.param(
            "5s",
            "worker",
            0,
            [
                "2.49 s: image rayproject/ray:2.52.0 of init container wait-gcs-ready waits for its turn to be pulled",
                "2.42 s: node-0 pulls image rayproject/ray:2.52.0 for pod orchard-ldpsv-head-x",
            ],
            id="the image of the head comes first",
        ),
        pytest.param(
            "15s",
            "worker",
            0,
            [
                "2.06 s: init container wait-gcs-ready waits for the GCS of the Ray cluster",
                "13.65 s: the GCS is still starting in the head pod orchard-ldpsv-head-x, whose container runs",
            ],
            id="the GCS starts",
        ),
        pytest.param(
            "20s", "worker", 1, ["37.38 s: it is not there yet: it is created at 37.38 s"], id="not there yet"
        ),
        pytest.param(
            "113s",
            "worker",
            0,
            [
                "119.90 s: it is being deleted by the garbage collector",
                "119.86 s: RayCluster orchard-x: deleted by the operator",
                "59.26 s: RayService orchard: RayCluster orchard-x is no longer used, to be deleted in 60 s",
                "59.26 s: RayService orchard: RayCluster orchard-x is active now instead of orchard-x",
                "37.36 s: RayCluster orchard-x was created for a changed RayService",
                "37.35 s: the scenario took the step: ask for three workers and a new Ray version",
            ],
            id="the cluster that an upgrade left behind",
        ),
    ],
)
def test_on_the_way_through_an_upgrade(at: str, role: str, cluster: int, told: list[str]) -> None:
    result = performed("unready-worker")
    deleted_ns = next(
        e.t_ns for e in result.trace.select(Kind.API_WRITE) if e["verb"] == "delete" and "pods/" in e.subject
    )
    chain = result.why(ray_pods(result, role, cluster)[0], deleted_ns / NS + 0.5 if at == "113s" else at)
    assert_told(story(chain), [without_names(line) for line in told], within_s=6)


def test_the_middle_of_a_zero_downtime_upgrade() -> None:
    result = performed("zero-downtime-upgrade")
    assert {chain.pod for chain in result.why_each("85s") if chain.is_ready} == {
        *ray_pods(result, "head", 0),
        *ray_pods(result, "worker", 0),
        *ray_pods(result, "head", 1),
    }
    (waiting,) = [chain for chain in result.why_each("85s") if not chain.is_ready]
    assert waiting.pod in ray_pods(result, "worker", 1)
    assert waiting.short() == "the readiness probe of ray-worker has not been made yet"
    assert all(chain.is_ready for chain in result.why_each())


# GPUs


def test_too_few_gpus_are_counted_node_by_node() -> None:
    result = performed("too-few-gpus")
    chain = result.why(result.unready[0].name)
    words = (
        "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector"
    )
    told = [
        f"83.47 s: no node takes it: {words}",
        "it asks for cpu 4, memory 16Gi, nvidia.com/gpu 1, and each node lacks something",
    ]
    assert_told(story(chain), told, within_s=6)
    label, gpus = details(chain, 1)
    assert label == "cpu-0: is not accelerator=l4 (it has no such label)"
    assert gpus.startswith("gpu-0: nvidia.com/gpu: 0 of 4 free, taken by ")
    assert all(worker in gpus for worker in ray_pods(result, "worker", 0))


# Heads that die


def test_workers_of_a_head_that_died_without_fault_tolerance() -> None:
    result = performed("head-crash-without-gcs-ft")
    (struck,) = result.trace.select(Kind.FAULT)
    (name,) = ray_pods(result, "head", 0)
    fault = f"{struck.t_s:.2f} s: fault head-crash struck pod {name}: container ray-head killed (Error)"
    unnoticed = result.why(name, struck.t_s + 0.01)
    assert unnoticed.is_ready
    assert unnoticed.cause == "container ray-head has just ended with code 137, which its status does not show yet"
    head = result.why(name, struck.t_s + 4)
    assert story(head)[0].endswith("the readiness probe of ray-head has not been made yet")
    assert story(head)[1:] == [
        f"{struck.t_s:.2f} s: it had to be started anew: container ray-head ended with code 137",
        fault,
    ]
    ends = [event for event in result.trace.select(Kind.CONTAINER) if event["exit_code"] == 1]
    worker = result.why(ends[0].subject.removeprefix("pods/"), ends[0].t_s + 0.15)
    assert worker.stage is Stage.CRASHED
    assert story(worker) == [
        f"{ends[0].t_s:.2f} s: container ray-worker ended with code 1",
        f"{struck.t_s:.2f} s: RayCluster fruit-stand-ldpsv: head gone: {name}: killed",
        fault,
    ]
    assert round(ends[0].t_s - struck.t_s, 2) == 60.0
    assert details(worker) == ["its last words: Failed to reconnect to GCS."]
    assert [one.to_ns is not None for one in result.why(worker.pod).unready] == [True, True]


def test_workers_of_a_fault_tolerant_head_stay_ready() -> None:
    result = performed("head-crash-with-gcs-ft")
    for worker in [one for one in result.why_each() if "-worker-" in one.pod]:
        assert worker.is_ready
        assert len(worker.unready) == 1


def test_a_gcs_that_cannot_reach_its_redis() -> None:
    rig = Rig(seed=1)
    rig.apply("fruit-stand-ha")
    rig.wait_ready()
    (head,) = pods(rig, "head")
    rig.fault("gcs-redis-loss")
    rig.sleep("20s")
    begins = rig.why(head)
    assert begins.is_ready
    assert begins.short() == (
        "it is ready, but the readiness probe of ray-head has failed 4 times in a row; 10 make it unready, "
        f"because fault gcs-redis-loss struck pod {head}: redis:6379"
    )
    rig.sleep("60s")
    assert texts(rig, head) == [
        "the readiness probe of ray-head fails",
        "its GCS cannot reach its Redis",
        f"fault gcs-redis-loss struck pod {head}: redis:6379",
    ]
    assert "localhost:8265/api/gcs_healthz: answered 503" in details(rig.why(head))[2]


def test_a_gcs_that_was_told_to_stop() -> None:
    rig = Rig(seed=1)
    rig.apply("fruit-stand-ha")
    rig.wait_ready()
    (head,) = pods(rig, "head")
    rig.fault("gcs-kill")
    rig.sleep("55s")
    assert texts(rig, head) == [
        "the readiness probe of ray-head fails",
        "its GCS does not run (told to stop)",
        f"fault gcs-kill struck pod {head}",
    ]
    assert all(rig.why(worker).is_ready for worker in pods(rig, "worker")), "their raylets wait for it to come back"


# Serve


def test_a_constructor_that_raises() -> None:
    rig = Rig(seed=1)
    rig.application("orchard.app", fails_with="RuntimeError: no model file")
    rig.apply("one-per-node")
    rig.sleep("100s")
    worker = pods(rig, "worker")[0]
    chain = rig.why(worker)
    assert [link.text for link in chain.links][:2] == [
        "the readiness probe of ray-worker fails",
        "no Serve proxy runs on it, for it has no replica",
    ]
    assert chain.cause.startswith("deployment Picker of orchard in orchard-")
    assert chain.cause.endswith(
        " is DEPLOY_FAILED: The deployment failed to start 7 times in a row … RuntimeError: RuntimeError: no model file"
    )
    assert details(chain, 2)[-1] == "RuntimeError: RuntimeError: no model file"


def test_replicas_that_find_no_room_in_ray() -> None:
    rig = Rig(seed=1)
    rig.apply("one-per-node", {"spec.rayClusterConfig.workerGroupSpecs[0].rayStartParams": {"num-cpus": "0"}})
    rig.sleep("45s")
    worker = pods(rig, "worker")[0]
    assert texts(rig, worker)[2] == "2 replicas of orchard/Picker wait for resources in Ray"
    rig.sleep("60s")
    chain = rig.why(worker)
    assert chain.cause.endswith(" is UPDATING: 2 replicas that have taken more than 30s to be scheduled")
    assert 'Resources required for each replica: {"CPU": 0.1}' in details(chain, 2)[0]


def test_a_proxy_that_hangs_and_one_that_died() -> None:
    rig = Rig(seed=1)
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand")
    rig.sleep("10s")
    worker = pods(rig, "worker")[0]
    rig.fault("proxy-hang", pod=worker)
    rig.sleep("8s")
    hangs = rig.why(worker)
    assert [link.text for link in hangs.links] == [
        "the readiness probe of ray-worker fails",
        "its Serve proxy does not answer",
        f"fault proxy-hang struck pod {worker}",
    ]
    got = "(/api/local_raylet_healthz ok; localhost:8000/-/healthz: no answer in time)"
    assert any(f'"timed out after 2s" {got}' in detail for detail in details(hangs))
    rig.sleep("35s")
    assert rig.why(worker).is_ready, "Serve has started another proxy"
    rig.fault("proxy-kill", pod=worker)
    rig.sleep("5s")
    assert texts(rig, worker) == [
        "the readiness probe of ray-worker fails",
        "nothing listens on its Serve proxy's port: the process has ended, which Serve's controller has not noticed yet",
        f"fault proxy-kill struck pod {worker}",
    ]


def test_a_worker_left_over_from_a_head_that_was_deleted() -> None:
    rig = Rig(seed=1)
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand")
    worker, head = pods(rig, "worker")[0], pods(rig, "head")[0]
    rig.sleep("10s")
    rig.fault("proxy-kill", pod=worker)
    rig.fault("pod-kill", pod=head)
    rig.sleep("30s")
    assert texts(rig, worker) == [
        "the readiness probe of ray-worker fails",
        f"its raylet belongs to the Ray cluster that ended with its head ({head}: the pod was stopped)",
        f"fault pod-kill struck pod {head}: deleted",
    ]


def test_a_worker_group_that_was_made_smaller() -> None:
    rig = Rig(seed=2)
    rig.apply("one-per-node")
    rig.wait_ready()
    rig.sleep("20s")
    workers = pods(rig, "worker")
    cluster = name_of(rig.objects("RayCluster")[0])
    rig.patch("RayCluster", cluster, changes={"spec.workerGroupSpecs[0].replicas": 1})
    rig.sleep("3s")
    (gone,) = [chain for chain in map(rig.why, workers) if chain.stage is Stage.GONE]
    assert [link.text for link in gone.links] == [
        "it is gone: deleted by the operator",
        "worker group ladders is to have 1 replicas instead of 2",
    ]


def test_an_incremental_upgrade_that_is_over_leaves_the_old_cluster_without_replicas() -> None:
    result = performed("incremental-upgrade")
    (worker, *_) = ray_pods(result, "worker", 0)
    drained = [event for event in result.trace.select(Kind.PROXY) if event.subject.endswith(worker)]
    gone_ns = next(event.t_ns for event in drained if event["state"] == "GONE")
    chain = result.why(worker, gone_ns / NS + 1)
    assert [without_names(link.text) for link in chain.links] == [
        "the readiness probe of ray-worker fails",
        "no Serve proxy runs on it, for it has no replica",
        "Serve is to run no replica at all",
        *map(
            without_names,
            [
                "RayService fruit-stand: RayCluster fruit-stand-ldpsv is no longer used, to be deleted in 60 s",
                "RayService fruit-stand: RayCluster fruit-stand-4qqt2 is active now instead of fruit-stand-ldpsv",
                "RayCluster fruit-stand-4qqt2 was created for a changed RayService",
            ],
        ),
        "the scenario took the step: change the Ray version",
    ]


def test_a_roll_out_is_what_deletes_the_pods_of_a_deployment() -> None:
    result = performed("sigterm-ignored")
    deletions = [
        e for e in result.trace.select(Kind.API_WRITE) if e["verb"] == "delete" and e["detail"] == "terminating"
    ]
    first = next(event for event in deletions if event.subject.startswith("pods/"))
    chain = result.why(first.subject.removeprefix("pods/"), first.t_s + 1)
    first_link, scaled, step = chain.links
    assert first_link.text == "it is being deleted by the ReplicaSet controller"
    assert scaled.text.startswith("Deployment api has scaled down replica set api-")
    assert step.text.startswith("the scenario took the step: ")


@pytest.mark.parametrize("name", ["unready-worker", "gpu-service", "slow-readiness", "head-crash-without-gcs-ft"])
def test_probes_are_told_alike_whether_each_is_made_or_not(name: str) -> None:
    """Probes whose answer cannot have changed are not made; their times are computed."""

    def every_turn(spec: WorldSpec) -> World:
        return MemoryWorld(replace(spec, elide_idle=False))

    made = run(load(name), world_factory=every_turn)
    computed = performed(name)
    assert made.digest == computed.digest
    assert made.record.probes == computed.record.probes
    assert made.why_each() == computed.why_each()
