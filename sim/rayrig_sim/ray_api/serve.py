"""`from rayrig_sim.ray_api import serve`: the names of `ray.serve` that application code uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayrig_sim.ray_api.batching import batch
from rayrig_sim.ray_api.deployments import Application, Deployment, deployment
from rayrig_sim.ray_api.exceptions import RayServeException
from rayrig_sim.ray_api.ingress import ingress
from rayrig_sim.ray_api.multiplexing import get_multiplexed_model_id, multiplexed
from rayrig_sim.serve.asyncio_code.instance import INSTANCE, AsyncioInstance
from rayrig_sim.serve.user_code import running

__all__ = [
    "Application",
    "Deployment",
    "RayServeException",
    "ReplicaContext",
    "batch",
    "delete",
    "deployment",
    "get_app_handle",
    "get_deployment_handle",
    "get_multiplexed_model_id",
    "get_replica_context",
    "ingress",
    "multiplexed",
    "run",
    "shutdown",
    "start",
    "status",
]


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """Which replica runs the code, and the object it runs on."""

    app_name: str
    deployment: str
    replica_tag: str
    servable_object: Any

    @property
    def replica_id(self) -> str:
        return self.replica_tag


def get_replica_context() -> ReplicaContext:
    """Raises `RayServeException` outside of a replica."""
    context = running.context
    if context is None:
        raise RayServeException("`serve.get_replica_context()` may only be called from within a Ray Serve deployment.")
    instance = INSTANCE.get()
    servable = instance.servable if instance is not None else None
    return ReplicaContext(context.app, context.deployment, context.replica_id, servable)


def get_deployment_handle(deployment_name: str, app_name: str | None = None) -> Any:
    """A handle of a deployment of the same application, or of another one. Raises `RayServeException` outside of a replica."""
    instance = _instance()
    return instance.handle(deployment_name, instance.context.app if app_name is None else app_name)


def get_app_handle(name: str) -> Any:
    """A handle of the ingress of an application. Raises `RayServeException` when there is none, and outside of a replica."""
    instance = _instance()
    machine = instance.context.machine
    ingress = machine.ingress_of(name) if machine is not None else None
    if ingress is None:
        raise RayServeException(f"Application '{name}' does not exist.")
    return instance.handle(ingress, name)


def _instance() -> AsyncioInstance:
    instance = INSTANCE.get()
    if instance is None:
        raise RayServeException("a handle needs a replica around it here: bind the deployment, or ask over HTTP")
    return instance


def _for_drivers(call: str) -> Any:
    def refused(*_: Any, **__: Any) -> None:
        raise RayServeException(
            f"serve.{call} is for drivers: deploy the application through its import path, or with rayrig_backends.local_ray"
        )

    return refused


run = _for_drivers("run")
start = _for_drivers("start")
status = _for_drivers("status")
delete = _for_drivers("delete")
shutdown = _for_drivers("shutdown")
