"""`from rayrig_sim.ray_api import serve`: the names of `ray.serve` that application code uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayrig_sim.ray_api.batching import batch
from rayrig_sim.ray_api.deployments import Application, Deployment, deployment
from rayrig_sim.ray_api.exceptions import RayServeException
from rayrig_sim.ray_api.ingress import ingress
from rayrig_sim.ray_api.multiplexing import get_multiplexed_model_id, multiplexed
from rayrig_sim.serve.asyncio_code.instance import INSTANCE
from rayrig_sim.serve.user_code import running

__all__ = [
    "Application",
    "Deployment",
    "RayServeException",
    "ReplicaContext",
    "batch",
    "deployment",
    "get_deployment_handle",
    "get_multiplexed_model_id",
    "get_replica_context",
    "ingress",
    "multiplexed",
    "run",
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
    servable = instance.object if instance is not None else None
    return ReplicaContext(context.app, context.deployment, context.replica_id, servable)


def get_deployment_handle(deployment_name: str, app_name: str | None = None) -> Any:
    """A handle of a deployment of the same application. Raises `RayServeException` outside of a replica, or for another one."""
    instance = INSTANCE.get()
    if instance is None:
        raise RayServeException("a handle needs a replica around it here: bind the deployment, or ask over HTTP")
    if app_name not in (None, instance.context.app):
        raise RayServeException(f"no handle into application {app_name!r}: only into the replica's own")
    return instance.handle(deployment_name)


def run(target: Application, **_: Any) -> None:
    """Applications do not deploy themselves here. Raises `RayServeException`."""
    raise RayServeException(
        "serve.run is for drivers: deploy the application through its import path, or with rayrig_backends.local_ray"
    )
