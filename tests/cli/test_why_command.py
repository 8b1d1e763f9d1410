"""`rayrig why`: what it prints, its exit codes, which run or cluster it asks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from rayrig.report.console import console
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread

Cli = Callable[..., Any]

HOLDS = """\
name: holds
description: A pod whose probe fails for five seconds.
nodes: [{name: n, cpu: 4, memory: 8Gi}]
manifests:
  - inline:
      apiVersion: v1
      kind: Pod
      metadata:
        name: web
        annotations: {script: '{"main": {"http": {"8080": {"/ready": [[0, "503:no"], [5, "200:ok"]]}}}}'}
      spec:
        containers:
          - {name: main, image: web, readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}}
steps:
  - apply: web
  - sleep: 10s
"""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    console.cache_clear()
    yield
    console.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "holds.yaml"
    path.write_text(HOLDS, encoding="utf-8")
    return path


def shown(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def alike(line: str) -> str:
    """Without what another draw of durations and names would change."""
    return re.sub(r"\d+(\.\d+)?", "0", re.sub(r"(?<=-)[a-z0-9]{5}\b", "x", line)).strip()


def test_the_only_pod_that_is_not_ready_is_told_in_80_columns_and_exits_with_1(rayrig_cli: Cli) -> None:
    done = rayrig_cli("why", "--scenario", "unready-worker", "--at", "95s")
    assert (done.code, done.err) == (1, "")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    expected = """\
orchard-4qqt2-ladders-worker-w2mgq on node-0
at 95.00 s: not ready since 32.17 s, for 62.83 s

51.27 s  the readiness probe of ray-worker fails
             it asks :52365/api/local_raylet_healthz, then :8000/-/healthz each
             5 s, timeout 2 s; one failure counts
             51.27 to 91.27 s, every 5 s: failed 9 times, "success"
             (/api/local_raylet_healthz ok; localhost:8000/-/healthz: connection
             refused)
             the next is due at 96.27 s
         because no Serve proxy runs on it, for it has no replica
             Serve runs a proxy on the head and wherever a replica is; the
             readiness probe asks the proxy
49.47 s  because every replica has its place on another node, and no further one
         is asked for
             orchard/Picker: 2 replicas, on orchard-4qqt2-ladders-worker-9lvx8,
             orchard-4qqt2-ladders-worker-2bbxz

Not ready
   from   to   lasted  stages
32.15 s  now  62.85 s  init container wait-gcs-ready 8.15 s, ray-worker not
                       started 0.25 s, readiness probe of ray-worker 54.43 s

