"""Containers that play a script: what they answer when, how they end, how they take SIGTERM, how their images pull.

The vocabulary, and the form in which scripts are played, is that of `container_scripts`. Where a network is given, a container
listens there on the ports of its `http`, so that requests to its pod, through a Service or not, are answered as probes are. A pod
without a script runs for ever and listens nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, annotations_of, uid_of
from rayrig_core.ports import Runtime, Signal
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet import health_commands
from rayrig_sim.kubernetes.kubelet.container_scripts import Script, read_pod
from rayrig_sim.kubernetes.kubelet.containers import (
    AnswersAtOnce,
    ContainerExit,
    CreateFailed,
    ExecRefused,
    ExecResult,
    ExecTimeout,
    ImagePullFailed,
    SandboxFailed,
    StartFailed,
)

#: The annotation that holds a pod's script as JSON.
SCRIPT_ANNOTATION = "script"
_BIG_BODY = "x" * 20_000
_TERM_AFTER_S = 0.05
_SIGTERM, _SIGKILL = 143, 137
#: A process hears of a signal a moment after it was sent.
_REACTION_S = 0.001
#: gRPC status codes as the container runtime's errors show them.
_RPC_CODES = {"NOT_FOUND": "NotFound", "UNAVAILABLE": "Unavailable", "UNKNOWN": "Unknown", "INTERNAL": "Internal"}


#: Takes what a container writes: its pod, its name, the text, and whether a new run of it begins.
WriteLog = Callable[[JsonObject, str, str, bool], None]


class Ports(Protocol):
    """What containers need of a network (`rayrig_sim.network.Network`)."""

    def listener(self, ip: str, port: int) -> object | None: ...

    def listen(self, ip: str, port: int, listener: object) -> None: ...

    def close(self, ip: str, port: int) -> None: ...


def annotated_script(pod: JsonObject) -> Script:
    """The script in the pod's annotation; empty when there is none. Raises `ValueError` for text that is no script in JSON."""
    text = annotations_of(pod).get(SCRIPT_ANNOTATION)
    return _script_in(text) if text else {}


@lru_cache(maxsize=1024)
def _script_in(text: str) -> Script:
    """Pods of one template share it: it is read only."""
    return read_pod(json.loads(text))


