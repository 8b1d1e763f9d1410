"""`rayrig run`: what goes to which stream, the exit code, and what is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

HOLDS = """\
name: short
description: Nothing but a second.
steps: [{sleep: 1s}]
expect:
- {name: no Ray cluster, pods: {total: 0}}
"""
BREAKS = HOLDS.replace("total: 0", "total: 3")


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "short.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_what_holds_exits_with_0(rayrig_cli: Cli, scenario: Callable[[str], Path]) -> None:
    done = rayrig_cli("run", scenario(HOLDS))
    assert (done.code, done.err) == (0, "")
    assert "no Ray cluster  held     total 0" in done.out
    assert done.out.splitlines()[-2].startswith("HELD  1.0 s simulated in ")


def test_what_is_broken_exits_with_1_and_names_the_line(rayrig_cli: Cli, scenario: Callable[[str], Path]) -> None:
    path = scenario(BREAKS)
    done = rayrig_cli("run", path)
    assert (done.code, done.err) == (1, "")
    # A long path is folded where the column ends.
    assert f"total0,wanted3({path}:5expect[0])" in "".join(done.out.split())
    assert done.out.splitlines()[-2].startswith("BROKEN")


def test_the_last_line_repeats_the_run(rayrig_cli: Cli, scenario: Callable[[str], Path]) -> None:
    path = scenario(HOLDS)
    last = rayrig_cli("run", path, "--seed", 7).out.splitlines()[-1]
    assert last.endswith(f"replay: rayrig run {path} --seed 7")
    again = rayrig_cli("run", path, "--seed", 7).out.splitlines()[-1]
    assert again == last


def test_the_operator_of_an_older_release_is_asked_for_beside_the_scenario(
    rayrig_cli: Cli, scenario: Callable[[str], Path]
) -> None:
    path = scenario(HOLDS)
    last = rayrig_cli("run", path, "--kuberay", "1.1").out.splitlines()[-1]
    assert last.endswith(f"replay: rayrig run {path} --kuberay 1.1 --seed 0")
    asked = rayrig_cli("why", "nobody")
    assert asked.err.startswith(f"rayrig: of the last run: rayrig run {path} --kuberay 1.1 --seed 0\n")


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        (HOLDS, ["1.6"], "--kuberay: there is no profile '1.6' (one of 1.7, 1.1)"),
        (
            HOLDS,
            ["1.1", "--feature-gates", "RayMultiHostIndexing=true"],
            "--feature-gates: KubeRay v1.1.0 has no feature gates",
        ),
        (
            HOLDS + "feature-gates: {RayMultiHostIndexing: true}\n",
            ["1.1"],
            "--kuberay: the scenario sets feature gates, and KubeRay 1.1 has none",
        ),
    ],
)
def test_a_release_that_cannot_be_is_told(
    rayrig_cli: Cli, scenario: Callable[[str], Path], text: str, given: list[str], told: str
) -> None:
    done = rayrig_cli("run", scenario(text), "--kuberay", *given)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"rayrig: {told}")


def test_json_is_all_there_is_on_stdout(rayrig_cli: Cli) -> None:
    done = rayrig_cli("run", "in-place-update", "--json")
    assert (done.code, done.err) == (0, "")
    result = json.loads(done.out)
    assert result["scenario"] == "in-place-update"
    assert result["verdict"] == "pass"
    assert result["exitCode"] == 0
    assert result["cutShort"] is None
    assert len(result["digest"]) == 32
    assert result["replay"] == "rayrig run in-place-update --seed 0"
    assert {step["state"] for step in result["steps"]} == {"done"}
    assert {one["verdict"] for one in result["expectations"]} == {"pass"}
    shoppers = result["requests"]["shoppers"]
    assert shoppers["sent"] == sum(shoppers["fates"].values())
    assert shoppers["failed"] == 0
    assert shoppers["latencyMs"]["p50"] <= shoppers["latencyMs"]["p99"]
    assert result["peak"] == {"nodes": 1, "pods": 2, "cpus": 3, "memoryBytes": 6 * 1024**3, "gpus": 0}
    assert [obj["metadata"]["name"] for obj in result["objects"]["rayservices"]] == ["fruit-stand"]
    created = next(row for row in result["timeline"] if "created the RayCluster" in row["text"])
    assert created["why"] == "step: apply fruit-stand"
    assert created["subjects"] == ["rayservices/default/fruit-stand"]


def test_warnings_go_to_stderr(rayrig_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "orchard.yaml").write_text(
        "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: orchard, namespace: fruit}\n"
        "spec: {rayClusterConfig: {headGroupSpec: {template: {spec: {containers: [{name: h, image: i}]}}}}}\n"
    )
    done = rayrig_cli("run", tmp_path / "orchard.yaml", "--json")
    assert "Namespace fruit is not in" in done.err
    json.loads(done.out)


def test_the_trace_is_written_one_event_a_line(
    rayrig_cli: Cli, scenario: Callable[[str], Path], tmp_path: Path
) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("what was here before")
    assert rayrig_cli("run", scenario(HOLDS), "--trace", trace).code == 0
    lines = trace.read_text(encoding="utf-8").splitlines()
    assert "scenario/steps: step steps/0 index=0 state=started detail=sleep 1 s" in lines[4]
    assert lines[-1].endswith("expectation expectations/0 verdict=pass detail=total 0")


def test_the_bundled_scenarios_are_listed(rayrig_cli: Cli) -> None:
    done = rayrig_cli("list", "--json")
    listed = json.loads(done.out)
    assert "zero-downtime-upgrade" in [one["name"] for one in listed]
    assert all(one["description"] for one in listed)
    plain = rayrig_cli("list")
    assert plain.code == 0
    assert all(one["name"] in plain.out for one in listed)


def test_without_arguments_the_commands_are_shown(rayrig_cli: Cli) -> None:
    done = rayrig_cli()
    assert done.code == 0
    assert "verify" in done.out


def test_verify_finds_two_equal_runs(rayrig_cli: Cli, scenario: Callable[[str], Path]) -> None:
    path = scenario(HOLDS)
    done = rayrig_cli("verify", path, "--seeds", 2)
    assert (done.code, done.out) == (0, f"{path}: 2 seeds, 0 with differing digests\n")


# In a process of its own


def test_a_reader_that_has_seen_enough_does_not_change_the_verdict(scenario: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "rayrig", "run", str(scenario(BREAKS))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


def test_output_that_knows_ascii_only_gets_the_whole_report(rayrig_process: Cli, tmp_path: Path) -> None:
    done = rayrig_process("run", "deploy", env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"})
    assert (done.code, done.err) == (0, "")
    assert "created head Pod ?-head-" in done.out


def test_ctrl_c_reports_what_is_known_and_exits_with_2(scenario: Callable[[str], Path]) -> None:
    # The signal comes from within the run, so that it comes neither too early nor after a guess.
    program = (
        "import signal\n"
        "from rayrig_scenarios.actions import Actions\n"
        "async def interrupted(self, duration):\n"
        "    await self.world.runtime.sleep(0.5)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "Actions.sleep = interrupted\n"
        "from rayrig.cli import main\n"
        f"main(['run', {str(scenario(HOLDS))!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    lines = done.stdout.splitlines()
    assert any("broken off" in line for line in lines)
    assert any(line.split("  ")[:2] == ["no Ray cluster", "unknown"] for line in lines)
    assert lines[-2].startswith("UNKNOWN  0.5 s simulated in ")
    assert lines[-2].endswith("cut short: interrupted")


def test_a_run_loads_nothing_heavy() -> None:
    heavy = ("fastapi", "kubernetes", "httpx", "uvicorn", "asyncio", "starlette", "rich.markdown", "pytest")
    program = (
        "import sys\n"
        "from rayrig.cli import main\n"
        "try:\n"
        "    main(['run', 'deploy', '--json'])\n"
        "except SystemExit:\n"
        f"    print([module for module in {heavy!r} if module in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_defect_of_rayrig_is_not_taken_for_a_broken_scenario(
    rayrig_cli: Cli, scenario: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr("rayrig_scenarios.runner.run", defect)
    done = rayrig_cli("run", scenario(HOLDS))
    assert (done.code, done.out) == (2, "")
    assert "LookupError: a defect" in done.err
    assert done.err.splitlines()[-1].startswith("rayrig: this is a defect of rayrig")
