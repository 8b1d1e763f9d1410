"""A real Ray on this machine, in network and process namespaces of its own: nothing outside reaches it but through loopback.

Ray listens wider than the loopback interface, without asking who is there. So it runs where loopback is all there is; its ports are
handed over, each to a port of this machine's loopback interface. And whoever was started in there ends with its first process.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rayrig_backends.plain_http import ask
from rayrig_core.errors import InputError
from rayrig_core.http import HttpFailure, HttpRequest
from rayrig_fakes.kubernetes.http.serving import listening_socket
from rayrig_sim.ray_pods.start_command import AGENT_PORT, DASHBOARD_PORT, GCS_PORT

PROXY_PORT = 8000
_REDIS_PORT = 6380
_READY_S = 90.0
_END_S = 5.0
#: Of Ray's output, told when it fails.
_LOG_LINES = 5
_VERSION = "from importlib.metadata import version; print(version('ray'))"
_INSIDE = "rayrig_backends.real_ray.inside"


@dataclass(frozen=True, slots=True)
class RealRaySettings:
    """Ports are of this machine's loopback interface, any free one when 0. `app_dir` is where import paths begin.

    `python` has Ray installed. With `redis` the GCS keeps its tables in a Redis of its own and outlives its process.
    """

    port: int = 0
    agent_port: int = 0
    proxy_port: int = 0
    app_dir: Path | None = None
    num_cpus: float = 4
    object_store_bytes: int = 80_000_000
    redis: bool = False
    python: Path = Path(sys.executable)


class RealRay:
    """One Ray cluster of one machine. A context manager: it runs within."""

    def __init__(self, settings: RealRaySettings) -> None:
        """Nothing is started. Raises `InputError`: something that is needed is not there, or a port is taken."""
        self.settings = settings
        check(settings)
        wanted = {DASHBOARD_PORT: settings.port, AGENT_PORT: settings.agent_port, PROXY_PORT: settings.proxy_port}
        self._sockets: dict[int, socket.socket] = {}
        try:
            for inner, port in wanted.items():
                self._sockets[inner] = listening_socket(port)
        except BaseException:
            self._close_sockets()
            raise
        self.url, self.agent_url, self.proxy_url = (
            f"http://127.0.0.1:{each.getsockname()[1]}" for each in self._sockets.values()
        )
        #: Ray's own files: short, because sockets are among them.
        self.folder = Path(tempfile.mkdtemp(prefix="rayrig-"))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._process = self._begin()
            self.start_head()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start_head(self) -> None:
        """`ray start --head`; over when dashboard and agent answer. Raises `RayFailed`."""
        self._order("start")
        ends_s = time.monotonic() + _READY_S
        for url, path in (
            (self.url, "/api/version"),
            (self.agent_url, "/api/local_raylet_healthz"),
            # The first one takes seconds.
            (self.url, "/api/serve/applications/"),
        ):
            while not _answers(url, path):
                if time.monotonic() > ends_s:
                    raise RayFailed(f"{path} was not answered in {_READY_S:g} s: {self._log_end()}")
                time.sleep(0.1)

    def kill_head(self) -> None:
        """All of Ray's processes at once, as when the head's pod is lost; Redis stays."""
        self._order("kill")

    def close(self) -> None:
        """All processes end; nothing is left. Also for one that never ran, and again."""
        process = self._process
        if process is not None:
            self._process = None
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            process.kill()
            process.wait()
            process.stdout.close()
        self._close_sockets()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _close_sockets(self) -> None:
        for each in self._sockets.values():
            each.close()

    # Inside

    def _begin(self) -> subprocess.Popen[str]:
        settings = self.settings
        python = str(settings.python)
        environment = {"RAY_USAGE_STATS_ENABLED": "0"}
        if settings.app_dir is not None:
            environment["PYTHONPATH"] = str(settings.app_dir.resolve())
        redis: list[str] = []
        if settings.redis:
            redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(_REDIS_PORT), "--dir", str(self.folder)]
            redis += ["--save", "", "--appendonly", "no"]
            environment["RAY_REDIS_ADDRESS"] = f"127.0.0.1:{_REDIS_PORT}"
        start = [python, "-c", "from ray.scripts.scripts import main; main()", "start", "--head"]
        start += [
            "--node-ip-address=127.0.0.1",
            f"--port={GCS_PORT}",
            f"--num-cpus={settings.num_cpus:g}",
            "--num-gpus=0",
        ]
        start += [f"--object-store-memory={settings.object_store_bytes}", f"--temp-dir={self.folder / 'ray'}"]
        start += ["--dashboard-host=127.0.0.1", f"--dashboard-port={DASHBOARD_PORT}"]
        start += [f"--dashboard-agent-listen-port={AGENT_PORT}", "--disable-usage-stats"]
        order = {
            "start": start,
            "environment": environment,
            "redis": redis,
            "folder": str(self.folder),
            "relayed": {each.fileno(): inner for inner, each in self._sockets.items()},
        }
        return subprocess.Popen(
            [*_unshare(), sys.executable, "-m", _INSIDE, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[each.fileno() for each in self._sockets.values()],
            # An interrupt from the terminal is ours to answer.
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            text=True,
        )

    def _order(self, what: str) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("this Ray does not run")
        try:
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RayFailed(f"its namespace is gone: {self._log_end()}")
        error = json.loads(line).get("error")
        if error:
            raise RayFailed(f"{error}: {self._log_end()}")

    def _log_end(self) -> str:
        log = self.folder / "log"
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
        return " | ".join([line.strip() for line in lines if line.strip()][-_LOG_LINES:])


class RayFailed(InputError):
    """Ray did not start, or its processes ended."""


def check(settings: RealRaySettings) -> str:
    """The version of Ray there. Raises `InputError` with the remedy for what is missing."""
    try:
        asked = subprocess.run([settings.python, "-c", _VERSION], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise InputError(
            "Ray is not installed", where=str(settings.python), remedy="pip install 'rayrig[ray]'"
        ) from None
    if settings.redis and shutil.which("redis-server") is None:
        raise InputError("redis-server is not installed", remedy="apt install redis-server, or do without Redis")
    if settings.app_dir is not None and not settings.app_dir.is_dir():
        raise InputError(
            "no such folder", where=str(settings.app_dir), remedy="give the folder that import paths begin in"
        )
    remedy = "run it on Linux as root, or where users may make namespaces (`unshare --net --map-root-user true`)"
    if shutil.which("unshare") is None:
        raise InputError("a real Ray runs in a network namespace only, and there is no unshare", remedy=remedy)
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        told = tried.stderr.strip() or f"unshare ended with {tried.returncode}"
        raise InputError(f"a real Ray runs in a network namespace only, and none can be made: {told}", remedy=remedy)
    return asked.stdout.strip()


def _unshare() -> list[str]:
    """Namespaces of network and processes; the first process in there dies with `unshare`, and all others with it."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--net", "--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL", "--"]


def _answers(url: str, path: str) -> bool:
    try:
        return ask(url, HttpRequest.of("GET", path), timeout_s=30).status == 200
    except HttpFailure:
        return False
