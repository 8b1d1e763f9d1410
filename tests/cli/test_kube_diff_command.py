"""`rayrig kube-diff`: exit codes, the report, stories told again, input that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.objects import JsonObject
from tests.cli.conftest import Cli

WIDGETS: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
STORY = {
    "area": "by hand",
    "number": 1,
    "steps": [{"method": "GET", "path": "/apis/example.com/v1/namespaces/${ns}/widgets", "query": [["limit", "5"]]}],
}


@pytest.fixture(scope="module")
def left() -> Iterator[str]:
    with KubernetesThread(KubernetesOptions(controllers=False)) as thread:
        yield thread.url


@pytest.fixture(scope="module")
def right() -> Iterator[str]:
    """Knows a resource that the other does not."""
    with KubernetesThread(KubernetesOptions(controllers=False, definitions=[WIDGETS], seed=9)) as thread:
        yield thread.url


def test_equal_servers_have_no_difference(rayrig_cli: Cli, left: str, right: str) -> None:
    done = rayrig_cli("kube-diff", left, right, "--count", 60, "--area", "crud", "--area", "watch")
    assert (done.code, done.err) == (0, "")
    assert "0 differences without a reason" in done.out


def test_a_server_is_equal_to_itself(rayrig_cli: Cli, left: str) -> None:
    done = rayrig_cli("kube-diff", left, left, "--count", 40, "--area", "merge-patch", "--json")
    assert done.code == 0
    assert json.loads(done.out)["requests"] >= 40


def test_a_difference_is_told_shrunk_reported_and_can_be_told_again(
    rayrig_cli: Cli, left: str, right: str, tmp_path: Path
) -> None:
    stories, report, known = (tmp_path / name for name in ("stories.json", "report.json", "known.toml"))
    stories.write_text(json.dumps({"unexplained": [{"story": STORY}]}))
    done = rayrig_cli("kube-diff", left, right, "--stories", stories, "--report", report)
    assert done.code == 1
    assert "1. list widgets: status (once)" in done.out
    assert "1 differences without a reason" in done.out
    (found,) = json.loads(report.read_text())["unexplained"]
    assert (found["left"], found["right"]) == ("404 404 page not found", "200 WidgetList")
    assert "query" not in found["shrunk"]["steps"][0]
    known.write_text('[[known]]\nreason = "widgets are ours"\naction = "widgets$"\n')
    again = rayrig_cli("kube-diff", left, right, "--stories", report, "--known", known)
    assert again.code == 0
    assert "explained, 1 times: widgets are ours" in again.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ftp://x", "http://127.0.0.1:1"), "not an http or https URL"),
        (("http://127.0.0.1:1", "http://127.0.0.1:1"), "a namespace for the run cannot be made"),
        (("http://127.0.0.1:1", "http://127.0.0.1:2", "--area", "none"), "no area none"),
        (("http://127.0.0.1:1", "http://127.0.0.1:2", "--known", "missing.toml"), "cannot read"),
        (("http://127.0.0.1:1", "http://127.0.0.1:2", "--stories", "missing.json"), "cannot read"),
        (("https://127.0.0.1:1", "http://127.0.0.1:2", "--ca", "missing.crt"), "cannot use this CA"),
    ],
)
def test_input_that_cannot_be_used_is_one_line(rayrig_cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    done = rayrig_cli("kube-diff", *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
