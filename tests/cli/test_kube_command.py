"""`rayrig kube` as a process: the ready line, the kubeconfig, a clean end, input that cannot be used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, build_opener

import pytest

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{plural: {plural}, singular: {plural}x, kind: {kind}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


class Kube:
    """A running `rayrig kube`."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rayrig", "kube", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.url = self.first_line.removeprefix("ready ").strip()

    def get(self, path: str):
        with build_opener(ProxyHandler({})).open(self.url + path, timeout=10) as answer:
            return answer.read()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


@pytest.fixture
def kube():
    started: list[Kube] = []

    def start(*arguments: str) -> Kube:
        started.append(Kube(*arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rayrig", "kube", *arguments], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


def test_it_says_where_it_is_ready_and_serves_there(kube):
    one = kube()
    assert one.first_line == f"ready {one.url}\n"
    assert one.url.startswith("http://127.0.0.1:")
    assert one.get("/readyz") == b"ok"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_also_with_an_open_watch(kube, number):
    one = kube("--no-controllers")
    with build_opener(ProxyHandler({})).open(f"{one.url}/api/v1/namespaces?watch=1", timeout=10) as stream:
        stream.readline()
        assert one.end(number) == (0, "", "")
        stream.read()


def test_definitions_of_several_files_are_served(kube, tmp_path):
    files = []
    for plural, kind in (("apples", "Apple"), ("pears", "Pear")):
        file = tmp_path / f"{plural}.yaml"
        file.write_text(DEFINITION.format(plural=plural, kind=kind))
        files.append(str(file))
    one = kube("--crd", *files)
    listed = json.loads(one.get("/apis/example.com/v1"))
    assert [entry["name"] for entry in listed["resources"]] == ["apples", "pears"]


def test_the_kubeconfig_names_server_and_token_and_is_private(kube, tmp_path):
    tokens, out = tmp_path / "tokens.csv", tmp_path / "kubeconfig"
    tokens.write_text('r,reader,1\na,admin,2,"system:masters"\n')
    one = kube("--token-file", str(tokens), "--kubeconfig", str(out))
    config = json.loads(out.read_text())
    assert config["clusters"][0]["cluster"] == {"server": one.url}
    assert config["users"] == [{"name": "admin", "user": {"token": "a"}}]
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_refused_in_one_line(kube):
    one = kube("--no-controllers")
    port = one.url.rpartition(":")[2]
    assert refused("--port", port).startswith(f"rayrig: cannot listen on 127.0.0.1:{port}: ")


def test_a_file_that_holds_no_definition_is_refused(tmp_path):
    file = tmp_path / "pod.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")
    assert f"{file}: holds a Pod, not a CustomResourceDefinition" in refused("--crd", str(file))


def test_tokens_over_plain_http_are_warned_of(kube, tmp_path):
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('a,admin,2,"system:masters"\n')
    code, _, err = kube("--token-file", str(tokens)).end()
    assert (code, err) == (
        0,
        "rayrig kube: warning: kubectl and client-go send no tokens over plain HTTP; add --tls for them\n",
    )
    code, _, err = kube("--token-file", str(tokens), "--tls").end()
    assert (code, err) == (0, "")


def test_a_token_file_that_is_not_there_is_refused(tmp_path):
    file = tmp_path / "none.csv"
    assert f"{file}: cannot read" in refused("--token-file", str(file))
