"""What the timeline tells of a trace, what it leaves out, and which cause it names."""

from __future__ import annotations

from rayrig.report.timeline import Tone, timeline
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, Scalar, Trace


class Story:
    """A trace written down by hand."""

    def __init__(self) -> None:
        self.trace = Trace()
        self._t_ns = 0

    def at(self, t_s: float) -> Story:
        self._t_ns = round(t_s * NS)
        return self

    def emit(
        self, kind: Kind, subject: str, *data: Scalar, cause: int | None = None, actor: str = "operator/raycluster"
    ) -> int:
        self.trace.append_record((self._t_ns, actor, kind.label, subject, data, cause))
        return len(self.trace) - 1

    def step(self, title: str) -> int:
        return self.emit(Kind.STEP, "steps/0", 0, "started", title, actor="scenario/steps")

    def told(self) -> list[tuple[float, str, str]]:
        return [(row.t_ns / NS, row.text, row.why) for row in timeline(self.trace)]


POD = "pods/default/stand-a-workers-worker-x1"
CLUSTER = "rayclusters/default/stand-a"


def ray_node(story: Story, pod: str = "stand-a-workers-worker-x1") -> None:
    story.emit(Kind.RAY, CLUSTER, "node", "joined", f"{pod}: CPU 1")


# Deletions


def test_a_pods_end_is_told_once_however_many_writes_it_takes() -> None:
    story = Story()
    cluster = story.emit(Kind.API_WRITE, CLUSTER, "delete", "rayclusters", 1, "", actor="operator/rayservice")
    asked = story.at(1).emit(
        Kind.API_WRITE, POD, "delete", "pods", 2, "terminating", cause=cluster, actor="generic-garbage-collector"
    )
    story.at(2).emit(Kind.API_WRITE, POD, "delete", "pods", 3, "terminating", cause=asked, actor="kubelet/n/status")
    story.at(2).emit(Kind.API_WRITE, POD, "delete", "pods", 4, "", cause=asked, actor="kubelet/n/status")
    assert story.told() == [
        (0, "RayCluster stand-a: deleted by the operator", ""),
        (2, "pod stand-a-workers-worker-x1: gone", "RayCluster stand-a deleted"),
    ]


def test_the_deletion_of_a_retired_cluster_is_because_it_is_no_longer_used() -> None:
    story = Story()
    service = "rayservices/default/stand"
    story.emit(Kind.NOTE, service, "RayCluster stand-b is active now instead of stand-a")
    story.emit(Kind.NOTE, service, "RayCluster stand-a is no longer used, to be deleted in 60 s")
    story.at(60).emit(Kind.API_WRITE, CLUSTER, "delete", "rayclusters", 9, "", actor="operator/rayservice")
    assert story.told()[1:] == [
        (
            0,
            "RayService stand: RayCluster stand-a is no longer used, to be deleted in 60 s",
            "RayCluster stand-b is active now",
        ),
        (
            60,
            "RayCluster stand-a: deleted by the operator",
            "RayCluster stand-a is no longer used, to be deleted in 60 s",
        ),
    ]


def test_the_convulsions_of_a_deleted_cluster_are_not_told() -> None:
    story = Story()
    story.emit(Kind.API_WRITE, CLUSTER, "delete", "rayclusters", 9, "", actor="operator/rayservice")
    story.emit(Kind.APPLICATION, "serve/default/stand-a/app", "UNHEALTHY", "a replica died")
    story.emit(Kind.DEPLOYMENT, "serve/default/stand-a/app/D", "UNHEALTHY", "X", "a replica died")
    story.emit(Kind.PROXY, "serve/default/stand-a/proxies/stand-a-head-h", "GONE", "its node is gone")
    story.emit(Kind.RAY, CLUSTER, "head", "gone", "stand-a-head-h: the pod was stopped")
    story.emit(Kind.CONTAINER, POD, "ray-worker", "terminated", "Error", 137)
    # Another cluster's troubles are.
    story.emit(Kind.APPLICATION, "serve/default/stand-b/app", "UNHEALTHY", "a replica died")
    assert [text for _, text, _ in story.told()] == [
        "RayCluster stand-a: deleted by the operator",
        "application app in stand-b: UNHEALTHY: a replica died",
    ]


