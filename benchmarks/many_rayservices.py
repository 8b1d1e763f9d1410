"""Many RayServices in one world: all are deployed, and when every one is ready, all are upgraded at once.

    python -m benchmarks.many_rayservices [--services 100,200,400,1000] [--traffic 0] [--seed 1] [--json] [--profile FILE]

Each RayService has a head, a worker and a Serve application; its upgrade (another Ray version) brings up a second Ray cluster and
ends when that one is active, no other is pending and the service is ready. `--traffic 1` sends one request a second to each of
them all along. Each size runs in a process of its own, so that its peak memory is its own. The table ends with what the processor
time grows like: 1 is exactly n log n from the smallest to that size, more is worse. Ctrl-C keeps the sizes that are done.

The virtual time grows with the number of services, because the operator has one worker for RayServices, as KubeRay's has; from some
150 on it is busy all the time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayrig_backends.memory import MemoryWorld
    from rayrig_core.objects import JsonObject

_MARK = "progress "
_NODE_PODS = 110
_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One size. Times in seconds; memory in MiB."""

    services: int
    wall_s: float
    cpu_s: float
    deploy_s: float
    upgrade_s: float
    peak_mib: float
    virtual_s: float
    events: int
    requests: int
    failed: int
    digest: str


def manifest(number: int) -> JsonObject:
    def pod(container: str, cpu: str, memory: str) -> JsonObject:
        resources = {"cpu": cpu, "memory": memory}
        one = {"name": container, "image": "rayproject/ray:2.52.0", "resources": {"limits": resources}}
        return {"spec": {"containers": [one]}}

    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": f"service-{number:04}", "namespace": _NAMESPACE},
        "spec": {
            "serveConfigV2": json.dumps(
                {
                    "applications": [
                        {
                            "name": "app",
                            "import_path": "orchard.app",
                            "route_prefix": "/",
                            "deployments": [
                                {"name": "Picker", "num_replicas": 1, "ray_actor_options": {"num_cpus": 0.1}}
                            ],
                        }
                    ]
                }
            ),
            "rayClusterConfig": {
                "rayVersion": "2.52.0",
                "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": pod("ray-head", "1", "2Gi")},
                "workerGroupSpecs": [
                    {
                        "groupName": "workers",
                        "replicas": 1,
                        "minReplicas": 1,
                        "maxReplicas": 2,
                        "rayStartParams": {},
                        "template": pod("ray-worker", "1", "2Gi"),
                    }
                ],
            },
        },
    }


