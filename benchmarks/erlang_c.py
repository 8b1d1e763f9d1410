"""The modelled data plane as an M/M/c queue, against Erlang C and against the queue's own recursion.

python benchmarks/erlang_c.py                       10^6 requests for each of several servers and loads
python benchmarks/erlang_c.py --requests 100000     fewer
python benchmarks/erlang_c.py --servers 4 --load 0.6

Each replica takes one request at a time; requests wait in the proxy's router. Busy replicas end one each 1000 s in the mean, all
of them together, so that the pauses between the router's looks, 0.5 s at most, are small against that. Two things are compared:

* recursion: the waits that first-come-first-served gives for the very same arrivals and durations. No chance is in this: what
  differs is the router's pauses.
* Erlang C: chance that a request finds all replicas busy, and the mean wait. Waits that depend on each other say little about
  their mean when the load is high, so its interval is told, too (95 %, from 50 batches in order of arrival, the first of which
  is left out as warm-up), narrowed by a regression on the load that a batch happened to offer, whose expectation is known.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
import sys
import time
from dataclasses import dataclass
from math import factorial, sqrt

from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Exponential
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.service_times import ServiceTimes
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import RequestClass, Target

_GAP_S = 1000.0
_CASES = ((1, 0.5), (1, 0.8), (4, 0.6), (4, 0.8), (16, 0.8), (16, 0.9))
_BATCHES = 50
#: 97.5 % of Student's distribution with 47 degrees of freedom.
_T = 2.012


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests in order of arrival; nanoseconds."""

    arrivals: list[int]
    durations: list[int]
    waits: list[int]
    processor_s: float


def erlang_c(servers: int, load: float) -> float:
    """Chance that an arrival waits in M/M/c with `load` erlangs."""
    last = load**servers / factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / factorial(k) for k in range(servers)) + last)


def sampled(requests: int, servers: int, utilisation: float, seed: int = 0) -> Sample:
    began = time.process_time()
    work = Exponential(_GAP_S * servers)
    site = LocalServe(single("mmc.app", work), kernel=Kernel(seed), replicas=servers, max_ongoing_requests=1)
    mix = [RequestClass("work", duration=work)]
    rate = utilisation / _GAP_S
    source = OpenLoop(
        site.kernel, site.network, Target(site.service), rate, arrival="poisson", limit=requests, mix=mix, timeout_s=1e9
    )
    source.start()
    site.kernel.run()
    account = source.accounting()
    assert account.fates == {"ok": requests}
    # The durations, as the source has drawn them.
    times = ServiceTimes(Kernel(seed).streams.stream(f"{source.actor}/durations/work"), work)
    durations = [times.draw_ns() for _ in range(requests)]
    arrivals, waits = [0] * requests, [0] * requests
    for event in site.kernel.trace.select(Kind.REQUEST):
        number, latency = int(event["number"] or 0), int(event["latency_ns"] or 0)
        arrivals[number] = event.t_ns - latency
        waits[number] = latency - durations[number]
    return Sample(arrivals, durations, waits, time.process_time() - began)


def recursion(sample: Sample, servers: int) -> list[int]:
    """The waits when a free server takes the first in the queue without delay."""
    free = [0] * servers
    waits = []
    for arrival, duration in zip(sample.arrivals, sample.durations, strict=True):
        start = max(arrival, free[0])
        heapq.heapreplace(free, start + duration)
        waits.append(start - arrival)
    return waits


def finding_all_busy(sample: Sample, servers: int) -> list[float]:
    """1 for each request that found as many in the system as there are servers, 0 for the others."""
    leaving: list[int] = []
    found = []
    for arrival, duration, wait in zip(sample.arrivals, sample.durations, sample.waits, strict=True):
        while leaving and leaving[0] <= arrival:
            heapq.heappop(leaving)
        found.append(float(len(leaving) >= servers))
        heapq.heappush(leaving, arrival + wait + duration)
    return found


def estimate(sample: Sample, values: list[float], offered: float) -> tuple[float, float]:
    """Mean of a value of each request, and half of its interval."""
    size = len(values) // _BATCHES
    means, loads = [], []
    for first in range(size, size * _BATCHES, size):
        here = slice(first, first + size)
        means.append(statistics.fmean(values[here]))
        span = sample.arrivals[min(first + size, len(values) - 1)] - sample.arrivals[first]
        loads.append(sum(sample.durations[here]) / span - offered)
    slope, mean = statistics.linear_regression(loads, means)
    rest = [value - mean - slope * load for value, load in zip(means, loads, strict=True)]
    return mean, _T * sqrt(sum(each * each for each in rest) / (len(rest) - 2) / len(rest))


def compared(requests: int, servers: int, utilisation: float) -> bool:
    """A line of the table; whether the mean wait is within 1 % of Erlang C, or Erlang C in an interval wider than that."""
    sample = sampled(requests, servers, utilisation)
    exact = recursion(sample, servers)
    pauses = sum(sample.waits) / sum(exact) - 1
    offered = servers * utilisation
    chance = erlang_c(servers, offered)
    expected_s = chance * _GAP_S / (1 - utilisation)
    mean_s, half_s = estimate(sample, [wait / NS for wait in sample.waits], offered)
    share, half = estimate(sample, finding_all_busy(sample, servers), offered)
    error = mean_s / expected_s - 1
    print(
        f"{servers:3} {utilisation:5.0%}   {share:7.4f} ±{half:.4f} {chance:7.4f}   "
        f"{mean_s:9.2f} {expected_s:9.2f} {error:+7.2%} ±{half_s / expected_s:.2%}   {pauses:+8.3%}   "
        f"{requests / sample.processor_s:10,.0f}",
        flush=True,
    )
    return abs(error) < max(0.01, half_s / expected_s) and abs(pauses) < 0.005


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--servers", type=int)
    parser.add_argument("--load", type=float, help="share of the time that a server is busy")
    options = parser.parse_args()
    cases = _CASES if options.servers is None else ((options.servers, options.load or 0.6),)
    print(
        f"{options.requests:,} requests; times in s; the last column: requests a second of processor time, trace included"
    )
    print("  c  load   all busy         Erlang C   mean wait  Erlang C   error   interval   recursion     speed")
    held = [compared(options.requests, servers, load) for servers, load in cases]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
