"""The fixture in a project of its own: worlds, seeds, failures that tell what happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SCRIPTED = Path(__file__).parents[1] / "scenarios"

CONFTEST = f"""
import sys

import pytest

sys.path.insert(0, {str(SCRIPTED)!r})


@pytest.fixture
def rayrig_world():
    from scripted_world import ScriptedWorld

    return ScriptedWorld
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # In a process of its own: what a run in this one leaves in `sys.modules` and to the garbage collector would reach the next.
    options = (
        "-W",
        "error",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:hypothesispytest",
    )
    return project.runpytest_subprocess(*options, *arguments)


def test_a_test_deploys_upgrades_and_asks(project: pytest.Pytester) -> None:
    project.makepyfile("""
        def test_upgrade(rayrig):
            assert rayrig.node("gpu", count=2, gpus=4, labels={"accelerator": "l4"}) == ("gpu-0", "gpu-1")
            assert rayrig.apply("one-per-node") == ["RayService/orchard created"]
            rayrig.wait_ready("orchard")
            with rayrig.traffic("orchard-serve-svc", rate="10/s") as shoppers:
                rayrig.upgrade("orchard", {"spec.rayClusterConfig.rayVersion": "2.100.0"})
            assert shoppers.failed == 0
            assert shoppers.sent > 50
            assert shoppers.quantile_s(0.99) == 0.01
            assert rayrig.request("orchard-serve-svc", json=["MANGO", 2]).json() == {"price": 6}
            rayrig.expect({"clusters": {"created": 2, "count": 1, "switches": 1}})
            assert rayrig.holds({"pods": {"service": "orchard", "ready": 2}})
            assert rayrig.get("RayService", "orchard")["status"]["pendingServiceStatus"]["rayClusterName"] == ""
            assert len(rayrig.objects("RayCluster")) == 1
            assert rayrig.fault("operator-crash", restart_after="5s") == "operator-crash struck"
            rayrig.sleep("30s")
            assert rayrig.now_s > 30
            assert rayrig.patch("RayService", "orchard", merge={"metadata": {"labels": {"a": "b"}}})
            assert rayrig.delete("RayService", "orchard") == "RayService/orchard deleted"
            rayrig.wait({"gone": "RayService/orchard"}, timeout="10s")
    """)
    run(project).assert_outcomes(passed=1)


def test_a_failing_test_tells_timeline_unready_pods_and_replay_line(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.rayrig_seed(11)
        def test_hopeless(rayrig):
            rayrig.apply("one-per-node")
            rayrig.wait({"pods": {"ready": 9}}, timeout="30s")
    """)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Broken: not within 30 s: ready 2, wanted 9*",
            "*- rayrig -*",
            "virtual time 30.002 s, digest *",
            "pod orchard-* is not ready:",
            "    *: the kubelet of its node node-0 has not reported yet",
            "replay: pytest '*::test_hopeless' --rayrig-seed=11",
        ]
    )
    # The traceback ends in the test, not in rayrig.
    result.stdout.no_fnmatch_line("*run_until*")


def test_a_failing_test_without_a_world_has_no_section(project: pytest.Pytester) -> None:
    project.makepyfile("def test_plain(rayrig): assert False")
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*- rayrig -*")


def test_the_option_gives_every_world_its_seed(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        def test_plain(rayrig):
            assert rayrig.seed == 42

        @pytest.mark.rayrig_seed(11)
        def test_marked(rayrig):
            assert rayrig.seed == 42
    """)
    run(project, "--rayrig-seed=42").assert_outcomes(passed=2)


