"""`ray` and `ray.serve` as modules that user code can import, where no Ray is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rayrig_core.resources.serve_schema import AutoscalingConfig
from rayrig_sim.ray_api import ray, serve
from rayrig_sim.serve import calls, handles
from rayrig_sim.serve.asyncio_code import patches


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(contents)
    return made


def _modules() -> dict[str, ModuleType]:
    public = {name: value for name, value in vars(serve).items() if not name.startswith("_") and name != "annotations"}
    exceptions = _module(
        "ray.serve.exceptions",
        {
            "RayServeException": serve.RayServeException,
            "BackPressureError": calls.BackPressure,
            "DeploymentUnavailableError": calls.DeploymentUnavailable,
            "RequestCancelledError": calls.CallCancelled,
        },
    )
    handle = _module(
        "ray.serve.handle",
        {
            "DeploymentHandle": handles.DeploymentHandle,
            "DeploymentResponse": handles.DeploymentResponse,
            "DeploymentResponseGenerator": handles.DeploymentResponseGenerator,
        },
    )
    config = _module("ray.serve.config", {"AutoscalingConfig": AutoscalingConfig})
    ray_exceptions = _module("ray.exceptions", {"RayActorError": calls.ReplicaDied, "RayError": calls.CallFailed})
    serve_module = _module("ray.serve", {**public, "exceptions": exceptions, "handle": handle, "config": config})
    names = ("init", "is_initialized", "get_actor", "kill", "get")
    top = _module(
        "ray",
        {
            **{name: getattr(ray, name) for name in names},
            "serve": serve_module,
            "exceptions": ray_exceptions,
            "__version__": "2.60.0",
        },
    )
    found = {"ray": top, "ray.serve": serve_module}
    for module in (exceptions, handle, config, ray_exceptions):
        found[module.__name__] = module
    for module in found.values():
        # A package, as far as imports are concerned.
        module.__path__ = []
    return found


@contextmanager
def ray_modules() -> Iterator[None]:
    """Within the block imports of `ray` find these modules, and clocks and sleeps of user code are virtual (`patches`).

    What was imported before under those names is there again afterwards.
    """
    ours = _modules()
    before = {name: module for name, module in sys.modules.items() if name == "ray" or name.startswith("ray.")}
    for name in before:
        del sys.modules[name]
    sys.modules.update(ours)
    try:
        with patches.installed():
            yield
    finally:
        for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
            del sys.modules[name]
        sys.modules.update(before)
