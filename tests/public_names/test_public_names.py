"""What `import rayrig` offers, what it loads, and that every module can be the first one imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import rayrig

ROOTS = (
    "rayrig",
    "rayrig_core",
    "rayrig_controllers",
    "rayrig_sim",
    "rayrig_fakes",
    "rayrig_backends",
    "rayrig_scenarios",
)

#: Where people and the rooms above begin.
ENTRANCES = (
    "rayrig.cli",
    "rayrig.pytest_plugin",
    "rayrig_backends.memory",
    "rayrig_backends.world",
    "rayrig_controllers.operator",
    "rayrig_core.ports",
    "rayrig_core.resources.validation",
    "rayrig_fakes.dashboard",
    "rayrig_fakes.kubernetes.client",
    "rayrig_fakes.kubernetes.server",
    "rayrig_scenarios.api",
    "rayrig_scenarios.determinism",
    "rayrig_scenarios.language.load",
    "rayrig_scenarios.runner",
    "rayrig_sim.kernel",
    "rayrig_sim.ray_pods.runtime",
    "rayrig_sim.serve.local",
    "rayrig_sim.traffic.open_loop",
)


def told_by_a_new_process(script: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", [name for name in rayrig.__all__ if name != "__version__"])
def test_a_public_name_is_what_its_home_calls_so(name: str) -> None:
    assert getattr(rayrig, name) is getattr(import_module(rayrig._HOMES[name]), name)


def test_every_public_name_has_a_home_and_is_listed() -> None:
    assert {*rayrig._HOMES, "__version__"} == set(rayrig.__all__)
    assert set(rayrig.__all__) <= set(dir(rayrig))


def test_what_is_no_public_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'rayrig' has no attribute 'rum'"):
        _ = rayrig.rum


def test_import_rayrig_loads_nothing_below_and_none_of_the_heavy_packages() -> None:
    heavy = ("asyncio", "fastapi", "httpx", "kubernetes", "pydantic", "rich", "simpy", "starlette", "typer", "yaml")
    script = f"import sys, rayrig; print([m for m in sys.modules if m.startswith('rayrig') or m in {heavy!r}])"
    assert told_by_a_new_process(script) == "['rayrig']"


def test_every_entrance_can_be_the_first_import() -> None:
    script = f"""
import importlib, sys
for name in {(*ROOTS, *ENTRANCES)!r}:
    for loaded in [m for m in sys.modules if m.partition(".")[0] in {ROOTS!r}]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    told_by_a_new_process(script)


def test_every_module_can_be_imported() -> None:
    """No order matters: import-linter sees to it that there are no loops. Packages that only extras bring may be absent."""
    script = f"""
import importlib, pkgutil
for root in {ROOTS!r}:
    for module in pkgutil.walk_packages(importlib.import_module(root).__path__, root + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as absent:
                assert absent.name.partition(".")[0] not in {ROOTS!r}, absent
"""
    told_by_a_new_process(script)
