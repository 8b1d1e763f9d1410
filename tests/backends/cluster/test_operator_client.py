"""An operator over HTTP hears of its own writes before they are answered, and of pods when it has time for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any

import pytest

from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.operator_client import OperatorClient, PacedWatch
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchEvent, WatchStream, WatchType
from rayrig_core.resource_types import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    NAMESPACE,
    POD,
    RAY_CLUSTER,
    RAY_SERVICE,
    ResourceType,
)

_NAMESPACE = "busy"


@pytest.fixture
def server() -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(controllers=False)) as thread:
        yield thread


class Rig:
    """An operator's client that listens, somebody else's, and what the operator is at work on."""

    def __init__(self, url: str) -> None:
        self.at_work: ResourceType | None = None
        self.heard: list[str] = []
        self.others = HttpKubernetesClient(connect_to(url), Random(1), user_agent="others")
        self.operator = OperatorClient(
            connect_to(url), Random(2), is_at_work=lambda resource, _: resource == self.at_work
        )
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._watches: list[WatchStream] = []

    async def listen(self, *resources: ResourceType) -> None:
        await self.others.create(NAMESPACE, {"metadata": {"name": _NAMESPACE}})
        for resource in resources:
            watch = await self.operator.watch(resource, _NAMESPACE)
            self._watches.append(watch)
            self._tasks.append(asyncio.create_task(self._follow(watch)))

    async def _follow(self, watch: WatchStream) -> None:
        while True:
            event = await watch.next()
            if event.type is not WatchType.BOOKMARK:
                self.heard.append(f"{event.type.value} {event.object['metadata']['name']}")
                self._news.set()

    async def hears(self, *texts: str) -> None:
        while self.heard != list(texts):
            self._news.clear()
            await self._news.wait()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        for watch in self._watches:
            watch.close()
        await self.operator.aclose()
        await self.others.aclose()


def pod(name: str) -> JsonObject:
    return {
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {"nodeName": "a", "containers": [{"name": "a", "image": "a"}]},
    }


def endpoint_slice(name: str) -> JsonObject:
    return {"metadata": {"name": name, "namespace": _NAMESPACE}, "addressType": "IPv4", "endpoints": []}


def play(server: KubernetesThread, story: Callable[[Rig], Awaitable[Any]]) -> None:
    async def whole() -> None:
        rig = Rig(server.url)
        try:
            async with asyncio.timeout(20):
                await story(rig)
        finally:
            await rig.aclose()

    asyncio.run(whole())


def test_a_change_has_been_heard_of_when_it_is_answered_a_new_pod_has_not(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD)
        made = await rig.operator.create(POD, pod("new"))
        assert rig.heard == []
        changed = await rig.operator.update(POD, {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}})
        assert rig.heard == ["ADDED new", "MODIFIED new"]
        # What changes nothing is not waited for.
        assert await rig.operator.update(POD, changed) == changed
        await rig.operator.delete(POD, "new", _NAMESPACE)
        assert rig.heard[2:] == ["MODIFIED new"]

    play(server, story)


def test_events_of_other_kinds_wait_for_nothing(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD, CONFIG_MAP)
        rig.at_work = RAY_SERVICE
        await rig.others.create(POD, pod("pod"))
        await rig.others.create(CONFIG_MAP, {"metadata": {"name": "map", "namespace": _NAMESPACE}})
        await rig.hears("ADDED map")

    play(server, story)


def test_while_a_ray_service_is_looked_at_others_pods_wait_and_own_ones_do_not(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD)
        rig.at_work = RAY_SERVICE
        await rig.others.create(POD, pod("theirs"))
        await rig.operator.create(POD, pod("mine"))
        await rig.hears("ADDED mine")
        rig.at_work = None
        await rig.hears("ADDED mine", "ADDED theirs")

    play(server, story)


def test_what_was_heard_of_a_pod_before_the_operators_own_write_comes_first(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD)
        rig.at_work = RAY_SERVICE
        theirs = await rig.others.create(POD, pod("theirs"))
        await rig.others.create(POD, pod("other"))
        await rig.operator.update(POD, {**theirs, "metadata": {**theirs["metadata"], "labels": {"a": "b"}}})
        assert rig.heard == ["ADDED theirs", "MODIFIED theirs"]

    play(server, story)


def test_a_deletion_does_not_wait(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD)
        await rig.others.create(POD, pod("theirs"))
        await rig.hears("ADDED theirs")
        rig.at_work = RAY_SERVICE
        await rig.others.delete(POD, "theirs", _NAMESPACE)
        await rig.hears("ADDED theirs", "MODIFIED theirs")

    play(server, story)


@pytest.mark.parametrize("busy_with", [RAY_SERVICE, RAY_CLUSTER])
def test_endpoint_slices_come_after_the_pods_and_their_ray_cluster(
    server: KubernetesThread, busy_with: ResourceType
) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD, ENDPOINT_SLICE)
        rig.at_work = busy_with
        await rig.others.create(POD, pod("theirs"))
        await rig.others.create(ENDPOINT_SLICE, endpoint_slice("slice"))
        await rig.others.create(ENDPOINT_SLICE, endpoint_slice("another"))
        if busy_with == RAY_CLUSTER:
            await rig.hears("ADDED theirs")
        await rig.operator.create(POD, pod("mine"))
        pods = sorted(["ADDED theirs", "ADDED mine"], reverse=busy_with == RAY_CLUSTER)
        await rig.hears(*(each for each in pods if busy_with == RAY_CLUSTER or each == "ADDED mine"))
        rig.at_work = None
        await rig.hears(*pods, "ADDED slice", "ADDED another")

    play(server, story)


class _HastyClock:
    """Goes on by more each time it is looked at."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._looks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        self._looks += 1
        return self._looks**2 * 2e-6


