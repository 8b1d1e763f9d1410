"""A fake Kubernetes that others can connect to: the API server on a socket, the built-in controllers and the scheduler beside it,
on wall time. There are no nodes and no kubelets unless somebody brings them.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, TypeVar

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.storage_class import STANDARD_CLASS
from rayrig_core.errors import ApiError, InputError
from rayrig_core.faultpoints import FaultCounter
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, STORAGE_CLASS, ResourceType
from rayrig_fakes.kubernetes.authorization import service_account_tokens
from rayrig_fakes.kubernetes.bootstrap import add_own_objects
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.fault_rules import InsiderFaults
from rayrig_fakes.kubernetes.http.app import KubernetesApp
from rayrig_fakes.kubernetes.http.serving import LOOPBACK, HttpServer, event_loop, listening_socket
from rayrig_fakes.kubernetes.http.wakeups import Wakeups
from rayrig_fakes.kubernetes.identity import ADMIN, MASTERS, UserInfo
from rayrig_fakes.kubernetes.kubeconfig import kubeconfig, write_kubeconfig
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.store import wake_at_once
from rayrig_fakes.kubernetes.tokens import Tokens
from rayrig_sim.randomness import Streams

Authorization: TypeAlias = Literal["AlwaysAllow", "RBAC"]

T = TypeVar("T")

_TRACE_KEEP = 20_000


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """How the fake is served. Uids, suffixes and addresses come from `seed`; `port` 0 is any free one.

    `users` are by token; where there are none, everyone is the administrator. `history_limit` changes are kept per resource: a
    watcher that falls further behind gets 410. `http` reaches what the model serves at the addresses of pods. `audit_log` is a file
    that gets a line of JSON (audit.k8s.io/v1) for each request. With `service_accounts` each namespace gets its account `default`.
    """

    port: int = 0
    tls: bool = False
    users: dict[str, UserInfo] = field(default_factory=dict)
    authorization: Authorization = "AlwaysAllow"
    definitions: Sequence[JsonObject] = ()
    controllers: bool = True
    scheduler: bool = True
    node_lifecycle: bool = True
    service_accounts: bool = False
    faults: FaultCounter | None = None
    http: HttpClient | None = None
    audit_log: Path | None = None
    seed: int = 0
    history_limit: int = 20_000


class ServedKubernetes:
    """Made outside the event loop (the socket listens at once), run inside it."""

    def __init__(self, options: KubernetesOptions | None = None) -> None:
        """Raises `InputError`: the port is taken, a definition is not valid, a package is missing."""
        self.options = options = options or KubernetesOptions()
        self._streams = Streams(options.seed)
        self.api = ApiServer(time.time_ns, self._streams.stream("api-server"), history_limit=options.history_limit)
        for definition in options.definitions:
            try:
                self.api.add_definitions((definition,))
            except ApiError as refused:
                raise InputError(refused.message) from None
        users = dict(options.users)
        if options.authorization == "RBAC" and not users:
            # Somebody must be allowed something: an administrator whose token is in the kubeconfig only.
            users[secrets.token_urlsafe(24)] = ADMIN
        self._users = users
        self.api.state.find_user = users.get
        if options.authorization == "RBAC":
            from rayrig_fakes.kubernetes.authorization.bootstrap import enforce_rbac

            enforce_rbac(self.api.state)
        self.app = KubernetesApp(
            self.api,
            self._streams.stream("watch-timeouts"),
            tokens=Tokens(
                users,
                anonymous=options.authorization == "RBAC",
                issued=lambda token: service_account_tokens.user_of(self.api.state, token),
            ),
            faults=options.faults,
            http=options.http,
        )
        self._audit_file = self._open_audit_log()
        listener = listening_socket(options.port)
        self.port: int = listener.getsockname()[1]
        add_own_objects(self.api, self.port)
        self._authority = b""
        self._client: tuple[bytes, bytes] | None = None
        self._on_ready: Callable[[], None] = lambda: None
        self._failure: tuple[str, Exception] | None = None
        try:
            self._http = self._http_server(listener)
        except BaseException:
            listener.close()
            raise
        self.url = self._http.url
        self.runtime: AsyncioRuntime | None = None

    def _open_audit_log(self) -> TextIO | None:
        path = self.options.audit_log
        if path is None:
            return None
        try:
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write: {error.strerror}", where=str(path)) from None
        self.app.audit.write_to(file)
        return file

    def _http_server(self, listener: object) -> HttpServer:
        import socket

        assert isinstance(listener, socket.socket)
        if not self.options.tls:
            return HttpServer(self.app, listener, on_ready=self._ready)
        from rayrig_fakes.kubernetes.certificates import serving_certificate

        _, user = self._first_user()
        made = serving_certificate(("localhost", LOOPBACK), time.time_ns(), user.name, user.groups)
        self._authority = made.authority
        self._client = made.client_certificate, made.client_key
        self.app.knows_certificates = True
        with tempfile.TemporaryDirectory(prefix="rayrig-") as folder:
            # The key is read from a file, once.
            certificate, key, authority = (Path(folder, name) for name in ("tls.crt", "tls.key", "ca.crt"))
            authority.write_bytes(made.authority)
            certificate.write_bytes(made.certificate)
            key.touch(0o600)
            key.write_bytes(made.key)
            return HttpServer(self.app, listener, certificate=(certificate, key, authority), on_ready=self._ready)

    def kubeconfig(self) -> JsonObject:
        """For the first administrator among the users, otherwise the first user; with https with a certificate, too."""
        token, user = self._first_user()
        return kubeconfig(self.url, authority=self._authority, token=token, user=user.name, certificate=self._client)

    def _first_user(self) -> tuple[str, UserInfo]:
        for candidate in sorted(self._users.items(), key=lambda each: MASTERS not in each[1].groups):
            return candidate
        return "", ADMIN

    # Running

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. Raises what left an actor."""
        self._on_ready = on_ready
        self.runtime = runtime = AsyncioRuntime(trace_keep=_TRACE_KEEP, on_failure=self._failed)
        self.api.state.trace = runtime.trace
        store = self.api.state.store
        store.on_change = Wakeups(runtime.loop).changed
        try:
            await self._http.serve()
        finally:
            store.on_change = wake_at_once
            if self._audit_file is not None:
                self._audit_file.close()
            await runtime.stop()
        if self._failure is not None:
            raise RuntimeError(f"actor {self._failure[0]} failed") from self._failure[1]

    def _start_controllers(self, runtime: AsyncioRuntime) -> None:
        """They come up when the API server answers, as in a real cluster: their import takes as long as starting to serve."""
        from rayrig_sim.calibration import Calibration, Uniform
        from rayrig_sim.kubernetes.control_plane import ControlPlane
        from rayrig_sim.kubernetes.controller_names import ControllerName
        from rayrig_sim.kubernetes.nodes.heartbeats import LeaseHeartbeats
        from rayrig_sim.kubernetes.object_cache import ObjectCaches

        faults = InsiderFaults(self.app.faults, self.options.faults)

        def connect(actor: str) -> InProcessClient:
            return InProcessClient(self.api, runtime, actor=actor, faults=faults)

        nodes = ObjectCaches(runtime, connect("node-leases"), component="node-leases")
        plane = ControlPlane(
            runtime,
            self._streams,
            connect,
            # What they take is, for the most part, a real API server's time for writes; this one answers in a tenth of it.
            Calibration(endpoints_latency=Uniform(0.001, 0.005)),
            liveness=LeaseHeartbeats(runtime, nodes),
            ownable=self._ownable(),
            workloads=True,
            service_accounts=self.options.service_accounts,
            volumes=True,
            leave_out=() if self.options.node_lifecycle else (ControllerName.NODE_LIFECYCLE,),
        )
        plane.start(scheduler=self.options.scheduler)
        if self.options.scheduler:
            # Its volumes wait for a node to be chosen: whoever schedules brings classes of his own.
            self.api.call(ApiCall("create", STORAGE_CLASS, body=copy_json(STANDARD_CLASS), trusted=True))
        plane.start_volumes()
        definitions = ObjectCaches(runtime, connect("custom-resources"), component="custom-resources")

        def definition_changed(*_: object) -> None:
            plane.follow(self._ownable())

        definitions.of(CUSTOM_RESOURCE_DEFINITION).on_change(definition_changed)

    def _ownable(self) -> list[ResourceType]:
        """Everything that is served, each resource in one version."""
        types: dict[str, ResourceType] = {}
        for served in self.api.state.registry:
            if not served.verbs:
                types.setdefault(served.storage, served.type)
        return list(types.values())

    def _ready(self) -> None:
        self._on_ready()
        if self.options.controllers and self.runtime is not None:
            self._start_controllers(self.runtime)

    def _failed(self, name: str, error: Exception) -> None:
        self._failure = (name, error)
        self.stop()

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        self._http.stop()


