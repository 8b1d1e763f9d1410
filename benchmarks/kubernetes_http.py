"""What the fake Kubernetes costs over HTTP: time until ready, creates per second, memory, the price of watchers.

    python -m benchmarks.kubernetes_http [--creates 2000] [--watchers 100]

Each figure is taken from a `rayrig kube` process of its own, with its controllers and scheduler running. Where others use the
machine too, the server's own time on the processor says more than the clock: it is given beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_READY_RUNS = 7


class Process:
    """A running `rayrig kube`."""

    def __init__(self, *arguments: str) -> None:
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rayrig", "kube", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.ready_s = time.perf_counter() - began
        self.port = int(line.rpartition(":")[2])

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mib(self) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.communicate()


class Client:
    """One keep-alive connection and as little of a client as can be, so that the server is what is measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def send(self, method: str, path: str, body: bytes = b"") -> int:
        """The status code."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        data = self._left
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(65536)
        head_bytes, _, rest = data.partition(b"\r\n\r\n")
        lowered = head_bytes.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at:].split(b"\r\n", 1)[0])
        while len(rest) < length:
            rest += self._socket.recv(65536)
        self._left = rest[length:]
        return int(head_bytes.split(b" ", 2)[1])

    def close(self) -> None:
        self._socket.close()


def pod(name: str) -> bytes:
    probe = {"httpGet": {"path": "/healthz", "port": 8000}, "periodSeconds": 5}
    container = {
        "name": "app",
        "image": "registry.example.com/team/app:1.2.3",
        "args": ["serve", "--port", "8000"],
        "env": [{"name": f"VARIABLE_{number}", "value": f"value-{number}"} for number in range(8)],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": probe,
        "livenessProbe": probe,
    }
    meta = {"name": name, "labels": {"app": "benchmark", "part": "one"}}
    spec = {"containers": [container], "schedulerName": "nobody"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}).encode()


def config_map(name: str) -> bytes:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
    ).encode()


PODS, CONFIG_MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"


def creates_per_s(port: int, path: str, bodies: list[bytes]) -> float:
    client = Client(port)
    began = time.perf_counter()
    for body in bodies:
        assert client.send("POST", path, body) == 201
    took = time.perf_counter() - began
    client.close()
    return len(bodies) / took


def gets_per_s(port: int, path: str, count: int) -> float:
    client = Client(port)
    began = time.perf_counter()
    for _ in range(count):
        assert client.send("GET", path) == 200
    took = time.perf_counter() - began
    client.close()
    return count / took


_WATCHERS = """
import selectors, socket, sys
port, count, expected = (int(word) for word in sys.argv[1:])
selector, seen = selectors.DefaultSelector(), {}
for _ in range(count):
    each = socket.create_connection(("127.0.0.1", port))
    each.sendall(b"GET /api/v1/namespaces/default/configmaps?watch=1&resourceVersion=0 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    each.recv(65536)
    each.setblocking(False)
    selector.register(each, selectors.EVENT_READ)
    seen[each] = 0
print("open", flush=True)
while selector.get_map():
    for key, _ in selector.select():
        data = key.fileobj.recv(1 << 18)
        seen[key.fileobj] += data.count(b'{"type":"ADDED"')
        if not data or seen[key.fileobj] >= expected:
            selector.unregister(key.fileobj)
print(min(seen.values()), flush=True)
"""


def with_watchers(port: int, watchers: int, creates: int) -> tuple[float, float]:
    """Creates per second beside so many watchers, and events per second until the last has arrived."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WATCHERS, str(port), str(watchers), str(creates)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    bodies = [config_map(f"watched-{number}") for number in range(creates)]
    began = time.perf_counter()
    rate = creates_per_s(port, CONFIG_MAPS, bodies)
    timer = threading.Timer(60, process.kill)
    timer.start()
    fewest = process.stdout.readline().strip()
    took = time.perf_counter() - began
    timer.cancel()
    process.communicate()
    assert int(fewest or 0) >= creates, f"a watcher saw {fewest} of {creates} events"
    return rate, watchers * creates / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creates", type=int, default=2000)
    parser.add_argument("--watchers", type=int, default=100)
    options = parser.parse_args()
    count = options.creates
    rows: list[tuple[str, str, str, str]] = []

    def measured(process: Process, name: str, work: Callable[[], float], wanted: str) -> tuple[float, float]:
        """Rate by the clock, and the server's processor time for each."""
        before = process.cpu_s
        rate = work()
        cpu = (process.cpu_s - before) / count
        rows.append((name, f"{rate:,.0f} /s", f"{cpu * 1e6:,.0f} us", wanted))
        return rate, cpu

    ready, ready_cpu = [], []
    for _ in range(_READY_RUNS):
        with Process("--no-controllers") as process:
            ready.append(process.ready_s)
            ready_cpu.append(process.cpu_s)
    rows.append(("ready", f"{min(ready) * 1000:.0f} ms", f"{min(ready_cpu) * 1000:.0f} ms", "<= 300 ms"))

    with Process() as process:
        creates_per_s(process.port, PODS, [pod(f"p-{number}") for number in range(1000)])
        rows.append(("resident with 1,000 pods", f"{process.resident_mib:.0f} MiB", "", "<= 80 MiB"))
        bodies = [pod(f"q-{number}") for number in range(count)]
        measured(process, "create a pod", lambda: creates_per_s(process.port, PODS, bodies), ">= 2,000 /s")
        measured(process, "get a pod", lambda: gets_per_s(process.port, f"{PODS}/p-1", count), ">= 850 /s")
    with Process() as process:
        maps = [config_map(f"alone-{number}") for number in range(count)]
        alone = measured(
            process, "create a ConfigMap", lambda: creates_per_s(process.port, CONFIG_MAPS, maps), ">= 2,000 /s"
        )
    with Process() as process:
        events = 0.0

        def watched() -> float:
            nonlocal events
            rate, events = with_watchers(process.port, options.watchers, count)
            return rate

        beside = measured(process, f"the same with {options.watchers} watchers", watched, "")
        slower, dearer = alone[0] / beside[0], beside[1] / alone[1]
        rows.append(("  times slower", f"{slower:.1f}", f"{dearer:.1f}", "<= 2"))
        rows.append(("  events until the last arrived", f"{events:,.0f} /s", "", ">= 20,000 /s"))

    rows.insert(0, ("", "by the clock", "processor", "wanted"))
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width[column]) for column, cell in enumerate(row)).rstrip())


if __name__ == "__main__":
    main()