5 ready or done, 1 not ready
"""
    assert [alike(line) for line in shown(done.out)] == [alike(line) for line in expected.splitlines()]
    pod = done.out.split()[0]
    assert rayrig_cli("why", pod, "--scenario", "unready-worker", "--at", "95s").out in done.out


def test_after_a_run_its_pods_are_asked_without_naming_it(rayrig_cli: Cli, file: Path) -> None:
    assert rayrig_cli("run", file, "--seed", 4).code == 0
    ready = rayrig_cli("why", "web")
    assert ready.code == 0
    assert ready.err == f"rayrig: of the last run: rayrig run {file} --seed 4\n"
    assert "it is ready" in ready.out
    then = rayrig_cli("why", "web", "--at", "3s")
    assert then.code == 1
    assert "the readiness probe of main fails" in then.out
    assert rayrig_cli("why", "web", "--at", 3).out == then.out


def test_the_last_run_is_found_from_another_folder(
    rayrig_cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rayrig_cli("run", "holds.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert rayrig_cli("why", "web").code == 0


def test_without_a_run_it_asks_which(rayrig_cli: Cli) -> None:
    done = rayrig_cli("why", "web")
    assert done.code == 2
    assert done.err == "rayrig: which run? (give --scenario NAME or FILE, or --server or --kubeconfig for a cluster)\n"


def test_where_nothing_can_be_remembered_runs_go_on(
    rayrig_cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a-file"))
    assert rayrig_cli("run", file).code == 0
    assert rayrig_cli("why", "web").code == 2


def test_without_a_pod_all_that_are_not_ready_are_listed(rayrig_cli: Cli, file: Path) -> None:
    done = rayrig_cli("why", "--scenario", "too-few-gpus")
    assert done.code == 1
    assert shown(done.out)[0].split() == ["pod", "since", "why"]
    assert alike(shown(done.out)[-1]) == "0 ready or done, 0 not ready; rayrig why POD tells all of it"
    assert done.out.count("no node takes it") == 4
    done = rayrig_cli("why", "--scenario", file)
    assert (done.code, shown(done.out)) == (0, ["1 ready or done, 0 not ready"])


def test_json(rayrig_cli: Cli, file: Path) -> None:
    done = rayrig_cli("why", "web", "--scenario", file, "--at", "3s", "--json")
    value = json.loads(done.out)
    assert (value["pod"], value["ready"], value["at"]) == ("web", False, 3.0)
    assert [link["text"] for link in value["chain"]] == [
        "the readiness probe of main fails",
        "its script says so: :8080/ready is answered 503:no from its start, 200:ok when it is 5 s old",
    ]
    assert [one["pod"] for one in json.loads(rayrig_cli("why", "--scenario", file, "--json").out)] == ["web"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], 'POD: there is no pod "nobody" (there are web)'),
        (["web", "--at", "1h"], "at: the run has no 3600 s: it ends at 10.00 s (give a time within the run)"),
        (["web", "--at", "soon"], 'at: "soon" is no duration (write one such as 30s, 1m30s or 250ms)'),
        (["web", "-n", "other"], 'POD: there is no pod "other/web" (there are no pods)'),
    ],
)
def test_what_cannot_be_told_is_one_line_and_exits_with_2(
    rayrig_cli: Cli, file: Path, arguments: list[str], told: str
) -> None:
    done = rayrig_cli("why", *arguments, "--scenario", file)
    assert (done.code, done.out, done.err) == (2, "", f"rayrig: {told}\n")


# A cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(), kubeconfig=tmp_path / "kubeconfig") as thread:
        spec = {"containers": [{"name": "main", "image": "web"}], "schedulerName": "mine"}
        body = json.dumps({"metadata": {"name": "web"}, "spec": spec}).encode()
        path = f"{thread.url}/api/v1/namespaces/default/pods"
        urlopen(Request(path, body, {"content-type": "application/json"})).close()
        yield thread


def test_a_cluster_is_asked_over_http(rayrig_cli: Cli, cluster: KubernetesThread, tmp_path: Path) -> None:
    for reach in (["--server", cluster.url], ["--kubeconfig", tmp_path / "kubeconfig"]):
        done = rayrig_cli("why", "web", *reach)
        assert (done.code, done.err) == (1, "")
        assert "no scheduler called mine has looked at it" in done.out
        assert rayrig_cli("why", "default/web", *reach, "--json").code == 1
        assert "0 ready or done, 1 not ready" in rayrig_cli("why", *reach).out
        assert rayrig_cli("why", *reach, "-n", "kube-system").code == 0


def test_a_cluster_has_no_past(rayrig_cli: Cli, cluster: KubernetesThread) -> None:
    done = rayrig_cli("why", "web", "--server", cluster.url, "--at", "3s")
    assert (done.code, done.err) == (
        2,
        "rayrig: --at: a run is meant, but a cluster is asked (leave it out: a cluster keeps no history)\n",
    )


def test_a_cluster_that_does_not_answer(rayrig_cli: Cli) -> None:
    done = rayrig_cli("why", "web", "--server", "http://127.0.0.1:9")
    assert done.code == 2
    assert done.err.startswith("rayrig: http://127.0.0.1:9: no answer: ")
