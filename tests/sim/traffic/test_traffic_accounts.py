"""Quantiles, timelines, and known answers of queueing theory."""

from __future__ import annotations

from heapq import heapreplace
from math import factorial
from typing import Any

import pytest

from rayrig_core.http import Failure
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant, Exponential, LogNormal, Uniform
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.randomness import Streams
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.local import PORT, LocalServe
from rayrig_sim.serve.service_times import ServiceTimes, batch_ns
from rayrig_sim.traffic.accounting import Accounting, Bucket
from rayrig_sim.traffic.curl import curl
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.quantiles import quantile
from rayrig_sim.traffic.requests import RequestClass, Target


def test_quantiles_are_values_that_occurred() -> None:
    assert quantile([1], 0.99) == 1
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile(range(1, 101), 0.5) == 50
    assert quantile(range(1, 101), 1.0) == 100
    assert quantile(range(1, 101), 0.0) == 1
    assert quantile([10, 20, 30], 0.5) == 20
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([1], 99)


def test_an_account_knows_its_quantiles_once_a_request_was_answered() -> None:
    assert Accounting().quantile_ns(0.5) is None
    assert Accounting(latencies_ns=[3, 1, 2]).quantile_ns(1.0) == 3


def traffic_on(serve: LocalServe, rate: float, limit: int, **options: Any) -> OpenLoop:
    options.setdefault("timeout_s", 1e9)
    source = OpenLoop(serve.kernel, serve.network, Target("serve"), rate, arrival="poisson", limit=limit, **options)
    source.start()
    return source


def test_the_timeline_has_no_gaps() -> None:
    serve = LocalServe(single("m.app", Constant(0.25)))
    source = OpenLoop(serve.kernel, serve.network, Target("serve"), 1.0, limit=4)
    source.start()
    serve.kernel.run(until_s=1.5)
    serve.proxies[0].close()
    serve.kernel.run()
    account = source.accounting()
    assert account.timeline(NS) == [
        Bucket(0, {"ok": 1}),
        Bucket(NS, {"ok": 1}),
        Bucket(2 * NS, {"refused": 1}),
        Bucket(3 * NS, {"refused": 1}),
    ]
    assert len(account.timeline(NS // 4)) == 12
    assert account.failed == 2
    assert account.causes == {("refused", "nobody listens on the pod's port"): 2}
    assert account.by_pod == {("pod-0", "ok"): 2, ("pod-0", "refused"): 2}
    assert account.by_app == {("app", "ok"): 2}
    latencies = account.latencies()
    assert latencies is not None
    assert (latencies.count, latencies.p50_ns, latencies.max_ns, latencies.mean_ns) == (2, NS // 4, NS // 4, NS // 4)


def test_an_account_without_answers_has_no_latencies() -> None:
    serve = LocalServe(single("m.app", Constant(1.0)))
    source = OpenLoop(serve.kernel, serve.network, Target("serve"), 1.0)
    assert source.accounting().latencies() is None
    assert source.accounting().timeline(NS) == []


def erlang_c(servers: int, load: float) -> float:
    last = load**servers / factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize(("replicas", "utilisation"), [(1, 0.5), (4, 0.6)])
def test_waiting_agrees_with_erlang_c(replicas: int, utilisation: float) -> None:
    """20,000 requests of one seed; the router's pauses of at most 0.5 s are small against 1000 s of service."""
    mean_s = 1000.0
    serve = LocalServe(single("mmc.app", Exponential(mean_s)), replicas=replicas, max_ongoing_requests=1)
    source = traffic_on(serve, utilisation * replicas / mean_s, 20_000)
    serve.kernel.run()
    account = source.accounting()
    latencies = account.latencies()
    assert latencies is not None
    assert latencies.count == 20_000
    expected_s = erlang_c(replicas, replicas * utilisation) * mean_s / (replicas * (1 - utilisation))
    assert latencies.mean_ns / NS == pytest.approx(mean_s + expected_s, rel=0.03)


@pytest.mark.parametrize(("replicas", "utilisation"), [(1, 0.8), (4, 0.8), (16, 0.9)])
def test_waits_are_those_of_first_come_first_served(replicas: int, utilisation: float) -> None:
    """For the same arrivals and durations, but for the router's pauses: no chance is in this."""
    work = Exponential(1000.0 * replicas)
    serve = LocalServe(single("mmc.app", work), replicas=replicas, max_ongoing_requests=1)
    source = traffic_on(serve, utilisation / 1000, 2000, mix=[RequestClass("work", duration=work)])
    serve.kernel.run()
    durations = ServiceTimes(Streams(0).stream(f"{source.actor}/durations/work"), work)
    ended = {
        int(e["number"] or 0): (e.t_ns, int(e["latency_ns"] or 0)) for e in serve.kernel.trace.select(Kind.REQUEST)
    }
    free = [0] * replicas
    waited = expected = 0
    for number in range(2000):
        end_ns, latency_ns = ended[number]
        arrival_ns, duration_ns = end_ns - latency_ns, durations.draw_ns()
        start_ns = max(arrival_ns, free[0])
        heapreplace(free, start_ns + duration_ns)
        waited += latency_ns - duration_ns
        expected += start_ns - arrival_ns
    assert waited == pytest.approx(expected, rel=0.003)


def test_littles_law_holds() -> None:
    serve = LocalServe(single("m.app", Uniform(0.5, 1.5)), replicas=4, max_ongoing_requests=100)
    source = traffic_on(serve, 20.0, 10_000)
    seen: list[int] = []

    async def observer() -> None:
        while source.is_running:
            seen.append(source.in_flight)
            await serve.kernel.sleep(0.1)

    serve.kernel.spawn("observer", observer())
    serve.kernel.run()
    assert sum(seen) / len(seen) == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize(
    "distribution", [Constant(0.1), Uniform(0.1, 0.3), Exponential(0.2, 0.05), LogNormal(0.1, 0.5)]
)
def test_batches_are_drawn_from_the_distribution(distribution: Constant | Uniform | Exponential | LogNormal) -> None:
    draws = batch_ns(distribution, Streams(1).stream("a"), 20_000)
    assert sum(draws) / len(draws) / NS == pytest.approx(distribution.mean_s, rel=0.02)
    assert min(draws) >= 0


def test_durations_of_several_legs_add_up() -> None:
    times = ServiceTimes(Streams(1).stream("a"), Constant(0.1), Constant(0.2))
    assert [times.draw_ns() for _ in range(1000)] == [300_000_000] * 1000


def test_curl_asks_by_service_name_and_tells_why_no_answer_came() -> None:
    serve = LocalServe(single("m.app", Constant(0.5)))
    client = NetworkClient(serve.network, "curl")
    answer = serve.run(curl(client, serve.kernel, "serve:8000/fruit/", method="POST", body='["MANGO", 2]'))
    assert (answer.status, answer.body, answer.failure, answer.took_ns) == (200, "ok", None, NS // 2)
    slow = serve.run(curl(client, serve.kernel, "http://serve.default.svc:8000/", timeout_s=0.2))
    assert (slow.status, slow.failure, slow.took_ns) == (None, Failure.TIMEOUT, NS // 5)
    serve.network.close(serve.ips[0], PORT)
    refused = serve.run(curl(client, serve.kernel, "serve:8000/"))
    assert refused.failure is Failure.REFUSED
