"""Turns that nobody would notice are passed over: no story is another for it, and time in which nothing happens is cheap."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayrig_scenarios
from rayrig_core.errors import RayrigError
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_scenarios.api import Broken, Rig
from rayrig_scenarios.language.load import load
from rayrig_scenarios.runner import run
from rayrig_sim.kernel import ActorFailed
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind
from tests.backends.idle_worlds import Worlds, differences, events_of

SCENARIOS = sorted(path.stem for path in (Path(rayrig_scenarios.__file__).parent / "library").glob("*.yaml"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_bundled_scenario_is_the_same_with_every_turn_taken(name: str) -> None:
    assert not differences(lambda worlds: run(load(name), world_factory=worlds).verdict)


def ready(worlds: Worlds) -> Rig:
    rig = Rig(world_factory=worlds)
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand")
    return rig


def test_a_day_of_a_ready_service_takes_few_events() -> None:
    worlds = Worlds(elide_idle=True)
    rig = ready(worlds)
    rig.sleep("10m")
    world = worlds.made[0]
    assert world.operator is not None
    trace, events, revision = len(world.trace), events_of(world), world.api.state.store.revision
    reconciles = world.operator.reconciles
    rig.sleep("24h")
    assert len(world.trace) == trace
    assert world.api.state.store.revision == revision
    assert events_of(world) - events < 1000
    assert world.operator.reconciles - reconciles > 42_000


def test_nothing_grows_in_a_week_in_which_nothing_happens() -> None:
    worlds = Worlds(elide_idle=True)
    rig = ready(worlds)
    rig.sleep("24h")
    world = worlds.made[0]

    def sizes() -> tuple[int, ...]:
        assert world.operator is not None
        queues = [len(controller.queue._heap) for controller in world.operator.controllers.values()]
        return (len(world.trace), len(world.kernel._resting.alarms), *queues)

    before = sizes()
    rig.sleep("168h")
    assert sizes() == before
    assert len(world.kernel.env._queue) < 20


def test_probes_that_were_passed_over_are_in_the_history() -> None:
    worlds = Worlds(elide_idle=True)
    rig = ready(worlds)
    rig.sleep("2h")
    world = worlds.made[0]
    probed = [
        found
        for machine in world.machines.values()
        for runs in machine.kubelet.all_probes().values()
        for found in runs
        if found.kind is ProbeKind.LIVENESS
    ]
    assert len(probed) == 2
    for found in probed:
        assert found.step_ns == 5 * NS
        assert found.count == (found.last_ns - found.first_ns) // (5 * NS) + 1 > 1400
        assert found.last_ns + 5 * NS > world.kernel.monotonic_ns()


def test_a_node_that_is_lost_after_idle_hours_is_noticed_at_the_same_time() -> None:
    def play(worlds: Worlds) -> Any:
        rig = ready(worlds)
        rig.sleep("2h")
        rig.fault("node-loss", role="worker")
        rig.sleep("10m")
        return [(event.t_ns, event.subject, event.data) for event in rig.trace if event.t_ns > 2 * 3600 * NS]

    assert not differences(play)


def test_two_services_share_one_operator_and_its_random_choices() -> None:
    def play(worlds: Worlds) -> Any:
        rig = Rig(world_factory=worlds)
        rig.node("node", count=2)
        rig.apply("fruit-stand")
        rig.apply("fruit-stand", {"metadata.name": "other"})
        rig.wait_ready("fruit-stand")
        rig.wait_ready("other")
        rig.sleep("40m")
        rig.apply("other", {"spec.rayClusterConfig.rayVersion": "2.52.1"})
        rig.sleep("20m")

    assert not differences(play)


@pytest.mark.parametrize(("pods", "replicas"), [(True, False), (False, True), (True, True)])
def test_a_service_that_is_scaled_is_the_same_with_every_turn_taken(pods: bool, replicas: bool) -> None:
    def play(worlds: Worlds) -> Any:
        rig = Rig(world_factory=worlds)
        rig.node("node", count=3)
        rig.apply("fruit-stand", autoscaled(pods=pods, replicas=replicas))
        rig.wait_ready("fruit-stand")
        rig.sleep("5m")
        with rig.traffic("fruit-stand-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2]) as users:
            rig.sleep("30s")
        rig.sleep("30m")
        rig.fault("container-kill", role="worker")
        rig.sleep("5m")
        return users.sent, users.failed

    assert not differences(play)


@pytest.mark.parametrize(("pods", "replicas"), [(True, False), (False, True), (True, True)])
def test_a_scaled_service_that_is_left_alone_takes_few_events(pods: bool, replicas: bool) -> None:
    worlds = Worlds(elide_idle=True)
    rig = Rig(world_factory=worlds)
    rig.apply("fruit-stand", autoscaled(pods=pods, replicas=replicas))
    rig.wait_ready("fruit-stand")
    rig.sleep("30m")
    world = worlds.made[0]
    events = events_of(world)
    rig.sleep("1h")
    # With every turn taken there are more than 38,000.
    assert events_of(world) - events < 4_000


# Generated stories

FAULTS: tuple[tuple[str, JsonObject], ...] = (
    ("head-crash", {"mode": "container"}),
    ("head-crash", {"mode": "pod"}),
    ("pod-kill", {}),
    ("container-kill", {"reason": "OOMKilled"}),
    ("node-loss", {}),
    ("node-drain", {}),
    ("operator-crash", {"restart_after": "3s"}),
    ("api-error", {"actor": "operator", "duration": "20s"}),
    ("api-latency", {"delay": "500ms", "duration": "60s"}),
    ("proxy-kill", {"role": "head"}),
    ("proxy-hang", {"role": "head", "duration": "30s"}),
    ("proxy-hang", {"duration": "45s"}),
    ("dashboard-error", {"duration": "20s"}),
    ("gcs-kill", {}),
    ("replica-kill", {"application": "fruit_app", "deployment": "MangoStand"}),
)
#: Between whole seconds, tenths and anything, so that some ends coincide with turns.
durations = st.one_of(
    st.sampled_from([1, 5, 30, 300, 3600]),
    st.integers(1, 900),
    st.floats(0.001, 900).map(lambda value: round(value, 9)),
)
short = st.sampled_from([1, 12, 90.5])
steps = st.one_of(
    st.tuples(st.just("sleep"), durations),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
    st.tuples(st.just("upgrade"), st.integers(1, 99)),
    st.tuples(st.just("second"), st.none()),
    st.tuples(st.just("pod"), st.integers(0, 2)),
    st.tuples(
        st.just("partition"), st.tuples(st.sampled_from(["operator", "*"]), st.sampled_from(["*", "node-0"]), short)
    ),
    st.tuples(st.just("freeze"), short),
    st.tuples(st.just("kubelet"), short),
    st.tuples(st.just("traffic"), st.tuples(st.sampled_from(["0.2/s", "5/s"]), st.sampled_from(["10s", "100s"]))),
    st.tuples(st.just("request"), st.none()),
    st.tuples(st.just("delete"), st.none()),
)
calibrations: st.SearchStrategy[JsonObject] = st.sampled_from(
    [
        {},
        {"http_latency": "1ms", "connect_latency": 0, "dns_latency": 0, "dashboard_latency": "10ms"},
        {"dashboard_latency": {"lognormal": {"median": "20ms", "sigma": 0.2}}},
        {"dashboard_latency": {"uniform": [0, "1.5s"]}},
    ]
)


def plain_pod(number: int) -> JsonObject:
    """A pod whose answers change by themselves."""
    script = {
        "http": {"8080": {"/ready": [[0, "200"], [100, "503"], [130, "200"]], "/start": [[0, "503"], [4, "200"]]}},
        "exec": [{"match": "check", "schedule": [[0, {"exit": 0, "out": "fine"}], [400, {"exit": 1}]]}],
    }
    container = {
        "name": "main",
        "image": "/present/x",
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/ready"}, "periodSeconds": 3},
        "livenessProbe": {"exec": {"command": ["check"]}, "periodSeconds": 5, "initialDelaySeconds": 7},
        "startupProbe": {"httpGet": {"port": 8080, "path": "/start"}, "periodSeconds": 1, "failureThreshold": 60},
    }
    metadata = {"name": f"plain-{number}", "namespace": "default", "annotations": {"script": json.dumps(script)}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def autoscaled(*, pods: bool, replicas: bool) -> JsonObject:
    """Changes of the manifest: Ray's autoscaler for worker pods, with an idle timeout that elapses; Serve's for replicas."""
    changes: JsonObject = {}
    if pods:
        cluster = "spec.rayClusterConfig"
        changes[f"{cluster}.enableInTreeAutoscaling"] = True
        changes[f"{cluster}.autoscalerOptions"] = {"idleTimeoutSeconds": 40}
        changes[f"{cluster}.workerGroupSpecs[0].minReplicas"] = 0
    if replicas:
        stand = "spec.serveConfigV2.applications[fruit_app].deployments[MangoStand]"
        config = {"min_replicas": 0, "initial_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 1}
        changes[f"{stand}.autoscaling_config"] = {**config, "downscale_delay_s": 50, "upscale_delay_s": 5}
        changes[f"{stand}.num_replicas"] = None
    return changes


class Story:
    """Takes steps; what a step that fails said is part of what is told."""

    def __init__(self, rig: Rig, worlds: Worlds, changes: JsonObject) -> None:
        self.rig = rig
        self.told: list[str] = []
        rig.apply("fruit-stand", changes)
        self._try(lambda: rig.wait_ready("fruit-stand"))
        self.world = worlds.made[0]

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            self.told.append(str(action()))
        except (Broken, RayrigError, HttpFailure) as error:
            self.told.append(repr(error))

    def take(self, what: str, how: Any) -> None:
        rig, world = self.rig, self.world
        kubelet = next(iter(world.machines.values())).kubelet
        match what:
            case "sleep":
                rig.sleep(f"{how:.9f}s")
            case "fault":
                self._try(lambda: rig.fault(how[0], **how[1]))
            case "upgrade":
                self._try(lambda: rig.apply("fruit-stand", {"spec.rayClusterConfig.rayVersion": f"2.{how}.0"}))
            case "second":
                self._try(lambda: rig.apply("fruit-stand", {"metadata.name": "other"}))
            case "pod":
                self._try(lambda: rig.apply(plain_pod(how)))
            case "partition":
                world.network.partition(how[0], how[1])
                rig.sleep(f"{how[2]}s")
                world.network.heal()
            case "freeze":
                kubelet.freeze()
                rig.sleep(f"{how}s")
                kubelet.thaw()
            case "kubelet":
                kubelet.stop()
                rig.sleep(f"{how}s")
                kubelet.start()
            case "traffic":
                self._try(lambda: self._send(*how))
            case "request":
                self._try(lambda: rig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2]))
            case "delete":
                self._try(lambda: rig.delete("RayService", "fruit-stand"))

    def _send(self, rate: str, duration: str) -> tuple[int, int]:
        service, order = "fruit-stand-serve-svc", ["MANGO", 2]
        with self.rig.traffic(service, rate=rate, path="/fruit/", json=order) as users:
            self.rig.sleep(duration)
        return users.sent, users.failed


@settings(max_examples=15)
@given(
    st.integers(0, 9),
    calibrations,
    st.integers(2, 3),
    st.tuples(st.booleans(), st.booleans()),
    st.lists(steps, min_size=1, max_size=6),
    durations,
)
def test_a_story_is_the_same_with_every_turn_taken(
    seed: int,
    calibration: JsonObject,
    nodes: int,
    scaled: tuple[bool, bool],
    story: list[tuple[str, Any]],
    rest: float,
) -> None:
    def play(worlds: Worlds) -> list[str]:
        rig = Rig(seed=seed, world_factory=worlds)
        rig.node("node", count=nodes)
        rig.calibrate(**calibration)
        told = Story(rig, worlds, autoscaled(pods=scaled[0], replicas=scaled[1]))
        try:
            for what, how in (*story, ("sleep", rest)):
                told.take(what, how)
        except ActorFailed as failed:
            told.told.append(str(failed))
        return told.told

    assert not differences(play)