class KubernetesThread:
    """A served fake on a loop in a thread of its own: for tests and notebooks.

    `url` is where it answers; `kubeconfig` the file that `KUBECONFIG` is to name, when one was asked for.
    """

    def __init__(self, options: KubernetesOptions | None = None, *, kubeconfig: Path | None = None) -> None:
        """Raises `InputError`, as `ServedKubernetes` does."""
        self.served = ServedKubernetes(options)
        self.url = self.served.url
        self.kubeconfig = kubeconfig
        self._ready = threading.Event()
        self._loop = event_loop()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="rayrig-kubernetes", daemon=True)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self.served.run(self._ready.set))
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()
            self._loop.close()

    def start(self) -> None:
        """Returns when requests are answered."""
        if self.kubeconfig is not None:
            write_kubeconfig(self.kubeconfig, self.served.kubeconfig())
        self._thread.start()
        self._ready.wait()
        self._raise()

    def stop(self) -> None:
        """Raises what went wrong in the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.served.stop)
        self._thread.join()
        self._raise()

    def ask(self, question: Callable[[ApiServer], T], timeout_s: float = 10.0) -> T:
        """What `question` finds out from the server, asked in the server's own thread: `ask(lambda api: api.objects(POD))`."""
        return self._in_loop(lambda: question(self.served.api), timeout_s)

    def _in_loop(self, question: Callable[[], T], timeout_s: float = 10.0) -> T:
        answer: Future[T] = Future()

        def find_out() -> None:
            try:
                answer.set_result(question())
            except Exception as error:
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(find_out)
        return answer.result(timeout_s)

    # Faults and past requests

    def fault(self, kind: str, **how: Any) -> int:
        """Set a fault, in the words of `POST /rayrig/faults` with underscores; its number, for `end_fault`.

        `fault("error", verb="create", resource="pods", count=3, code=503, retry_after=2)`. Raises `ApiError` for what is no fault.
        """
        spec = {"retryAfter" if name == "retry_after" else name: value for name, value in how.items()}
        return self._in_loop(lambda: self.served.app.faults.add({"kind": kind, **spec}).id)

    def faults(self) -> list[JsonObject]:
        """The faults that are set, with how often each has struck."""
        return self._in_loop(lambda: [rule.as_json() for rule in self.served.app.faults.all()])

    def end_fault(self, number: int | None = None) -> None:
        """End one fault, or all of them."""

        def end() -> None:
            faults = self.served.app.faults
            rule = faults.find(number) if number is not None else None
            if number is None:
                faults.clear()
            elif rule is not None:
                faults.remove(rule)

        self._in_loop(end)

    def requests(self) -> list[JsonObject]:
        """The last requests, oldest first, as events of audit.k8s.io/v1: who, what, when, and how it ended (K8-083)."""
        return self._in_loop(lambda: list(self.served.app.audit.events()))

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> KubernetesThread:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
