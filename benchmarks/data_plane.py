"""Simulated requests through Service, proxy, router and replica, fully accounted, a second of processor time.

python benchmarks/data_plane.py                      the table
python benchmarks/data_plane.py --requests 1000000   more requests

Processor time of this process, so that other work on the machine does not count; on an idle machine it is wall time.
Rows in the second part run application code on an event loop, as it would run in a replica's process.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rayrig_sim.applications import fruit_stand
from rayrig_sim.calibration import Calibration, Exponential
from rayrig_sim.kernel import Kernel
from rayrig_sim.ray_api import serve
from rayrig_sim.ray_api.deployments import built
from rayrig_sim.serve.application_code import ApplicationCode, single
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import FreshConnections, KeepAlive, RequestClass, Target

#: Application code is slower by so much that fewer requests tell as much.
_FEWER = 20


@serve.deployment
class Batching:
    """Items of several requests at a time."""

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.01)
    async def double(self, numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]

    async def __call__(self, request: Any) -> int:
        result: int = await self.double(21)
        return result


@serve.deployment
class Source:
    """A generator of ten values."""

    async def count(self) -> AsyncIterator[int]:
        for number in range(10):
            yield number


@serve.deployment
class Streaming:
    """Reads a stream of another deployment."""

    def __init__(self, source: Any) -> None:
        self._source = source.options(stream=True)

    async def __call__(self, request: Any) -> int:
        return sum([number async for number in self._source.count.remote()])


def measured(app: ApplicationCode, requests: int, seed: int, **options: Any) -> tuple[float, str]:
    """Requests per second, account included, and a line about the run."""
    site = LocalServe(app, kernel=Kernel(seed), pods=4, replicas=8, max_ongoing_requests=100)
    traffic = OpenLoop(
        site.kernel, site.network, Target(site.service), 1000, arrival="poisson", limit=requests, **options
    )
    gc.collect()
    began = time.process_time()
    traffic.start()
    site.kernel.run()
    account = traffic.accounting()
    latencies = account.latencies()
    took = time.process_time() - began
    assert account.sent == requests == sum(account.fates.values())
    assert not account.in_flight
    assert latencies is not None
    return requests / took, f"ok {account.fates['ok']:,}, p99 {latencies.p99_ns / 1e6:.1f} ms"


def row(name: str, app: ApplicationCode, requests: int, rounds: int, **options: Any) -> None:
    speeds, note = [], ""
    for round_ in range(rounds):
        speed, note = measured(app, requests, round_, **options)
        speeds.append(speed)
    print(f"{name:36} {max(speeds):10,.0f}/s {statistics.median(speeds):10,.0f}/s   {note}", flush=True)


def table(requests: int, rounds: int) -> None:
    distribution = single("bench.app", Exponential(0.020))
    fruit = fruit_stand.application(Exponential(0.005), Exponential(0.010))
    mango = (RequestClass("mango", method="POST", body=b'["MANGO", 2]'),)
    mix: Sequence[RequestClass] = (
        RequestClass("short", 0.9, duration=Exponential(0.010)),
        RequestClass("long", 0.1, duration=Exponential(0.2)),
    )
    kept, fresh = KeepAlive(64), FreshConnections()
    print(f"{requests:,} requests, best and median of {rounds}")
    row("one deployment, keep-alive", distribution, requests, rounds, connections=kept)
    row("one deployment, fresh connections", distribution, requests, rounds, connections=fresh)
    row("  with calibrated latencies", distribution, requests, rounds, connections=fresh, calibration=Calibration())
    row("  with a mix of lengths", distribution, requests, rounds, connections=kept, mix=mix)
    row("fruit stand, keep-alive", fruit, requests, rounds, connections=kept, mix=mango)
    row("fruit stand, fresh connections", fruit, requests, rounds, connections=fresh, mix=mango)
    few = max(requests // _FEWER, 100)
    print(f"application code on an event loop, {few:,} requests")
    row("batches of up to 16", built(Batching.bind()), few, rounds, connections=kept)
    row("a stream of 10 values", built(Streaming.bind(Source.bind())), few, rounds, connections=kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table(options.requests, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
