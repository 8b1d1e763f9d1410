"""The scheduler and the node controllers against recordings of the real ones over hollow nodes (nodes without a kubelet)."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.objects import copy_json, name_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import (
    CORE_EVENT,
    ENDPOINT_SLICE,
    NAMESPACE,
    NODE,
    POD,
    PRIORITY_CLASS,
    SERVICE,
)
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import BUILT_IN_OWNABLE, ControlPlane
from rayrig_sim.kubernetes.heartbeats import VirtualHeartbeats

_GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "kubelet"
_NOT_YET = {"sched-preempt": "the API server keeps status.nominatedNodeName when a pod is bound; 1.36 clears it"}
_CASES = [
    pytest.param(
        path.stem,
        marks=[pytest.mark.xfail(reason=_NOT_YET[path.stem], strict=True)] if path.stem in _NOT_YET else [],
    )
    for pattern in ("node-*.json", "sched-*.json")
    for path in sorted((_GOLDEN / "cases").glob(pattern))
] or [pytest.param("none", marks=pytest.mark.skip(reason="the recordings are not here"))]
#: Virtual seconds before the case's zero, in which nodes become Ready.
_LEAD_S = 60.0
_TYPES = {"Pod": POD, "Node": NODE, "Service": SERVICE, "PriorityClass": PRIORITY_CLASS}


class _Hollow:
    """A cluster of hollow nodes that plays one case and keeps its timeline."""

    def __init__(self, case: dict[str, Any], seed: int) -> None:
        self.case = case
        self.kernel = kernel = Kernel(seed)
        self.server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        self.heartbeats = VirtualHeartbeats(kernel)
        self.user = self._connect("user")
        self.plane = ControlPlane(
            kernel,
            kernel.streams,
            self._connect,
            Calibration(),
            liveness=self.heartbeats,
            ownable=BUILT_IN_OWNABLE,
        )
        self.timeline: dict[str, Any] = {"pods": {}, "slices": [], "events": [], "nodes": {}}

    def _connect(self, actor: str) -> InProcessClient:
        return InProcessClient(self.server, self.kernel, actor=actor, latency=lambda verb: 0.004, watch_lag_s=0.005)

    def play(self) -> dict[str, Any]:
        kernel = self.kernel
        self.plane.start()
        for resource, note in (
            (POD, self._note_pod),
            (ENDPOINT_SLICE, self._note_slice),
            (CORE_EVENT, self._note_event),
            (NODE, self._note_node),
        ):
            kernel.spawn("observer", self._observe(resource, note))
        kernel.spawn("user", self._act())
        kernel.run(until_s=_LEAD_S + self.case["duration"])
        return {"timeline": self.timeline, "namespace": "golden-ns"}

    def _t(self) -> float:
        return round(self.kernel.monotonic_ns() / NS - _LEAD_S, 2)

    # Acting

    async def _act(self) -> None:
        kernel = self.kernel
        await self.user.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "golden-ns"}})
        pods = []
        for obj in self.case["setup"]:
            if obj["kind"] in ("Node", "PriorityClass"):
                await self._make(obj)
        await kernel.sleep(_LEAD_S - 0.4 - kernel.monotonic_ns() / NS)
        for obj in [*self.case["setup"], *self.case["objects"]]:
            if obj["kind"] == "Pod":
                pods.append(obj)
            elif obj["kind"] not in ("Node", "PriorityClass"):
                await self._make(obj)
        await kernel.sleep(_LEAD_S - kernel.monotonic_ns() / NS)
        for obj in pods:
            await self._make(obj)
        for stimulus in self.case["stimuli"]:
            await kernel.sleep(max(0.0, _LEAD_S + stimulus["t"] - kernel.monotonic_ns() / NS))
            await self._stimulate(stimulus["op"], stimulus["args"])

    async def _make(self, obj: dict[str, Any]) -> None:
        obj = copy_json(obj)
        if obj["kind"] == "Node":
            obj["status"]["conditions"] = [self._ready()]
            self.heartbeats.start(name_of(obj))
        await self.user.create(_TYPES[obj["kind"]], obj, "" if obj["kind"] in _CLUSTER_SCOPED else "golden-ns")

    def _ready(self) -> dict[str, Any]:
        now = rfc3339(self.kernel.unix_ns())
        return {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }

    async def _stimulate(self, op: str, args: dict[str, Any]) -> None:
        kind = args.get("kind", "Pod")
        namespace = "" if kind in _CLUSTER_SCOPED else "golden-ns"
        if op == "create":
            await self._make(args)
        elif op == "delete":
            if kind == "Node":
                self.heartbeats.stop(args["name"])
            await self.user.delete(_TYPES[kind], args["name"], namespace, grace_period_seconds=args.get("grace"))
        elif op == "patch":
            await self.user.patch(
                _TYPES[kind],
                args["name"],
                args["body"],
                namespace,
                patch_type="merge" if "merge-patch" in args.get("type", "") else "strategic",
                subresource=args.get("sub", ""),
            )
        elif op == "taint":
            node = await self.user.get(NODE, args["node"])
            taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] != args["key"]]
            if "effect" in args:
                taints.append({"key": args["key"], "value": args.get("value", ""), "effect": args["effect"]})
            await self.user.patch(NODE, args["node"], {"spec": {"taints": taints or None}})
        elif op == "silence":
            self.heartbeats.stop(args["node"])
        elif op == "revive":
            self.heartbeats.start(args["node"])
            body = {"status": {"conditions": [self._ready()]}}
            await self.user.patch(NODE, args["node"], body, patch_type="strategic", subresource="status")
        else:
            raise AssertionError(op)

    # Observing

    async def _observe(self, resource: Any, note: Any) -> None:
        client = InProcessClient(self.server, self.kernel, actor="observer")
        stream = await client.watch(resource, resource_version="")
        while True:
            event = await stream.next()
            if self._t() >= -1.0:
                note(event.type, event.object)

    def _note_pod(self, type_: WatchType, pod: dict[str, Any]) -> None:
        spec, status = pod["spec"], pod.get("status") or {}
        entry: dict[str, Any] = {"t": self._t(), "type": str(type_), "phase": status.get("phase")}
        for name, value in (
            ("reason", status.get("reason")),
            ("message", status.get("message")),
            ("node", spec.get("nodeName")),
            ("gates", [gate["name"] for gate in spec.get("schedulingGates") or ()]),
            ("nominated", status.get("nominatedNodeName")),
        ):
            if value:
                entry[name] = value
        entry["conditions"] = _conditions(status)
        entry |= {name: bool(status.get(name)) for name in ("podIP", "hostIP", "startTime")}
        deleted = pod["metadata"].get("deletionTimestamp")
        if deleted:
            at = (parse_rfc3339(deleted) - self.kernel.start_unix_ns) / NS - _LEAD_S
            entry["deletion"] = {"grace": pod["metadata"].get("deletionGracePeriodSeconds"), "at": at}
        self.timeline["pods"].setdefault(name_of(pod), []).append(entry)

    def _note_slice(self, type_: WatchType, slice_: dict[str, Any]) -> None:
        endpoints = [
            {"target": endpoint["targetRef"]["name"], **endpoint["conditions"]}
            for endpoint in slice_.get("endpoints") or ()
        ]
        self.timeline["slices"].append({"t": self._t(), "endpoints": endpoints})

    def _note_event(self, type_: WatchType, event: dict[str, Any]) -> None:
        about = event["involvedObject"]
        self.timeline["events"].append(
            {
                "t": self._t(),
                "object": f"{about['kind']}/{about['name']}",
                "type": event["type"],
                "reason": event["reason"],
                "message": event["message"],
                # The scheduler's events are of the newer kind, which has no count: each is one of its own.
                "count": 1 if event["source"]["component"] == "default-scheduler" else event["count"],
                "source": event["source"]["component"],
            }
        )

    def _note_node(self, type_: WatchType, node: dict[str, Any]) -> None:
        taints = [[taint["key"], taint.get("value", ""), taint["effect"]] for taint in node["spec"].get("taints") or ()]
        entry = {
            "t": self._t(),
            "type": str(type_),
            "conditions": _conditions(node.get("status") or {}),
            "taints": taints,
            "unschedulable": bool(node["spec"].get("unschedulable")),
        }
        self.timeline["nodes"].setdefault(name_of(node), []).append(entry)


def _conditions(status: dict[str, Any]) -> dict[str, list[str]]:
    return {
        condition["type"]: [condition["status"], condition.get("reason") or "", condition.get("message") or ""]
        for condition in status.get("conditions") or ()
    }


_CLUSTER_SCOPED = ("Node", "PriorityClass")


def _differences(case: dict[str, Any], produced: dict[str, Any]) -> list[str]:
    spec = importlib.util.spec_from_file_location("golden_compare", _GOLDEN / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    arguments = argparse.Namespace(slack=0.0, sections=None, ignore_conditions=None)
    found: list[str] = compare.Case(case, produced, arguments).run()
    return found


@pytest.mark.accepts("KL-078", "KL-079", "KL-082", "KL-083", "K8-067", "K8-068", "K8-075")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", _CASES)
def test_timeline_of_hollow_nodes_is_as_recorded(name: str, seed: int) -> None:
    case = json.loads((_GOLDEN / "cases" / f"{name}.json").read_text())
    produced = _Hollow(case, seed).play()
    assert _differences(case, produced) == []
