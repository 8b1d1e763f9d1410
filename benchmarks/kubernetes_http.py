"""What the fake Kubernetes costs over HTTP: time until ready, creates per second, memory, the price of watchers.

    python -m benchmarks.kubernetes_http [--creates 2000] [--watchers 100]

Each figure is taken from a `rayrig kube` process of its own, with its controllers and scheduler running. Creates and gets come from
one client in a process of its own: one keep-alive connection, a request at a time, as little work as can be; the best of three
rounds counts. Every object differs, pods in their specs. Where others use the machine too, the time on the processor says more than
the clock: the server's and the client's are given beside it. The baseline is uvicorn with an application that reads the request
and sends as many bytes: what no server in its place can go below.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rayrig_core.resources.crds import custom_resource_definitions

_READY_RUNS = 7


class Process:
    """A running `rayrig kube`, or another server that prints a line with its port."""

    def __init__(self, *arguments: str, command: Sequence[str] = ("-m", "rayrig", "kube")) -> None:
        began = time.perf_counter()
        self._process = subprocess.Popen([sys.executable, *command, *arguments], stdout=subprocess.PIPE, text=True)
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


def pod(name: str, image: str = "registry.example.com/team/app:1.2.3", cpu: str = "500m") -> bytes:
    """About 1 KiB. A variable has the name for its value, so no two specs are the same."""
    probe = {"httpGet": {"path": "/healthz", "port": 8000}, "periodSeconds": 5}
    variables = [{"name": f"VARIABLE_{number}", "value": f"value-{number}"} for number in range(7)]
    container = {
        "name": "app",
        "image": image,
        "args": ["serve", "--port", "8000"],
        "env": [{"name": "NAME", "value": name}, *variables],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": probe,
        "livenessProbe": probe,
    }
    meta = {"name": name, "labels": {"app": "benchmark", "part": "one"}}
    spec = {"containers": [container], "schedulerName": "nobody"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}).encode()


def unlike_pod(name: str) -> bytes:
    """One of no template: image and requests are its own, too."""
    number = int(name.rpartition("-")[2])
    return pod(name, f"registry.example.com/team/app:{name}", f"{number + 1}m")


def config_map(name: str) -> bytes:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
    ).encode()


def ray_service(name: str) -> bytes:
    head = {"rayStartParams": {}, "template": {"spec": {"containers": [{"name": "ray-head", "image": "ray:2"}]}}}
    spec = {"serveConfigV2": "applications: []", "rayClusterConfig": {"headGroupSpec": head}}
    return json.dumps(
        {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": name}, "spec": spec}
    ).encode()


PODS, CONFIG_MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
RAY_SERVICES = "/apis/ray.io/v1/namespaces/default/rayservices"
_LISTED, _LISTS = 1000, 10


#: What a client does: method, path (`#` stands for the name) and body of the object of that name.
_WORK: dict[str, tuple[str, str, Callable[[str], bytes]]] = {
    "pods": ("POST", PODS, pod),
    "unlike-pods": ("POST", PODS, unlike_pod),
    "config-maps": ("POST", CONFIG_MAPS, config_map),
    "gets": ("GET", f"{PODS}/#", lambda name: b""),
    "config-map-gets": ("GET", f"{CONFIG_MAPS}/#", lambda name: b""),
    "ray-services": ("POST", RAY_SERVICES, ray_service),
    "ray-service-lists": ("GET", RAY_SERVICES, lambda name: b""),
}


def creates_per_s(port: int, path: str, bodies: list[bytes]) -> float:
    client = Client(port)
    began = time.perf_counter()
    for body in bodies:
        assert client.send("POST", path, body) == 201
    took = time.perf_counter() - began
    client.close()
    return len(bodies) / took


def as_client(port: int, work: str, prefix: str, count: int) -> None:
    """Send the requests of a kind of work when a line comes in; then print seconds by the clock and on the processor."""
    method, path, body_of = _WORK[work]
    names = [f"{prefix}-{number}" for number in range(count)]
    requests = [(path.replace("#", name), body_of(name)) for name in names]
    client = Client(port)
    print("prepared", flush=True)
    sys.stdin.readline()
    began, began_cpu = time.perf_counter(), time.process_time()
    for target, body in requests:
        assert client.send(method, target, body) in (200, 201)
    print(time.perf_counter() - began, time.process_time() - began_cpu, flush=True)


class Cost(NamedTuple):
    """Of one request, in seconds."""

    wall_s: float
    server_s: float
    client_s: float


def cost_of(process: Process, work: str, prefix: str, count: int) -> Cost:
    """As one client sees it, that does nothing else."""
    arguments = ["--as-client", str(process.port), work, prefix, str(count)]
    client = subprocess.Popen(
        [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stdout.readline() == "prepared\n"
    before = process.cpu_s
    client.stdin.write("go\n")
    client.stdin.flush()
    wall, cpu = (float(word) for word in client.stdout.readline().split())
    server = process.cpu_s - before
    client.communicate()
    return Cost(wall / count, server / count, cpu / count)


def best_cost(process: Process, work: str, count: int, prefix: str = "") -> Cost:
    """Of three rounds, which create objects of their own unless a `prefix` is given."""
    rounds = [cost_of(process, work, prefix or f"{work}-{number}", count) for number in range(3)]
    return Cost(*(min(each) for each in zip(*rounds, strict=True)))


_BARE = """
import socket, uvicorn
body = b"x" * 3400
headers = [(b"content-type", b"application/json"), (b"content-length", b"3400")]
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(f"bare http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
uvicorn.Server(config).run(sockets=[listener])
"""


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
    parser.add_argument("--as-client", nargs=4, metavar=("PORT", "WORK", "PREFIX", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_client:
        port, work, prefix, number = options.as_client
        as_client(int(port), work, prefix, int(number))
        return
    count = options.creates
    rows: list[tuple[str, ...]] = []

    with Process(command=("-c", _BARE)) as process:
        base = best_cost(process, "pods", count)

    def add(name: str, cost: Cost, wanted: str = "") -> None:
        times = cost.wall_s / base.wall_s
        processor = [f"{seconds * 1e6:,.0f} us" for seconds in (cost.server_s, cost.client_s)]
        rows.append((name, f"{1 / cost.wall_s:,.0f} /s", *processor, f"{times:.1f}", wanted))

    ready, ready_cpu = [], []
    for _ in range(_READY_RUNS):
        with Process("--no-controllers") as process:
            ready.append(process.ready_s)
            ready_cpu.append(process.cpu_s)
    rows.append(("ready", f"{min(ready) * 1000:.0f} ms", f"{min(ready_cpu) * 1000:.0f} ms", "", "", "<= 300 ms"))

    with Process() as process:
        creates_per_s(process.port, PODS, [pod(f"p-{number}") for number in range(1000)])
        rows.append(("resident with 1,000 pods", f"{process.resident_mib:.0f} MiB", "", "", "", "<= 80 MiB"))
    add("baseline: uvicorn alone", base)
    with Process("--no-controllers") as process:
        add("create a pod, no controllers", best_cost(process, "pods", count), ">= 2,000 /s")
    with Process() as process:
        add("create a pod", best_cost(process, "pods", count), ">= 2,000 /s")
        add("get a pod", best_cost(process, "gets", count, "pods-0"), ">= 850 /s")
    with Process() as process:
        add("create a pod of no template", best_cost(process, "unlike-pods", count), ">= 2,000 /s")
    with Process() as process:
        alone = best_cost(process, "config-maps", count)
        add("create a ConfigMap", alone, ">= 2,000 /s")
        add("get a ConfigMap", best_cost(process, "config-map-gets", count, "config-maps-0"), ">= 850 /s")
    with Process() as process:
        before = process.cpu_s
        rate, events = with_watchers(process.port, options.watchers, count)
        beside = Cost(1 / rate, (process.cpu_s - before) / count, 0.0)
        add(f"the same with {options.watchers} watchers", beside)
        slower, dearer = beside.wall_s / alone.wall_s, beside.server_s / alone.server_s
        rows.append(("  times slower", f"{slower:.1f}", f"{dearer:.1f}", "", "", "<= 2"))
        rows.append(("  events until the last arrived", f"{events:,.0f} /s", "", "", "", ">= 20,000 /s"))

    with TemporaryDirectory() as folder:
        definitions = Path(folder, "ray.json")
        definitions.write_text(json.dumps(custom_resource_definitions()))
        with Process("--crd", str(definitions)) as process:
            cost_of(process, "ray-services", "listed", _LISTED)
            add(f"list {_LISTED:,} RayServices", best_cost(process, "ray-service-lists", _LISTS, "all"), ">= 18 /s")
            add("create a RayService", best_cost(process, "ray-services", count), ">= 300 /s")

    rows.insert(0, ("", "by the clock", "server", "client", "times baseline", "wanted"))
    width = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width[column]) for column, cell in enumerate(row)).rstrip())


if __name__ == "__main__":
    main()
