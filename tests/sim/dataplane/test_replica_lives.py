"""Start, reconfiguration, draining and death of a replica's execution (reference/ray-serve.md 5.5, 9)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.http import HttpResponse
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import ActorFailed
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.execution import HealthFault
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.user_code import replica_context, sleep


class Worker:
    """Keeps a diary."""

    diary: list[str] = []  # noqa: RUF012 - shared by all instances on purpose, emptied by the fixture

    def __init__(self) -> None:
        self.diary.append("constructed")

    async def reconfigure(self, config: dict[str, Any]) -> None:
        self.diary.append(f"reconfigured {config}")

    async def check_health(self) -> None:
        self.diary.append("checked")

    async def __call__(self, request: Any) -> str:
        await sleep(float(await request.body() or b"0"))
        return replica_context().replica_id

    def __del__(self) -> None:
        self.diary.append("deleted")


@pytest.fixture(autouse=True)
def _empty_diary() -> None:
    Worker.diary.clear()


def worker(**options: Any) -> LocalServe:
    return LocalServe(single("w.app", Worker, options={"user_config": {"a": 1}}), **options)


def send(serve: LocalServe, seconds: float, answers: list[Any]) -> None:
    async def client() -> None:
        answer: HttpResponse = await serve.request("POST", "/", body=str(seconds).encode())
        answers.append((serve.kernel.monotonic_ns() / NS, answer.status, answer.body.decode()))

    serve.kernel.spawn("client", client())


def drained(serve: LocalServe, at: float, wait_loop_s: float, timeout_s: float) -> list[Any]:
    """Runs the kernel; (when draining ended, whether in time)."""
    replica = serve.replicas["Worker"][0]
    log: list[Any] = []

    async def stop() -> None:
        await serve.kernel.sleep(at)
        serve.routers.update_replicas(serve.deployment("Worker"), serve.replicas["Worker"][1:])
        in_time = await replica.drain(wait_loop_s, timeout_s)
        log.append((serve.kernel.monotonic_ns() / NS, in_time))
        replica.kill("stopped")

    serve.kernel.spawn("stop", stop())
    serve.kernel.run()
    return log


@pytest.mark.accepts("SV-164")
def test_reconfigure_comes_before_the_first_request_and_once_per_change() -> None:
    serve = worker()
    assert Worker.diary == ["constructed", "reconfigured {'a': 1}", "checked"]
    replica = serve.replicas["Worker"][0]
    serve.run(replica.reconfigure({"a": 2}))
    replica.set_max_ongoing(9)
    assert Worker.diary[3:] == ["reconfigured {'a': 2}"]


def test_an_idle_replica_stops_after_one_wait_loop() -> None:
    assert drained(worker(), 1.0, 2.0, 20.0) == [(3.0, True)]


def test_draining_waits_in_loops_for_the_last_request() -> None:
    serve, answers = worker(), []
    send(serve, 5.2, answers)
    assert drained(serve, 1.0, 0.5, 20.0) == [(5.5, True)]
    assert answers == [(5.2, 200, "worker0")]


def test_a_request_longer_than_the_grace_gets_500_when_the_replica_is_killed() -> None:
    serve, answers = worker(), []
    send(serve, 60.0, answers)
    assert drained(serve, 1.0, 0.5, 2.0) == [(3.0, False)]
    assert answers == [(3.0, 500, "Internal Server Error")]


def test_no_grace_means_none() -> None:
    serve, answers = worker(), []
    send(serve, 60.0, answers)
    assert drained(serve, 1.0, 2.0, 0.0) == [(1.0, False)]
    assert answers == [(1.0, 500, "Internal Server Error")]


def test_without_a_wait_loop_draining_ends_with_the_last_request() -> None:
    serve, answers = worker(), []
    send(serve, 5.0, answers)
    assert drained(serve, 1.0, 0.0, 20.0) == [(5.0, True)]


def test_requests_that_still_arrive_while_draining_are_served() -> None:
    serve, answers = worker(), []
    replica = serve.replicas["Worker"][0]
    serve.kernel.spawn("stop", replica.drain(2.0, 20.0))
    serve.kernel.run(until_s=1.0)
    send(serve, 0.5, answers)
    serve.kernel.run(until_s=2.5)
    assert answers == [(1.5, 200, "worker0")]
    assert not replica.is_accepting


def test_a_replica_that_never_initialised_does_not_wait() -> None:
    serve = LocalServe(single("w.app", Worker), is_initialized=False)
    assert serve.run(serve.replicas["Worker"][0].drain(2.0, 20.0)) is True
    assert serve.kernel.monotonic_ns() == 0


@pytest.mark.accepts("SV-163")
def test_the_destructor_runs_once_on_a_graceful_stop_and_never_on_a_kill() -> None:
    drained(worker(), 1.0, 2.0, 20.0)
    assert Worker.diary.count("deleted") == 1
    Worker.diary.clear()
    serve = worker()
    serve.replicas["Worker"][0].kill()
    del serve
    assert Worker.diary.count("deleted") == 0


def test_a_killed_replica_fails_its_requests_once_and_others_go_elsewhere() -> None:
    serve, answers = worker(replicas=2), []
    for _ in range(4):
        send(serve, 5.0, answers)
    serve.kernel.run(until_s=1.0)
    assert [replica.ongoing for replica in serve.replicas["Worker"]] == [2, 2]
    serve.replicas["Worker"][0].kill("killed")
    for _ in range(3):
        send(serve, 0.0, answers)
    serve.kernel.run()
    assert answers == [
        (1.0, 500, "Internal Server Error"),
        (1.0, 500, "Internal Server Error"),
        (1.0, 200, "worker1"),
        (1.0, 200, "worker1"),
        (1.0, 200, "worker1"),
        (5.0, 200, "worker1"),
        (5.0, 200, "worker1"),
    ]


def test_the_failure_of_a_killed_replica_names_its_cause() -> None:
    serve = worker()
    replica = serve.replicas["Worker"][0]
    fault = serve.kernel.trace.emit(Kind.FAULT, "replicas/worker0", "replica-kill", "")
    replica.kill("killed", fault)
    replica.kill("again", None)
    assert replica.death is not None
    assert (replica.death.cause, replica.death.reason) == (fault, "killed")


def test_errors_of_user_code_leave_the_start() -> None:
    class Refuser:
        def __init__(self) -> None:
            raise RuntimeError("constructor refused")

    with pytest.raises(ActorFailed, match="RuntimeError: constructor refused"):
        LocalServe(single("r.app", Refuser))
    with pytest.raises(ActorFailed, match="RuntimeError: broken by the scenario"):
        LocalServe(single("r.app", Constant(1.0), constructor_error="broken by the scenario"))


def test_a_user_config_needs_a_reconfigure_method() -> None:
    class Plain:
        def __call__(self, request: Any) -> str:
            return "plain"

    with pytest.raises(ActorFailed, match="missing reconfigure method"):
        LocalServe(single("p.app", Plain, options={"user_config": {}}))


def test_health_faults_raise_hang_and_end() -> None:
    serve = worker()
    replica = serve.replicas["Worker"][0]
    replica.set_health_fault(HealthFault.RAISES)
    with pytest.raises(ActorFailed, match="health check failed"):
        serve.run(replica.check_health())
    replica.set_health_fault(HealthFault.HANGS)
    check = serve.kernel.spawn("check", replica.check_health())
    serve.kernel.run()
    assert not check.is_done
    replica.set_health_fault(HealthFault.NONE)
    serve.run(replica.check_health())


def test_a_start_takes_its_startup_time() -> None:
    serve = LocalServe(single("m.app", Constant(1.0), startup=Constant(20.0)))
    assert serve.kernel.monotonic_ns() == 20 * NS


def test_limited_concurrency_queues_inside_the_replica_in_order() -> None:
    serve, answers = LocalServe(single("g.app", Constant(1.0), concurrency=2), max_ongoing_requests=10), []
    for _ in range(5):
        send(serve, 0.0, answers)
    serve.kernel.run()
    assert [at for at, _, _ in answers] == [1.0, 1.0, 2.0, 2.0, 3.0]
