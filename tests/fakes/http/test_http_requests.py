"""Requests over a socket: answers, errors, forms of bodies, administration."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest


def test_an_object_is_created_read_changed_and_deleted(cluster):
    created = cluster.config_map("settings", colour="red")
    assert created.status_code == 201
    assert created.headers["content-type"] == "application/json"

    read = cluster.client.get(cluster.path("configmaps", "settings"))
    assert read.json() == created.json()

    patched = cluster.client.patch(
        cluster.path("configmaps", "settings"),
        content=b'{"data": {"colour": "blue"}}',
        headers={"content-type": "application/merge-patch+json"},
    )
    assert patched.json()["data"] == {"colour": "blue"}

    assert cluster.client.delete(cluster.path("configmaps", "settings")).json()["status"] == "Success"
    assert cluster.client.get(cluster.path("configmaps", "settings")).status_code == 404


def test_refusals_are_status_objects(cluster):
    cluster.config_map("twice")
    refused = cluster.config_map("twice")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "AlreadyExists"


def test_an_unknown_path_is_plain_text(cluster):
    answer = cluster.client.get("/nope")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.accepts("K8-006")
def test_health_paths_say_ok(cluster):
    assert [cluster.client.get(f"/{path}").text for path in ("healthz", "livez", "readyz")] == ["ok", "ok", "ok"]


@pytest.mark.accepts("K8-010")
def test_yaml_bodies_are_read(cluster):
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata:\n  a: b\n"
    answer = cluster.client.post(
        cluster.path("configmaps"), content=text.encode(), headers={"content-type": "application/yaml"}
    )
    assert answer.json()["data"] == {"a": "b"}


def test_tables_are_answered_to_those_who_ask(cluster):
    cluster.config_map("one", a="1", b="2")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = cluster.client.get(cluster.path("configmaps"), headers={"accept": accept}).json()
    assert table["kind"] == "Table"
    assert [row["cells"][:2] for row in table["rows"]] == [["one", 2]]


@pytest.mark.accepts("K8-015")
def test_a_body_that_is_too_large_is_refused_and_the_server_goes_on(cluster):
    body = b'{"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "' + b"x" * (3 * 1024 * 1024) + b'"}}'
    refused = cluster.client.post(cluster.path("configmaps"), content=body)
    assert refused.status_code == 413
    assert refused.json()["message"] == "Request entity too large: limit is 3145728"
    assert cluster.config_map("after").status_code == 201


def test_bodies_of_unknown_length_are_read(cluster):
    def pieces():
        yield b'{"apiVersion": "v1", "kind": "ConfigMap", '
        yield b'"metadata": {"name": "in-pieces"}}'

    assert cluster.client.post(cluster.path("configmaps"), content=pieces()).status_code == 201


def test_queries_and_paths_are_decoded(cluster):
    cluster.config_map("here")
    found = cluster.client.get(cluster.path("configmaps") + "?fieldSelector=metadata.name%3Dhere").json()
    assert [item["metadata"]["name"] for item in found["items"]] == ["here"]
    assert cluster.client.get(cluster.path("configmaps", "h%65re")).status_code == 200


def test_head_is_for_custom_resources_and_some_documents(cluster):
    cluster.config_map("here")
    answer = cluster.client.head(cluster.path("configmaps", "here"))
    assert (answer.status_code, answer.content) == (405, b"")
    answer = cluster.client.head("/apis")
    assert (answer.status_code, answer.content) == (200, b"")


def test_many_clients_at_once_get_versions_of_their_own(cluster):
    def create(number):
        with httpx.Client(base_url=cluster.url, trust_env=False) as client:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}"}}
            return client.post(cluster.path("configmaps"), json=body).json()["metadata"]["resourceVersion"]

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(create, range(24)))
    assert len(set(versions)) == 24


@pytest.mark.accepts("K8-058")
def test_compaction_forgets_history(cluster):
    old = cluster.config_map("first").json()["metadata"]["resourceVersion"]
    cluster.config_map("second")
    now = cluster.config_map("third").json()["metadata"]["resourceVersion"]

    assert cluster.client.post(f"/rayrig/compact?revision={now}").status_code == 200

    query = {"resourceVersion": old, "resourceVersionMatch": "Exact"}
    assert cluster.client.get(cluster.path("configmaps"), params=query).status_code == 410


@pytest.mark.parametrize("query", ["revision=x", "revision=99999999"])
def test_compaction_of_what_is_no_revision_yet_is_refused(cluster, query):
    assert cluster.client.post(f"/rayrig/compact?{query}").status_code == 400


def test_other_paths_of_administration_are_not_there(cluster):
    assert cluster.client.post("/rayrig/else").status_code == 404
    assert cluster.client.get("/rayrig/compact").status_code == 405
