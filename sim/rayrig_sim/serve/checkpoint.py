"""The controller's checkpoint: what survives its process, in the GCS's key-value store.

Source: ray-serve.md 1 (keys), 5.10. Counts, targets, documents and the shutdown flag are in it; statuses, failure counters, delay
timers and builds under way are not. The code of an application is part of it, as the serialised deployments are in life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_sim.serve.application_code import ApplicationCode
from rayrig_sim.serve.deployment_config import DeploymentInfo
from rayrig_sim.serve.deployment_update import DeploymentTarget
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.target_capacity import Direction

_PREFIX = "ray-serve-serve-"
CONFIG_KEY = _PREFIX + "serve-app-config-checkpoint"
APPLICATIONS_KEY = _PREFIX + "serve-application-state-checkpoint"
DEPLOYMENTS_KEY = _PREFIX + "serve-deployment-state-checkpoint"
SHUTDOWN_KEY = _PREFIX + "serve-shutdown-in-progress"
_KEYS = (CONFIG_KEY, APPLICATIONS_KEY, DEPLOYMENTS_KEY, SHUTDOWN_KEY)


@dataclass(frozen=True, slots=True)
class SavedConfig:
    """Of the last document."""

    target_capacity: float | None = None
    direction: Direction | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SavedApplication:
    """`code` and `infos` are None when it was not built."""

    state: JsonObject
    code: ApplicationCode | None
    infos: dict[str, DeploymentInfo] | None


@dataclass(frozen=True, slots=True)
class SavedDeployment:
    target: DeploymentTarget
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a new controller begins with."""

    config: SavedConfig = field(default_factory=SavedConfig)
    applications: Mapping[str, SavedApplication] = field(default_factory=dict)
    deployments: Mapping[DeploymentId, SavedDeployment] = field(default_factory=dict)
    is_shutting_down: bool = False


def save(kv: dict[str, Any], checkpoint: Checkpoint) -> None:
    kv[CONFIG_KEY] = checkpoint.config
    kv[APPLICATIONS_KEY] = dict(checkpoint.applications)
    kv[DEPLOYMENTS_KEY] = dict(checkpoint.deployments)
    kv[SHUTDOWN_KEY] = checkpoint.is_shutting_down


def load(kv: Mapping[str, Any]) -> Checkpoint | None:
    """None when no instance left one."""
    if CONFIG_KEY not in kv:
        return None
    return Checkpoint(kv[CONFIG_KEY], kv[APPLICATIONS_KEY], kv[DEPLOYMENTS_KEY], kv[SHUTDOWN_KEY])


def erase(kv: dict[str, Any]) -> None:
    """The instance was shut down."""
    for key in _KEYS:
        kv.pop(key, None)
