"""Many pods: Deployments on many nodes, all their pods made ready, then rolled once.

    python -m benchmarks.many_pods [--pods 2500,5000,10000] [--nodes 1000] [--json]
    python -m benchmarks.many_pods --goal

The world is the fake API server, the control plane (Deployments, ReplicaSets, scheduler, EndpointSlices, node lifecycle, garbage
collection) and a kubelet for each node, on virtual time, with the latencies of any world but one: this scheduler takes a thousand
pods a second. Each Deployment has 500 pods, whose containers are scripts that answer their readiness probe; every other one has a
Service. A roll ends when all pods are of the new template and ready, and the last of the old ones is gone.

A life is that of one pod from its creation to its end, or to the end of the roll: there are two for each pod that is wanted.
Each size runs in a process of its own, so that its peak of memory is its own. What is told of lives and of a pod leaves the nodes
aside, which are as many for each size. Growth is the processor time against that of the smallest size, over what n log n would make
of it. `--goal` takes 10,000 and 100,000 pods on 1,000 nodes and tells what is met of what is wanted of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.objects import JsonObject
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import DEPLOYMENT, NODE, POD, REPLICA_SET, SERVICE
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Calibration, Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import BUILT_IN_OWNABLE, ControlPlane
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.scripted_containers import SCRIPT_ANNOTATION, ScriptedContainerRuntime
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.nodes.nodes import NodePresence, NodeSpec

SIZES = (2_500, 5_000, 10_000)
#: What is wanted, and of what.
GOAL_SIZES, GOAL_NODES = (10_000, 100_000), 1_000
GOAL_WALL_S, GOAL_GIB, GOAL_GROWTH = 60, 4, 1.0
PODS_OF_DEPLOYMENT = 500
#: Changes that are kept for watchers: all of them keep up.
_HISTORY = 10_000
PHASES = ("nodes", "deploy", "roll")
_SCRIPT = {"app": {"http": {"8080": {"/ready": [[0, "200:ok"]]}}}}
_CALIBRATION = replace(Calibration(), scheduling_latency=Constant(0.001))
_TABLE_WIDTH = 120
#: A phase that takes longer than this, in virtual seconds, has got stuck.
_STUCK_S = 7200

Tell = Callable[[str, int], None]


class ManyPods:
    """One world. `tell` is given the phase and the number of ready pods from time to time."""

    def __init__(self, pods: int, nodes: int, tell: Tell, pods_of_deployment: int = PODS_OF_DEPLOYMENT) -> None:
        self.pods = pods
        self.nodes = nodes
        self.kernel = kernel = Kernel(0)
        self.api = ApiServer(
            kernel.unix_ns, kernel.streams.stream("api-server"), trace=kernel.trace, history_limit=_HISTORY
        )
        self.sizes = [pods_of_deployment] * (pods // pods_of_deployment)
        if pods % pods_of_deployment:
            self.sizes.append(pods % pods_of_deployment)
        #: Of each phase, seconds of the processor, and the peak of memory at its end.
        self.cpu_s: dict[str, float] = {}
        self.peak_kib: dict[str, int] = {}
        self.virtual_s: dict[str, float] = {}
        self._tell = tell
        heartbeats = VirtualHeartbeats(kernel)
        self.control_plane = ControlPlane(
            kernel,
            kernel.streams,
            self._client,
            _CALIBRATION,
            liveness=heartbeats,
            ownable=(*BUILT_IN_OWNABLE, DEPLOYMENT, REPLICA_SET),
            workloads=True,
        )
        self._heartbeats = heartbeats

    def _client(self, actor: str) -> KubernetesClient:
        draw_ns, rng = _CALIBRATION.api_latency.draw_ns, self.kernel.streams.stream(f"api-latency/{actor}")
        return InProcessClient(
            self.api, self.kernel, actor=actor, latency=lambda verb: draw_ns(rng) / NS, shares_answers=True
        )

    def _add_node(self, number: int) -> None:
        kernel, name = self.kernel, f"node-{number}"
        actor = f"kubelet/{name}"
        client = self._client(actor)
        address = f"172.{18 + number // 62500}.{number // 250 % 250}.{number % 250 + 2}"
        # Room for a quarter more than there are pods.
        room = max(110, math.ceil(self.pods * 2 / self.nodes))
        capacity = {"cpu": str(room), "memory": f"{room}Gi", "pods": str(room)}
        recorder = CoreEventRecorder(kernel, client, component="kubelet", host=name)
        spec = NodeSpec(name, address=address, capacity=capacity)
        containers = ScriptedContainerRuntime(kernel, allocate_ip=_Addresses(number), is_present=lambda image: True)
        kubelet = Kubelet(
            kernel,
            client,
            name,
            containers,
            kernel.streams.stream(actor),
            KubeletOptions(host_ip=address),
            recorder,
            has_node=lambda: self.control_plane.has_node(name),
        )
        kernel.spawn(f"{actor}/registration", NodePresence(kernel, client, spec, self._heartbeats, recorder).register())
        kernel.spawn(actor, kubelet.run())

    def run(self) -> None:
        """All phases. Raises `RuntimeError` when one gets stuck."""
        self.control_plane.start()
        for number in range(self.nodes):
            self._add_node(number)
        self._phase("nodes", lambda: self._nodes_ready() == self.nodes)
        for number, size in enumerate(self.sizes):
            self.api.call(ApiCall("create", DEPLOYMENT, "default", body=deployment(number, size)))
            if number % 2:
                self.api.call(ApiCall("create", SERVICE, "default", body=service(number)))
        self._phase("deploy", self._is_rolled_out)
        for number in range(len(self.sizes)):
            body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [_version(2)]}]}}}}
            call = ApiCall("patch", DEPLOYMENT, "default", f"web-{number}", body=body, patch_type="strategic")
            self.api.call(call)
        self._phase("roll", self._is_rolled_out)

    def _phase(self, name: str, is_over: Callable[[], bool]) -> None:
        kernel = self.kernel
        began_ns, cpu = kernel.monotonic_ns(), time.process_time()
        while True:
            kernel.run(until_s=kernel.monotonic_ns() / NS + 1)
            self._tell(name, self._updated())
            if is_over():
                break
            if kernel.monotonic_ns() - began_ns > _STUCK_S * NS:
                raise RuntimeError(f"{name}: not over after {_STUCK_S} virtual seconds")
        self.cpu_s[name] = time.process_time() - cpu
        self.peak_kib[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.virtual_s[name] = (kernel.monotonic_ns() - began_ns) / NS

    def _nodes_ready(self) -> int:
        return sum(not (node["spec"].get("taints")) for node in self.api.objects(NODE))

    def _updated(self) -> int:
        return sum(
            min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)) for status in self._statuses()
        )

    def _statuses(self) -> list[JsonObject]:
        return [each.get("status") or {} for each in self.api.objects(DEPLOYMENT)]

    def _is_rolled_out(self) -> bool:
        if len(self.api.state.store.collection(POD.plural)) != self.pods:
            return False
        for each in self.api.objects(DEPLOYMENT):
            status, wanted = each.get("status") or {}, each["spec"]["replicas"]
            if status.get("observedGeneration") != each["metadata"]["generation"]:
                return False
            if any(status.get(field) != wanted for field in ("replicas", "updatedReplicas", "availableReplicas")):
                return False
        return True


class _Addresses:
    """Pod addresses of one node."""

    def __init__(self, node: int) -> None:
        self._prefix = f"10.{node // 250}.{node % 250}"
        self._next = 0

    def __call__(self, pod: JsonObject) -> str:
        self._next = self._next % 253 + 1
        return f"{self._prefix}.{self._next}"


def _version(number: int) -> JsonObject:
    return {"name": "VERSION", "value": str(number)}


def deployment(number: int, size: int) -> JsonObject:
    """A web server of `size` pods."""
    labels = {"app": f"web-{number}"}
    container = {
        "name": "app",
        "image": "registry.test/web:1",
        "env": [_version(1), {"name": "PORT", "value": "8080"}],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"web-{number}", "namespace": "default"},
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {SCRIPT_ANNOTATION: json.dumps(_SCRIPT)}},
                "spec": {"containers": [container]},
            },
        },
    }


def service(number: int) -> JsonObject:
    """In front of Deployment `number`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"web-{number}", "namespace": "default"},
        "spec": {"selector": {"app": f"web-{number}"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }


# One size


def measure(pods: int, nodes: int, progress: Progress | None = None) -> dict[str, Any]:
    """Run one world in this process."""
    bars: dict[str, Any] = {}

    def tell(phase: str, ready: int) -> None:
        if progress is not None:
            if phase not in bars:
                bars[phase] = progress.add_task(f"{pods:,} pods: {phase}", total=pods if phase != "nodes" else 1)
            progress.update(bars[phase], completed=ready if phase != "nodes" else 1)

    wall, cpu = time.perf_counter(), time.process_time()
    # What pods leave behind goes without the collector of cycles, whose passes over so many objects take a fifth of the time.
    gc.disable()
    world = ManyPods(pods, nodes, tell)
    world.run()
    took = time.perf_counter() - wall, time.process_time() - cpu
    # Nor is it to go through all of them once more when the process ends.
    gc.freeze()
    return {
        "pods": pods,
        "nodes": nodes,
        "wall_s": took[0],
        "cpu_s": took[1],
        "peak_mib": world.peak_kib["roll"] / 1024,
        "pod_kib": (world.peak_kib["roll"] - world.peak_kib["nodes"]) / pods,
        "phases_s": world.cpu_s,
        "virtual_s": world.virtual_s,
        "records": len(world.kernel.trace),
        "revisions": world.api.revision,
        "digest": world.kernel.trace.digest(),
    }


def measured_apart(pods: int, nodes: int) -> dict[str, Any]:
    """The same in a process of its own. Raises `SystemExit` when that fails."""
    command = [sys.executable, "-m", "benchmarks.many_pods", "--pods", str(pods), "--nodes", str(nodes), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def table(found: list[dict[str, Any]]) -> Table:
    title = f"Deployed, made ready and rolled once on {found[0]['nodes']:,} nodes"
    shown = Table(title=title, box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for column in ("pods", "wall", "cpu", "peak", "lives/s", "us a life", "KiB a pod", *PHASES, "growth"):
        shown.add_column(column, justify="right", no_wrap=True)
    first = found[0]
    for one in found:
        pods = one["pods"]
        shown.add_row(
            f"{pods:,}",
            f"{one['wall_s']:.1f} s",
            f"{one['cpu_s']:.1f} s",
            f"{one['peak_mib'] / 1024:.2f} GiB",
            f"{2 * pods / _of_pods_s(one):,.0f}",
            f"{_of_pods_s(one) / (2 * pods) * 1e6:,.0f}",
            f"{one['pod_kib']:.1f}",
            *(f"{one['phases_s'][phase]:.1f} s" for phase in PHASES),
            f"{_growth(first, one):.2f}",
        )
    return shown


def _growth(first: dict[str, Any], last: dict[str, Any]) -> float:
    """How much more processor time the last takes than the first, over n log n."""
    expected = last["pods"] * math.log(last["pods"]) / (first["pods"] * math.log(first["pods"]))
    return _of_pods_s(last) / _of_pods_s(first) / expected


def verdicts(found: list[dict[str, Any]]) -> list[str]:
    """What the largest size makes of the goal, and by how much it misses it."""
    last = found[-1]
    figures = (
        ("wall, s", last["wall_s"], GOAL_WALL_S),
        ("peak, GiB", last["peak_mib"] / 1024, GOAL_GIB),
        ("growth over n log n", _growth(found[0], last), GOAL_GROWTH),
    )
    return [
        f"{name}: {got:.2f}, wanted {wanted}: {'met' if got <= wanted else f'not met, {got / wanted:.2f} times as much'}"
        for name, got, wanted in figures
    ]


def _of_pods_s(one: dict[str, Any]) -> float:
    """Processor time without that of the nodes, which are as many for each size."""
    return float(one["phases_s"]["deploy"] + one["phases_s"]["roll"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", default=",".join(map(str, SIZES)), help="sizes, with commas between them")
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--goal", action="store_true", help="10,000 and 100,000 pods on 1,000 nodes, and what is met")
    given = parser.parse_args()
    sizes = list(GOAL_SIZES) if given.goal else [int(size) for size in given.pods.split(",")]
    nodes = GOAL_NODES if given.goal else given.nodes
    console = Console(stderr=True)
    found: list[dict[str, Any]] = []
    code = 0
    try:
        if len(sizes) == 1:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,}"),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
                found.append(measure(sizes[0], nodes, progress))
        else:
            for size in sizes:
                found.append(measured_apart(size, nodes))
    except KeyboardInterrupt:
        console.print("interrupted; what is measured so far:" if found else "interrupted")
        code = 130
    if given.json:
        if not code:
            print(json.dumps(found, indent=2))
    elif found:
        Console(width=_TABLE_WIDTH).print(table(found))
        if given.goal and not code:
            Console().print("\n".join(verdicts(found)))
    return code


if __name__ == "__main__":
    sys.exit(main())
