"""The `KubernetesClient` port over a server in this process: latency, watches, faults, lag."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from rayrig_core.errors import ApiError, Conflict, Gone, NotFound
from rayrig_core.faultpoints import (
    CrashAfter,
    CrashBefore,
    Delay,
    DropWatchEvent,
    ErrorBefore,
    ExpireWatch,
    FaultCounter,
    FaultPoint,
    LostReply,
    Reaction,
)
from rayrig_core.ports import KubernetesClient, Watched, WatchEvent
from rayrig_core.resource_types import CONFIG_MAP, POD
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel

LATENCY_S = 0.010


class Plan:
    """Strikes the points named (verb, target, nth)."""

    def __init__(self, **reactions: Reaction) -> None:
        self.strikes: dict[tuple[str, str, int], Reaction] = {}
        self.passed: list[tuple[str, str, str, int]] = []

    def at(self, verb: str, target: str, reaction: Reaction, nth: int = 1) -> Plan:
        self.strikes[verb, target, nth] = reaction
        return self

    def strike(self, point: FaultPoint) -> Reaction | None:
        self.passed.append((point.actor, point.verb, point.target, point.nth))
        return self.strikes.get((point.verb, point.target, point.nth))


class World:
    def __init__(self, plan: Plan | None = None, **options: Any) -> None:
        self.kernel = Kernel(1)
        self.server = ApiServer(self.kernel.unix_ns, Random(1), trace=self.kernel.trace)
        self.crashed: list[str] = []
        self.client: KubernetesClient = InProcessClient(
            self.server,
            self.kernel,
            actor="me",
            latency=lambda verb: LATENCY_S,
            faults=FaultCounter(plan) if plan is not None else None,
            on_crash=self.crashed.append,
            **options,
        )
        self.told: list[tuple[float, str, str]] = []

    @property
    def now_ms(self) -> float:
        return self.kernel.monotonic_ns() / 1e6

    def run(self, story: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.kernel.spawn("me", story())
        self.kernel.run()

    async def follow(self, count: int, **options: Any) -> None:
        watch = await self.client.watch(CONFIG_MAP, "default", **options)
        for _ in range(count):
            event: WatchEvent = await watch.next()
            self.told.append((self.now_ms, event.type.value, event.object["metadata"]["name"]))
        watch.close()


def config_map(name: str, value: str = "v") -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"k": value}}


def test_the_effect_is_in_the_middle_of_the_call() -> None:
    world = World()
    effects = []

    async def story() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        effects.append(world.now_ms)

    world.run(story)
    (write,) = world.kernel.trace.select(Kind.API_WRITE)
    assert write.t_ns == 5_000_000
    assert write.actor == "me"
    assert effects == [10.0]


def test_two_writers_interleave_between_read_and_write() -> None:
    world = World()
    outcomes: list[str] = []

    async def increment(name: str) -> None:
        obj = await world.client.get(CONFIG_MAP, "a", "default")
        obj["data"]["k"] = name
        try:
            await world.client.update(CONFIG_MAP, obj)
            outcomes.append(f"{name} wrote")
        except Conflict:
            outcomes.append(f"{name} lost")

    async def story() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        world.kernel.spawn("one", increment("one"))
        world.kernel.spawn("two", increment("two"))

    world.run(story)
    assert outcomes == ["one wrote", "two lost"]


def test_a_watch_waits_and_wakes() -> None:
    world = World()

    async def story() -> None:
        world.kernel.spawn("watcher", world.follow(3))
        await world.kernel.sleep(1)
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        await world.client.patch(CONFIG_MAP, "a", {"data": {"k": "w"}}, "default")
        await world.client.delete(CONFIG_MAP, "a", "default")

    world.run(story)
    assert world.told == [(1005.0, "ADDED", "a"), (1015.0, "MODIFIED", "a"), (1025.0, "DELETED", "a")]


def test_watch_lag_delays_events_but_not_the_first_list() -> None:
    world = World(watch_lag_s=0.5)

    async def story() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        world.kernel.spawn("watcher", world.follow(2))
        await world.kernel.sleep(1)
        await world.client.create(CONFIG_MAP, config_map("b"), "default")

    world.run(story)
    assert world.told == [(20.0, "ADDED", "a"), (1515.0, "ADDED", "b")]


def test_events_say_what_caused_them() -> None:
    world = World()
    causes: list[int | None] = []

    async def story() -> None:
        watch = await world.client.watch(CONFIG_MAP, "default")
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        causes.append((await watch.next()).cause)

    world.run(story)
    (write,) = world.kernel.trace.select(Kind.API_WRITE)
    assert causes == [write.seq]


def test_a_closed_watch_ends() -> None:
    world = World()
    ended = []

    async def story() -> None:
        watch = await world.client.watch(CONFIG_MAP, "default")

        async def wait() -> None:
            try:
                await watch.next()
            except StopAsyncIteration:
                ended.append(world.now_ms)

        world.kernel.spawn("waiting", wait())
        await world.kernel.sleep(1)
        watch.close()

    world.run(story)
    assert ended == [1010.0]


def test_lists_come_in_pages_and_other_verbs_pass_through() -> None:
    world = World()

    async def story() -> None:
        for name in "abc":
            await world.client.create(CONFIG_MAP, config_map(name), "default")
        page = await world.client.list(CONFIG_MAP, "default", limit=2)
        rest = await world.client.list(CONFIG_MAP, "default", limit=2, continue_token=page.continue_token)
        assert [each["metadata"]["name"] for each in page.items + rest.items] == ["a", "b", "c"]
        assert page.resource_version == rest.resource_version
        await world.client.delete_collection(CONFIG_MAP, "default", field_selector="metadata.name!=b")
        assert [each["metadata"]["name"] for each in (await world.client.list(CONFIG_MAP)).items] == ["b"]
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await world.client.create(POD, pod, "default")
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        await world.client.create_subresource(POD, "p", "binding", binding, "default")
        bound = await world.client.get(POD, "p", "default")
        bound["status"]["phase"] = "Running"
        bound = await world.client.update(POD, bound, subresource="status")
        assert (bound["spec"]["nodeName"], bound["status"]["phase"]) == ("n1", "Running")

    world.run(story)


@pytest.mark.accepts("K8-084")
def test_errors_before_have_no_effect_and_lost_replies_have_one() -> None:
    plan = Plan()
    plan.at("create", "configmaps/default/a", ErrorBefore(503, "ServiceUnavailable", "not now"))
    plan.at("create", "configmaps/default/b", LostReply())
    plan.at("update", "configmaps/default/b", ErrorBefore(409, "Conflict"))
    world = World(plan)

    async def story() -> None:
        with pytest.raises(ApiError, match="not now") as refused:
            await world.client.create(CONFIG_MAP, config_map("a"), "default")
        assert (refused.value.code, world.now_ms) == (503, 10.0)
        with pytest.raises(NotFound):
            await world.client.get(CONFIG_MAP, "a", "default")
        with pytest.raises(ApiError, match="the reply was lost"):
            await world.client.create(CONFIG_MAP, config_map("b"), "default")
        there = await world.client.get(CONFIG_MAP, "b", "default")
        with pytest.raises(Conflict):
            await world.client.update(CONFIG_MAP, there)
        await world.client.update(CONFIG_MAP, there)

    world.run(story)
    assert [each.data[0] for each in world.kernel.trace.select(Kind.FAULT)] == [
        "ErrorBefore",
        "LostReply",
        "ErrorBefore",
    ]
    assert ("me", "update", "configmaps/default/b", 2) in plan.passed


@pytest.mark.accepts("K8-084")
def test_a_delay_takes_longer() -> None:
    world = World(Plan().at("get", "configmaps/default/a", Delay(2.5)))
    ended = []

    async def story() -> None:
        with pytest.raises(NotFound):
            await world.client.get(CONFIG_MAP, "a", "default")
        ended.append(world.now_ms)

    world.run(story)
    assert ended == [2510.0]


@pytest.mark.parametrize(("reaction", "written"), [(CrashBefore(), False), (CrashAfter(), True)])
def test_a_crash_ends_the_actor_before_or_after_the_effect(reaction: Reaction, written: bool) -> None:
    world = World(Plan().at("create", "configmaps/default/a", reaction))
    survived = []

    async def story() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        survived.append(True)

    world.run(story)
    assert survived == []
    assert world.crashed == ["me"]
    assert bool(world.server.objects(CONFIG_MAP)) is written


@pytest.mark.accepts("K8-084")
def test_watch_events_can_be_dropped_and_watches_expire() -> None:
    plan = Plan().at("deliver", "configmaps/default/a", DropWatchEvent())
    plan.at("deliver", "configmaps/default/c", ExpireWatch())
    world = World(plan)

    async def story() -> None:
        watch = await world.client.watch(CONFIG_MAP, "default")
        for name in "abc":
            await world.client.create(CONFIG_MAP, config_map(name), "default")
        assert (await watch.next()).object["metadata"]["name"] == "b"
        with pytest.raises(Gone):
            await watch.next()

    world.run(story)


def test_expiring_the_opening_shows_at_the_first_event() -> None:
    world = World(Plan().at("watch", "configmaps/default", ExpireWatch()))

    async def story() -> None:
        watch = await world.client.watch(CONFIG_MAP, "default")
        with pytest.raises(Gone):
            await watch.next()

    world.run(story)


@pytest.mark.accepts("K8-081")
def test_two_runs_of_one_seed_have_one_digest() -> None:
    def digest() -> str:
        world = World()

        async def story() -> None:
            for _ in range(5):
                await world.client.create(CONFIG_MAP, {"metadata": {"generateName": "x-"}}, "default")

        world.run(story)
        return world.kernel.trace.digest()

    assert digest() == digest()


@pytest.mark.parametrize("plan", [None, Plan()])
def test_a_watch_delivers_events_until_it_is_closed(plan: Plan | None) -> None:
    world = World(plan)

    async def follow() -> None:
        watch = await world.client.watch(CONFIG_MAP, "default")
        seen = []

        def handle(event: Watched) -> None:
            seen.append(event.object["metadata"]["name"])
            world.told.append((world.now_ms, event.type.value, seen[-1]))
            if len(seen) == 3:
                watch.close()

        await watch.deliver(handle)
        world.told.append((world.now_ms, "closed", ""))

    async def story() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        world.kernel.spawn("follower", follow())
        for name in ("b", "c", "d"):
            await world.kernel.sleep(1)
            await world.client.create(CONFIG_MAP, config_map(name), "default")

    world.run(story)
    assert world.told == [
        (20.0, "ADDED", "a"),
        (1015.0, "ADDED", "b"),
        (2025.0, "ADDED", "c"),
        (2025.0, "closed", ""),
    ]


def test_a_delivering_watch_whose_history_is_lost_is_gone() -> None:
    world = World()
    ends = []

    async def follow() -> None:
        await world.client.create(CONFIG_MAP, config_map("a"), "default")
        world.server.compact()
        watch = await world.client.watch(CONFIG_MAP, "default", resource_version="1")
        try:
            await watch.deliver(lambda event: None)
        except Gone:
            ends.append(world.now_ms)

    world.run(follow)
    assert ends == [20.0]