class Run:
    """One size, in this process."""

    def __init__(
        self, services: int, traffic: float, concurrency: int, seed: int, tell: Callable[[str, int], None]
    ) -> None:
        from rayrig_backends.memory import MemoryWorld
        from rayrig_backends.world import NodeSpec, TrafficSpec, WorldSpec

        # Two clusters of two pods each at a time, and as many that are being stopped.
        nodes = -(-services * 8 // _NODE_PODS) + 1
        spec = WorldSpec(
            seed=seed,
            nodes=(NodeSpec("node", nodes, cpu="128", memory="512Gi", pods=_NODE_PODS),),
            reconcile_concurrency=concurrency,
        )
        self.services = services
        self.tell = tell
        self.world: MemoryWorld = MemoryWorld(spec)
        self.names = [manifest(number)["metadata"]["name"] for number in range(services)]
        self.deployed_s = 0.0
        self.sources = [
            self.world.traffic(TrafficSpec(f"to-{name}", f"{name}-serve-svc", rate_per_s=traffic))
            for name in (self.names if traffic else ())
        ]
        self._active: dict[str, str] = {}

    def perform(self) -> Outcome:
        wall, cpu = time.perf_counter(), time.process_time()
        self.world.start()
        self.world.run_until(self.world.spawn("benchmark", self._perform()))
        wall_s = time.perf_counter() - wall
        requests = [source.accounting() for source in self.sources]
        return Outcome(
            services=self.services,
            wall_s=wall_s,
            cpu_s=time.process_time() - cpu,
            deploy_s=self.deployed_s - wall,
            upgrade_s=wall_s - (self.deployed_s - wall),
            peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            virtual_s=self.world.kernel.monotonic_ns() / 1e9,
            events=len(self.world.trace),
            requests=sum(one.sent for one in requests),
            failed=sum(one.failed for one in requests),
            digest=self.world.trace.digest(),
        )

    async def _perform(self) -> None:
        from rayrig_core.resource_types import RAY_SERVICE

        client = self.world.client("benchmark")
        stream = await client.watch(RAY_SERVICE, _NAMESPACE)
        for number in range(self.services):
            await client.create(RAY_SERVICE, manifest(number), _NAMESPACE)
        await self._until(stream, "deployed", lambda name, active: bool(active))
        before = dict(self._active)
        self.deployed_s = time.perf_counter()
        if self.sources:
            # The nodes learn of the last one's endpoints.
            await self.world.kernel.sleep(2.0)
        for source in self.sources:
            source.start()
        for name in self.names:
            patch = {"spec": {"rayClusterConfig": {"rayVersion": "2.53.0"}}}
            await client.patch(RAY_SERVICE, name, patch, _NAMESPACE, patch_type="merge")
        await self._until(stream, "upgraded", lambda name, active: active != before[name])
        for source in self.sources:
            source.stop()
        for source in self.sources:
            await source.settled()

    async def _until(self, stream: object, what: str, there: Callable[[str, str], bool]) -> None:
        from rayrig_core.objects import has_condition

        waiting = dict.fromkeys(self.names)
        while waiting:
            service = (await stream.next()).object  # type: ignore[attr-defined]
            name, status = service["metadata"]["name"], service.get("status") or {}
            active = (status.get("activeServiceStatus") or {}).get("rayClusterName") or ""
            pending = (status.get("pendingServiceStatus") or {}).get("rayClusterName")
            if name in waiting and not pending and there(name, active) and has_condition(service, "Ready"):
                self._active[name] = active
                del waiting[name]
                self.tell(what, self.services - len(waiting))


def growth(first: Outcome, other: Outcome) -> float:
    """The exponent e for which the processor time grew like (n log n) to the e; 1 is n log n."""
    size = math.log(other.services * math.log(other.services) / (first.services * math.log(first.services)))
    return math.log(other.cpu_s / first.cpu_s) / size


def child(given: argparse.Namespace) -> None:
    """One size, told about in lines on the standard output."""
    # Ctrl-C is the parent's, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = 0.0

    def tell(what: str, count: int) -> None:
        nonlocal told
        if count == given.one or time.monotonic() - told > 0.2:
            told = time.monotonic()
            print(f"{_MARK}{what} {count}", flush=True)

    run = Run(given.one, given.traffic, given.reconcile_concurrency, given.seed, tell)
    if given.profile:
        import cProfile

        profile = cProfile.Profile()
        outcome = profile.runcall(run.perform)
        profile.dump_stats(given.profile)
    else:
        outcome = run.perform()
    print(json.dumps(asdict(outcome)), flush=True)
    # The world is not taken apart: that takes seconds and is nobody's gain.
    os._exit(0)


def measure(sizes: list[int], given: argparse.Namespace) -> Iterator[Outcome]:
    """Each size in a process of its own, with progress. Ends early at Ctrl-C."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for size in sizes:
            command = [sys.executable, __file__, "--one", str(size)]
            command += ["--traffic", str(given.traffic), "--seed", str(given.seed)]
            command += ["--reconcile-concurrency", str(given.reconcile_concurrency)]
            if given.profile:
                command += ["--profile", given.profile]
            task = progress.add_task(f"{size} RayServices", total=2 * size)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if line.startswith(_MARK):
                        what, count = line.removeprefix(_MARK).split()
                        done = int(count) + (size if what == "upgraded" else 0)
                        progress.update(task, completed=done, description=f"{size} RayServices, {what}")
                    else:
                        yield Outcome(**json.loads(line))
            finally:
                process.terminate()
                process.wait()
            progress.remove_task(task)
            if process.returncode > 0:
                sys.exit(f"the run with {size} RayServices ended with {process.returncode}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--services", default="100,200,400,1000", help="sizes, separated by commas")
    arguments.add_argument("--traffic", type=float, default=0.0, help="requests a second to each; 0: none")
    arguments.add_argument("--reconcile-concurrency", type=int, default=1, help="workers of the operator's controllers")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--profile", default="", help="a file for cProfile's figures (of the last size)")
    arguments.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        child(given)
    try:
        sizes = [int(size) for size in given.services.split(",")]
    except ValueError:
        arguments.error(f"--services {given.services}: give whole numbers separated by commas")
    if min(sizes) < 2:
        arguments.error("--services: at least 2 each")
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        outcomes.extend(measure(sizes, given))
    except KeyboardInterrupt:
        interrupted = True
    if given.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    elif outcomes:
        show(outcomes)
    if interrupted:
        sys.exit("interrupted")


def show(outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = ("services", "wall", "deploy", "upgrade", "CPU", "peak memory", "virtual", "events", "requests", "failed")
    for name in (*names, "CPU each", "growth"):
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        is_first = outcome is outcomes[0]
        table.add_row(
            str(outcome.services),
            f"{outcome.wall_s:.1f} s",
            f"{outcome.deploy_s:.1f} s",
            f"{outcome.upgrade_s:.1f} s",
            f"{outcome.cpu_s:.1f} s",
            f"{outcome.peak_mib:,.0f} MiB",
            f"{outcome.virtual_s:.0f} s",
            f"{outcome.events:,}",
            f"{outcome.requests:,}",
            str(outcome.failed),
            f"{1000 * outcome.cpu_s / outcome.services:.1f} ms",
            "" if is_first else f"{growth(outcomes[0], outcome):.2f}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
