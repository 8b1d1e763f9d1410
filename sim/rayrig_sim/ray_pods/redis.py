"""Redis as a GCS needs it: a server in some pod, and how a head finds it, knocks and is let in.

The data is the model's (`rayrig_sim.ray.external_storage`); a server that has no volume for it loses it when it ends. An
address that is no Service of the cluster is a server outside, which is there unless a fault takes it away. Source:
kuberay-operator.md 3.12; Ray's `redis_db_connect_retries` (120) and `redis_db_connect_wait_milliseconds` (5000).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet.mounted_files import mounted_text
from rayrig_sim.kubernetes.kubelet.scripted_containers import ScriptedContainer
from rayrig_sim.network.fabric import Reach
from rayrig_sim.ray.external_storage import StorageKey

if TYPE_CHECKING:
    from rayrig_sim.ray_pods.platform import RayPlatform

DEFAULT_PORT = 6379
CONNECT_TRIES, CONNECT_WAIT_S = 120, 5.0
#: KubeRay's clean-up job knocks more often and gives up sooner (kuberay-operator 3.12).
CLEANUP_TRIES, CLEANUP_WAIT_S = 120, 0.5
_START_NS = NS // 5
_COMMAND = re.compile(r"(?:^|[\s;&|/])redis-server(?=\s|$)(?P<words>[^;&|]*)")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """What its configuration says: the port, the password (empty: none), whether only its own pod reaches it, where its data is."""

    port: int = DEFAULT_PORT
    password: str = ""
    is_local: bool = False
    directory: str = "/data"


def is_redis(command: str) -> bool:
    """Whether a container's command starts a Redis server."""
    return _COMMAND.search(command) is not None


async def redis_settings(
    client: KubernetesClient | None, pod: JsonObject, spec: JsonObject, command: str
) -> RedisSettings:
    """From the configuration file the command names, where a ConfigMap brings it, and the command's own options."""
    found = _COMMAND.search(command)
    try:
        words = shlex.split(found["words"]) if found is not None else []
    except ValueError:
        words = []
    options: dict[str, str] = {}
    if words and not words[0].startswith("--") and client is not None:
        options |= _directives(await mounted_text(client, pod, spec, words.pop(0)) or "")
    text = " ".join(words)
    options |= dict(re.findall(r"--([\w-]+)[ =](\S+)", text))
    bound = options.get("bind", "").split()
    port = options.get("port", "")
    return RedisSettings(
        int(port) if port.isdigit() else DEFAULT_PORT,
        options.get("requirepass", "").strip('"'),
        bool(bound) and all(address.lstrip("-") in _LOOPBACK for address in bound),
        options.get("dir", "/data"),
    )


def _directives(text: str) -> dict[str, str]:
    """`redis.conf`: a name and its value on each line."""
    pairs = (line.strip().partition(" ") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def keeps_data(pod: JsonObject, spec: JsonObject, directory: str) -> bool:
    """Whether the server's directory is on a volume that outlives the container."""
    lasting = [
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if any(kind in volume for kind in ("persistentVolumeClaim", "hostPath", "nfs", "csi"))
    ]
    return any(
        mount.get("name") in lasting and f"{directory}/".startswith(f"{str(mount.get('mountPath')).rstrip('/')}/")
        for mount in spec.get("volumeMounts") or ()
    )


class RedisServer:
    """Listens on its port. `keys`: whose data it holds."""

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.keys: dict[StorageKey, None] = {}

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Not HTTP: who speaks it to Redis is cut off."""
        raise HttpFailure(Failure.RESET, request.path)


class RedisContainer(ScriptedContainer):
    """A container whose command is `redis-server` (protocol `Container`)."""

    def __init__(
        self, platform: RayPlatform, pod: JsonObject, spec: JsonObject, ip: str, settings: RedisSettings
    ) -> None:
        super().__init__(platform.kernel, f"{namespace_of(pod)}/{name_of(pod)}/{spec['name']}", {}, 0, ip)
        self._platform = platform
        self._address = ip
        self.server = RedisServer(settings)
        self._keeps_data = keeps_data(pod, spec, settings.directory)
        platform.kernel.spawn(f"redis {name_of(pod)}", self._serve())

    async def _serve(self) -> None:
        platform, port = self._platform, self.server.settings.port
        await platform.kernel.sleep_ns(_START_NS)
        if self.exited.is_set:
            return
        platform.network.listen(self._address, port, self.server)
        platform.storage.changed()
        await self.exited
        platform.network.close(self._address, port)
        if not self._keeps_data:
            for key in self.server.keys:
                platform.forget_storage(key)
        platform.storage.changed()

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        if self._platform.network.listener(self._address, port) is not self.server:
            raise HttpFailure(Failure.REFUSED, f"{self._address}:{port}")


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """What came of knocking. `refusal`: why not; `is_final`: to knock again is no use."""

    refusal: str = ""
    is_final: bool = False
    server: RedisServer | None = None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `redis:6379`, `redis://redis:6379` or the first of several."""
    first = address.partition(",")[0].partition("://")
    plain = (first[2] or first[0]).rpartition("@")[2].partition("/")[0]
    host, _, port = plain.rpartition(":")
    return (host, int(port)) if host and port.isdigit() else (plain, DEFAULT_PORT)


def knock(platform: RayPlatform, ip: str, namespace: str, env: Mapping[str, str]) -> RedisAccess:
    """Whether a process at `ip` with this environment gets at the Redis of its `RAY_REDIS_ADDRESS`, now."""
    address = env.get("RAY_REDIS_ADDRESS", "")
    if not platform.storage.is_reachable(StorageKey(address, "")):
        return RedisAccess(f"Redis at {address} does not answer")
    host, port = split_address(address)
    found: object | None = None
    if host in _LOOPBACK:
        found = platform.network.listener(ip, port)
    else:
        service = platform.network.table.resolve(host, namespace)
        if service is None:
            return RedisAccess()
        for backend in platform.network.table.backends(service.namespace, service.name, port):
            listener = platform.network.listener(backend.pod_ip, backend.port)
            is_open = not isinstance(listener, RedisServer) or not listener.settings.is_local or backend.pod_ip == ip
            if listener is not None and is_open and platform.network.reach(ip, backend.pod_ip) is Reach.OK:
                found = listener
                break
    if found is None:
        return RedisAccess(f"nothing listens at {address}")
    if not isinstance(found, RedisServer):
        # Somebody's script stands in for it.
        return RedisAccess()
    given = env.get("REDIS_PASSWORD", "")
    if found.settings.password and given != found.settings.password:
        text = "WRONGPASS invalid username-password pair" if given else "NOAUTH Authentication required."
        return RedisAccess(f"Redis at {address} refuses: {text}", is_final=True)
    if given and not found.settings.password:
        return RedisAccess(
            f"Redis at {address} refuses: ERR AUTH called without any password configured", is_final=True
        )
    return RedisAccess(server=found)
