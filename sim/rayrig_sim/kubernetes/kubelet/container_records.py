"""What a node's container runtime knows of a pod: its sandbox and its containers, running and dead.

These records outlive the kubelet that made them, as the containers do. The kubelet sees an exit only with its next look (relist),
so readers say at which moment they look: an exit that was not seen by then has not happened for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from rayrig_core.objects import JsonObject
from rayrig_sim.kubernetes.kubelet.containers import Container, ContainerExit


@lru_cache(maxsize=1024)
def image_id(image: str) -> str:
    """A digest for an image name, in the form container statuses show."""
    repository = image.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    return f"{repository}@sha256:{blake2b(image.encode(), digest_size=32).hexdigest()}"


@dataclass(slots=True, eq=False)
class ContainerRecord:
    """One created container. `container` is None when its process never started. Times are Unix nanoseconds."""

    name: str
    attempt: int
    container_id: str
    image: str
    container: Container | None
    started_ns: int
    exit: ContainerExit | None = None
    finished_ns: int | None = None
    #: When the kubelet looked and saw the exit.
    seen_ns: int | None = None
    #: Trace event of what was last done to it.
    cause: int | None = None

    def has_exited(self, now_ns: int) -> bool:
        """Whether the kubelet knows by then that the container has ended."""
        return self.seen_ns is not None and self.seen_ns <= now_ns

    @property
    def is_running(self) -> bool:
        return self.finished_ns is None

    @property
    def exit_reason(self) -> str:
        if self.exit is None:
            return ""
        return self.exit.reason or ("Completed" if self.exit.exit_code == 0 else "Error")


@dataclass(slots=True, eq=False)
class PodRecord:
    """Sandbox and containers of one pod (by uid).

    `on_exit` is called at the moment a container has ended and tells when that will be seen (Unix nanoseconds).
    """

    #: Its object as last seen.
    pod: JsonObject
    ip: str = ""
    sandbox_is_ready: bool = False
    #: How many sandboxes the pod has had.
    sandboxes: int = 0
    #: Of each container the newest attempt and the one before it, oldest first.
    containers: dict[str, list[ContainerRecord]] = field(default_factory=dict)

    on_exit: Callable[[ContainerRecord], int] | None = None

    def newest(self, name: str) -> ContainerRecord | None:
        attempts = self.containers.get(name)
        return attempts[-1] if attempts else None

    def previous(self, name: str) -> ContainerRecord | None:
        attempts = self.containers.get(name)
        return attempts[-2] if attempts and len(attempts) > 1 else None

    def add(self, record: ContainerRecord) -> None:
        """Remember a new attempt; of the dead ones only the newest is kept."""
        attempts = self.containers.setdefault(record.name, [])
        attempts.append(record)
        if len(attempts) > 2:
            del attempts[0]

    def see_all(self) -> None:
        """Somebody asked the runtime itself: every exit is known."""
        for attempts in self.containers.values():
            for record in attempts:
                if record.finished_ns is not None:
                    record.seen_ns = record.finished_ns

    def running(self) -> list[ContainerRecord]:
        return [attempts[-1] for attempts in self.containers.values() if attempts[-1].is_running]


def container_id(uid: str, name: str, attempt: int, sandbox: int = 0) -> str:
    """Identity of one attempt, a function of what it is of."""
    return "rayrig://" + blake2b(f"{uid}/{sandbox}/{name}/{attempt}".encode(), digest_size=32).hexdigest()
