"""Speed of the data plane: simulated requests per second of wall time through Service, proxy, router and replica, fully accounted.

python benchmarks/data_plane.py                 the table
python benchmarks/data_plane.py --erlang 1000000   M/M/c queue against Erlang C at that many requests
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from math import factorial
from typing import Any

from rayrig_sim.applications import fruit_stand
from rayrig_sim.calibration import Calibration, Exponential
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import ApplicationCode, single
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import FreshConnections, KeepAlive, RequestClass, Target


def site_of(app: ApplicationCode, *, pods: int, replicas: int, limit: int, seed: int = 0) -> LocalServe:
    return LocalServe(app, kernel=Kernel(seed), pods=pods, replicas=replicas, max_ongoing_requests=limit)


def traffic_of(site: LocalServe, rate: float, requests: int, **options: Any) -> OpenLoop:
    return OpenLoop(site.kernel, site.network, Target(site.service), rate, arrival="poisson", limit=requests, **options)


def measured(site: LocalServe, traffic: OpenLoop, requests: int) -> tuple[float, str]:
    """Requests per wall second, account included, and a line about the run."""
    gc.collect()
    began = time.perf_counter()
    traffic.start()
    site.kernel.run()
    account = traffic.accounting()
    latencies = account.latencies()
    took = time.perf_counter() - began
    assert account.sent == requests == sum(account.fates.values()) + account.in_flight
    assert latencies is not None
    return requests / took, f"ok {account.fates['ok']}, p99 {latencies.p99_ns / 1e6:.1f} ms"


def table(requests: int, rounds: int) -> None:
    distribution = single("bench.app", Exponential(0.020))
    fruit = fruit_stand.application(Exponential(0.005), Exponential(0.010))
    calibrated = Calibration()
    body = (RequestClass("mango", method="POST", body=b'["MANGO", 2]'),)
    mix = (
        RequestClass("short", 0.9, duration=Exponential(0.010)),
        RequestClass("long", 0.1, duration=Exponential(0.2)),
    )
    plain = (RequestClass(),)
    rows = [
        ("one deployment, keep-alive", distribution, plain, KeepAlive(64), None),
        ("one deployment, fresh connections", distribution, plain, FreshConnections(), None),
        ("  with calibrated latencies", distribution, plain, FreshConnections(), calibrated),
        ("  with a mix of lengths", distribution, mix, KeepAlive(64), None),
        ("fruit stand, keep-alive", fruit, body, KeepAlive(64), None),
        ("fruit stand, fresh connections", fruit, body, FreshConnections(), None),
    ]
    print(f"{requests} requests, best and median of {rounds}")
    for name, app, classes, connections, calibration in rows:
        speeds, note = [], ""
        for round_ in range(rounds):
            site = site_of(app, pods=4, replicas=8, limit=100, seed=round_)
            traffic = traffic_of(site, 1000, requests, mix=classes, connections=connections, calibration=calibration)
            speed, note = measured(site, traffic, requests)
            speeds.append(speed)
        print(f"{name:36} {max(speeds):10,.0f}/s {statistics.median(speeds):10,.0f}/s   {note}")


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c with `load` erlangs."""
    last = load**servers / factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / factorial(k) for k in range(servers)) + last)


def erlang(requests: int, servers: int = 4, utilisation: float = 0.6) -> float:
    """Error of the mean wait, as a share. Service takes 1000 s in the mean, so that the router's pauses of at most 0.5 s
    are small against it; the queue is the router's."""
    mean_s = 1000.0
    site = site_of(single("mmc.app", Exponential(mean_s)), pods=1, replicas=servers, limit=1)
    rate = utilisation * servers / mean_s
    traffic = traffic_of(site, rate, requests, timeout_s=1e9)
    began = time.perf_counter()
    traffic.start()
    site.kernel.run()
    account = traffic.accounting()
    took = time.perf_counter() - began
    latencies = account.latencies()
    assert latencies is not None
    waited = latencies.mean_ns / 1e9 - mean_s
    expected = erlang_c(servers, servers * utilisation) * mean_s / (servers * (1 - utilisation))
    error = waited / expected - 1
    print(
        f"M/M/{servers} at {utilisation:.0%}: {requests} requests in {took:.1f} s wall, mean wait {waited:.2f} s, "
        f"Erlang C {expected:.2f} s, error {error:+.2%}"
    )
    return error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--erlang", type=int, metavar="REQUESTS")
    options = parser.parse_args()
    if options.erlang:
        return 0 if abs(erlang(options.erlang)) < 0.01 else 1
    table(options.requests, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
