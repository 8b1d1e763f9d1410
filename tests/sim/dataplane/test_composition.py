"""Deployments that call one another (reference/ray-serve.md 9)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import ActorFailed
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.user_code import replica_context, sleep


class Adder:
    def __init__(self, increment: int) -> None:
        self.increment = increment

    async def add(self, value: int) -> int:
        await sleep(1.0)
        return value + self.increment

    def fail(self, text: str) -> None:
        raise KeyError(text)


class Parent:
    """`how` names the method that a request runs."""

    def __init__(self, adder: DeploymentHandle, *, how: str) -> None:
        self.adder = adder
        self.how = how

    async def __call__(self, request: Any) -> Any:
        return await getattr(self, self.how)()

    async def awaits(self) -> int:
        value: int = await self.adder.add.remote(1)
        return value

    async def passes_a_response_on(self) -> int:
        first = self.adder.add.remote(1)
        value: int = await self.adder.add.remote(value=first)
        return value

    async def gathers(self) -> list[int]:
        responses = [self.adder.add.remote(n) for n in range(3)]
        return [await response for response in responses]

    async def catches(self) -> str:
        try:
            await self.adder.fail.remote("no luck")
        except KeyError as error:
            return f"caught {error}"
        return "nothing"

    async def blocks(self) -> Any:
        return self.adder.add.remote(1).result()

    async def fails_on_a_failed_argument(self) -> str:
        try:
            await self.adder.add.remote(self.adder.fail.remote("first"))
        except KeyError as error:
            return f"caught {error}"
        return "nothing"

    async def cancels(self) -> str:
        response = self.adder.add.remote(1)
        response.cancel()
        try:
            await response
        except Exception as error:
            return str(error)
        return "nothing"

    async def tells(self) -> str:
        return f"{replica_context().deployment} {replica_context().env['WORD']}"


def serve(how: str) -> LocalServe:
    options = {"ray_actor_options": {"runtime_env": {"env_vars": {"WORD": "hello"}}}}
    adder = DeploymentCode("Adder", Adder, init_args=(10,))
    parent = DeploymentCode("Parent", Parent, init_args=(Child("Adder"),), init_kwargs={"how": how}, options=options)
    assert parent.children == ("Adder",)
    return LocalServe(ApplicationCode("c.app", "Parent", {"Adder": adder, "Parent": parent}), replicas={"Adder": 2})


def answer(how: str) -> tuple[int, str, float]:
    site = serve(how)
    got = site.run(site.request("GET", "/"))
    return got.status, got.body.decode(), site.kernel.monotonic_ns() / NS


@pytest.mark.accepts("SV-157")
def test_awaiting_gives_the_value_and_a_response_can_be_passed_on() -> None:
    assert answer("awaits") == (200, "11", 1.0)
    assert answer("passes_a_response_on") == (200, "21", 2.0)


def test_calls_made_together_run_together() -> None:
    assert answer("gathers") == (200, "[10,11,12]", 1.0)


def test_an_exception_behind_a_handle_reaches_the_caller() -> None:
    assert answer("catches") == (200, "caught 'no luck'", 0.0)
    assert answer("fails_on_a_failed_argument") == (200, "caught 'first'", 0.0)


@pytest.mark.accepts("SV-162")
def test_waiting_for_a_result_without_await_is_refused() -> None:
    site = serve("blocks")
    assert site.run(site.request("GET", "/")).status == 500
    handle = site.routers.handles("app", "me")("Adder")
    with pytest.raises(RuntimeError, match="Sync methods should not be called from within an `asyncio` event loop"):
        handle.add.remote(1).result()


def test_a_cancelled_call_raises_where_it_is_awaited() -> None:
    assert answer("cancels") == (200, "the request was cancelled", 0.0)


def test_user_code_knows_where_it_runs() -> None:
    assert answer("tells") == (200, "Parent hello", 0.0)
    with pytest.raises(RuntimeError, match="replica_context"):
        replica_context()


def test_an_actor_can_await_a_handle() -> None:
    site = serve("awaits")
    handle = site.routers.handles("app", "driver")("Adder")
    assert (handle.deployment_name, handle.app_name) == ("Adder", "app")

    async def driver() -> int:
        value: int = await handle.add.remote(5)
        return value

    assert site.run(driver()) == 15

    async def unlucky() -> None:
        await handle.fail.remote("x")

    with pytest.raises(ActorFailed, match="KeyError: 'x'"):
        site.run(unlucky())


def test_a_death_behind_the_ingress_is_500_unless_it_is_caught() -> None:
    site = serve("awaits")
    for replica in site.replicas["Adder"]:
        site.kernel.call_later(NS // 2, lambda _, r=replica: r.kill("killed"))
    got = site.run(site.request("GET", "/"))
    assert (got.status, got.headers.get("content-type")) == (500, None)
    assert site.kernel.monotonic_ns() == NS // 2


def test_latency_passes_before_user_code() -> None:
    parent = DeploymentCode(
        "Parent", Parent, latency=Constant(0.25), init_args=(Child("Adder"),), init_kwargs={"how": "awaits"}
    )
    adder = DeploymentCode("Adder", Adder, latency=Constant(0.5), init_args=(1,))
    site = LocalServe(ApplicationCode("c.app", "Parent", {"Adder": adder, "Parent": parent}))
    assert site.run(site.request("GET", "/")).body == b"2"
    assert site.kernel.monotonic_ns() == round(1.75 * NS)
