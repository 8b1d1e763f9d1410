"""Reads that are answered from an older state, in this process: by the server, and by a fault at the port."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_core.errors import NotFound
from rayrig_core.faultpoints import (
    CutWatch,
    DuplicateWatchEvent,
    FaultCounter,
    FaultPoint,
    Reaction,
    StaleRead,
)
from rayrig_core.resource_types import CONFIG_MAP, SECRET
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from tests.fakes.kubernetes.conftest import Api


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"k": value}}


def listed(api: Api, stale: StaleRead, **options: Any) -> tuple[list[str], int]:
    page = api.server.list(ApiCall("list", CONFIG_MAP, "default", stale=stale, **options))
    return [stored.obj["metadata"]["name"] for stored in page.items], page.revision


def test_a_list_shows_the_state_before_the_last_changes(api: Api) -> None:
    api.create(CONFIG_MAP, config_map("a"))
    before = api.server.revision
    api.create(SECRET, {"metadata": {"name": "of-another-resource"}})
    api.create(CONFIG_MAP, config_map("b"))
    api.delete(CONFIG_MAP, "a")
    assert listed(api, StaleRead(1))[0] == ["a", "b"]
    names, revision = listed(api, StaleRead(2))
    assert names == ["a"]
    assert before <= revision < api.server.revision
    assert listed(api, StaleRead(99))[0] == []
    assert listed(api, StaleRead(1), field_selector="metadata.name=a")[0] == ["a"]


def test_a_get_shows_an_older_version_or_nothing(api: Api) -> None:
    api.create(CONFIG_MAP, config_map("a", "1"))
    first = api.get(CONFIG_MAP, "a")
    api.patch(CONFIG_MAP, "a", {"data": {"k": "2"}})
    assert api.get(CONFIG_MAP, "a", stale=StaleRead(1)) == first
    with pytest.raises(NotFound):
        api.get(CONFIG_MAP, "a", stale=StaleRead(2))


def test_a_lag_is_counted_in_time(api: Api) -> None:
    api.create(CONFIG_MAP, config_map("old"))
    api.pass_time(10)
    api.create(CONFIG_MAP, config_map("new"))
    api.pass_time(5)
    assert listed(api, StaleRead(lag_s=4))[0] == ["new", "old"]
    assert listed(api, StaleRead(lag_s=6))[0] == ["old"]
    assert listed(api, StaleRead(lag_s=100))[0] == []


def test_nothing_is_older_than_what_the_server_remembers(api: Api) -> None:
    api.create(CONFIG_MAP, config_map("a"))
    api.server.compact()
    api.create(CONFIG_MAP, config_map("b"))
    assert listed(api, StaleRead(99))[0] == ["a"]


class Once:
    """Strikes the first passing of (verb, target)."""

    def __init__(self, **reactions: Reaction) -> None:
        self.reactions = reactions

    def strike(self, point: FaultPoint) -> Reaction | None:
        return self.reactions.get(f"{point.verb}_{point.target.rpartition('/')[2]}") if point.nth == 1 else None


@pytest.mark.accepts("K8-084")
def test_faults_at_the_port_make_reads_stale_and_events_odd() -> None:
    kernel = Kernel(1)
    server = ApiServer(kernel.unix_ns, Random(1), trace=kernel.trace)
    plan = Once(get_a=StaleRead(), list_default=StaleRead(), deliver_b=DuplicateWatchEvent(), deliver_d=CutWatch())
    client = InProcessClient(server, kernel, actor="me", faults=FaultCounter(plan))
    told: list[str] = []

    async def story() -> None:
        made = await client.create(CONFIG_MAP, config_map("a", "1"), "default")
        made["data"]["k"] = "2"
        await client.update(CONFIG_MAP, made)
        told.extend([(await client.get(CONFIG_MAP, "a", "default"))["data"]["k"] for _ in range(2)])
        await client.create(CONFIG_MAP, config_map("b"), "default")
        told.extend([str(len((await client.list(CONFIG_MAP, "default")).items)) for _ in range(2)])
        watch = await client.watch(CONFIG_MAP, "default")
        await client.create(CONFIG_MAP, config_map("c"), "default")
        await client.create(CONFIG_MAP, config_map("d"), "default")
        try:
            while True:
                told.append((await watch.next()).object["metadata"]["name"])
        except StopAsyncIteration:
            told.append("cut")

    kernel.spawn("me", story())
    kernel.run()
    assert told == ["1", "2", "1", "2", "a", "b", "b", "c", "cut"]
