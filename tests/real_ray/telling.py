"""The stories of this folder told to the model and to a real Ray, and what a real Ray gave: `python -m tests.real_ray.telling`.

It tells the stories that are named, all without names, to a real Ray (of this interpreter, or of $RAYRIG_RAY_PYTHON) and keeps
what came of them, for the tests that have no Ray.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rayrig_backends.dashboard_differential.normal_form import VOLATILE, normal_text
from rayrig_backends.dashboard_differential.outcome import Finding, compare
from rayrig_backends.dashboard_differential.sides import HttpSide, ModelledSide
from rayrig_backends.dashboard_differential.stories import Story, read_stories
from rayrig_backends.dashboard_differential.telling import Turn, tell
from rayrig_backends.dashboard_server.ray_machines import RayMachines
from rayrig_backends.real_ray.local import RealRay, RealRaySettings
from rayrig_core.objects import JsonObject
from rayrig_sim.ray_api.modules import ray_modules
from rayrig_sim.ray_api.registry import AppDirRegistry

HERE = Path(__file__).parent
APPS = HERE / "apps"
_RECORDED = HERE / "recorded.json"


def settings(*, redis: bool = False) -> RealRaySettings:
    python = Path(os.environ.get("RAYRIG_RAY_PYTHON", sys.executable))
    return RealRaySettings(app_dir=APPS, python=python, redis=redis)


def stories() -> list[Story]:
    return read_stories(HERE / "stories")


def told_to_the_model(story: Story) -> list[Turn]:
    with ray_modules():
        return tell(ModelledSide(RayMachines(AppDirRegistry(APPS))), story)


def differences(story: Story, real: Sequence[Turn]) -> list[Finding]:
    return compare(story, told_to_the_model(story), real)


def recorded() -> dict[str, tuple[float, list[Turn]]]:
    """By story: how many seconds it took, and its turns."""
    entries = json.loads(_RECORDED.read_text(encoding="utf-8"))
    return {each["name"]: (each["took_s"], [Turn(**turn) for turn in each["turns"]]) for each in entries}


def _record(ray: RealRay, chosen: Sequence[Story]) -> Iterator[JsonObject]:
    side = HttpSide(ray.url, ray.proxy_url)
    for story in chosen:
        began_s = time.monotonic()
        turns = tell(side, story)
        took_s = round(time.monotonic() - began_s, 1)
        print(f"{took_s:6.1f} s  {story.name}", flush=True)
        for finding in differences(story, turns):
            print(f"    {finding.difference}", flush=True)
        yield {"name": story.name, "took_s": took_s, "turns": [_folded(turn.as_json()) for turn in turns]}


def _folded(value: Any, name: str = "") -> Any:
    """Without frames of tracebacks, paths of this machine, and readings of the controller's health."""
    if isinstance(value, dict):
        if name == "controller_health_metrics":
            return dict.fromkeys(value)
        return {key: _folded(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_folded(item) for item in value]
    return normal_text(value) if isinstance(value, str) and name not in VOLATILE else value


def main() -> None:
    names = sys.argv[1:]
    every = stories()
    known = {entry["name"]: entry for entry in json.loads(_RECORDED.read_text(encoding="utf-8"))} if names else {}
    with RealRay(settings()) as ray:
        for entry in _record(ray, [story for story in every if not names or story.name in names]):
            known[entry["name"]] = entry
    text = ",\n".join(json.dumps(known[story.name], ensure_ascii=False) for story in every)
    _RECORDED.write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
