"""What a kubelet asks of a container runtime, and what a running container answers.

A `ContainerRuntime` (the stand-in for CRI) pulls images and starts containers; a started `Container` is a simulated process: it may
end by itself, answers probes, and reacts to SIGTERM and SIGKILL. Ray's (`rayrig_sim.ray_pods`) and scripted containers for
any other pod implement the same protocol, so the kubelet knows nothing of Ray.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Signal


@dataclass(frozen=True, slots=True)
class ContainerExit:
    """How a container ended. `reason` empty: `Completed` for code 0, else `Error`.

    `message` is what it left in its termination message file, `log` the end of what it printed.
    """

    exit_code: int
    reason: str = ""
    message: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Answer of a command run in a container. `detail` says what it did and got, when it failed and its output does not tell."""

    exit_code: int
    output: str = ""
    detail: str = ""


class ExecTimeout(Exception):
    """The command did not end within its time limit. `detail` says what it waited for, if that is known."""

    detail = ""


class ExecRefused(Exception):
    """The runtime could not run the command at all."""


class ImagePullFailed(Exception):
    """The image cannot be pulled. `code` as in container status: `ErrImagePull` by default."""

    def __init__(self, message: str, code: str = "ErrImagePull") -> None:
        self.code = code
        super().__init__(message)


class SandboxFailed(Exception):
    """The pod's sandbox or network could not be set up. The kubelet tries again."""


class CreateFailed(Exception):
    """The container could not be created (`CreateContainerError`)."""


class StartFailed(Exception):
    """The container was created but its process did not start (`RunContainerError`)."""


class Container(Protocol):
    """A running container."""

    @property
    def exited(self) -> Signal[ContainerExit]: ...

    def terminate(self) -> None:
        """SIGTERM."""
        ...

    def kill(self, reason: str = "") -> None:
        """SIGKILL: exits with 137 at once; `reason` such as `OOMKilled`."""
        ...

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        """Raises `rayrig_core.http.HttpFailure`."""
        ...

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        """Raises `rayrig_core.http.HttpFailure`."""
        ...

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        """Raises `ExecTimeout` or `ExecRefused`."""
        ...


class AnswersAtOnce(ABC):
    """A container that can tell what it would answer without being asked, and without anything coming of that.

    What it tells holds until something happens to it; of an answer that would change by itself it tells nothing (None), nor of
    one that takes time.
    """

    @abstractmethod
    def get_at_once(self, port: int, path: str) -> HttpResponse | None:
        """What `http_get` would answer now."""

    @abstractmethod
    def exec_at_once(self, command: Sequence[str]) -> ExecResult | None:
        """What `exec` would answer now."""


@runtime_checkable
class ServesHttps(Protocol):
    """A container that speaks TLS on some port. One that does not implement this lets a TLS client wait until its time is up."""

    async def https_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        """Raises `rayrig_core.http.HttpFailure`. Certificates are nobody's concern."""
        ...


@runtime_checkable
class ServesGrpcHealth(Protocol):
    """A container that serves `grpc.health.v1.Health`. One that does not implement this refuses the connection."""

    async def grpc_health(self, port: int, service: str, timeout_s: float) -> str:
        """The serving status (`SERVING`, `NOT_SERVING`, `UNKNOWN`), or `NOT_FOUND` for an unknown service.

        Raises `rayrig_core.http.HttpFailure`.
        """
        ...


class ContainerRuntime(Protocol):
    """One node's container runtime."""

    def has_image(self, image: str) -> bool: ...

    async def pull_image(self, image: str, pod: JsonObject) -> int | None:
        """Takes as long as the pull takes; gives the image's size in bytes if it knows. Raises `ImagePullFailed`."""
        ...

    async def start_sandbox(self, pod: JsonObject) -> str:
        """Sets up the pod's network; returns its IP. Raises `SandboxFailed`."""
        ...

    async def stop_sandbox(self, pod: JsonObject) -> None: ...

    async def start_container(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> Container:
        """Create and start one container of `spec` (an entry of `containers` or `initContainers`).

        Raises `CreateFailed` or `StartFailed`.
        """
        ...
