"""What the Serve controller needs of the data plane: replica processes, routers and proxy servers.

The controller decides which of them exist; what they do with requests is theirs (`execution.py`, `router.py`, `proxy_server.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject


@dataclass(frozen=True, slots=True)
class DeploymentId:
    """Identity of a deployment. Printed as Serve prints it."""

    name: str
    app: str

    def __str__(self) -> str:
        return f"Deployment(name='{self.name}', app='{self.app}')"

    @property
    def key(self) -> str:
        """`app/deployment`, as the trace names it."""
        return f"{self.app}/{self.name}"


class DeploymentCode(Protocol):
    """One deployment of a built application. `options` are those of the code, in the words of the Serve config; `children` are the
    deployments it holds handles of."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]: ...

    @property
    def children(self) -> Sequence[str]: ...


class ApplicationCode(Protocol):
    """What a build makes of an import path."""

    @property
    def ingress(self) -> str: ...

    @property
    def deployments(self) -> Mapping[str, DeploymentCode]: ...

    @property
    def docs_path(self) -> str | None: ...


class Router(Protocol):
    """One handle's router. Fed by the controller's broadcasts; `queued` and `ongoing` feed autoscaling."""

    @property
    def queued(self) -> int: ...

    @property
    def ongoing(self) -> int: ...

    def update_replicas(self, replicas: Sequence[Any]) -> None:
        """The executions that may be given requests, in order of start."""
        ...

    def set_unavailable(self, unavailable: bool) -> None:
        """The deployment failed and has no running replica: callers get an error instead of waiting."""
        ...


class Execution(Protocol):
    """A replica's process."""

    @property
    def ongoing(self) -> int: ...

    async def initialize(self, user_config: JsonObject | None) -> None:
        """Constructor, `reconfigure`, first health check. Raises what is `ReplicaFailed` in `execution.py`."""
        ...

    async def reconfigure(self, user_config: JsonObject | None) -> None: ...

    async def check_health(self) -> None: ...

    async def drain(self, wait_loop_s: float, timeout_s: float) -> None:
        """Graceful end: wait, then until nothing is ongoing, then the destructor."""
        ...

    def kill(self, reason: str) -> None: ...

    def set_max_ongoing(self, n: int) -> None: ...


class Proxy(Protocol):
    """An HTTP proxy's server. Attached to the network by whoever made it."""

    @property
    def ongoing(self) -> int: ...

    def set_routes(self, routes: Mapping[str, tuple[str, Any]]) -> None:
        """Prefix -> (application, router of its ingress deployment)."""
        ...

    def set_draining(self, draining: bool) -> None: ...

    def healthz(self) -> HttpResponse: ...

    def close(self, reset: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """Everything a replica's process is started with."""

    replica_id: str
    deployment: str
    app: str
    node_id: str
    pod_ip: str
    code: DeploymentCode
    max_ongoing_requests: int
    handles: Mapping[str, Any]


class DataPlane(Protocol):
    """Makes the parts. One for each world."""

    def build(self, import_path: str, args: JsonObject) -> ApplicationCode:
        """Import the path and call its builder. Raises whatever the user's module would raise."""
        ...

    def execution(self, spec: ReplicaSpec) -> Any: ...

    def router(self, deployment: DeploymentId, rng: Random, node_id: str | None, options: JsonObject) -> Any:
        """`node_id` for a proxy's router, which prefers local replicas; None for a handle in a replica."""
        ...

    def proxy(self, node_id: str, is_head: bool, rng: Random, http_options: JsonObject) -> Any: ...
