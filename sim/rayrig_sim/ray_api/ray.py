"""`from rayrig_sim.ray_api import ray`: as much of `ray` as code in a Serve replica uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayrig_sim.serve.handles import DeploymentResponse
from rayrig_sim.serve.user_code import Machine, running


@dataclass(frozen=True, slots=True)
class ActorHandle:
    """A named actor of the Serve instance."""

    name: str


def init(*_: Any, **__: Any) -> None:
    """A replica is connected to its cluster already."""


def is_initialized() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class RuntimeContext:
    """Where the code runs."""

    node_id: str
    actor_name: str

    def get_node_id(self) -> str:
        return self.node_id

    def get_actor_name(self) -> str:
        return self.actor_name


def get_runtime_context() -> RuntimeContext:
    """Raises `RuntimeError` outside of a replica."""
    context = running.context
    if context is None:
        raise RuntimeError("there is no replica around this code")
    name = f"SERVE_REPLICA::{context.app}#{context.deployment}#{context.replica_id}"
    return RuntimeContext(context.node_id, name)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """Whether there is one shows when something is asked of it."""
    return ActorHandle(name)


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """Its process ends. Raises `ValueError` when there is none of that name, `RuntimeError` where there is no cluster."""
    _machine().kill_actor(actor.name, no_restart)


def get(value: Any, timeout: float | None = None) -> Any:
    """What a response stands for, in code that may block."""
    if isinstance(value, list):
        return [get(each, timeout) for each in value]
    return value.result(timeout) if isinstance(value, DeploymentResponse) else value


def _machine() -> Machine:
    context = running.context
    if context is None or context.machine is None:
        raise RuntimeError("there is no cluster around this code")
    return context.machine
