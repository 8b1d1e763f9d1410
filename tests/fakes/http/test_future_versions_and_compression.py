"""Versions that are not reached yet, and large answers."""

from __future__ import annotations

import gzip
import json
import threading

import httpx
import pytest

TOO_LARGE = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}


def future(cluster, ahead: int = 1000) -> int:
    return int(cluster.client.get("/api/v1/namespaces").json()["metadata"]["resourceVersion"]) + ahead


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for long in a test."""
    monkeypatch.setattr("rayrig_fakes.kubernetes.http.future_versions._LONGEST_WAIT_S", 0.05)


@pytest.mark.parametrize("query", [{}, {"resourceVersionMatch": "NotOlderThan"}])
def test_a_version_that_never_comes_is_a_timeout_that_says_when_to_try_again(cluster, impatient, query):
    wanted = future(cluster)
    answer = cluster.client.get(cluster.path("configmaps"), params={"resourceVersion": wanted, **query})
    assert answer.status_code == 504
    assert answer.headers["retry-after"] == "1"
    status = answer.json()
    assert status["message"].startswith(f"Timeout: Too large resource version: {wanted}, current: ")
    assert (status["reason"], status["details"]) == ("Timeout", {"causes": [TOO_LARGE], "retryAfterSeconds": 1})


@pytest.mark.parametrize("name", ["here", "not-here"])
def test_a_single_object_waits_for_a_version_too_whether_it_is_there_or_not(cluster, impatient, name):
    cluster.config_map("here")
    answer = cluster.client.get(cluster.path("configmaps", name), params={"resourceVersion": future(cluster)})
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")


@pytest.mark.parametrize("query", [{"resourceVersionMatch": "Exact"}, {"limit": 5}])
def test_exact_versions_and_pages_do_not_wait(cluster, query):
    answer = cluster.client.get(cluster.path("configmaps"), params={"resourceVersion": future(cluster), **query})
    assert (answer.status_code, answer.json()["details"]) == (504, {"causes": [TOO_LARGE]})
    assert "retry-after" not in answer.headers


def test_what_waits_is_answered_as_soon_as_the_version_is_reached(cluster):
    wanted = future(cluster, 3)
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=cluster.url, trust_env=False, timeout=20) as client:
            answers.append(client.get(cluster.path("configmaps"), params={"resourceVersion": wanted}))

    asking = threading.Thread(target=ask)
    asking.start()
    number = 0
    while asking.is_alive():
        cluster.config_map(f"c{number}")
        number += 1
    (answer,) = answers
    assert answer.status_code == 200
    assert int(answer.json()["metadata"]["resourceVersion"]) >= wanted


def test_a_watch_list_from_the_future_is_one_error_event(cluster, impatient):
    query = {"watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    query |= {"resourceVersion": str(future(cluster)), "allowWatchBookmarks": "true"}
    with cluster.client.stream("GET", cluster.path("configmaps"), params=query) as answer:
        (event,) = [json.loads(line) for line in answer.iter_lines()]
    assert (answer.status_code, event["type"], event["object"]["code"]) == (200, "ERROR", 504)


def test_a_plain_watch_from_the_future_tells_what_comes_after_its_version(cluster):
    after = future(cluster, 3)
    query = {"watch": "1", "resourceVersion": str(after), "timeoutSeconds": "10"}
    with cluster.client.stream("GET", cluster.path("configmaps"), params=query) as answer:
        versions = [int(cluster.config_map(f"c{number}").json()["metadata"]["resourceVersion"]) for number in range(8)]
        event = json.loads(next(answer.iter_lines()))
    assert int(event["object"]["metadata"]["resourceVersion"]) == min(each for each in versions if each > after)


# Compression


@pytest.fixture
def raw(cluster):
    """A client that does not unpack."""

    def get(path: str, **headers: str) -> tuple[httpx.Headers, bytes]:
        with cluster.client.stream("GET", path, headers=headers) as answer:
            return answer.headers, b"".join(answer.iter_raw())

    return get


def test_large_answers_are_compressed_for_those_who_take_it(cluster, raw):
    for number in range(3):
        cluster.config_map(f"c{number}", text="words " * 10_000)
    headers, body = raw(cluster.path("configmaps"), **{"accept-encoding": "deflate, gzip"})
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(body) == int(headers["content-length"]) < 10_000
    assert json.loads(gzip.decompress(body))["items"][2]["metadata"]["name"] == "c2"


@pytest.mark.parametrize("accepted", ["identity", "br", "*", "gzip;q=0.5"])
def test_others_get_them_as_they_are(cluster, raw, accepted):
    for number in range(3):
        cluster.config_map(f"c{number}", text="words " * 10_000)
    headers, body = raw(cluster.path("configmaps"), **{"accept-encoding": accepted})
    assert "content-encoding" not in headers
    assert len(json.loads(body)["items"]) == 3


def test_answers_up_to_128_kib_are_sent_as_they_are(cluster, raw):
    cluster.config_map("small", text="words " * 10_000)
    headers, body = raw(cluster.path("configmaps"), **{"accept-encoding": "gzip"})
    assert "content-encoding" not in headers
    assert len(body) > 60_000