def _at(schedule: Sequence[Sequence[Any]], age_s: float, default: Any = None) -> Any:
    """The last entry whose time has come."""
    found = default
    for entry in schedule:
        if entry[0] > age_s:
            break
        found = entry[1]
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP. Status 0: the connection is closed, or nothing ever comes (`hangs`)."""

    status: int
    body: str = ""
    delay_s: float = 0.0
    hangs: bool = False

    def response(self) -> HttpResponse:
        if 300 <= self.status < 400:
            return HttpResponse(self.status, b"", {"location": self.body})
        return HttpResponse.text(self.status, _BIG_BODY if self.body == "BIG" else self.body)


@lru_cache(maxsize=1024)
def answer_of(text: str) -> Answer:
    """From the text in a script."""
    if text in ("hang", "reset"):
        return Answer(0, hangs=text == "hang")
    status, _, body = text.partition(":")
    body, at, delay = body.rpartition("@") if "@" in body else (body, "", "")
    return Answer(int(status), body, float(delay) if at else 0.0)


def _lost(text: str) -> None:
    """Nobody keeps it."""


class Door:
    """A port of a scripted container (protocol `Listener` of the network)."""

    __slots__ = ("_container", "_port")

    def __init__(self, container: ScriptedContainer, port: int) -> None:
        self._container = container
        self._port = port

    @property
    def ended_by(self) -> int | None:
        """Trace event that led to the end of the container behind it."""
        return self._container.ended_by

    @property
    def end(self) -> str:
        """How the container behind it ended, for whoever waits for an answer; empty while it runs."""
        return self._container.end_in_words

    async def handle(self, request: HttpRequest) -> HttpResponse:
        return await self._container.handle(self._port, request)


class ScriptedContainer(AnswersAtOnce):
    """One running container (protocols `Container`, `ServesHttps`, `ServesGrpcHealth`)."""

    def __init__(
        self, runtime: Runtime, name: str, script: Script, attempt: int, ip: str, ports: Ports | None = None
    ) -> None:
        runs = script.get("runs") or [{}]
        run = runs[min(attempt, len(runs) - 1)]
        self._script: Script = {**script, **run} if run else script
        self._runtime = runtime
        self._name = name
        self._ip = ip
        self._exited: Signal[ContainerExit] = runtime.signal()
        self._started_ns = runtime.monotonic_ns()
        self._term_answers: Mapping[str, str] | None = None
        #: Trace event that led to its end.
        self.ended_by: int | None = None
        self.end_in_words = ""
        #: Takes what it writes after its start.
        self.write_log: Callable[[str], None] = _lost
        self._ports = ports
        self._doors: dict[int, Door] = {}
        if ports is not None and self._script.get("http"):
            self._open(ports)
        if "for" in run:
            message = self._script.get("message", "")
            self._end_later(run["for"], "", run.get("exit", 0), run.get("reason", ""), message)

    @property
    def exited(self) -> Signal[ContainerExit]:
        return self._exited

    @property
    def first_log(self) -> str:
        """What it writes at its start."""
        text: str = self._script.get("log", "")
        return text

    @property
    def age_s(self) -> float:
        return (self._runtime.monotonic_ns() - self._started_ns) / NS

    # Ending

    def _end_later(
        self, delay_s: float, what: str, code: int, reason: str = "", message: str = "", log: str = ""
    ) -> None:
        runtime = self._runtime
        name = f"script/{self._name}{what}"
        runtime.when(runtime.sleep(delay_s), name, lambda _: self._end(code, reason, message, log))

    def _end(self, code: int, reason: str = "", message: str = "", log: str = "") -> None:
        if self._exited.is_set:
            return
        self.ended_by = self._runtime.cause
        self.end_in_words = f"container {self._name} ended with {code} before it had answered"
        if log:
            self.write_log(log)
        self._exited.set(ContainerExit(code, reason, message, self.first_log + log))
        for port, door in self._doors.items():
            if self._ports is not None and self._ports.listener(self._ip, port) is door:
                self._ports.close(self._ip, port)

    def terminate(self) -> None:
        term = self._script.get("term") or {}
        if "http" in term:
            self._term_answers = term["http"]
        if not term.get("ignore") and not self._exited.is_set:
            delay_s, code = term.get("after", _TERM_AFTER_S), term.get("exit", _SIGTERM)
            self._end_later(delay_s + _REACTION_S, "/term", code)

    def kill(self, reason: str = "") -> None:
        self._end(_SIGKILL, reason)

    # Answering

    def _open(self, ports: Ports) -> None:
        for port in map(int, self._script["http"]):
            if ports.listener(self._ip, port) is not None:
                # Another container of the pod was first: a server ends that cannot bind its port.
                text = f"listen tcp :{port}: bind: address already in use\n"
                self._end_later(_REACTION_S, "/bind", 1, log=text)
                return
            door = self._doors[port] = Door(self, port)
            ports.listen(self._ip, port, door)

    async def handle(self, port: int, request: HttpRequest) -> HttpResponse:
        """A request that came over the network. Raises `HttpFailure`, also when the container ends before it has answered."""
        spec = self._listening(port)
        if spec is None:
            raise HttpFailure(Failure.REFUSED, f"nobody listens on port {port}")
        if spec.get("tls"):
            raise HttpFailure(Failure.RESET, f"port {port} speaks TLS")
        answer = self._answer_to(spec, request.path)
        if answer.status == 0 and not answer.hangs:
            raise HttpFailure(Failure.RESET, "the server closed the connection")
        if answer.hangs:
            await self._exited
        elif not answer.delay_s or not await self._runtime.wait(self._exited, answer.delay_s):
            return answer.response()
        self._runtime.cause = self.ended_by
        raise HttpFailure(Failure.RESET, self.end_in_words)

    def _answer_to(self, spec: Mapping[str, Any], path: str) -> Answer:
        text: str | None = None
        if self._term_answers is not None:
            text = self._term_answers.get(path) or self._term_answers.get("*")
        if text is None:
            schedule = spec.get(path) or spec.get("*")
            text = _at(schedule, self.age_s) if schedule else None
        return answer_of(text or "404:not found")

    def _listening(self, port: int) -> Mapping[str, Any] | None:
        if self._exited.is_set:
            return None
        spec: Mapping[str, Any] | None = (self._script.get("http") or {}).get(str(port))
        if spec is None or not _at(spec.get("listen") or (), self.age_s, default="listen" not in spec):
            return None
        return spec if spec.get("host") in (None, self._ip) else None

    def get_at_once(self, port: int, path: str) -> HttpResponse | None:
        spec, path = self._listening(port), path.partition("?")[0]
        if spec is None or spec.get("tls"):
            return None
        if not all(self._is_last(spec.get(schedule)) for schedule in ("listen", path, "*")):
            return None
        answer = self._answer_to(spec, path)
        return answer.response() if answer.status and not answer.delay_s else None

    def exec_at_once(self, command: Sequence[str]) -> ExecResult | None:
        line = " ".join(command)
        for rule in self._script.get("exec") or ():
            if rule.get("match", "") in line:
                answer: Mapping[str, Any] = _at(rule["schedule"], self.age_s) or {}
                if not self._is_last(rule["schedule"]) or any(answer.get(k) for k in ("error", "real", "delay")):
                    return None
                return ExecResult(answer.get("exit", 0), answer.get("out", "") + answer.get("err", ""))
        return ExecResult(0)

    def _is_last(self, schedule: Sequence[Sequence[Any]] | None) -> bool:
        """No later entry's time will come."""
        return not schedule or schedule[-1][0] <= self.age_s

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        spec = self._listening(port)
        if spec is None:
            raise HttpFailure(Failure.REFUSED, f"{self._ip}:{port}")
        if spec.get("tls"):
            raise HttpFailure(Failure.RESET, f"{self._ip}:{port}")
        return await self._answer(spec, path, timeout_s)

    async def https_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        spec = self._listening(port)
        if spec is None:
            raise HttpFailure(Failure.REFUSED, f"{self._ip}:{port}")
        if not spec.get("tls"):
            await self._runtime.sleep(timeout_s)
            raise HttpFailure(Failure.TIMEOUT, f"{self._ip}:{port}")
        return await self._answer(spec, path, timeout_s)

    async def _answer(self, spec: Mapping[str, Any], path: str, timeout_s: float) -> HttpResponse:
        answer = self._answer_to(spec, path.partition("?")[0])
        if answer.hangs or answer.delay_s > timeout_s:
            await self._runtime.sleep(timeout_s)
            raise HttpFailure(Failure.TIMEOUT, path)
        if answer.status == 0:
            raise HttpFailure(Failure.RESET, path)
        if answer.delay_s:
            await self._runtime.sleep(answer.delay_s)
        return answer.response()

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        if self._listening(port) is None:
            raise HttpFailure(Failure.REFUSED, f"{self._ip}:{port}")

    async def grpc_health(self, port: int, service: str, timeout_s: float) -> str:
        schedule = (self._script.get("grpc") or {}).get(str(port))
        status = _at(schedule, self.age_s) if schedule and not self._exited.is_set else None
        if status is None:
            raise HttpFailure(Failure.REFUSED, f"{self._ip}:{port}")
        if status == "hang":
            await self._runtime.sleep(timeout_s)
            raise HttpFailure(Failure.TIMEOUT, f"{self._ip}:{port}")
        return str(status)

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        line = " ".join(command)
        answer: Mapping[str, Any] = {}
        for rule in self._script.get("exec") or ():
            if rule.get("match", "") in line:
                answer = _at(rule["schedule"], self.age_s) or {}
                break
        if "error" in answer:
            raise ExecRefused(f"rpc error: code = Unknown desc = {answer['error']}")
        if answer.get("real"):
            return await self._exec_really(command, timeout_s)
        delay_s = answer.get("delay", 0)
        if delay_s > timeout_s:
            await self._runtime.sleep(timeout_s)
            raise ExecTimeout(line)
        if delay_s:
            await self._runtime.sleep(delay_s)
        return ExecResult(answer.get("exit", 0), answer.get("out", "") + answer.get("err", ""))

    async def _exec_really(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        ends_ns = self._runtime.monotonic_ns() + round(timeout_s * NS)

        async def get(port: int, path: str, headers: Mapping[str, str], allowed_s: float) -> HttpResponse:
            left_s = (ends_ns - self._runtime.monotonic_ns()) / NS
            try:
                return await self.http_get(port, path, headers, min(allowed_s, left_s))
            except HttpFailure as failure:
                if failure.failure is Failure.TIMEOUT and left_s <= allowed_s:
                    raise ExecTimeout(" ".join(command)) from None
                raise

        try:
            return await health_commands.run(command, get)
        except health_commands.NotUnderstood as error:
            raise ExecRefused(f"rpc error: code = Unknown desc = {error}") from None


class ScriptedContainerRuntime:
    """A node's container runtime (protocol `ContainerRuntime`) whose containers play scripts.

    `script_of` gives a pod's script; `allocate_ip` an address for a new sandbox; `is_present` says which images are there before
    anything was pulled; `ports` is the network that containers listen on, `write_log` takes their logs, if there are such.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        allocate_ip: Callable[[JsonObject], str],
        script_of: Callable[[JsonObject], Script] = annotated_script,
        is_present: Callable[[str], bool] = lambda image: "/present/" in image,
        ports: Ports | None = None,
        write_log: WriteLog | None = None,
    ) -> None:
        self._runtime = runtime
        self._allocate_ip = allocate_ip
        self._script_of = script_of
        self._is_present = is_present
        self._ports = ports
        self._write_log = write_log
        self._pulled: dict[str, None] = {}
        #: Images that some script has a way to be pulled: they are not there before that.
        self._to_pull: dict[str, None] = {}
        self._scripts: dict[str, Script] = {}
        #: How often something was done for a pod, by uid and what it was.
        self._times: dict[str, dict[str, int]] = {}

    def _script(self, pod: JsonObject) -> Script:
        """Raises `ValueError` for an annotation that is no script."""
        uid = uid_of(pod)
        script = self._scripts.get(uid)
        if script is None:
            script = self._scripts[uid] = self._script_of(pod)
        return script

    def _count(self, pod: JsonObject, what: str) -> int:
        """How often this was done before."""
        times = self._times.setdefault(uid_of(pod), {})
        before = times.get(what, 0)
        times[what] = before + 1
        return before

    def has_image(self, image: str) -> bool:
        return image in self._pulled or (image not in self._to_pull and self._is_present(image))

    async def pull_image(self, image: str, pod: JsonObject) -> int | None:
        plays = (self._script(pod).get("images") or {}).get(image) or [{}]
        play = plays[min(self._count(pod, f"pull {image}"), len(plays) - 1)]
        if play.get("delay"):
            await self._runtime.sleep(play["delay"])
        if play.get("error"):
            code = play.get("code") or "UNKNOWN"
            text = play["error"]
            # Of an error without a code of its own the kubelet tells the text alone.
            known = f"rpc error: code = {_RPC_CODES.get(code, code)} desc = {text}"
            raise ImagePullFailed(known if code != "UNKNOWN" else text)
        self._pulled[image] = None
        return None

    async def start_sandbox(self, pod: JsonObject) -> str:
        try:
            script = self._script(pod)
            play = script.get("sandbox") or {}
            self._to_pull.update(dict.fromkeys(script.get("images") or ()))
        except ValueError as error:
            raise SandboxFailed(f"annotation {SCRIPT_ANNOTATION}: {error}") from None
        if play.get("delay"):
            await self._runtime.sleep(play["delay"])
        if play.get("error") and self._count(pod, "sandbox") < play.get("times", 1 << 30):
            raise SandboxFailed(f"rpc error: code = Unknown desc = {play['error']}")
        return self._allocate_ip(pod)

    async def stop_sandbox(self, pod: JsonObject) -> None:
        self._scripts.pop(uid_of(pod), None)
        self._times.pop(uid_of(pod), None)

    async def start_container(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> ScriptedContainer:
        name = spec["name"]
        script: Script = self._script(pod).get(name) or {}
        runs = script.get("runs") or [{}]
        run = runs[min(attempt, len(runs) - 1)]
        if "create_error" in run and self._count(pod, f"create {name}") < run.get("times", 1 << 30):
            raise CreateFailed(run["create_error"])
        if "start_error" in run:
            raise StartFailed(run["start_error"])
        container = self.make_container(name, script, attempt, pod_ip)
        write_log = self._write_log
        if write_log is not None and script:
            write_log(pod, name, container.first_log, attempt > 0)
            container.write_log = lambda text: write_log(pod, name, text, False)
        return container

    def make_container(self, name: str, script: Script, attempt: int, pod_ip: str) -> ScriptedContainer:
        """The process itself; for those who want to look into it."""
        return ScriptedContainer(self._runtime, name, script, attempt, pod_ip, self._ports)
