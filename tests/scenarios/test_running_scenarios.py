"""What the runner makes of steps and expectations, in a scripted world."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from scripted_world import ScriptedTraffic, ScriptedWorld

from rayrig_backends.world import WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.trace import Kind
from rayrig_scenarios.language.load import load_text
from rayrig_scenarios.results import RunResult, StepRecord, StepState, Verdict
from rayrig_scenarios.runner import run

HEAD = """
name: test
description: a test
manifests: [{bundled: one-per-node}]
"""


def scenario(text: str, head: str = HEAD) -> Any:
    return load_text(head + textwrap.dedent(text), "test.yaml")


def perform(text: str, head: str = HEAD, **options: Any) -> RunResult:
    return run(scenario(text, head), world_factory=ScriptedWorld, **options)


def states(result: RunResult) -> list[str]:
    return [record.state.value for record in result.steps]


def test_a_service_is_applied_and_waited_for() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - wait: {for: {ready: orchard}, timeout: 1m}
        expect:
        - ready: orchard
        - clusters: {created: 1, count: 1, peak: 1, switches: 0}
        - pods: {service: orchard, total: 3, ready: 2, unready: 1, reason: Readiness probe failed}
        - application: {name: orchard, status: RUNNING}
        - deployment: {application: orchard, name: Picker, status: HEALTHY}
    """)
    assert result.verdict is Verdict.PASS
    assert states(result) == ["done", "done"]
    assert result.steps[0].detail == "RayService/orchard created"
    assert 2.0 < (result.steps[1].ended_ns or 0) / 1e9 < 3.2
    assert [pod.reason for pod in result.unready] == ["Readiness probe failed: no proxy"]
    assert result.exit_code == 0


def test_an_upgrade_is_followed_to_the_end_of_the_old_cluster() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - wait: {for: {ready: orchard}, timeout: 1m}
        - apply: {manifest: orchard, set: {spec.rayClusterConfig.rayVersion: 2.100.0}}
        - wait: {for: {upgrade-started: orchard}, timeout: 10s}
        - wait: {for: {upgrade-complete: orchard}, timeout: 10s}
        - wait: {for: {old-cluster-gone: orchard}, timeout: 10s}
        expect:
        - clusters: {created: 2, count: 1, peak: 2, switches: 1}
    """)
    assert result.verdict is Verdict.PASS
    assert states(result) == ["done"] * 6
    assert result.steps[2].detail == "RayService/orchard configured"


def test_the_same_manifest_applied_again_changes_nothing() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - apply: orchard
    """)
    assert [record.detail for record in result.steps] == ["RayService/orchard created", "RayService/orchard unchanged"]


