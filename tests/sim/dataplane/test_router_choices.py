"""Which replica gets a call, what waits, and when it is looked at again (reference/ray-serve.md 7)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import DeploymentCode, single
from rayrig_sim.serve.calls import Call
from rayrig_sim.serve.execution import ReplicaExecution
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.router import Router, RouterConfig
from rayrig_sim.serve.user_code import sleep

D = DeploymentId("D", "app")


class Noted(Call):
    """A call that notes when it began and ended, in seconds."""

    __slots__ = ("log", "name")

    def __init__(self, name: str, log: list[Any], seconds: float) -> None:
        super().__init__(service_ns=round(seconds * NS))
        self.name = name
        self.log = log

    def finished(self, ok: bool, value: Any) -> None:
        self.is_done = True
        router = self.router
        assert router is not None
        self.log.append((self.name, router.kernel.monotonic_ns() / NS, value if ok else str(value)))


class Bench:
    """Replicas of one deployment, on chosen nodes, and routers to them."""

    def __init__(self, nodes: list[str], *, limit: int = 1, kind: type[ReplicaExecution] = ReplicaExecution) -> None:
        self.kind = kind
        self.kernel = Kernel()
        self.log: list[Any] = []
        self.replicas = [self._replica(f"r{i}", node, limit) for i, node in enumerate(nodes)]
        for replica in self.replicas:
            self.kernel.spawn("start", replica.initialize())
        self.kernel.run()

    def _replica(self, replica_id: str, node: str, limit: int) -> ReplicaExecution:
        code = DeploymentCode("D", Constant(1.0))
        return self.kind(
            self.kernel,
            replica_id=replica_id,
            deployment="D",
            app="app",
            node_id=node,
            pod_ip="10.244.0.2",
            code=code,
            max_ongoing_requests=limit,
        )

    def router(self, node: str | None = None, config: RouterConfig | None = None) -> Router:
        router = Router(self.kernel, D, Random(1), node)
        if config is not None:
            router.configure(config)
        router.update_replicas(self.replicas)
        return router

    def send(self, router: Router, name: str, seconds: float, at: float = 0.0) -> Noted:
        call = Noted(name, self.log, seconds)
        self.kernel.call_later(round(at * NS), lambda _: router.assign(call))
        return call

    def ongoing(self) -> list[int]:
        return [replica.ongoing for replica in self.replicas]


@pytest.mark.accepts("SV-117")
def test_beyond_the_running_and_the_queued_requests_are_dropped() -> None:
    bench = Bench(["n1"])
    router = bench.router(config=RouterConfig(max_queued_requests=2))
    for name in "abcdef":
        bench.send(router, name, 2.0)
    bench.kernel.run()
    text = "Request dropped due to backpressure (num_queued_requests=2, max_queued_requests=2)."
    assert bench.log == [
        ("d", 0.0, text),
        ("e", 0.0, text),
        ("f", 0.0, text),
        ("a", 2.0, "ok"),
        ("b", 4.275, "ok"),  # looked for at 2.275: 0.775 and then every 0.5 s
        ("c", 6.275, "ok"),
    ]


@pytest.mark.accepts("SV-118")
def test_the_status_and_header_of_a_dropped_request_can_be_configured() -> None:
    config = RouterConfig(max_queued_requests=1, backpressure_status=429, backpressure_retry_after_s=1.2)
    serve = LocalServe(single("m.app", Constant(2.0)), max_ongoing_requests=1, router=config)

    async def story() -> tuple[int, str | None]:
        for _ in range(2):
            serve.kernel.spawn("client", serve.request("GET", "/"))
        await serve.kernel.sleep(0.1)
        answer = await serve.request("GET", "/")
        return answer.status, answer.headers.get("retry-after")

    assert serve.run(story()) == (429, "2")


@pytest.mark.accepts("SV-119")
def test_each_proxy_queues_its_own() -> None:
    serve = LocalServe(
        single("m.app", Constant(2.0)),
        pods=2,
        replicas=1,
        max_ongoing_requests=1,
        router=RouterConfig(max_queued_requests=2),
    )
    statuses: dict[int, list[int]] = {0: [], 1: []}

    async def ask(pod: int) -> None:
        statuses[pod].append((await serve.request("GET", "/", pod=pod)).status)

    for _ in range(4):
        for pod in (0, 1):
            serve.kernel.spawn("client", ask(pod))
    serve.kernel.run(until_s=0.01)
    queued = [queued for _, queued, _ in serve.routers.loads(serve.deployment("App"))]
    assert queued == [2, 2]
    assert statuses == {0: [503], 1: [503, 503]}  # one of proxy 0's four is running


@pytest.mark.accepts("SV-120")
def test_the_shorter_believed_queue_wins_without_asking() -> None:
    bench = Bench(["n1", "n2"], limit=5)
    router = bench.router()
    other = bench.router()
    for index in range(3):
        bench.send(other, f"x{index}", 10.0)
    bench.kernel.run(until_s=0.001)
    longer, shorter = sorted(range(2), key=lambda i: -bench.replicas[i].ongoing)
    assert bench.replicas[longer].ongoing == 2
    # What this router believes is 0 and 0, as of the time at which it got the list; now it is told 3 for the truly shorter one.
    beliefs = {candidate.execution.replica_id: candidate for candidate in router._all}
    beliefs[f"r{shorter}"].queue_len = 3
    bench.send(router, "y", 10.0)
    bench.kernel.run(until_s=0.002)
    assert bench.replicas[longer].ongoing == 3
    assert bench.replicas[shorter].ongoing == 1


@pytest.mark.accepts("SV-121")
@pytest.mark.parametrize(
    ("freed_at", "taken_at"),
    [
        (0.01, 0.025),
        (0.03, 0.075),
        (0.10, 0.175),
        (0.20, 0.375),
        (0.40, 0.775),
        (0.80, 1.275),
        (1.30, 1.775),
        (1.775, 1.775),
        (7.00, 7.275),
    ],
)
def test_a_search_looks_again_after_growing_pauses(freed_at: float, taken_at: float) -> None:
    bench = Bench(["n1"])
    router = bench.router()
    bench.send(router, "first", freed_at)
    bench.send(router, "second", 1.0)
    bench.kernel.run()
    assert bench.log == [("first", freed_at, "ok"), ("second", taken_at + 1.0, "ok")]


@pytest.mark.accepts("SV-122")
def test_a_proxy_prefers_its_own_node_until_that_is_full_and_a_composition_handle_does_not() -> None:
    bench = Bench(["n1", "n2", "n3"], limit=5)
    proxy = bench.router("n1")
    for index in range(5):
        bench.send(proxy, f"p{index}", 10.0)
    bench.kernel.run(until_s=0.001)
    assert bench.ongoing() == [5, 0, 0]
    for index in range(4):
        bench.send(proxy, f"q{index}", 10.0)
    bench.kernel.run(until_s=0.002)
    assert bench.ongoing()[0] == 5
    assert sum(bench.ongoing()) == 9

    spread = Bench(["n1", "n2", "n3", "n1"], limit=30)
    handle = spread.router()
    for index in range(40):
        spread.send(handle, f"h{index}", 10.0)
    spread.kernel.run(until_s=0.001)
    assert min(spread.ongoing()) >= 8


@pytest.mark.accepts("SV-123")
def test_a_replica_that_died_before_it_accepted_is_passed_over() -> None:
    serve = LocalServe(single("m.app", Constant(0.1)), replicas=2)
    serve.replicas["App"][0].kill("gone")
    statuses = [serve.run(serve.request("GET", "/")).status for _ in range(10)]
    assert statuses == [200] * 10


@pytest.mark.accepts("SV-124")
def test_the_request_that_waits_longest_gets_the_slot() -> None:
    bench = Bench(["n1"])
    router = bench.router()
    bench.send(router, "runs", 1.0)
    bench.send(router, "r1", 1.0, at=0.1)
    bench.send(router, "r2", 1.0, at=0.2)
    bench.kernel.run()
    # r1 looks at 0.875 and 1.375, r2 at 0.975 and 1.475; each as often as the other would be looked for.
    assert bench.log == [("runs", 1.0, "ok"), ("r1", 2.375, "ok"), ("r2", 3.475, "ok")]


def test_whoever_finds_a_slot_the_oldest_gets_it() -> None:
    bench = Bench(["n1"])
    router = bench.router()
    bench.send(router, "runs", 1.0)
    bench.send(router, "r1", 1.0, at=0.1)
    bench.send(router, "late", 1.0, at=1.01)
    bench.kernel.run()
    assert bench.log[:2] == [("runs", 1.0, "ok"), ("r1", 2.01, "ok")]


def test_without_replicas_calls_wait_for_the_first_one_and_the_router_says_so() -> None:
    bench = Bench(["n1"])
    starved: list[float] = []
    router = Router(bench.kernel, D, Random(1))
    router.on_starved = lambda: starved.append(bench.kernel.monotonic_ns() / NS)
    bench.send(router, "a", 1.0)
    bench.send(router, "b", 1.0, at=2.0)
    bench.kernel.call_later(3 * NS, lambda _: router.update_replicas(bench.replicas))
    bench.kernel.run()
    assert starved == [0.0, 2.0]
    assert bench.log[0] == ("a", 4.0, "ok")


def test_a_new_replica_is_found_by_the_search_under_way() -> None:
    bench = Bench(["n1", "n2"])
    router = Router(bench.kernel, D, Random(1))
    router.update_replicas(bench.replicas[:1])
    bench.send(router, "a", 10.0)
    bench.send(router, "b", 10.0)
    bench.kernel.call_later(2 * NS, lambda _: router.update_replicas(bench.replicas))
    bench.kernel.run()
    assert bench.log == [("a", 10.0, "ok"), ("b", 12.275, "ok")]


def test_a_new_replica_allows_more_searches_which_look_at_once() -> None:
    bench = Bench(["n1", "n2"])
    router = Router(bench.kernel, D, Random(1))
    router.update_replicas(bench.replicas[:1])
    for name in "abcd":
        bench.send(router, name, 10.0)
    bench.kernel.call_later(2 * NS, lambda _: router.update_replicas(bench.replicas))
    bench.kernel.run(until_s=12.1)
    assert bench.log == [("a", 10.0, "ok"), ("b", 12.0, "ok")]


def test_calls_on_a_replica_that_left_the_list_go_on() -> None:
    bench = Bench(["n1", "n2"])
    router = bench.router()
    bench.send(router, "a", 5.0)
    bench.kernel.call_later(NS, lambda _: router.update_replicas([]))
    bench.kernel.run()
    assert bench.log == [("a", 5.0, "ok")]
    assert router.ongoing == 0


def test_a_full_system_costs_no_events_while_nothing_changes() -> None:
    bench = Bench(["n1"])
    router = bench.router()
    bench.send(router, "a", 1_000_000.0)
    bench.send(router, "b", 1.0)
    bench.kernel.run()
    assert bench.log == [("a", 1_000_000.0, "ok"), ("b", 1_000_001.275, "ok")]
    assert next(bench.kernel.env._eid) < 15


def test_lengths_older_than_ten_seconds_are_asked_for() -> None:
    bench = Bench(["n1", "n2"], limit=5)
    router, other = bench.router(), bench.router()
    for index in range(8):
        bench.send(other, f"x{index}", 100.0)
    bench.kernel.run(until_s=11.0)
    assert bench.ongoing() == [4, 4]
    bench.replicas[0].set_max_ongoing(4)
    bench.send(router, "y", 1.0)  # believes 0 and 0, but as of time 0
    bench.kernel.run(until_s=11.5)
    assert bench.ongoing() == [4, 5]


async def _slow(_: Any) -> str:
    await sleep(1.0)
    return "slow"


@pytest.mark.accepts("SV-156")
def test_async_calls_interleave_up_to_the_limit_and_the_next_one_waits() -> None:
    serve = LocalServe(single("m.app", _slow), max_ongoing_requests=5)
    ends: list[float] = []

    async def ask() -> None:
        assert (await serve.request("GET", "/")).body == b"slow"
        ends.append(serve.kernel.monotonic_ns() / NS)

    for _ in range(6):
        serve.kernel.spawn("client", ask())
    serve.kernel.run()
    assert ends == [1.0, 1.0, 1.0, 1.0, 1.0, 2.275]


class _Holding(ReplicaExecution):
    """A replica that says which models it has loaded."""

    models: Any = ()


class _Asking(Noted):
    """A call that wants a model."""

    __slots__ = ()
    model_id = "m"


def _holding(bench: Bench, models: list[tuple[str, ...]]) -> Router:
    for replica, loaded in zip(bench.replicas, models, strict=True):
        assert isinstance(replica, _Holding)
        replica.models = loaded
    return bench.router()


def _ask(bench: Bench, router: Router, names: str, seconds: float) -> list[_Asking]:
    calls = [_Asking(name, bench.log, seconds) for name in names]
    for call in calls:
        router.assign(call)
    return calls


@pytest.mark.accepts("SV-125")
def test_who_holds_the_model_comes_first_then_who_has_the_fewest() -> None:
    bench = Bench(["n1", "n2", "n3"], limit=2, kind=_Holding)
    router = _holding(bench, [("x",), ("m", "x"), ("x", "y", "z")])
    _ask(bench, router, "ab", 5.0)
    assert bench.ongoing() == [0, 2, 0]
    _ask(bench, router, "cd", 5.0)
    assert bench.ongoing() == [2, 2, 0]


def test_who_has_many_other_models_is_taken_after_a_second_or_two() -> None:
    bench = Bench(["n1", "n2", "n3"], kind=_Holding)
    router = _holding(bench, [("x",), ("m", "x"), ("x", "y", "z")])
    _ask(bench, router, "abc", 10.0)
    assert bench.ongoing() == [1, 1, 0]
    bench.kernel.run(until_s=0.99)
    assert bench.ongoing() == [1, 1, 0]
    bench.kernel.run(until_s=3.1)
    assert bench.ongoing() == [1, 1, 1]
