"""rayrig: a test rig for Ray Serve on Kubernetes.

The public names, which `import rayrig` offers and loads when they are first used:

    result = rayrig.run(rayrig.load("zero-downtime-upgrade"), seed=7)     # a scenario, by name, path or RayService manifest
    assert result.verdict is rayrig.Verdict.PASS

    rig = rayrig.Rig(seed=7)                                              # the same in single steps; as pytest fixture: `rayrig`
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand")

    outcomes = rayrig.verify("deploy", seeds=range(10))                   # does a run depend on scenario and seed alone?

What does not come true raises `Broken`, an `AssertionError`; input that cannot be used raises `InputError`, one line with place and
remedy. Everything else lives in the packages below and may change from release to release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rayrig_core.errors import InputError
    from rayrig_scenarios.api import Broken, Rig
    from rayrig_scenarios.determinism import verify
    from rayrig_scenarios.language.load import load
    from rayrig_scenarios.language.scenario import Scenario
    from rayrig_scenarios.results import RunResult, Verdict
    from rayrig_scenarios.runner import run

__version__ = "0.1.0"

__all__ = ["Broken", "InputError", "Rig", "RunResult", "Scenario", "Verdict", "__version__", "load", "run", "verify"]

_HOMES = {
    "Broken": "rayrig_scenarios.api",
    "InputError": "rayrig_core.errors",
    "Rig": "rayrig_scenarios.api",
    "RunResult": "rayrig_scenarios.results",
    "Scenario": "rayrig_scenarios.language.scenario",
    "Verdict": "rayrig_scenarios.results",
    "load": "rayrig_scenarios.language.load",
    "run": "rayrig_scenarios.runner",
    "verify": "rayrig_scenarios.determinism",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
