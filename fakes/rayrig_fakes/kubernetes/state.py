"""What the parts of one server share: storage, registry, clock, randomness, trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind, Trace
from rayrig_fakes.kubernetes.container_logs import PodLogs
from rayrig_fakes.kubernetes.identity import AlwaysAllow, Authorizer, UserInfo
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.registry import Registry, Served
from rayrig_fakes.kubernetes.storage.store import Collection, Store


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command left behind."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""


#: Runs a command (its words) in a container of a pod.
RunCommand: TypeAlias = Callable[[JsonObject, str, list[str]], CommandResult | None]


class ServerState:
    """Handed to everything that reads or writes. Holds no rules of its own."""

    __slots__ = (
        "authorizer",
        "find_user",
        "now_unix_ns",
        "pod_logs",
        "registry",
        "rng",
        "run_command",
        "store",
        "trace",
    )

    def __init__(
        self, store: Store, registry: Registry, now_unix_ns: Callable[[], int], rng: Random, trace: Trace | None
    ) -> None:
        self.store = store
        self.registry = registry
        self.now_unix_ns = now_unix_ns
        self.rng = rng
        self.trace = trace
        #: Decides what users may do, and answers reviews of it. Who serves requests asks it before each.
        self.authorizer: Authorizer = AlwaysAllow()
        #: User of a bearer token other than a service account's.
        self.find_user: Callable[[str], UserInfo | None] = lambda token: None
        #: Answers commands that are executed in containers; None where there is no such command.
        self.run_command: RunCommand | None = None
        #: What containers have written, for whoever asks for logs.
        self.pod_logs = PodLogs()

    def collection(self, served: Served) -> Collection:
        return self.store.collection(served.storage)

    def lookup(self, storage: str, key: str) -> JsonObject | None:
        found = self.store.collection(storage).get(key)
        return found.obj if found is not None else None

    def admission(self, dry_run: bool = False) -> Admission:
        return Admission(self.now_unix_ns(), self.rng, self.lookup, dry_run)

    def emit_write(self, verb: str, served: Served, key: str, detail: str = "") -> int | None:
        """Trace event of the write that is about to take the next revision."""
        if self.trace is None:
            return None
        of = served.subject
        return self.trace.emit(Kind.API_WRITE, f"{of}/{key}", verb, of, self.store.revision + 1, detail)