def test_a_pod_deleted_by_a_user_is_told_with_the_step() -> None:
    story = Story()
    step = story.step("delete Pod/x")
    story.emit(Kind.API_WRITE, POD, "delete", "pods", 2, "terminating", cause=step, actor="scenario/steps")
    assert story.told()[1] == (0, "pod stand-a-workers-worker-x1: deletion asked for", "step: delete Pod/x")


# Probes


def test_a_failed_readiness_probe_of_a_worker_without_a_replica_says_so() -> None:
    story = Story()
    ray_node(story)
    story.at(5).emit(Kind.PROBE, POD, "ray-worker", "readiness", "failure", "success\n")
    assert story.told()[1] == (
        5,
        'pod stand-a-workers-worker-x1: readiness probe failed, it says "success"',
        "no Serve proxy on it, for it has no replica",
    )


def test_a_probe_succeeds_after_failing_because_its_proxy_is_there() -> None:
    story = Story()
    proxy = "serve/default/stand-a/proxies/stand-a-workers-worker-x1"
    ray_node(story)
    story.emit(Kind.PROXY, proxy, "STARTING", "")
    story.at(1).emit(Kind.PROBE, POD, "ray-worker", "readiness", "failure", "")
    story.at(2).emit(Kind.PROXY, proxy, "HEALTHY", "")
    story.at(3).emit(Kind.PROBE, POD, "ray-worker", "readiness", "success", "")
    assert story.told()[1:] == [
        (1, "pod stand-a-workers-worker-x1: readiness probe failed", "its Serve proxy is still starting"),
        (2, "Serve proxy on stand-a-workers-worker-x1: HEALTHY", ""),
        (3, "pod stand-a-workers-worker-x1: readiness probe succeeded", "its Serve proxy is healthy now"),
    ]


def test_the_kubelets_event_does_not_repeat_the_probe() -> None:
    story = Story()
    story.emit(Kind.EVENT, POD, "Warning", "Unhealthy", "Readiness probe failed: success", 1)
    story.emit(Kind.PROBE, POD, "ray-worker", "readiness", "failure", "success")
    assert len(story.told()) == 1


def test_liveness_and_readiness_of_a_pod_are_told_apart() -> None:
    story = Story()
    for probe in ("readiness", "liveness", "readiness"):
        story.emit(Kind.PROBE, POD, "ray-worker", probe, "success", "")
    assert [text.partition(": ")[2] for _, text, _ in story.told()] == [
        "readiness probe succeeded",
        "liveness probe succeeded",
    ]


def test_after_a_restart_the_probes_success_is_told_again() -> None:
    story = Story()
    story.emit(Kind.PROBE, POD, "ray-worker", "readiness", "success", "")
    killed = story.at(1).emit(Kind.CONTAINER, POD, "ray-worker", "terminated", "Error", 137)
    story.at(9).emit(Kind.PROBE, POD, "ray-worker", "readiness", "success", "", cause=killed)
    assert [(t, text.partition(": ")[2], why) for t, text, why in story.told()] == [
        (0, "readiness probe succeeded", ""),
        (1, "container ray-worker ended with 137 (Error)", ""),
        (
            9,
            "readiness probe succeeded",
            "pod stand-a-workers-worker-x1: container ray-worker ended with 137 (Error)",
        ),
    ]


# Endpoints


