"""Watches as chunked streams."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread


@contextmanager
def watch(cluster, plural="configmaps", headers=None, **query) -> Iterator[Iterator[dict]]:
    target = f"{cluster.path(plural)}?{urlencode({'watch': 'true', **query})}"
    with cluster.client.stream("GET", target, headers=headers) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines())


def names(events):
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


@pytest.mark.accepts("K8-051", "K8-052")
def test_what_is_there_and_what_changes_comes_in_order(cluster):
    cluster.config_map("before")
    with watch(cluster) as events:
        assert names([next(events)]) == [("ADDED", "before")]
        cluster.config_map("after")
        cluster.client.delete(cluster.path("configmaps", "before"))
        assert names([next(events), next(events)]) == [("ADDED", "after"), ("DELETED", "before")]


@pytest.mark.accepts("K8-054")
def test_a_timeout_ends_the_stream_with_a_bookmark(cluster):
    version = cluster.config_map("one").json()["metadata"]["resourceVersion"]
    with watch(cluster, timeoutSeconds=1, allowWatchBookmarks="true", resourceVersion=version) as events:
        seen = list(events)
    assert [event["type"] for event in seen] == ["BOOKMARK"]
    assert int(seen[0]["object"]["metadata"]["resourceVersion"]) >= int(version)


@pytest.mark.accepts("K8-055")
def test_initial_events_end_with_an_annotated_bookmark(cluster):
    cluster.config_map("one")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with watch(cluster, **query) as events:
        first, closing = next(events), next(events)
    assert names([first]) == [("ADDED", "one")]
    assert closing["type"] == "BOOKMARK"
    assert closing["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.accepts("K8-052")
def test_a_version_that_is_forgotten_is_one_error_event_and_the_end(cluster):
    old = cluster.config_map("one").json()["metadata"]["resourceVersion"]
    cluster.config_map("two")
    cluster.client.post("/rayrig/compact").raise_for_status()
    with watch(cluster, resourceVersion=old) as events:
        (event,) = events
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_large_first_list_arrives_whole(cluster):
    for number in range(60):
        cluster.config_map(f"c{number:02}", text="x" * 5000)
    with watch(cluster) as events:
        seen = [next(events)["object"]["metadata"]["name"] for _ in range(60)]
    assert seen == [f"c{number:02}" for number in range(60)]


@pytest.mark.accepts("K8-056")
def test_many_watchers_all_see_every_change_once(cluster):
    with watch(cluster) as one, watch(cluster) as two, watch(cluster) as three:
        for number in range(50):
            cluster.config_map(f"c{number:02}")
        expected = [f"c{number:02}" for number in range(50)]
        for events in (one, two, three):
            assert [next(events)["object"]["metadata"]["name"] for _ in range(50)] == expected


def test_a_client_that_goes_ends_its_watch(cluster):
    streams = cluster.thread.served.app.streams
    with watch(cluster):
        assert len(streams) == 1
    while len(streams):
        cluster.client.get("/healthz")
    assert len(streams) == 0


def test_a_watcher_that_reads_nothing_holds_up_nobody_and_is_told_410():
    """The log is the buffer: what the socket does not take is forgotten with it."""
    with KubernetesThread(KubernetesOptions(history_limit=100)) as thread:
        address = urlsplit(thread.url)
        slow = socket.create_connection((address.hostname, address.port))
        slow.sendall(b"GET /api/v1/namespaces/default/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        with httpx.Client(base_url=thread.url, trust_env=False) as client:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "x" * 100_000}}
            client.post("/api/v1/namespaces/default/configmaps", json=body).raise_for_status()
            for number in range(400):
                patch = {"data": {"n": str(number)}}
                client.patch(
                    "/api/v1/namespaces/default/configmaps/c",
                    json=patch,
                    headers={"content-type": "application/merge-patch+json"},
                ).raise_for_status()
        slow.settimeout(10)
        received = b""
        while b'"ERROR"' not in received[-2000:]:
            piece = slow.recv(1 << 20)
            assert piece, "the stream ended without an ERROR event"
            received += piece
        slow.close()
        assert b'"code":410' in received
        assert len(received) < 30_000_000


def test_the_end_of_the_server_ends_watches_cleanly():
    thread = KubernetesThread(KubernetesOptions(controllers=False))
    thread.start()
    client = httpx.Client(base_url=thread.url, trust_env=False)
    with client, client.stream("GET", "/api/v1/namespaces?watch=1") as answer:
        lines = answer.iter_lines()
        assert [json.loads(next(lines))["type"] for _ in range(4)] == ["ADDED"] * 4
        thread.stop()
        assert list(lines) == []


@pytest.mark.accepts("K8-057")
def test_a_watch_as_table_has_columns_in_its_first_event_only(cluster):
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    cluster.config_map("a")
    cluster.config_map("b")
    with watch(cluster, headers=accept) as events:
        first, second = next(events), next(events)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"].get("columnDefinitions") is None