def test_a_wait_that_times_out_fails_says_what_was_found_and_skips_the_rest() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - wait: {for: {pods: {service: orchard, ready: 9}}, timeout: 30s}
        - sleep: 1s
        expect:
        - ready: orchard
        - clusters: {count: 7}
    """)
    assert states(result) == ["done", "failed", "skipped"]
    assert result.steps[1].detail == "not within 30 s: ready 2, wanted 9"
    assert result.steps[1].ended_ns - result.steps[1].started_ns == 30_000_000_000  # type: ignore[operator]
    assert result.verdict is Verdict.FAIL
    # What a run cut short cannot show is unknown, what it refutes has failed.
    assert [record.verdict for record in result.expectations] == [Verdict.UNKNOWN, Verdict.FAIL]
    assert result.exit_code == 1


def test_requests_are_compared_with_what_is_expected_of_them() -> None:
    result = perform("""
        steps:
        - request: {service: orchard-serve-svc, path: /fruit/, expect: {json: {price: 6}}}
        - request: {service: nobody, expect: {failure: refused}}
        - request: {service: orchard-serve-svc, expect: {contains: '"price"'}}
        - request: {service: orchard-serve-svc, expect: {json: {price: 8}}}
    """)
    assert states(result) == ["done", "done", "done", "failed"]
    assert result.steps[3].detail == 'answered {"price": 6}, wanted {"price": 8}'


def test_traffic_is_accounted_for_from_start_to_stop() -> None:
    head = HEAD + "traffic: [{name: shoppers, service: orchard-serve-svc, rate: 10/s, requests: {path: /}}]\n"
    result = perform(
        """
        steps:
        - start-traffic: shoppers
        - sleep: 10s
        - stop-traffic: all
        - sleep: 10s
        expect:
        - requests: {traffic: shoppers, sent: 100, failed: 0, p99: 10ms, max: "<= 10ms"}
        - requests: {p50: 1ms}
        """,
        head,
    )
    assert [record.verdict for record in result.expectations] == [Verdict.PASS, Verdict.FAIL]
    assert result.expectations[1].detail == "p50 10.0 ms, wanted <= 1 ms"
    assert result.requests["shoppers"].sent == 100


def test_lost_requests_are_told_by_fate_and_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedTraffic, "fail_every", 10)
    head = HEAD + "traffic: [{name: shoppers, service: orchard-serve-svc, rate: 10/s, requests: {path: /}}]\n"
    result = perform(
        """
        steps:
        - start-traffic: shoppers
        - wait: {for: {requests: {sent: ">= 100"}}, timeout: 1m}
        expect:
        - requests: {fates: {connection-reset: ">= 1"}, causes: [pod was deleted]}
        - requests: {failed: 0}
        """,
        head,
    )
    assert [record.verdict for record in result.expectations] == [Verdict.PASS, Verdict.FAIL]
    assert "most frequent failure: 10 x connection-reset, the pod was deleted" in result.expectations[1].detail


def test_events_and_trace_can_be_waited_for() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - wait: {for: {event: {reason: Promoted, about: rayservices/}}, timeout: 1m}
        - wait: {for: {happened: {what: step, with: {state: started}, count: ">= 3"}}, timeout: 1s}
        - delete: RayService/orchard
        - wait: {for: {gone: RayService/orchard}, timeout: 1m}
        expect:
        - event: {reason: Demoted, count: 0}
    """)
    assert states(result) == ["done"] * 5
    assert result.verdict is Verdict.PASS


def test_objects_are_patched_by_path_merge_and_json_patch() -> None:
    result = perform("""
        steps:
        - apply: orchard
        - patch: {name: orchard, merge: {metadata: {labels: {a: b}}}}
        - patch: {name: orchard, json: [{op: add, path: /metadata/labels/c, value: d}]}
        - patch: {name: orchard, set: {"spec.rayClusterConfig.workerGroupSpecs[ladders].replicas": 4}}
        - wait:
            for:
            - field: {name: orchard, path: metadata.labels, equals: {a: b, c: d}}
            - field: {name: orchard, path: "spec.rayClusterConfig.workerGroupSpecs[0].replicas", is: ">= 4"}
            timeout: 1s
        - patch: {name: orchard, set: {"spec.rayClusterConfig.workerGroupSpecs[stairs].replicas": 4}}
    """)
    assert states(result) == ["done"] * 5 + ["failed"]
    assert "no entry stairs; it has ladders" in result.steps[5].detail


def test_a_refused_object_fails_the_step_with_the_servers_words() -> None:
    result = perform("""
        steps:
        - patch: {name: nobody, merge: {}}
    """)
    assert states(result) == ["failed"]
    assert "refused: 404 NotFound" in result.steps[0].detail


def test_faults_reach_the_world_with_their_parameters_filled_in() -> None:
    worlds: list[ScriptedWorld] = []

    def factory(spec: WorldSpec) -> ScriptedWorld:
        worlds.append(ScriptedWorld(spec))
        return worlds[0]

    text = """
        steps:
        - fault: {kind: operator-crash, restart-after: 90s}
        - fault: node-loss
    """
    result = run(scenario(text), world_factory=factory)
    assert worlds[0].faults[0] == ("operator-crash", {"restart_after": 90.0})
    assert worlds[0].faults[1][1]["role"] == "worker"
    assert result.steps[0].detail == "operator-crash struck"


def test_a_fault_on_what_does_not_exist_ends_the_run_as_bad_input() -> None:
    with pytest.raises(InputError, match=r"test\.yaml:7 steps\[0\]\.fault: no node is called nowhere"):
        perform("""
        steps:
        - fault: {kind: node-loss, node: nowhere}
        """)