class _Stream:
    """These events, then silence."""

    def __init__(self, *events: WatchEvent) -> None:
        self._left = iter(events)

    async def next(self) -> WatchEvent:
        for event in self._left:
            return event
        await asyncio.Event().wait()
        raise AssertionError

    def close(self) -> None:
        return


def _state(revision: int) -> WatchEvent:
    metadata = {"namespace": _NAMESPACE, "name": "pod", "resourceVersion": str(revision)}
    return WatchEvent(WatchType.MODIFIED, {"metadata": metadata})


def test_a_bookmark_comes_after_what_it_vouches_for() -> None:
    async def story() -> list[WatchType]:
        bookmark = WatchEvent(WatchType.BOOKMARK, {"metadata": {"resourceVersion": "2"}})
        watch = PacedWatch(_Stream(_state(1), _state(2), bookmark, _state(3)), 0.001, lambda _: False)
        watch.expect(2)
        found = [(await watch.next()).type for _ in range(4)]
        watch.close()
        return found

    assert asyncio.run(story()) == [WatchType.MODIFIED, WatchType.MODIFIED, WatchType.BOOKMARK, WatchType.MODIFIED]


def test_the_states_of_a_pod_keep_their_order_while_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[str]:
        clock = _HastyClock()
        monkeypatch.setattr("rayrig_backends.cluster.operator_client.asyncio.get_running_loop", lambda: clock)
        watch = PacedWatch(_Stream(*map(_state, range(1, 21))), 0.02, lambda _: False)
        found = [(await watch.next()).object["metadata"]["resourceVersion"] for _ in range(20)]
        watch.close()
        return found

    assert asyncio.run(story()) == [str(number) for number in range(1, 21)]


def test_no_event_waits_for_ever(server: KubernetesThread) -> None:
    async def story(rig: Rig) -> None:
        await rig.listen(POD)
        rig.at_work = RAY_SERVICE
        await rig.others.create(POD, pod("theirs"))
        await rig.hears("ADDED theirs")

    play(server, story)
