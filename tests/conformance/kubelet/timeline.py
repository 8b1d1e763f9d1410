"""What a watcher of the API, the container runtime and the containers saw, in the form of a recorded case's `timeline`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject, name_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import CORE_EVENT, ENDPOINT_SLICE, NODE, POD, ResourceType
from rayrig_core.timestamps import NS, parse_rfc3339
from rayrig_sim.kubernetes.kubelet.containers import (
    ContainerRuntime,
    ExecRefused,
    ExecResult,
    ExecTimeout,
    ImagePullFailed,
    StartFailed,
)
from rayrig_sim.kubernetes.kubelet.scripted_containers import ScriptedContainer

_GRACE = re.compile(r"grace (\d+) s")


def _state(state: Mapping[str, Any]) -> JsonObject:
    if "running" in state:
        return {"running": True}
    kind = "terminated" if "terminated" in state else "waiting"
    kept = {k: v for k, v in (state.get(kind) or {}).items() if k in ("reason", "message", "exitCode") and v != ""}
    return {kind: kept}


def _container(status: Mapping[str, Any]) -> JsonObject:
    shown: JsonObject = {
        "name": status["name"],
        "ready": status["ready"],
        "started": status.get("started", False),
        "restarts": status["restartCount"],
        "state": _state(status["state"]),
    }
    if status.get("lastState"):
        shown["last"] = _state(status["lastState"])
    return shown


class TimelineRecorder:
    """Collects one case's timeline. Times are seconds since `zero_ns` of the run."""

    def __init__(self, runtime: Runtime, zero_ns: int, namespace: str) -> None:
        self._runtime = runtime
        self._zero_ns = zero_ns
        self._namespace = namespace
        self.pods: dict[str, list[JsonObject]] = {}
        self.slices: list[JsonObject] = []
        self.events: list[JsonObject] = []
        self.runtime_calls: list[JsonObject] = []
        self.hits: list[JsonObject] = []
        self.nodes: dict[str, list[JsonObject]] = {}
        self._endpoints: dict[str, list[JsonObject]] = {}
        #: Objects (`Node/h2`) whose events are left out.
        self.pass_over: set[str] = set()

    def now(self) -> float:
        return round((self._runtime.monotonic_ns() - self._zero_ns) / NS, 3)

    def timeline(self) -> JsonObject:
        """The collected timeline."""
        return {
            "pods": self.pods,
            "slices": self.slices,
            "events": self.events,
            "runtime": self.runtime_calls,
            "hits": self.hits,
            "nodes": self.nodes,
        }

    # The watcher

    def start(self, client: KubernetesClient) -> None:
        for resource, take in (
            (POD, self._on_pod),
            (ENDPOINT_SLICE, self._on_slice),
            (CORE_EVENT, self._on_event),
            (NODE, self._on_node),
        ):
            self._runtime.spawn(f"recorder/{resource.plural}", self._follow(client, resource, take))

    async def _follow(self, client: KubernetesClient, resource: ResourceType, take: Any) -> None:
        stream = await client.watch(resource)
        while True:
            event = await stream.next()
            if event.type is not WatchType.BOOKMARK:
                take(event.type.value, event.object)

    def _on_pod(self, kind: str, pod: JsonObject) -> None:
        if pod["metadata"].get("namespace") != self._namespace:
            return
        status, spec, metadata = pod.get("status") or {}, pod["spec"], pod["metadata"]
        entry: JsonObject = {"t": self.now(), "type": kind, "phase": status.get("phase", "Pending")}
        for field in ("reason", "message"):
            if status.get(field):
                entry[field] = status[field]
        if spec.get("nodeName"):
            entry["node"] = spec["nodeName"]
        if spec.get("schedulingGates"):
            entry["gates"] = [gate["name"] for gate in spec["schedulingGates"]]
        if status.get("nominatedNodeName"):
            entry["nominated"] = status["nominatedNodeName"]
        entry["conditions"] = {
            c["type"]: [c["status"], c.get("reason") or "", c.get("message") or ""]
            for c in status.get("conditions") or ()
        }
        if status.get("initContainerStatuses"):
            entry["init"] = [_container(s) for s in status["initContainerStatuses"]]
        if status.get("containerStatuses"):
            entry["containers"] = [_container(s) for s in status["containerStatuses"]]
        for field in ("podIP", "hostIP", "startTime"):
            entry[field] = bool(status.get(field))
        if metadata.get("deletionTimestamp"):
            at_s = (parse_rfc3339(metadata["deletionTimestamp"]) - self._unix_zero_ns()) / NS
            entry["deletion"] = {"grace": metadata.get("deletionGracePeriodSeconds"), "at": round(at_s, 1)}
        entries = self.pods.setdefault(name_of(pod), [])
        # Writes that change nothing of this are left out.
        if kind != "MODIFIED" or not entries or {**entries[-1], "t": 0, "type": ""} != {**entry, "t": 0, "type": ""}:
            entries.append(entry)

    def _unix_zero_ns(self) -> int:
        return self._runtime.unix_ns() - self._runtime.monotonic_ns() + self._zero_ns

    def _on_slice(self, kind: str, endpoint_slice: JsonObject) -> None:
        metadata = endpoint_slice["metadata"]
        if metadata.get("namespace") != self._namespace:
            return
        if (metadata.get("labels") or {}).get("kubernetes.io/service-name") != "svc":
            return
        self._endpoints[metadata["name"]] = [
            {
                "target": (endpoint.get("targetRef") or {}).get("name"),
                **{k: bool(endpoint["conditions"].get(k)) for k in ("ready", "serving", "terminating")},
            }
            for endpoint in (endpoint_slice.get("endpoints") or () if kind != "DELETED" else ())
        ]
        endpoints = sorted((e for part in self._endpoints.values() for e in part), key=lambda e: str(e["target"]))
        self.slices.append({"t": self.now(), "endpoints": endpoints})

    def _on_event(self, kind: str, event: JsonObject) -> None:
        involved = event.get("involvedObject") or event.get("regarding") or {}
        if kind == "DELETED" or self.now() < -1:
            return
        if event["metadata"].get("namespace") not in (self._namespace, "default"):
            return
        entry = {
            "t": self.now(),
            "object": f"{involved.get('kind')}/{involved.get('name')}",
            "type": event.get("type"),
            "reason": event.get("reason"),
            "message": event.get("message") or event.get("note") or "",
            "count": event.get("count") or 1,
            "source": (event.get("source") or {}).get("component") or event.get("reportingComponent") or "",
        }
        if involved.get("fieldPath"):
            entry["fieldPath"] = involved["fieldPath"]
        if entry["object"] not in self.pass_over:
            self.events.append(entry)

    def _on_node(self, kind: str, node: JsonObject) -> None:
        spec, status = node.get("spec") or {}, node.get("status") or {}
        if self.now() < 0:
            return
        entry = {
            "t": self.now(),
            "type": kind,
            "conditions": {
                c["type"]: [c["status"], c.get("reason") or "", c.get("message") or ""]
                for c in status.get("conditions") or ()
            },
            "taints": [[t["key"], t.get("value") or "", t["effect"]] for t in spec.get("taints") or ()],
            "unschedulable": bool(spec.get("unschedulable")),
        }
        self.nodes.setdefault(name_of(node), []).append(entry)

    # The runtime and the containers

    def call(self, name: str, pod: JsonObject, **fields: Any) -> None:
        self.runtime_calls.append({"t": self.now(), "call": name, "pod": name_of(pod), **fields})

    def hit(self, kind: str, pod: str, container: str, attempt: int, *, at: float | None = None, **fields: Any) -> None:
        t = self.now() if at is None else at
        self.hits.append({"t": t, "kind": kind, "pod": pod, "container": container, "attempt": attempt, **fields})