def test_each_test_has_a_world_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.parametrize("time", [1, 2])
        def test_fresh(rayrig, time):
            assert rayrig.objects("RayService") == []
            rayrig.apply("one-per-node")
    """)
    run(project).assert_outcomes(passed=2)


def test_a_scenario_file_beside_the_test_is_run(project: pytest.Pytester) -> None:
    (project.path / "mine.yaml").write_text(
        "name: mine\ndescription: mine\nmanifests: [{bundled: one-per-node}]\n"
        "steps: [{apply: orchard}, {wait: {for: {ready: orchard}, timeout: 1m}}]\nexpect: [{clusters: {count: 1}}]\n"
    )
    (project.path / "broken.yaml").write_text(
        "name: mine\ndescription: mine\nsteps: [{sleep: 1s}]\nexpect: [{clusters: {count: 1}}]\n"
    )
    project.makepyfile("""
        def test_it(rayrig):
            assert rayrig.run("mine.yaml", seed=3).seed == 3

        def test_broken(rayrig):
            rayrig.run("broken.yaml")
    """)
    result = run(project)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*scenario mine: fail", "*fail: clusters count 1: count 0, wanted 1"])


def test_mistakes_in_python_are_told_like_those_in_yaml(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest
        from rayrig_core.errors import InputError

        @pytest.mark.parametrize(
            "call, told",
            [
                (lambda rig: rig.wait({"raedy": "a"}), 'wait.raedy: no field is called "raedy"'),
                (lambda rig: rig.sleep("soon"), '"soon" is no duration'),
                (lambda rig: rig.sleep(5), "5 has no unit"),
                (lambda rig: rig.fault("head-crush"), 'did you mean "head-crash"?'),
                (lambda rig: rig.apply("frut-stand"), 'did you mean "fruit-stand"?'),
                (lambda rig: rig.apply({"kind": "RayService"}), "apiVersion of the RayService is None"),
                (lambda rig: rig.node(gpus="two"), 'node.gpus: this is the text "two"'),
                (lambda rig: rig.calibrate(image_pul="8s"), 'did you mean "image_pull"?'),
                (lambda rig: rig.application("a.b", latency="fast"), "'fast' is no duration"),
                (lambda rig: rig.traffic("a", rate="10/s", clients=2), "has both rate and clients"),
                (lambda rig: rig.run("deploi"), 'did you mean "deploy"?'),
            ],
        )
        def test_told(rayrig, call, told):
            with pytest.raises(InputError) as caught:
                call(rayrig)
            assert told in str(caught.value)

        def test_too_late(rayrig):
            rayrig.sleep("1s")
            with pytest.raises(InputError, match="calibrate comes too late"):
                rayrig.calibrate(image_pull="1s")
    """)
    run(project).assert_outcomes(passed=12)


def test_the_plugin_imports_nothing_of_the_world() -> None:
    script = "import sys; import rayrig.pytest_plugin; print(sorted(m for m in sys.modules if m.startswith('rayrig')))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "['rayrig', 'rayrig.pytest_plugin']"


def test_without_an_override_the_world_is_the_one_in_memory(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_fruit(rayrig):
            rayrig.application("fruit.deployment_graph", latency="5ms")
            rayrig.apply("fruit-stand")
            rayrig.wait_ready("fruit-stand")
            assert rayrig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2]).json() == 6
            with rayrig.traffic(
                "fruit-stand-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2], connection_age="10s"
            ) as shoppers:
                price = "spec.serveConfigV2.applications[fruit_app].deployments[MangoStand].user_config.price"
                rayrig.apply("fruit-stand", {price: 4})
                rayrig.sleep("10s")
                assert rayrig.request("fruit-stand-serve-svc", "/fruit/", json=["MANGO", 2]).json() == 8
                rayrig.upgrade("fruit-stand")
            assert shoppers.failed == 0
            assert rayrig.run("deploy").verdict == "pass"

        def test_lost(rayrig):
            rayrig.apply("fruit-stand")
            rayrig.wait_ready("fruit-stand")
            rayrig.wait({"pods": {"pending": 1}}, timeout="1m")
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Broken: not within 60 s: pending 0, wanted 1", "*RayService fruit-stand: *"])
