"""The whole story of a zero-downtime upgrade, literally. `RAYRIG_UPDATE=1 pytest tests/report` writes it anew; read the diff."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from rayrig.report.terminal import timeline_table
from rayrig.report.timeline import timeline
from rayrig_scenarios.language.load import load_text
from rayrig_scenarios.runner import run
from rayrig_sim.calibration import Calibration

STORY = Path(__file__).parent / "upgrade_story.txt"

SCENARIO = """\
name: story
description: An upgrade in which every duration is the mean of what it usually is.
manifests: [{bundled: fruit-stand}]
traffic:
  - name: shoppers
    service: fruit-stand-serve-svc
    rate: 10/s
    connection-age: 10s
    requests: {path: /fruit/, json: [MANGO, 2]}
steps:
  - apply: fruit-stand
  - wait: {for: {ready: fruit-stand}}
  - sleep: 1s
  - start-traffic: shoppers
  - sleep: 10s
  - name: change the Ray version
    apply: {manifest: fruit-stand, set: {spec.rayClusterConfig.rayVersion: 2.100.0}}
  - wait: {for: {upgrade-complete: fruit-stand}}
  - wait: {for: {old-cluster-gone: fruit-stand}}
  - sleep: 5s
  - stop-traffic: shoppers
expect:
  - requests: {failed: 0}
calibration:
"""


def means() -> str:
    """Every duration at its mean, so that the story changes with the behaviour and not with a draw."""
    calibration = Calibration()
    names = [field.name for field in fields(calibration)]
    return "".join(f"  {name}: {getattr(calibration, name).mean_s * 1000:.1f}ms\n" for name in names)


def test_the_story_of_an_upgrade() -> None:
    result = run(load_text(SCENARIO + means(), "story.yaml"))
    assert result.exit_code == 0
    console = Console(width=140, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(timeline_table(timeline(result.trace), 140))
    told = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    if os.environ.get("RAYRIG_UPDATE"):
        STORY.write_text(told, encoding="utf-8")
    assert told.splitlines() == STORY.read_text(encoding="utf-8").splitlines()