def test_endpoints_are_told_when_they_are_written_with_the_cluster_they_are_in() -> None:
    story = Story()
    service = "services/default/stand-serve-svc"
    ray_node(story)
    story.emit(Kind.RAY, "rayclusters/default/stand-b", "gcs", "running", "stand-b-head-h")
    story.emit(Kind.ENDPOINTS, service, 0, "stand-a-head-h unready")
    story.at(1).emit(Kind.ENDPOINTS, service, 1, "stand-a-head-h ready")
    story.at(1.4).emit(Kind.ENDPOINTS, service, 1, "in effect")
    story.at(2).emit(Kind.ENDPOINTS, service, 1, "stand-b-head-h ready, stand-a-head-h removed")
    story.at(3).emit(Kind.ENDPOINTS, service, 0, "stand-b-head-h unready")
    story.at(3).emit(Kind.ENDPOINTS, "services/default/stand-a-head-svc", 1, "stand-a-head-h ready")
    assert [(t, text) for t, text, _ in story.told()][2:] == [
        (1, "Service stand-serve-svc: 1 ready endpoint in stand-a"),
        (2, "Service stand-serve-svc: 1 ready endpoint in stand-b"),
        (3, "Service stand-serve-svc: no ready endpoint"),
    ]
    assert timeline(story.trace)[-1].tone is Tone.BAD


# Serve


def test_of_a_first_deployment_the_application_tells_of_a_change_the_deployment() -> None:
    story = Story()
    application, deployment = "serve/default/stand-a/app", "serve/default/stand-a/app/D"
    first = story.emit(Kind.APPLICATION, application, "DEPLOYING", "")
    story.emit(Kind.DEPLOYMENT, deployment, "UPDATING", "X", "", cause=first)
    healthy = story.at(1).emit(Kind.DEPLOYMENT, deployment, "HEALTHY", "X", "", cause=first)
    story.at(1).emit(Kind.APPLICATION, application, "RUNNING", "", cause=healthy)
    step = story.at(5).step("a new price")
    again = story.emit(Kind.APPLICATION, application, "DEPLOYING", "", cause=step)
    story.emit(Kind.DEPLOYMENT, deployment, "UPDATING", "X", "", cause=again)
    story.at(6).emit(Kind.DEPLOYMENT, deployment, "HEALTHY", "X", "", cause=again)
    assert story.told() == [
        (0, "application app in stand-a: DEPLOYING", ""),
        (1, "application app in stand-a: RUNNING", "deployment D of app in stand-a: HEALTHY"),
        (5, "step: a new price", ""),
        (5, "application app in stand-a: DEPLOYING", "step: a new price"),
        (5, "deployment D of app in stand-a: UPDATING", "application app in stand-a: DEPLOYING"),
        (6, "deployment D of app in stand-a: HEALTHY", ""),
    ]


def test_a_constructor_that_fails_is_told_with_the_last_line_of_its_traceback() -> None:
    story = Story()
    message = (
        "The deployment failed to start 3 times in a row. See the logs.\nTraceback:\n  File x\nValueError: no model\n"
    )
    story.emit(Kind.DEPLOYMENT, "serve/default/stand-a/app/D", "DEPLOY_FAILED", "X", message)
    assert story.told()[0][1] == (
        "deployment D of app in stand-a: DEPLOY_FAILED: The deployment failed to start 3 times in a row"
        " … ValueError: no model"
    )


def test_autoscaling_is_told_with_what_the_autoscaler_saw() -> None:
    story = Story()
    deployment = "serve/default/stand-a/app/D"
    story.emit(Kind.AUTOSCALE, deployment, 1, 3, "5469 thousandths of a request on 1 replicas")
    story.emit(Kind.DEPLOYMENT, deployment, "UPSCALING", "X", "Upscaling from 1 to 3 replicas.")
    assert story.told() == [
        (0, "deployment D of app in stand-a: autoscaled from 1 to 3 replicas", "5.469 requests on 1 replica")
    ]


# Requests


