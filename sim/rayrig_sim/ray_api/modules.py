"""`ray` and `ray.serve` as modules that user code can import, where no Ray is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rayrig_core.resources import serve_deployment_schema as deployment
from rayrig_core.resources import serve_schema
from rayrig_core.resources.serve_schema_parts import LoggingConfig
from rayrig_sim.ray_api import metrics, ray, serve
from rayrig_sim.serve import calls, handles
from rayrig_sim.serve.asyncio_code import patches

#: Of Ray's own names those that configurations are written with, as Ray's modules have them.
_CONFIG = (
    deployment.AutoscalingConfig,
    deployment.AutoscalingPolicy,
    serve_schema.ControllerOptions,
    deployment.DeploymentActorConfig,
    deployment.GangSchedulingConfig,
    serve_schema.ProxyLocation,
    deployment.RequestRouterConfig,
)
_SCHEMA = (
    deployment.DeploymentSchema,
    LoggingConfig,
    deployment.RayActorOptionsSchema,
    serve_schema.ServeApplicationSchema,
    serve_schema.ServeDeploySchema,
    serve_schema.TracingConfig,
)


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(contents)

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        raise AttributeError(
            f"{name}.{attribute} is not there: rayrig has those parts of Ray that Serve applications use (docs/user-code.md)"
        )

    made.__dict__["__getattr__"] = missing
    return made


class _NoFurther:
    """Tells of the other parts of Ray that they are not here (a finder of modules)."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name.startswith("ray."):
            raise ModuleNotFoundError(
                f"No module named {name!r} here: rayrig has those parts of Ray that Serve applications use "
                "(docs/user-code.md)",
                name=name,
            )


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
    config = _module(
        "ray.serve.config",
        {
            **{kind.__name__: kind for kind in _CONFIG},
            "HTTPOptions": serve_schema.HTTPOptionsSchema,
            "gRPCOptions": serve_schema.gRPCOptionsSchema,
        },
    )
    schema = _module("ray.serve.schema", {kind.__name__: kind for kind in _SCHEMA})
    kinds = {"Counter": metrics.Counter, "Gauge": metrics.Gauge, "Histogram": metrics.Histogram}
    serve_metrics, util_metrics = _module("ray.serve.metrics", kinds), _module("ray.util.metrics", kinds)
    ray_exceptions = _module("ray.exceptions", {"RayActorError": calls.ReplicaDied, "RayError": calls.CallFailed})
    parts = {
        "exceptions": exceptions,
        "handle": handle,
        "config": config,
        "schema": schema,
        "metrics": serve_metrics,
        "HTTPOptions": serve_schema.HTTPOptionsSchema,
    }
    serve_module = _module("ray.serve", {**public, **parts})
    util = _module("ray.util", {"metrics": util_metrics})
    names = ("init", "is_initialized", "get_actor", "get_runtime_context", "kill", "get")
    top = _module(
        "ray",
        {
            **{name: getattr(ray, name) for name in names},
            "serve": serve_module,
            "exceptions": ray_exceptions,
            "util": util,
            "__version__": "2.60.0",
        },
    )
    found = {"ray": top, "ray.serve": serve_module}
    for module in (exceptions, handle, config, schema, serve_metrics, util, util_metrics, ray_exceptions):
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
    finder: Any = _NoFurther()
    sys.meta_path.insert(0, finder)
    try:
        with patches.installed():
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
            del sys.modules[name]
        sys.modules.update(before)
