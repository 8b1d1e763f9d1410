"""Every watch is replayed against a record of the writes: nothing lost, nothing twice, nothing out of order."""

from __future__ import annotations

import json
import time
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.replay.watches import CursorWatcher, Mark, Record, SocketWatcher, Wanted, Watcher
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

OBJECTS, NAMESPACES, WATCHERS = 2_000, 8, 50
SECOND_NS = 1_000_000_000


def body(name: str, number: int) -> JsonObject:
    labels = {"app": f"a{number % 5}", "part": f"p{number % 3}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"n": "1"}}


def wanted_by(rng: Random) -> Wanted:
    namespace = rng.choice(["", *(f"n{number}" for number in range(NAMESPACES))])
    return rng.choice(
        [
            Wanted(namespace),
            Wanted(namespace, label=("app", f"a{rng.randrange(5)}")),
            Wanted(namespace, other=("part", "p1")),
            Wanted(namespace, label=("app", "a1"), other=("part", "p2")),
            Wanted(namespace, name=f"c{rng.randrange(OBJECTS)}"),
        ]
    )


def actions(rng: Random) -> list[tuple[str, str, str, int]]:
    """(verb, namespace, name, number): creates, each followed at random by changes of labels and deletions of what is there."""
    there: list[tuple[str, str]] = []
    found = []
    for number in range(OBJECTS):
        place = (f"n{rng.randrange(NAMESPACES)}", f"c{number}")
        found.append(("create", *place, number))
        there.append(place)
        chance = rng.random()
        if chance < 0.4:
            found.append(("patch", *rng.choice(there), rng.randrange(15)))
        elif chance < 0.6:
            found.append(("delete", *there.pop(rng.randrange(len(there))), 0))
    return found


class Watching:
    """Opens watchers in the course of the writes and lets them read: fast ones each time, slow ones seldom."""

    def __init__(self, rng: Random, total: int) -> None:
        self.rng, self.record = rng, Record()
        self.watchers: list[Watcher] = []
        self._openings = sorted(rng.randrange(total) for _ in range(WATCHERS))
        self._revisions: list[int] = []

    def step(self, number: int, open_one) -> None:
        self._revisions.append(self.record.revision)
        while self._openings and self._openings[0] <= number:
            self._openings.pop(0)
            mark: Mark | None = self.record.mark()
            after = 0
            if self.rng.random() < 0.5:
                mark, after = None, self.rng.choice(self._revisions[-400:])
            is_slow = self.rng.random() < 0.2
            self.watchers.append(open_one(wanted_by(self.rng), mark, after, is_slow))
        if number % 20 == 0:
            for watcher in self.watchers:
                if not watcher.is_slow or number % 1000 == 0:
                    watcher.read()

    def check(self) -> None:
        assert len(self.watchers) == WATCHERS
        mistakes = {str(watcher.wanted): watcher.mistake(self.record) for watcher in self.watchers}
        assert {wanted: mistake for wanted, mistake in mistakes.items() if mistake} == {}
        assert sum(len(watcher.told) for watcher in self.watchers) > 10 * WATCHERS


def write_in_process(server: ApiServer, record: Record, action: tuple[str, str, str, int]) -> None:
    verb, namespace, name, number = action
    if verb == "create":
        answer = server.call(ApiCall("create", CONFIG_MAP, namespace, body=body(name, number)))
    elif verb == "patch":
        patch = {
            "metadata": {"labels": {"app": f"a{number % 5}", "part": f"p{number % 3}"}},
            "data": {"n": str(number)},
        }
        answer = server.call(ApiCall("patch", CONFIG_MAP, namespace, name, body=patch))
        if int(answer.body["metadata"]["resourceVersion"]) != server.revision:
            return  # Nothing to change: nothing was written.
        if server.revision == record.revision:
            return
    else:
        server.call(ApiCall("delete", CONFIG_MAP, namespace, name))
        version = str(server.revision)
        record.wrote("DELETED", {"metadata": {"namespace": namespace, "name": name, "resourceVersion": version}})
        return
    record.wrote("ADDED" if verb == "create" else "MODIFIED", answer.own())


@pytest.mark.accepts("K8-051", "K8-053", "K8-056")
@pytest.mark.parametrize("seed", [1, 2])
def test_watchers_in_process_see_each_write_that_concerns_them_once_and_in_order(seed):
    rng = Random(seed)
    server = ApiServer(lambda: 1_767_225_600 * SECOND_NS, Random(1))
    for number in range(NAMESPACES):
        server.call(ApiCall("create", NAMESPACE, body={"metadata": {"name": f"n{number}"}}))
    todo = actions(rng)
    watching = Watching(rng, len(todo))
    watching.record.revision = server.revision

    def open_one(wanted: Wanted, mark: Mark | None, after: int, is_slow: bool) -> Watcher:
        version = "" if mark is not None else str(after)
        call = ApiCall(
            "watch",
            CONFIG_MAP,
            wanted.namespace,
            label_selector=wanted.label_selector,
            field_selector=wanted.field_selector,
            resource_version=version,
        )
        return CursorWatcher(server.watch(call), wanted, mark, after, is_slow=is_slow)

    for number, action in enumerate(todo):
        watching.step(number, open_one)
        write_in_process(server, watching.record, action)
    for watcher in watching.watchers:
        watcher.read()
    watching.check()


@pytest.mark.accepts("K8-051", "K8-053", "K8-056", "K8-058")
def test_watchers_over_http_see_each_write_that_concerns_them_once_and_in_order(monkeypatch):
    monkeypatch.setattr("rayrig_fakes.kubernetes.http.watch_streams._BOOKMARK_EVERY_S", 0.02)
    rng = Random(3)
    with (
        KubernetesThread(KubernetesOptions(controllers=False, history_limit=1_500)) as thread,
        httpx.Client(base_url=thread.url, trust_env=False) as client,
    ):
        parts = urlsplit(thread.url)
        address = (str(parts.hostname), int(parts.port or 0))
        for number in range(NAMESPACES):
            client.post("/api/v1/namespaces", json={"metadata": {"name": f"n{number}"}}).raise_for_status()
        todo = actions(rng)
        watching = Watching(rng, len(todo))
        watching.record.revision = thread.ask(lambda api: api.revision)

        def open_one(wanted: Wanted, mark: Mark | None, after: int, is_slow: bool) -> Watcher:
            path = f"/api/v1/namespaces/{wanted.namespace}/configmaps" if wanted.namespace else "/api/v1/configmaps"
            return SocketWatcher(address, path, wanted, mark, after, is_slow=is_slow)

        for number, action in enumerate(todo):
            watching.step(number, open_one)
            write_over_http(client, watching.record, action)
        wait_for_all(watching)
        for watcher in watching.watchers:
            assert isinstance(watcher, SocketWatcher)
            watcher.close()
    watching.check()
    assert sum(watcher.bookmarks for watcher in watching.watchers) > WATCHERS


def write_over_http(client: httpx.Client, record: Record, action: tuple[str, str, str, int]) -> None:
    verb, namespace, name, number = action
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    if verb == "create":
        record.wrote("ADDED", client.post(path, json=body(name, number)).raise_for_status().json())
    elif verb == "patch":
        # Values that no object has yet: something is written.
        patch = {
            "metadata": {"labels": {"app": f"a{number % 5}", "part": f"p{number % 3}"}},
            "data": {"n": str(record.revision)},
        }
        headers = {"content-type": "application/merge-patch+json"}
        answer = client.patch(f"{path}/{name}", content=json.dumps(patch), headers=headers)
        record.wrote("MODIFIED", answer.raise_for_status().json())
    else:
        client.delete(f"{path}/{name}").raise_for_status()
        version = client.get(path, params={"limit": 1}).json()["metadata"]["resourceVersion"]
        record.wrote("DELETED", {"metadata": {"namespace": namespace, "name": name, "resourceVersion": version}})


def wait_for_all(watching: Watching) -> None:
    """Until everybody has what is expected, or nothing has come for a while."""
    last = time.monotonic()
    missing = list(watching.watchers)
    while missing and time.monotonic() - last < 5:
        for watcher in missing:
            told = len(watcher.told)
            watcher.read()
            if len(watcher.told) > told:
                last = time.monotonic()
        missing = [
            each
            for each in missing
            if not each.is_gone and len(each.told) < len(watching.record.expected(each.wanted, each.mark, each.after))
        ]
    for watcher in watching.watchers:
        watcher.read()
