"""When watchers are woken on wall time."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from rayrig_core.resource_types import CONFIG_MAP
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.http.wakeups import Wakeups
from rayrig_fakes.kubernetes.server import ApiServer


def create(server: ApiServer, name: str) -> None:
    server.call(ApiCall("create", CONFIG_MAP, "default", body={"metadata": {"name": name}}))


def run(story) -> None:
    async def main() -> None:
        server = ApiServer(lambda: 0, Random(1))
        server.state.store.on_change = Wakeups(asyncio.get_running_loop()).changed
        await asyncio.wait_for(story(server), 10)

    asyncio.run(main())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_writes_that_follow_each_other_wake_a_watcher_once() -> None:
    async def story(server: ApiServer) -> None:
        watch = server.watch(ApiCall("watch", CONFIG_MAP))
        woken: list[int] = []
        watch.call_when_ready(lambda: woken.append(len(watch.take_all())))
        for name in "abc":
            create(server, name)
        assert woken == []
        await turns()
        assert woken == [3]

    run(story)


def test_what_is_written_is_there_to_be_taken_before_anybody_is_woken() -> None:
    async def story(server: ApiServer) -> None:
        watch = server.watch(ApiCall("watch", CONFIG_MAP, "default", field_selector="metadata.name=a"))
        create(server, "a")
        create(server, "b")
        assert [change.object["metadata"]["name"] for change in watch.take_all()] == ["a"]

    run(story)


def test_a_watcher_that_fails_keeps_nobody_from_being_woken(caplog) -> None:
    async def story(server: ApiServer) -> None:
        broken, sound = server.watch(ApiCall("watch", CONFIG_MAP)), server.watch(ApiCall("watch", CONFIG_MAP))
        woken: list[str] = []
        broken.call_when_ready(lambda: [][0])
        sound.call_when_ready(lambda: woken.append("sound"))
        create(server, "a")
        await turns()
        assert woken == ["sound"]
        sound.call_when_ready(lambda: woken.append("again"))
        create(server, "b")
        while len(woken) < 2:
            await asyncio.sleep(0.001)
        assert woken == ["sound", "again"]

    with caplog.at_level(logging.ERROR, "rayrig.kubernetes"):
        run(story)
    assert "waking a watcher" in caplog.text
