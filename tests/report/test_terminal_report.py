"""The report on a terminal: complete, in a fixed order, at any width, with nothing swallowed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rayrig.report.console import console
from rayrig.report.live import LiveProgress
from rayrig.report.terminal import print_result
from rayrig_scenarios.language.load import load, load_text
from rayrig_scenarios.results import RunResult
from rayrig_scenarios.runner import run


def report(result: RunResult, width: int = 140) -> list[str]:
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    print_result(out, result)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


@pytest.fixture(scope="module")
def unready_worker() -> RunResult:
    text = """\
name: a worker without a replica
description: Two workers, one replica each, and a third worker.
manifests: [{bundled: one-per-node}]
traffic:
  - {name: pickers, service: orchard-serve-svc, rate: 10/s, requests: {path: /}}
steps:
  - apply: {manifest: orchard, set: {"spec.rayClusterConfig.workerGroupSpecs[ladders].replicas": 3}}
  - wait: {for: {ready: orchard}, timeout: 5m}
  - sleep: 20s
  - start-traffic: pickers
  - sleep: 5s
expect:
  - name: "brackets [bold] and :smile: stay"
    pods: {service: orchard, role: worker, unready: 1}
  - requests: {failed: ">= 1"}
"""
    return run(load_text(text, "test.yaml"))


def test_sections_come_in_the_order_of_reading(unready_worker: RunResult) -> None:
    lines = report(unready_worker)
    titles = [
        "Timeline",
        "kubectl get rayservices",
        "kubectl get rayclusters",
        "kubectl get pods",
        "kubectl get services",
        "Pods that are not ready",
        "Requests",
        "Capacity in use",
        "Steps",
        "Expectations",
    ]
    assert [line for line in lines if line in titles] == titles
    assert lines[-2].startswith("BROKEN  ")
    assert lines[-1].startswith("digest ")


def test_an_unready_pod_is_explained_by_what_its_probe_asks_for(unready_worker: RunResult) -> None:
    lines = report(unready_worker)
    start = lines.index("Pods that are not ready")
    assert unready_worker.unready[0].name in lines[start + 2]
    told = "\n".join(lines[start + 2 : start + 16])
    assert "s: the readiness probe of ray-worker fails" in lines[start + 2]
    assert "it asks :52365/api/local_raylet_healthz, then :8000/-/healthz each 5 s" in told
    assert "because no Serve proxy runs on it, for it has no replica" in told
    assert "`rayrig why POD` tells all of it, with --at of any time of the run" in lines


def test_what_a_scenario_writes_is_printed_as_it_is(unready_worker: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    console.cache_clear()
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    print_result(console(), unready_worker)
    console.cache_clear()
    assert "brackets [bold] and :smile: stay" in out.getvalue()


def test_a_broken_expectation_names_its_line(unready_worker: RunResult) -> None:
    assert any("failed 0, wanted >= 1 (test.yaml:" in " ".join(line.split()) for line in report(unready_worker, 200))


def test_in_a_made_up_scenario_no_line_is_named() -> None:
    manifest = """\
apiVersion: ray.io/v1
kind: RayService
metadata: {name: stand}
spec: {rayClusterConfig: {headGroupSpec: {template: {spec: {containers: []}}}}}
"""
    lines = report(run(load_text(manifest, "stand.yaml")))
    assert lines[-2].startswith("BROKEN")
    assert not any("expect[" in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 109, 110, 140, 200])
def test_nothing_is_wider_than_the_terminal(unready_worker: RunResult, width: int) -> None:
    lines = report(unready_worker, width)
    # The replay line is for copying, it stays whole.
    assert all(len(line) <= width for line in lines[:-1])


def test_a_narrow_timeline_puts_the_reason_below(unready_worker: RunResult) -> None:
    lines = report(unready_worker, 80)
    created = next(index for index, line in enumerate(lines) if "created the RayCluster" in line)
    assert lines[created + 1].strip().startswith("because step: apply orchard with")


def test_the_live_display_leaves_nothing_behind() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with LiveProgress(terminal, "deploy") as progress:
        run(load("deploy"), progress=progress)
        picture = Console(file=io.StringIO(), width=80)
        picture.print(progress._render())
    assert isinstance(picture.file, io.StringIO)
    lines = [line.rstrip() for line in picture.file.getvalue().splitlines()]
    assert len(lines) == 6
    assert "0.00 s  done  apply fruit-stand" in lines[0]
    assert "deploy" in lines[5]
    assert "5/5 every pod of the cluster" in lines[5]
    # The last thing written erases the line it was on and shows the cursor again.
    assert isinstance(terminal.file, io.StringIO)
    assert terminal.file.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))
