"""What holds of every run in the world in memory, whatever the scenario: the accounts balance, and the story could be true."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from rayrig_core.objects import labels_of, name_of, namespace_of, uid_of
from rayrig_core.trace import Kind, Trace
from rayrig_scenarios.language.load import bundled_scenarios, load
from rayrig_scenarios.results import RunResult, Verdict
from rayrig_scenarios.runner import run

#: A seed for each scenario; any other does as well.
SEEDS = {name: 100 + index for index, name in enumerate(sorted(bundled_scenarios()))}


@cache
def performed(name: str) -> RunResult:
    return run(load(name), seed=SEEDS[name])


@pytest.fixture(scope="module", params=sorted(SEEDS))
def result(request: pytest.FixtureRequest) -> RunResult:
    return performed(request.param)


def test_it_holds(result: RunResult) -> None:
    assert result.verdict is Verdict.PASS, [e.detail for e in result.expectations if e.verdict is not Verdict.PASS]


def test_a_second_run_in_the_same_process_has_the_same_digest(result: RunResult) -> None:
    again = run(load(result.scenario.reference), seed=result.seed)
    assert again.digest == result.digest
    assert again.simulated_ns == result.simulated_ns


def test_another_seed_gives_another_story() -> None:
    assert run(load("deploy"), seed=SEEDS["deploy"] + 1).digest != performed("deploy").digest


def test_every_request_has_exactly_one_fate(result: RunResult) -> None:
    told: dict[str, Counter[str]] = {}
    numbers: dict[str, list[int]] = {}
    for event in result.trace.select(Kind.REQUEST):
        source = event.subject.split("/")[1]
        told.setdefault(source, Counter())[str(event["fate"])] += 1
        numbers.setdefault(source, []).append(int(event["number"] or 0))
    for name, accounting in result.requests.items():
        assert accounting.in_flight == 0
        assert sum(accounting.fates.values()) == accounting.sent
        assert told.get(name, Counter()) == Counter({fate: n for fate, n in accounting.fates.items() if n})
        assert len(set(numbers.get(name, []))) == accounting.sent, "each is told once"


def test_every_lost_request_has_a_cause(result: RunResult) -> None:
    for event in result.trace.select(Kind.REQUEST):
        if event["fate"] != "ok":
            assert event["detail"], event.line()
            assert result.trace.causes_of(event.seq), event.line()


def test_causes_come_before_what_they_cause(result: RunResult) -> None:
    before_ns = 0
    for event in result.trace:
        assert event.t_ns >= before_ns
        before_ns = event.t_ns
        if event.cause is not None:
            assert event.cause < event.seq
            assert result.trace[event.cause].t_ns <= event.t_ns


#: What may happen by itself: the world is set up, the steps are taken, nodes come, and the operator finds what is there already.
_BY_ITSELF = ("scenario", "kubelet/", "kube-controller-manager/node-taints", "operator/rayservice-controller")


def test_nothing_but_the_beginning_happens_without_a_cause(result: RunResult) -> None:
    for event in result.trace:
        if event.cause is None and event.kind not in (Kind.EXPECTATION, Kind.REQUEST, Kind.TRAFFIC):
            is_early = event.t_s < 1.0 and (not event.actor or event.actor.startswith(_BY_ITSELF))
            # The first pass over nodes that were there before anybody watched.
            is_noted = event.t_s < 5.0 and event.kind is Kind.EVENT and event["reason"] == "RegisteredNode"
            assert is_early or is_noted, event.line()


def test_pods_live_in_the_right_order(result: RunResult) -> None:
    for pod, story in _pods(result.trace).items():
        order = [word for word in ("created", "bound", "started", "deleted") if word in story]
        times = [story[word] for word in order]
        assert times == sorted(times), (pod, story)
        assert "started" not in story or "bound" in story, pod


def _pods(trace: Trace) -> dict[str, dict[str, int]]:
    """First time of each turn in the life of each pod."""
    found: dict[str, dict[str, int]] = {}
    for event in trace.select(Kind.API_WRITE, Kind.SCHEDULED, Kind.CONTAINER):
        if not event.subject.startswith("pods/"):
            continue
        story = found.setdefault(event.subject, {})
        if event.kind is Kind.SCHEDULED:
            story.setdefault("bound", event.t_ns)
        elif event.kind is Kind.CONTAINER:
            if event["state"] == "running":
                story.setdefault("started", event.t_ns)
        elif event["verb"] == "create" and not event["detail"]:
            story.setdefault("created", event.t_ns)
        elif event["verb"] == "delete":
            story.setdefault("deleted", event.t_ns)
    return found


def test_containers_and_images_take_turns(result: RunResult) -> None:
    state: dict[tuple[str, str], str] = {}
    for event in result.trace.select(Kind.CONTAINER):
        key = (event.subject, str(event["container"]))
        before, now = state.get(key, ""), str(event["state"])
        if now == "running":
            assert before in ("", "terminated", "waiting"), event.line()
        elif now == "terminated":
            assert before in ("running", "stopping"), event.line()
        state[key] = now
    pulling = set()
    for event in result.trace.select(Kind.IMAGE):
        key = (event.subject, str(event["image"]))
        if event["state"] == "pulling":
            pulling.add(key)
        elif event["state"] == "pulled":
            assert key in pulling, event.line()


def test_there_are_never_more_than_two_clusters(result: RunResult) -> None:
    live: list[str] = []
    for event in result.trace.select(Kind.API_WRITE):
        if event["resource"] == "rayclusters" and event["verb"] == "create":
            live.append(event.subject)
        elif event["resource"] == "rayclusters" and event["verb"] == "delete" and event.subject in live:
            live.remove(event.subject)
        assert len(live) <= 2, event.line()


def test_what_is_left_fits_together(result: RunResult) -> None:
    living = {uid_of(obj) for objects in result.objects.values() for obj in objects}
    for plural in ("rayclusters", "pods", "services", "endpointslices"):
        for obj in result.objects[plural]:
            for owner in obj["metadata"].get("ownerReferences") or ():
                is_going = "deletionTimestamp" in obj["metadata"]
                assert owner["uid"] in living or is_going or owner["kind"] in ("Job", "ReplicaSet"), (
                    plural,
                    name_of(obj),
                )
    clusters = {name_of(cluster) for cluster in result.objects["rayclusters"]}
    for service in result.objects["services"]:
        selected = (service["spec"].get("selector") or {}).get("ray.io/cluster")
        assert selected is None or selected in clusters, name_of(service)
    pods = {(namespace_of(pod), name_of(pod)): pod for pod in result.objects["pods"]}
    for slice_ in result.objects["endpointslices"]:
        for endpoint in slice_.get("endpoints") or ():
            target = endpoint["targetRef"]
            pod = pods[target["namespace"], target["name"]]
            assert endpoint["addresses"] == [pod["status"]["podIP"]]


def test_requests_are_answered_by_pods_that_were_told_of(result: RunResult) -> None:
    """An answer comes from a pod that was in effect as an endpoint of the service at some time before."""
    known: set[str] = set()
    for event in result.trace.select(Kind.ENDPOINTS, Kind.REQUEST):
        if event.kind is Kind.ENDPOINTS:
            known.update(part.split()[0] for part in str(event["detail"] or "").split(", ") if part.endswith(" ready"))
        elif event["fate"] == "ok":
            assert event["pod"] in known, event.line()


def test_usage_is_what_bound_pods_ask_for(result: RunResult) -> None:
    points = result.usage.points
    assert [point.t_ns for point in points] == sorted(point.t_ns for point in points)
    last = points[-1]
    bound = [
        pod
        for pod in result.objects["pods"]
        if pod["spec"].get("nodeName") and pod["status"]["phase"] not in ("Succeeded", "Failed")
    ]
    assert last.pods == len(bound)
    assert last.nodes == len({pod["spec"]["nodeName"] for pod in bound})
    for field in ("nodes", "cpu_millis", "memory_bytes", "gpus"):
        assert result.usage.peak(field) <= getattr(result.usage, f"capacity_{field}")


@pytest.mark.parametrize(
    ("name", "peak_pods", "peak_cpus", "peak_gpus"),
    [
        ("deploy", 2, 3, 0),
        ("zero-downtime-upgrade", 4, 6, 0),
        ("replicas-only-change", 5, 7, 0),
        ("gpu-service", 5, 18, 4),
        ("too-few-gpus", 6, 20, 4),
    ],
)
def test_what_a_scenario_costs_in_capacity(name: str, peak_pods: int, peak_cpus: int, peak_gpus: int) -> None:
    usage = performed(name).usage
    assert (usage.peak("pods"), usage.peak("cpu_millis"), usage.peak("gpus")) == (
        peak_pods,
        peak_cpus * 1000,
        peak_gpus,
    )


def test_unready_pods_are_told_with_their_reason() -> None:
    (too_few,) = {(unready.reason.partition(" no new claims")[0]) for unready in performed("too-few-gpus").unready}
    assert too_few == (
        "Unschedulable: 0/2 nodes are available: 1 Insufficient nvidia.com/gpu, "
        "1 node(s) didn't match Pod's node affinity/selector."
    )
    upgraded = performed("replicas-only-change")
    for unready in upgraded.unready:
        assert "Readiness probe" in unready.reason or "is being deleted" in unready.reason, unready
    clusters = {labels_of(pod)["ray.io/cluster"] for pod in upgraded.objects["pods"]}
    assert len(clusters) == 2, "the run ends before the old one goes"
