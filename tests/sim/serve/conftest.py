"""A Ray cluster with a Serve instance on it, without Kubernetes around: nodes join and leave by a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rayrig_core.errors import ServeUnavailable
from rayrig_core.http import HttpFailure, HttpRequest, HttpResponse
from rayrig_core.resources.serve_schema import set_fields, validate_serve_config
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration, Constant
from rayrig_sim.kernel import Actor, Kernel
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray.cluster import RayCluster, RayNode
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode, Registry, single
from rayrig_sim.serve.instance import SimulatedServe
from rayrig_sim.serve.user_code import sleep


class Probe:
    """Does what the request tells it to, as the `gold_probe` application of the recordings."""

    def __init__(self, word: str = "v1") -> None:
        self.word = word
        self.text: str | None = None
        self.health = "ok"

    async def reconfigure(self, config: dict[str, Any]) -> None:
        if config.get("delay"):
            await sleep(config["delay"])
        if config.get("fail"):
            raise RuntimeError(config["fail"])
        self.text = config.get("text")
        self.health = config.get("health", self.health)

    async def check_health(self) -> None:
        if self.health == "raise":
            raise RuntimeError("probe feels ill")
        if self.health == "hang":
            await sleep(100_000)

    async def __call__(self, request: Any) -> str:
        command = await request.json() if await request.body() else {}
        if "sleep" in command:
            await sleep(command["sleep"])
            return f"slept {command['sleep']}"
        if "health" in command:
            self.health = command["health"]
            return f"health {self.health}"
        return self.word if self.text is None else f"{self.word} {self.text}"


class Refuser:
    def __init__(self) -> None:
        raise RuntimeError("constructor refused")

    def __call__(self, request: Any) -> str:
        return "never"


class Unready:
    def check_health(self) -> None:
        raise RuntimeError("never healthy")

    def __call__(self, request: Any) -> str:
        return "never"


def pair(import_path: str, *names: str) -> ApplicationCode:
    """`Front` calls the others, all of which only take time."""
    codes = {name: DeploymentCode(name, Constant(0.001)) for name in names if name != "Front"}
    codes["Front"] = DeploymentCode("Front", Constant(0.001), init_args=tuple(Child(name) for name in codes))
    return ApplicationCode(import_path, "Front", codes)


def fickle() -> type[Any]:
    """A class whose constructor raises once `is_broken` is set."""

    class Fickle:
        is_broken = False

        def __init__(self) -> None:
            if Fickle.is_broken:
                raise RuntimeError("fickle")

        def __call__(self, request: Any) -> str:
            return "ok"

    return Fickle


def registry() -> Registry:
    found = Registry()
    found.register("m:fickle", single("m:fickle", fickle(), name="D"))
    found.register("m:app", single("m:app", Constant(0.01), name="D"))
    found.register("m:app2", single("m:app2", Constant(0.01), name="D"))
    found.register("m:three", single("m:three", Constant(0.01), name="D", options={"max_ongoing_requests": 3}))
    found.register("m:slow", single("m:slow", Constant(0.01), name="D", startup=Constant(5)))
    found.register("m:hangs", single("m:hangs", Constant(0.01), name="D", startup=Constant(1_000_000)))
    found.register("m:probe", single("m:probe", Probe, name="D"))
    found.register("m:probe2", single("m:probe2", Probe, name="D", init_args=("v2",)))
    found.register("m:raises", single("m:raises", Refuser, name="D"))
    found.register("m:unready", single("m:unready", Unready, name="D"))
    found.register("m:pair", pair("m:pair", "Back", "Front"))
    found.register("m:three_of_them", pair("m:three_of_them", "Back", "Extra", "Front"))
    found.register("m:text", "just a string")
    return found


#: Every duration a round number, so that stories have exact times.
CALIBRATION = Calibration(
    serve_controller_start=Constant(1.0),
    proxy_start=Constant(1.0),
    proxy_start_worker=Constant(2.5),
    app_build=Constant(2.0),
    replica_start=Constant(2.0),
    replica_init=Constant(0.0),
    replica_reconfigure=Constant(0.05),
    replica_stop=Constant(0.1),
    serve_broadcast=Constant(0.005),
)


@dataclass
class ServeWorld:
    """The instance and what tests do with it. Times in seconds."""

    kernel: Kernel
    cluster: RayCluster
    network: Network
    serve: SimulatedServe
    nodes: dict[str, RayNode] = field(default_factory=dict)

    @property
    def now_s(self) -> float:
        return self.kernel.monotonic_ns() / 1e9

    def add_node(self, name: str, cpus: float = 4, *, is_head: bool = False, **resources: float) -> RayNode:
        ip = self.network.allocate_pod_ip(name)
        node = self.cluster.add_node(name, ip, {"CPU": cpus, **resources}, is_head=is_head, instance_id=name)
        self.nodes[name] = node
        return node

    def run(self, seconds: float) -> None:
        self.kernel.run(until_s=self.now_s + seconds)

    def run_until(self, condition: Callable[[], bool], timeout_s: float = 120, step_s: float = 0.05) -> float:
        """Run until it holds; how long that took."""
        begin = self.now_s
        while not condition():
            if self.now_s - begin > timeout_s:
                raise AssertionError(f"not within {timeout_s} s: {self.serve.details()}")
            self.run(step_s)
        return self.now_s - begin

    def put(self, *applications: dict[str, Any], **top: Any) -> Actor:
        """PUT as the dashboard hands it on; done when it is answered, with what went wrong as value."""
        document = set_fields(
            validate_serve_config({"applications": list(applications), **top}, importable=lambda _: True)
        )

        async def handed_on() -> ServeUnavailable | None:
            try:
                await self.serve.deploy(document)
            except ServeUnavailable as error:
                return error
            return None

        answered = self.kernel.spawn("user", handed_on())
        self.run(0.001)
        return answered

    def deploy(self, *applications: dict[str, Any], **top: Any) -> None:
        """PUT and wait until no application is DEPLOYING."""
        answered = self.put(*applications, **top)
        self.run_until(lambda: answered.is_done)
        self.run_until(lambda: all(self.app(name)["status"] != "DEPLOYING" for name in self.apps()))

    def apps(self) -> dict[str, Any]:
        return self.serve.details()["applications"]

    def app(self, name: str = "a") -> dict[str, Any]:
        return self.apps()[name]

    def deployment(self, name: str = "D", app: str = "a") -> dict[str, Any]:
        return self.app(app)["deployments"][name]

    def states(self, name: str = "D", app: str = "a") -> dict[str, int]:
        counts: dict[str, int] = {}
        for replica in self.deployment(name, app)["replicas"]:
            counts[replica["state"]] = counts.get(replica["state"], 0) + 1
        return counts

    def ids(self, name: str = "D", app: str = "a") -> list[str]:
        return [replica["replica_id"] for replica in self.deployment(name, app)["replicas"]]

    def proxies(self) -> dict[str, str]:
        """Status by node name."""
        return {proxy["node_instance_id"]: proxy["status"] for proxy in self.serve.details()["proxies"].values()}

    def ask(self, path: str, node: str = "head", body: bytes = b"", timeout_s: float = 30.0) -> Any:
        """Status and text of an answer of a node's proxy, or the failure's name."""
        result: list[Any] = []

        async def request() -> None:
            server = self.network.listener(self.nodes[node].ip, 8000)
            if server is None:
                result.append("refused")
                return
            method = "POST" if body else "GET"
            task = self.kernel.spawn("request", server.handle(HttpRequest.of(method, path, body=body)))  # type: ignore[attr-defined]
            try:
                if not await self.kernel.wait(task, timeout_s):
                    task.cancel()
                    result.append("timeout")
                    return
                answer: HttpResponse = await task
            except HttpFailure as failure:
                result.append(failure.failure.value)
                return
            result.append((answer.status, answer.body.decode()))

        self.kernel.spawn("asker", request())
        self.run_until(lambda: bool(result), timeout_s + 1, step_s=0.002)
        return result[0]

    def story(self, *kinds: Kind) -> list[tuple[float, str, tuple[Any, ...]]]:
        """(time, last part of the subject, data) of what the trace has of these kinds."""
        return [(round(e.t_s, 3), e.subject.rpartition("/")[2], e.data) for e in self.kernel.trace.select(*kinds)]


def app(import_path: str = "m:app", *, name: str = "a", **options: Any) -> dict[str, Any]:
    """Application `name` at `/name` with deployment D of 0.1 CPUs and these options."""
    fields = {key: options.pop(key) for key in ("args", "runtime_env", "external_scaler_enabled") if key in options}
    deployment = {"name": "D", "ray_actor_options": {"num_cpus": 0.1}, **options}
    return {"name": name, "import_path": import_path, "route_prefix": f"/{name}", "deployments": [deployment], **fields}


class _Table:
    """No Services: pods are asked by their address."""

    def resolve(self, host: str, namespace: str = "default") -> None:
        return None


def make_world(calibration: Calibration = CALIBRATION, seed: int = 0, head_cpus: float = 4) -> ServeWorld:
    kernel = Kernel(seed)
    network = Network(kernel, _Table(), kernel.streams, calibration)  # type: ignore[arg-type]
    cluster = RayCluster(kernel, "c", calibration=calibration)
    cluster.is_gcs_up = True
    world = ServeWorld(kernel, cluster, network, SimulatedServe(cluster, registry=registry(), network=network))
    world.add_node("head", head_cpus, is_head=True)
    return world


@pytest.fixture
def world() -> ServeWorld:
    return make_world()


@pytest.fixture(name="app")
def _app() -> Callable[..., dict[str, Any]]:
    return app


@pytest.fixture(name="make_world")
def _make_world() -> Callable[..., ServeWorld]:
    return make_world
