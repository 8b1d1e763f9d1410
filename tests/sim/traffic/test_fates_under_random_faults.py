"""Whatever goes wrong, each request that was sent has one fate, and nobody goes on counting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration, Exponential
from rayrig_sim.kernel import Kernel
from rayrig_sim.network.fabric import Reach
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode, single
from rayrig_sim.serve.execution import HealthFault, ReplicaExecution
from rayrig_sim.serve.local import PORT, LocalServe
from rayrig_sim.serve.proxy_server import Route
from rayrig_sim.serve.router import RouterConfig
from rayrig_sim.serve.user_code import sleep
from rayrig_sim.traffic.closed_loop import ClosedLoop
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import FreshConnections, KeepAlive, RequestClass, Target
from rayrig_sim.traffic.source import Source

_PODS, _REPLICAS = 3, 5


class _Back:
    async def __call__(self, request: Any) -> str:
        await sleep(0.15)
        return "back"


class _Front:
    def __init__(self, back: Any) -> None:
        self._back = back

    async def __call__(self, request: Any) -> str:
        await sleep(0.05)
        answer: str = await self._back.remote(request)
        return answer


def composed() -> ApplicationCode:
    front = DeploymentCode("Front", _Front, init_args=(Child("Back"),))
    return ApplicationCode("m.app", "Front", {"Back": DeploymentCode("Back", _Back), "Front": front})


def _replicas(serve: LocalServe) -> list[ReplicaExecution]:
    return [replica for replicas in serve.replicas.values() for replica in replicas]


def _end_pod(serve: LocalServe, pod: int) -> None:
    if serve.network.reach("anyone", serve.ips[pod]) is Reach.OK:
        serve.kill_pod(pod)


def _shrink(serve: LocalServe, kept: int) -> None:
    for name, replicas in serve.replicas.items():
        alive = [replica for replica in replicas if replica.is_alive]
        serve.routers.update_replicas(serve.deployment(name), alive[:kept])


def _routes(serve: LocalServe, pod: int, has_any: bool) -> None:
    ingress = serve.deployment(serve.app.ingress)
    serve.proxies[pod].set_routes([Route("/", serve.app_name, ingress)] if has_any else [])


_FAULTS: dict[str, Callable[[LocalServe, int], object]] = {
    "kill a replica": lambda serve, n: _replicas(serve)[n % len(_replicas(serve))].kill(),
    "silence a replica": lambda serve, n: _replicas(serve)[n % len(_replicas(serve))].go_dark(),
    "drain a replica": lambda serve, n: serve.kernel.spawn("drain", _replicas(serve)[n % _REPLICAS].drain(0.5, 1.0)),
    "limit a replica": lambda serve, n: _replicas(serve)[n % len(_replicas(serve))].set_max_ongoing(1 + n % 4),
    "fail a health check": lambda serve, n: _replicas(serve)[n % _REPLICAS].set_health_fault(HealthFault.RAISES),
    "kill a pod": lambda serve, n: _end_pod(serve, n % _PODS),
    "unready": lambda serve, n: serve.set_ready(n % _PODS, False),
    "ready": lambda serve, n: serve.set_ready(n % _PODS, True),
    "silence a pod": lambda serve, n: serve.network.silence(serve.ips[n % _PODS]),
    "restore a pod": lambda serve, n: serve.network.restore(serve.ips[n % _PODS]),
    "end a proxy": lambda serve, n: serve.proxies[n % _PODS].close(reset=n % 2 == 0),
    "hang a proxy": lambda serve, n: serve.proxies[n % _PODS].set_hanging(n % 2 == 0),
    "drain a proxy": lambda serve, n: serve.proxies[n % _PODS].set_draining(n % 2 == 0),
    "stop listening": lambda serve, n: serve.network.close(serve.ips[n % _PODS], PORT),
    "no replicas": lambda serve, n: _shrink(serve, 0),
    "other replicas": lambda serve, n: _shrink(serve, 1 + n % _REPLICAS),
    "unavailable": lambda serve, n: serve.routers.set_unavailable(serve.deployment(serve.app.ingress), n % 2 == 0),
    "no routes": lambda serve, n: _routes(serve, n % _PODS, n % 2 == 0),
}

stories = st.lists(
    st.tuples(st.integers(100, 5900), st.sampled_from(sorted(_FAULTS)), st.integers(0, 29)), min_size=1, max_size=12
)


def _sources(serve: LocalServe, timeout_s: float, calibration: Calibration | None) -> list[Source]:
    mix = [
        RequestClass("a", 0.8),
        RequestClass("b", 0.2, path="/elsewhere", headers={"x-request-timeout-seconds": "0.4"}),
    ]
    options: dict[str, Any] = {"mix": mix, "timeout_s": timeout_s, "calibration": calibration}
    to = (serve.kernel, serve.network, Target(serve.service))
    return [
        OpenLoop(*to, 40.0, name="kept", arrival="poisson", connections=KeepAlive(5), **options),
        OpenLoop(*to, 25.0, name="fresh", connections=FreshConnections(), **options),
        ClosedLoop(*to, 6, name="closed", connections=KeepAlive(), **options),
    ]


@settings(max_examples=25, deadline=None)
@given(
    stories,
    st.booleans(),
    st.sampled_from([0.3, 2.0]),
    st.sampled_from([-1, 3]),
    st.sampled_from([None, 1.0]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_each_request_has_one_fate(
    story: list[tuple[int, str, int]],
    is_composed: bool,
    timeout_s: float,
    max_queued: int,
    request_timeout_s: float | None,
    is_calibrated: bool,
    seed: int,
) -> None:
    app = composed() if is_composed else single("m.app", Exponential(0.2))
    serve = LocalServe(
        app,
        kernel=Kernel(seed),
        pods=_PODS,
        replicas=_REPLICAS,
        max_ongoing_requests=2,
        router=RouterConfig(max_queued_requests=max_queued),
        request_timeout_s=request_timeout_s,
    )
    sources = _sources(serve, timeout_s, Calibration() if is_calibrated else None)
    for source in sources:
        source.start()
    for at_ms, fault, number in story:
        serve.kernel.call_later(at_ms * NS // 1000, lambda _, f=fault, n=number: _FAULTS[f](serve, n))
    for second in range(1, 7):
        serve.kernel.run(until_s=float(second))
        for source in sources:
            account = source.accounting()
            assert account.sent == sum(account.fates.values()) + account.in_flight
            assert account.in_flight == source.in_flight
    for source in sources:
        source.stop()
    serve.kernel.run()
    for source in sources:
        account = source.accounting()
        assert (account.in_flight, account.sent) == (0, sum(account.fates.values()))
        assert sum(account.by_class.values()) == account.sent
        assert sum(account.causes.values()) == account.failed == len(account.failures)
        events = [event for event in serve.kernel.trace.select(Kind.REQUEST) if event.actor == source.actor]
        assert sorted(int(event["number"] or 0) for event in events) == list(range(account.sent))
    # The time limits of all are over: nothing waits or runs for anybody, but on machines that nobody can tell so.
    dark = [replica.replica_id for replica in _replicas(serve) if replica.is_dark]
    for name in app.deployments:
        for owner, queued, ongoing in serve.routers.loads(serve.deployment(name)):
            assert (queued, ongoing) == (0, 0) or owner in dark
    assert [replica.ongoing for replica in _replicas(serve)] == [0] * len(_replicas(serve))