def test_a_run_that_exceeds_its_limit_is_cut_short() -> None:
    head = HEAD + "duration: 1m\n"
    result = perform("steps: [{sleep: 30s}, {sleep: 2m}, {sleep: 1s}]\nexpect: [{clusters: {created: 0}}]\n", head)
    assert states(result) == ["done", "failed", "skipped"]
    assert result.cut_short == "not at its end after 60 s"
    assert result.verdict is Verdict.FAIL
    assert result.expectations[0].verdict is Verdict.UNKNOWN


def test_ctrl_c_leaves_a_partial_result_with_an_unknown_verdict() -> None:
    class Interrupting:
        def step_started(self, index: int, count: int, title: str, t_ns: int) -> None:
            if index == 1:
                raise KeyboardInterrupt

        def step_ended(self, record: StepRecord) -> None:
            pass

        def tick(self, t_ns: int) -> None:
            pass

    result = perform("steps: [{sleep: 30s}, {sleep: 2m}]\nexpect: [{ready: orchard}]\n", progress=Interrupting())
    assert result.interrupted
    assert result.verdict is Verdict.UNKNOWN
    assert states(result) == ["done", "skipped"]
    assert [record.verdict for record in result.expectations] == [Verdict.UNKNOWN]
    assert result.exit_code == 2


def test_progress_hears_of_steps_and_of_every_virtual_second() -> None:
    heard: list[Any] = []

    class Listener:
        def step_started(self, index: int, count: int, title: str, t_ns: int) -> None:
            heard.append(("start", index, count, title))

        def step_ended(self, record: StepRecord) -> None:
            heard.append(("end", record.index, record.state))

        def tick(self, t_ns: int) -> None:
            heard.append(t_ns)

    perform("steps: [{name: have a rest, sleep: 2500ms}]", progress=Listener())
    assert heard[:5] == [0, ("start", 0, 1, "have a rest"), 1_000_000_000, 2_000_000_000, ("end", 0, StepState.DONE)]


def test_progress_is_not_told_of_every_second_of_a_year() -> None:
    heard: list[int] = []

    class Listener:
        def step_started(self, index: int, count: int, title: str, t_ns: int) -> None: ...

        def step_ended(self, record: StepRecord) -> None: ...

        def tick(self, t_ns: int) -> None:
            heard.append(t_ns)

    perform("duration: 9000h\nsteps: [{sleep: 8760h}]", progress=Listener())
    assert len(heard) < 1000
    assert heard == sorted(heard)
    assert heard[-1] == 8760 * 3600 * 1_000_000_000


def test_listening_to_progress_does_not_change_the_run() -> None:
    class Silent:
        def step_started(self, index: int, count: int, title: str, t_ns: int) -> None: ...

        def step_ended(self, record: StepRecord) -> None: ...

        def tick(self, t_ns: int) -> None: ...

    text = "steps: [{apply: orchard}, {wait: {for: {ready: orchard}, timeout: 1m}}]"
    assert perform(text).digest == perform(text, progress=Silent()).digest


def test_the_seed_decides_the_digest() -> None:
    text = "steps: [{apply: orchard}, {wait: {for: {ready: orchard}, timeout: 1m}}]"
    assert perform(text, seed=5).digest == perform(text, seed=5).digest
    assert perform(text, seed=5).digest != perform(text, seed=6).digest


def test_a_digest_can_be_expected() -> None:
    steps = "steps: [{apply: orchard}]\n"
    digest = perform(steps).digest
    assert perform(f"{steps}expect: [{{digest: {digest}}}]").verdict is Verdict.PASS
    assert perform(f"{steps}expect: [{{digest: '0'}}]").verdict is Verdict.FAIL


def test_steps_carry_the_cause_of_what_they_waited_for() -> None:
    result = perform("steps: [{apply: orchard}, {wait: {for: {ready: orchard}, timeout: 1m}}]")
    end = result.trace[result.steps[1].seq or 0]
    (cause, *_) = result.trace.causes_of(end.seq)
    assert cause.kind is Kind.API_WRITE
    assert cause.subject == "rayservices/default/orchard"
    assert cause.actor == "operator/orchard"


def test_the_replay_line_names_scenario_and_seed() -> None:
    assert perform("steps: [{sleep: 1s}]", seed=9).replay == "rayrig run test.yaml --seed 9"