def test_of_lost_requests_the_first_and_the_last_are_told() -> None:
    story = Story()
    gone = story.emit(Kind.RAY, CLUSTER, "head", "gone", "stand-a-head-h: killed")
    for second in range(3):
        story.at(second).emit(
            Kind.REQUEST, "traffic/t/GET /", second, "refused", 0, 0, "", "", "nobody listens", cause=gone
        )
    story.at(1).emit(Kind.REQUEST, "traffic/t/GET /", 9, "ok", 1, 200, "", "", "")
    story.at(1).emit(Kind.REQUEST, "traffic/t/GET /", 8, "timeout", 1, 0, "", "", "no answer")
    assert story.told()[1:] == [
        (
            0,
            "traffic t: first request lost (refused): nobody listens",
            "RayCluster stand-a: head gone: stand-a-head-h: killed",
        ),
        (1, "traffic t: first request lost (timeout): no answer", ""),
        (2, "traffic t: last of 3 requests lost (refused)", ""),
    ]


# Causes and neighbours


def test_a_cluster_is_created_because_of_the_last_change_whatever_woke_the_operator() -> None:
    story = Story()
    service = "rayservices/default/stand"
    step = story.step("a new Ray version")
    story.emit(Kind.API_WRITE, service, "patch", "rayservices", 1, "", cause=step, actor="scenario/steps")
    probe = story.emit(Kind.PROBE, POD, "ray-worker", "readiness", "success", "")
    story.emit(Kind.EVENT, service, "Normal", "CreatedRayCluster", "Created the RayCluster default/b", 1, cause=probe)
    assert story.told()[-1] == (0, "RayService stand: created the RayCluster b", "step: a new Ray version")


def test_what_normally_needs_no_reason_gets_one_when_it_happens_again_after_trouble() -> None:
    story = Story()
    story.emit(Kind.RAY, CLUSTER, "gcs", "running", "stand-a-head-h")
    killed = story.at(1).emit(Kind.CONTAINER, "pods/default/stand-a-head-h", "ray-head", "terminated", "Error", 137)
    story.at(4).emit(Kind.RAY, CLUSTER, "gcs", "running", "stand-a-head-h", cause=killed)
    assert [why for _, text, why in story.told() if "GCS" in text] == [
        "",
        "pod stand-a-head-h: container ray-head ended with 137 (Error)",
    ]


def test_neighbours_that_say_the_same_become_one_row() -> None:
    story = Story()
    for suffix in ("x1", "x2", "x3"):
        story.emit(Kind.UNSCHEDULABLE, f"pods/default/stand-a-gpus-worker-{suffix}", "0/2 nodes are available")
    story.at(1).emit(Kind.UNSCHEDULABLE, "pods/default/stand-a-gpus-worker-x1", "0/2 nodes are available")
    assert story.told() == [(0, "pods stand-a-gpus-worker-{x1,x2,x3}: fits nowhere: 0/2 nodes are available", "")]


def test_a_slow_pull_is_told_with_the_time_it_took() -> None:
    story = Story()
    story.emit(Kind.IMAGE, POD, "rayproject/ray:2.52.0", "pulling")
    story.at(16).emit(Kind.IMAGE, POD, "rayproject/ray:2.52.0", "pulled")
    story.at(20).emit(Kind.IMAGE, POD, "sidecar", "pulling")
    story.at(20.1).emit(Kind.IMAGE, POD, "sidecar", "pulled")
    assert story.told() == [(16, "pod stand-a-workers-worker-x1: image rayproject/ray:2.52.0 pulled in 16.0 s", "")]


def test_a_step_that_fails_is_told_where_it_fails() -> None:
    story = Story()
    story.step("wait for ready stand")
    story.at(600).emit(Kind.STEP, "steps/0", 0, "failed", "not within 600 s: there is no RayService")
    assert story.told()[1] == (600, "step failed: not within 600 s: there is no RayService", "")


def test_things_in_other_namespaces_are_named_with_them() -> None:
    story = Story()
    story.emit(Kind.NODE, "nodes/n-0", "lost", "power")
    story.emit(Kind.APPLICATION, "serve/prod/stand-a/app", "RUNNING", "")
    story.emit(Kind.PROBE, "pods/prod/x", "c", "readiness", "success", "")
    assert [text for _, text, _ in story.told()] == [
        "node n-0: lost power",
        "application app in prod/stand-a: RUNNING",
        "pod prod/x: readiness probe succeeded",
    ]