class RecordedContainer(ScriptedContainer):
    """A scripted container that notes what reaches it."""

    def bind(self, recorder: TimelineRecorder, pod: JsonObject, spec: JsonObject, attempt: int) -> None:
        self._recorder = recorder
        self._pod = pod
        self._where = (name_of(pod), spec["name"], attempt)
        lifecycle = spec.get("lifecycle") or {}
        self._hooks = [((lifecycle.get(kind) or {}).get("exec") or {}).get("command") for kind in lifecycle]
        self._seen: dict[tuple[int, str], None] = {}

    def share_notes(self, other: RecordedContainer) -> None:
        """Note under the name of the other."""
        self._recorder, self._where, self._seen = other._recorder, other._where, other._seen
        self._started_ns = other._started_ns

    def get_at_once(self, port: int, path: str) -> HttpResponse | None:
        """The recordings count what reaches a container, so nothing may be known without asking it."""
        return None

    def exec_at_once(self, command: Sequence[str]) -> ExecResult | None:
        return None

    def _note_http(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        fields: JsonObject = {"port": port, "method": "GET", "path": path}
        if (port, path) not in self._seen:
            self._seen[port, path] = None
            # The recorded health commands went to the pod's address in the place of localhost.
            host = f"Host: {self._ip}"
            fields["headers"] = [f"{k}: {v}".replace("Host: localhost", host) for k, v in headers.items()]
        self._recorder.hit("http", *self._where, **fields)

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        spec = self._listening(port)
        if spec is not None and not spec.get("tls"):
            self._note_http(port, path, headers)
        return await super().http_get(port, path, headers, timeout_s)

    async def https_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        spec = self._listening(port)
        if spec is not None and spec.get("tls"):
            self._note_http(port, path, headers)
        return await super().https_get(port, path, headers, timeout_s)

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        await super().tcp_connect(port, timeout_s)
        self._recorder.hit("tcp", *self._where, port=port)

    async def grpc_health(self, port: int, service: str, timeout_s: float) -> str:
        if str(port) in (self._script.get("grpc") or {}):
            fields: JsonObject = {"port": port, "service": service}
            if (port, service) not in self._seen:
                self._seen[port, service] = None
                fields["headers"] = ["user-agent: kube-probe/<version> grpc-go/1.81.1"]
            self._recorder.hit("grpc", *self._where, **fields)
        return await super().grpc_health(port, service, timeout_s)

    def terminate(self) -> None:
        # The kubelet notes the grace in the trace just before it sends the signal.
        trace = self._runtime.trace
        found = _GRACE.search(str(trace[len(trace) - 1]["reason"]))
        _, name, attempt = self._where
        grace = int(found.group(1)) if found else None
        self._recorder.call("StopContainer", self._pod, container=name, attempt=attempt, timeout=grace)
        super().terminate()

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        # The recordings note a command when it has ended; a hook is given no time limit and may never be seen to end.
        is_hook = list(command) in self._hooks
        began = self._recorder.now()
        fields: JsonObject = {"cmd": list(command), "timeout": 0 if is_hook else timeout_s}
        try:
            result = await super().exec(command, timeout_s)
        except ExecTimeout:
            if not is_hook:
                self._recorder.hit("exec", *self._where, at=began, **fields)
            raise
        except ExecRefused:
            self._recorder.hit("exec", *self._where, at=began, **fields)
            raise
        self._recorder.hit("exec", *self._where, at=began, **fields)
        return result


class RecordedRuntime:
    """A container runtime that notes the calls it gets."""

    def __init__(self, runtime: Runtime, inner: ContainerRuntime, recorder: TimelineRecorder) -> None:
        self._runtime = runtime
        self._inner = inner
        self._recorder = recorder

    def has_image(self, image: str) -> bool:
        return self._inner.has_image(image)

    async def pull_image(self, image: str, pod: JsonObject) -> int | None:
        # A container runtime is asked for `latest` when the manifest names neither tag nor digest.
        asked = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
        self._recorder.call("PullImage", pod, image=asked)
        error: str | None = None
        try:
            return await self._inner.pull_image(image, pod)
        except ImagePullFailed as failure:
            error = str(failure)
            raise
        finally:
            self._recorder.call("PullImageDone", pod, image=asked, error=error)

    async def start_sandbox(self, pod: JsonObject) -> str:
        self._recorder.call("RunPodSandbox", pod, attempt=0)
        return await self._inner.start_sandbox(pod)

    async def stop_sandbox(self, pod: JsonObject) -> None:
        self._recorder.call("StopPodSandbox", pod, attempt=0)
        await self._inner.stop_sandbox(pod)

    async def start_container(self, pod: JsonObject, spec: JsonObject, pod_ip: str, attempt: int) -> RecordedContainer:
        where = {"container": spec["name"], "attempt": attempt}
        self._recorder.call("CreateContainer", pod, **where)
        try:
            container = await self._inner.start_container(pod, spec, pod_ip, attempt)
        except StartFailed:
            self._recorder.call("StartContainer", pod, **where)
            raise
        self._recorder.call("StartContainer", pod, **where)
        assert isinstance(container, RecordedContainer)
        container.bind(self._recorder, pod, spec, attempt)
        self._runtime.spawn(f"recorder/exit/{uid_of(pod)}/{spec['name']}", self._await_exit(container, pod, where))
        return container

    async def _await_exit(self, container: RecordedContainer, pod: JsonObject, where: JsonObject) -> None:
        result = await container.exited
        reason = result.reason or ("Completed" if result.exit_code == 0 else "Error")
        self._recorder.call("exit", pod, **where, code=result.exit_code, reason=reason)
