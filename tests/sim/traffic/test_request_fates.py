"""Each request has one fate and one cause in the trace."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_sim.calibration import Calibration, Constant, Uniform
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import ApplicationCode, single
from rayrig_sim.serve.local import PORT, LocalServe
from rayrig_sim.serve.proxy_server import ProxyServer
from rayrig_sim.serve.router import RouterConfig
from rayrig_sim.traffic.closed_loop import ClosedLoop
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import FreshConnections, KeepAlive, RequestClass, Target
from rayrig_sim.traffic.source import Source

TARGET = Target("serve")


def app(seconds: float = 0.1) -> ApplicationCode:
    return single("m.app", Constant(seconds))


def open_loop(serve: LocalServe, rate: float, **options: Any) -> OpenLoop:
    return OpenLoop(serve.kernel, serve.network, options.pop("target", TARGET), rate, **options)


def requests_of(source: Source) -> list[TraceEvent]:
    return [event for event in source.kernel.trace.select(Kind.REQUEST) if event.actor == source.actor]


def story(source: Source) -> list[tuple[float, str, int, Any, Any]]:
    """(end in s, fate, latency in ms, pod, detail) of each request."""
    return [
        (event.t_s, str(event["fate"]), int(event["latency_ns"] or 0) // 1_000_000, event["pod"], event["detail"])
        for event in requests_of(source)
    ]


def cause_of(source: Source, index: int) -> TraceEvent:
    event = requests_of(source)[index]
    assert event.cause is not None
    return source.kernel.trace[event.cause]


def run(source: Source, seconds: float) -> None:
    source.start()
    source.kernel.run(until_s=seconds)


def test_answered_requests_are_ok_and_belong_to_the_start_of_the_traffic() -> None:
    serve = LocalServe(app())
    traffic = open_loop(serve, 2.0, limit=3)
    run(traffic, 10)
    assert story(traffic) == [
        (0.1, "ok", 100, "pod-0", ""),
        (0.6, "ok", 100, "pod-0", ""),
        (1.1, "ok", 100, "pod-0", ""),
    ]
    assert (cause_of(traffic, 0).kind, cause_of(traffic, 0)["state"]) == (Kind.TRAFFIC, "started")
    assert [event["app"] for event in requests_of(traffic)] == ["app"] * 3
    assert [event["status"] for event in requests_of(traffic)] == [200] * 3


def test_no_endpoint_is_explained_by_the_change_of_endpoints() -> None:
    serve = LocalServe(app())
    change = serve.kernel.trace.emit(Kind.ENDPOINTS, "services/default/serve", 0, "")
    serve.set_ready(0, False, cause=change)
    traffic = open_loop(serve, 1.0, limit=1)
    run(traffic, 10)
    assert story(traffic) == [(0.0, "no-endpoint", 0, "", "the Service has no ready endpoint")]
    assert cause_of(traffic, 0).seq == change
    elsewhere = open_loop(serve, 1.0, limit=1, target=Target("nowhere"), name="elsewhere")
    run(elsewhere, 20)
    assert story(elsewhere)[0][1:] == ("no-endpoint", 0, "", "no such Service")


def test_a_pod_whose_proxy_has_ended_refuses() -> None:
    serve = LocalServe(app())
    traffic = open_loop(serve, 1.0, limit=3)
    traffic.start()
    serve.kernel.run(until_s=0.5)
    fault = serve.kernel.trace.emit(Kind.FAULT, "pods/default/pod-0", "proxy-kill", "")
    serve.proxies[0].close(cause=fault)
    serve.kernel.run(until_s=1.5)
    serve.network.close(serve.ips[0], PORT)
    serve.kernel.run()
    why = "nobody listens on the pod's port"
    assert story(traffic)[1:] == [(1.0, "refused", 0, "pod-0", why), (2.0, "refused", 0, "pod-0", why)]
    assert [cause_of(traffic, index).seq for index in (1, 2)] == [fault, fault]


def test_a_killed_pod_resets_what_is_under_way_even_when_its_replica_dies_first() -> None:
    serve = LocalServe(app(5.0))
    traffic = open_loop(serve, 1.0, limit=1)
    traffic.start()
    serve.kernel.run(until_s=2)
    fault = serve.kernel.trace.emit(Kind.FAULT, "pods/default/pod-0", "pod-kill", "")
    serve.kill_pod(0, fault)
    serve.kernel.run()
    assert story(traffic) == [(2.0, "connection-reset", 2000, "pod-0", "the proxy's process ended")]
    assert cause_of(traffic, 0).seq == fault
    assert traffic.accounting().in_flight == 0


def test_a_killed_replica_on_another_pod_is_500_with_the_kill_as_cause() -> None:
    serve = LocalServe(app(5.0), pods=2, replicas=1)
    serve.set_ready(0, False)  # the replica is on pod-0, the proxy that is asked on pod-1
    traffic = open_loop(serve, 1.0, limit=1)
    traffic.start()
    serve.kernel.run(until_s=2)
    fault = serve.kernel.trace.emit(Kind.FAULT, "replicas/app0", "replica-kill", "")
    serve.replicas["App"][0].kill("killed", fault)
    serve.kernel.run()
    assert story(traffic) == [(2.0, "500", 2000, "pod-1", "the replica died: killed")]
    assert requests_of(traffic)[0]["status"] == 500
    assert cause_of(traffic, 0).seq == fault


def test_user_code_that_raises_is_500() -> None:
    def broken(request: Any) -> None:
        raise ValueError("no luck")

    serve = LocalServe(single("m.app", broken))
    traffic = open_loop(serve, 1.0, limit=1)
    run(traffic, 10)
    assert story(traffic) == [(0.0, "500", 0, "pod-0", "ValueError: no luck")]


def test_an_unknown_path_is_404_with_the_route_table_as_cause() -> None:
    serve = LocalServe(app(), route_prefix="/fruit")
    table = serve.kernel.trace.emit(Kind.NOTE, "routes", "")
    serve.proxies[0].set_routes([], cause=table)
    traffic = open_loop(serve, 1.0, limit=1, mix=[RequestClass(path="/fruit")])
    run(traffic, 10)
    text = "Path '/fruit' not found. Ping http://.../-/routes for available routes."
    assert story(traffic) == [(0.0, "404", 0, "pod-0", text)]
    assert cause_of(traffic, 0).seq == table


def test_too_many_queued_is_503() -> None:
    serve = LocalServe(app(10.0), max_ongoing_requests=1, router=RouterConfig(max_queued_requests=1))
    traffic = open_loop(serve, 10.0, limit=3)
    run(traffic, 0.5)
    why = "Request dropped due to backpressure (num_queued_requests=1, max_queued_requests=1)."
    assert story(traffic) == [(0.2, "503", 0, "pod-0", why)]


def test_the_clients_time_limit_frees_the_slot() -> None:
    serve = LocalServe(app(10.0), max_ongoing_requests=1)
    traffic = open_loop(serve, 1.0, limit=2, timeout_s=3.0)
    run(traffic, 20)
    assert story(traffic) == [
        (3.0, "timeout", 3000, "pod-0", "still running in App"),
        (4.0, "timeout", 3000, "pod-0", "still running in App"),
    ]
    assert serve.replicas["App"][0].ongoing == 0
    assert serve.routers.loads(serve.deployment("App")) == [("proxy/node-0", 0, 0)]


def test_waiting_for_a_replica_until_the_time_limit_is_explained_by_the_last_change_of_replicas() -> None:
    serve = LocalServe(app())
    gone = serve.kernel.trace.emit(Kind.REPLICA, "replicas/app0", "STOPPING", "", "")
    serve.routers.update_replicas(serve.deployment("App"), [], cause=gone)
    traffic = open_loop(serve, 1.0, limit=1, timeout_s=3.0)
    run(traffic, 20)
    assert story(traffic) == [(3.0, "timeout", 3000, "pod-0", "waiting for a replica of App")]
    assert cause_of(traffic, 0).seq == gone
    assert serve.routers.loads(serve.deployment("App")) == [("proxy/node-0", 0, 0)]


def test_the_proxys_own_time_limit_is_a_timeout_with_a_status() -> None:
    serve = LocalServe(app(10.0), request_timeout_s=1)
    traffic = open_loop(serve, 1.0, limit=1)
    run(traffic, 20)
    assert story(traffic) == [(1.0, "timeout", 1000, "pod-0", "the proxy's time limit passed")]
    assert requests_of(traffic)[0]["status"] == 408


def test_a_silent_pod_answers_nothing_and_what_was_under_way_is_lost() -> None:
    serve = LocalServe(app(1.0))
    traffic = open_loop(serve, 1.0, limit=2, timeout_s=5.0)
    traffic.start()
    serve.kernel.run(until_s=0.5)
    serve.network.silence(serve.ips[0])
    serve.kernel.run()
    why = "the pod does not answer"
    assert story(traffic) == [(5.0, "timeout", 5000, "pod-0", why), (6.0, "timeout", 5000, "pod-0", why)]


def test_a_partition_cuts_off_one_source_only() -> None:
    serve = LocalServe(app(1.0))
    cut, free = (open_loop(serve, 1.0, limit=1, timeout_s=5.0, name=name) for name in ("cut", "free"))
    serve.network.partition("traffic/cut", "*")
    cut.start()
    run(free, 20)
    assert (story(cut)[0][1], story(free)[0][1]) == ("timeout", "ok")


def test_other_statuses_of_an_application_are_other() -> None:
    def teapot(request: Any) -> HttpResponse:
        return HttpResponse.text(418, "short and stout")

    serve = LocalServe(single("m.app", teapot))
    traffic = open_loop(serve, 1.0, limit=1)
    run(traffic, 10)
    assert story(traffic) == [(0.0, "other", 0, "pod-0", "the application answered 418")]


def test_a_server_that_is_no_serve_proxy_is_asked_as_well() -> None:
    class Dashboard:
        async def handle(self, request: HttpRequest) -> HttpResponse:
            await serve.kernel.sleep(0.25)
            return HttpResponse.text(200, request.path)

    serve = LocalServe(app())
    serve.network.close(serve.ips[0], PORT)
    serve.network.listen(serve.ips[0], PORT, Dashboard())
    traffic = open_loop(serve, 1.0, limit=1)
    run(traffic, 10)
    assert story(traffic) == [(0.25, "ok", 250, "pod-0", "")]


def test_a_kept_connection_stays_with_a_pod_that_is_no_endpoint_any_more() -> None:
    serve = LocalServe(app(), pods=2, replicas=2)
    serve.set_ready(1, False)
    kept = open_loop(serve, 1.0, limit=4, name="kept", connections=KeepAlive(1))
    fresh = open_loop(serve, 1.0, limit=4, name="fresh", connections=FreshConnections())
    kept.start()
    fresh.start()
    serve.kernel.run(until_s=1.5)
    serve.set_ready(1, True)
    serve.set_ready(0, False)
    serve.kernel.run()
    assert [pod for *_, pod, _ in story(kept)] == ["pod-0"] * 4
    assert [pod for *_, pod, _ in story(fresh)] == ["pod-0", "pod-0", "pod-1", "pod-1"]


def test_a_broken_connection_is_opened_anew_to_another_pod() -> None:
    serve = LocalServe(app(0.4), pods=2, replicas=2)
    serve.set_ready(1, False)
    traffic = open_loop(serve, 1.0, limit=3, connections=KeepAlive(1))
    traffic.start()
    serve.kernel.run(until_s=1.2)
    serve.set_ready(1, True)
    serve.set_ready(0, False)
    serve.kill_pod(0)
    serve.kernel.run()
    assert [(fate, pod) for _, fate, _, pod, _ in story(traffic)] == [
        ("ok", "pod-0"),
        ("connection-reset", "pod-0"),
        ("ok", "pod-1"),
    ]


def test_a_connection_idle_for_too_long_is_opened_anew() -> None:
    serve = LocalServe(app(), pods=2, replicas=2)
    serve.set_ready(1, False)
    traffic = open_loop(serve, 0.1, limit=3, connections=KeepAlive(1, idle_timeout_s=9.0))
    traffic.start()
    serve.kernel.run(until_s=15)
    serve.set_ready(1, True)
    serve.set_ready(0, False)
    serve.kernel.run()
    assert [pod for *_, pod, _ in story(traffic)] == ["pod-0", "pod-0", "pod-1"]


def test_kept_connections_are_used_in_turn() -> None:
    serve = LocalServe(app(), pods=4, replicas=4)
    traffic = open_loop(serve, 1.0, limit=40, connections=KeepAlive(4))
    run(traffic, 100)
    pods = [pod for *_, pod, _ in story(traffic)]
    assert pods[4:8] == pods[8:12] == pods[36:40]


def test_a_closed_loop_sends_when_it_has_its_answer() -> None:
    serve = LocalServe(app(1.0))
    traffic = ClosedLoop(serve.kernel, serve.network, TARGET, 2, think=0.5)
    run(traffic, 3.9)
    assert [at for at, *_ in story(traffic)] == [1.0, 1.0, 2.5, 2.5]
    traffic.stop()
    serve.kernel.run()
    assert len(story(traffic)) == 6


def test_a_closed_loop_that_is_refused_does_not_spin() -> None:
    serve = LocalServe(app())
    serve.set_ready(0, False)
    traffic = ClosedLoop(serve.kernel, serve.network, TARGET, 1)
    run(traffic, 1.05)
    assert traffic.accounting().fates == {"no-endpoint": 11}


def test_a_closed_loop_that_is_answered_in_no_time_does_not_spin() -> None:
    serve = LocalServe(app())
    serve.routers.set_unavailable(serve.deployment("App"), True)
    traffic = ClosedLoop(serve.kernel, serve.network, TARGET, 1)
    run(traffic, 1.05)
    assert traffic.accounting().fates == {"503": 11}


def test_more_clients_replace_the_present_ones() -> None:
    serve = LocalServe(app(1.0))
    traffic = ClosedLoop(serve.kernel, serve.network, TARGET, 1)
    run(traffic, 0.5)
    traffic.set_clients(3)
    serve.kernel.run(until_s=1.7)
    assert [at for at, *_ in story(traffic)] == [1.0, 1.5, 1.5, 1.5]


def test_the_way_there_and_back_is_part_of_the_latency() -> None:
    calibration = Calibration(
        http_latency=Constant(0.001),
        proxy_latency=Constant(0.002),
        replica_latency=Constant(0.004),
        connect_latency=Constant(0.008),
    )
    serve = LocalServe(app(0.1))
    fresh = open_loop(serve, 1.0, limit=2, calibration=calibration, name="fresh")
    kept = open_loop(serve, 1.0, limit=2, calibration=calibration, name="kept", connections=KeepAlive(1))
    fresh.start()
    run(kept, 10)
    assert [latency for _, _, latency, _, _ in story(fresh)] == [115, 115]
    assert [latency for _, _, latency, _, _ in story(kept)] == [115, 107]


def test_a_rate_can_change_and_pause() -> None:
    serve = LocalServe(app(0.0))
    traffic = open_loop(serve, 1.0)
    run(traffic, 1.5)
    traffic.set_rate(10.0)
    serve.kernel.run(until_s=1.75)
    traffic.set_rate(0.0)
    serve.kernel.run(until_s=5)
    assert [at for at, *_ in story(traffic)] == [0.0, 1.0, 1.5, 1.6, 1.7]
    assert cause_of(traffic, 4)["detail"] == "10 requests/s, even"
    with pytest.raises(ValueError, match="negative"):
        traffic.set_rate(-1.0)


def test_traffic_stops_starts_again_and_settles() -> None:
    serve = LocalServe(app(2.0))
    traffic = open_loop(serve, 1.0)
    settled: list[float] = []

    async def conductor() -> None:
        traffic.start()
        await serve.kernel.sleep(1.5)
        traffic.stop()
        await traffic.settled()
        settled.append(serve.kernel.monotonic_ns() / NS)
        traffic.start()
        await serve.kernel.sleep(0.5)
        traffic.stop()

    serve.kernel.spawn("conductor", conductor())
    serve.kernel.run()
    assert settled == [3.0]
    assert [at for at, *_ in story(traffic)] == [2.0, 3.0, 5.0]


def test_classes_of_a_mix_have_their_own_durations_and_shares() -> None:
    serve = LocalServe(app(0.1), max_ongoing_requests=1000)
    mix = [RequestClass("short", 3.0), RequestClass("long", 1.0, duration=Uniform(1.0, 2.0))]
    traffic = open_loop(serve, 100.0, limit=4000, mix=mix)
    run(traffic, 100)
    by_class = traffic.accounting().by_class
    assert by_class["short", "ok"] + by_class["long", "ok"] == 4000
    assert 900 < by_class["long", "ok"] < 1100
    for event in requests_of(traffic):
        latency_ms = int(event["latency_ns"] or 0) / 1e6
        assert latency_ms == 100 if event.subject.endswith("/short") else 1000 <= latency_ms < 2000


def test_the_sum_of_fates_is_what_was_sent_whatever_happens() -> None:
    serve = LocalServe(app(0.3), pods=3, replicas=6, max_ongoing_requests=2)
    sources: list[Source] = [
        open_loop(serve, 40.0, name="a", timeout_s=2.0, arrival="poisson", connections=KeepAlive(5)),
        open_loop(serve, 10.0, name="b", timeout_s=1.0, mix=[RequestClass(path="/x"), RequestClass("y", path="/y")]),
        ClosedLoop(serve.kernel, serve.network, TARGET, 7, name="c", timeout_s=2.0, connections=KeepAlive()),
    ]
    for source in sources:
        source.start()
    kernel = serve.kernel
    kernel.call_later(3 * NS, lambda _: serve.kill_pod(1))
    kernel.call_later(4 * NS, lambda _: serve.set_ready(1, False))
    kernel.call_later(5 * NS, lambda _: serve.network.silence(serve.ips[2]))
    kernel.call_later(7 * NS, lambda _: serve.network.restore(serve.ips[2]))
    kernel.call_later(8 * NS, lambda _: serve.replicas["App"][0].kill())
    kernel.call_later(9 * NS, lambda _: serve.proxies[0].close())
    fates: dict[str, int] = {}
    for second in range(1, 13):
        kernel.run(until_s=float(second))
        for source in sources:
            account = source.accounting()
            assert account.sent == sum(account.fates.values()) + account.in_flight
            assert sum(account.by_pod.values()) <= account.sent
    for source in sources:
        source.stop()
    kernel.run()
    for source in sources:
        account = source.accounting()
        assert (account.in_flight, account.sent) == (0, sum(account.fates.values()))
        fates |= account.fates
        numbers = [event["number"] for event in requests_of(source)]
        assert sorted(int(number or 0) for number in numbers) == list(range(account.sent))
    assert sorted(fates) == ["500", "connection-reset", "ok", "refused", "timeout"]
    assert all(event.cause is not None for source in sources for event in requests_of(source))


def test_equal_seeds_give_equal_traces_and_others_do_not() -> None:
    def digest(seed: int) -> str:
        serve = LocalServe(app(), kernel=Kernel(seed), pods=3, replicas=3)
        traffic = open_loop(serve, 50.0, arrival="poisson", limit=500, connections=KeepAlive(4))
        run(traffic, 60)
        return serve.kernel.trace.digest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_proxy_that_comes_back_is_used_again() -> None:
    serve = LocalServe(app(0.0))
    traffic = open_loop(serve, 1.0, limit=3, connections=KeepAlive(1))
    traffic.start()
    serve.kernel.run(until_s=0.5)
    old = serve.proxies[0]
    old.close()
    serve.network.close(serve.ips[0], PORT)
    serve.kernel.run(until_s=1.5)
    new = ProxyServer(serve.kernel, "node-0", True, serve.kernel.streams.stream("x"), routers=serve.routers)
    new.set_routes([target.route for target in (old._routes or {}).values()])
    serve.network.listen(serve.ips[0], PORT, new)
    serve.kernel.run()
    assert [fate for _, fate, *_ in story(traffic)] == ["ok", "refused", "ok"]
