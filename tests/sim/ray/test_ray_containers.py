"""Ray containers as a kubelet runs them: starting, joining, probes, dying with and without GCS fault tolerance."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

import pytest

from rayrig_core.http import HttpFailure, HttpRequest
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_fakes.dashboard import DashboardAgent
from rayrig_sim.calibration import Calibration, Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.kubernetes.kubelet.containers import ExecTimeout
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray_pods.container import RayContainer
from rayrig_sim.ray_pods.head import HeadContainer
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.runtime import RayContainerRuntime
from rayrig_sim.ray_pods.worker import WorkerContainer
from rayrig_sim.serve.application_code import Registry, single

FQDN = "c-head-svc.default.svc.cluster.local"
RAYLET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
GCS = "wget --tries 1 -T 10 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
PROXY = "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"

CALIBRATION = Calibration(
    image_pull=Constant(8),
    sandbox_start=Constant(0.2),
    sandbox_stop=Constant(0.1),
    container_start=Constant(0.2),
    container_stop=Constant(1),
    gcs_start=Constant(2),
    gcs_recovery=Constant(3),
    gcs_lookup=Constant(1),
    raylet_start=Constant(1.5),
    raylet_reconnect=Constant(1),
    dashboard_start=Constant(2),
    dashboard_agent_start=Constant(1),
    serve_controller_start=Constant(1),
    proxy_start=Constant(1),
    proxy_start_worker=Constant(2.5),
    app_build=Constant(2),
    replica_start=Constant(2),
)


def start_text(flags: str) -> str:
    return f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; ray start {flags}"


def pod(name: str, container: dict[str, Any], init: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "labels": {"ray.io/cluster": "c"},
        },
        "spec": {"containers": [container], **({"initContainers": [init]} if init else {})},
    }


def head_pod(name: str = "c-head", env: list[Any] | None = None, cpus: int = 2) -> dict[str, Any]:
    flags = f"--head  --block  --dashboard-agent-listen-port=52365  --metrics-export-port=8080  --num-cpus={cpus} "
    container = {
        "name": "ray-head",
        "image": "ray",
        "command": ["/bin/bash", "-c", "--"],
        "args": [start_text(flags)],
        "env": [
            {"name": "RAY_CLUSTER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['ray.io/cluster']"}}}
        ]
        + (env or []),
    }
    return pod(name, container)


def worker_pod(name: str, env: list[Any] | None = None, flags: str = "--num-cpus=1") -> dict[str, Any]:
    container = {
        "name": "ray-worker",
        "image": "ray",
        "command": ["/bin/bash", "-c", "--"],
        "args": [start_text(f"--address={FQDN}:6379  --block  --dashboard-agent-listen-port=52365  {flags} ")],
        "env": [{"name": "FQ_RAY_IP", "value": FQDN}, *(env or [])],
    }
    wait = f"until ray health-check --address {FQDN}:6379 > /dev/null 2>&1; do sleep 5; done"
    return pod(name, container, {"name": "wait-gcs-ready", "image": "ray", "command": ["/bin/bash", "-c", wait]})


class Site:
    """Kubelets reduced to what they ask of the runtime."""

    def __init__(self, seed: int = 0) -> None:
        self.kernel = Kernel(seed)
        self.table = ServiceTable()
        self.network = Network(self.kernel, self.table, self.kernel.streams, CALIBRATION)
        registry = Registry()
        registry.register("m:app", single("m:app", Constant(0.01), name="D"))
        self.platform = RayPlatform(
            self.kernel,
            self.network,
            CALIBRATION,
            registry=registry,
            dashboard_factory=lambda serve: DashboardAgent(serve, cluster=serve.cluster),
        )
        self.runtimes: dict[str, RayContainerRuntime] = {}
        self.running: dict[str, RayContainer] = {}
        self.ips: dict[str, str] = {}
        self.exits: list[tuple[str, int, float]] = []

    @property
    def now_s(self) -> float:
        return self.kernel.monotonic_ns() / NS

    def run(self, seconds: float) -> None:
        self.kernel.run(until_s=self.now_s + seconds)

    def do(self, coroutine: Coroutine[Any, Any, Any], timeout_s: float = 120) -> Any:
        task = self.kernel.spawn("test", coroutine)
        end = self.now_s + timeout_s
        while not task.is_done and self.now_s < end:
            self.run(0.01)
        assert task.is_done, "it waits"
        return task._value

    def start(self, pod: dict[str, Any], node: str) -> None:
        self.kernel.spawn(f"kubelet {pod['metadata']['name']}", self._start(pod, node))

    async def _start(self, pod: dict[str, Any], node: str, *, in_place: bool = False) -> None:
        name = pod["metadata"]["name"]
        runtime = self.runtimes.setdefault(node, RayContainerRuntime(self.platform, node, present_images=("ray",)))
        if not in_place:
            self.ips[name] = await runtime.start_sandbox(pod)
        ip = self.ips[name]
        if name.startswith("c-head"):
            self.point_service(ip)
        for init in pod["spec"].get("initContainers", ()):
            if not in_place:
                await (await runtime.start_container(pod, init, ip, 0)).exited
        container = await runtime.start_container(pod, pod["spec"]["containers"][0], ip, 0)
        self.running[name] = container  # type: ignore[assignment]
        self.kernel.spawn(f"watch {name}", self._watch(name, container))

    async def _watch(self, name: str, container: Any) -> None:
        exit_ = await container.exited
        self.exits.append((name, exit_.exit_code, round(self.now_s, 2)))

    def restart(self, pod: dict[str, Any], node: str) -> None:
        """The kubelet starts the container again in its pod."""
        self.kernel.spawn("kubelet", self._start(pod, node, in_place=True))

    def point_service(self, ip: str) -> None:
        """The head service is headless and leads to the head pod."""
        meta = {"name": "c-head-svc", "namespace": "default"}
        self.table.put_service(
            {"metadata": meta, "spec": {"clusterIP": "None", "ports": [{"port": 6379, "name": "gcs"}]}}
        )
        self.table.put_slice(
            "default",
            "c-head-svc",
            {
                "metadata": {"name": "c-head-svc-x"},
                "ports": [{"name": "gcs", "port": 6379}],
                "endpoints": [{"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"name": "head"}}],
            },
        )

    def exec(self, name: str, line: str, timeout_s: float = 5) -> Any:
        async def run() -> Any:
            try:
                return await self.running[name].exec(["bash", "-c", line], timeout_s)
            except ExecTimeout:
                return "timeout"

        return self.do(run())

    def http(self, name: str, port: int, path: str) -> Any:
        async def run() -> Any:
            try:
                answer = await self.running[name].http_get(port, path, {}, 5)
            except HttpFailure as failure:
                return failure.failure.value
            return answer.status, answer.body.decode()

        return self.do(run())

    def put(self, *applications: dict[str, Any]) -> int:
        """PUT to the dashboard over the network, as an operator would."""

        async def run() -> int:
            client = NetworkClient(self.network, "operator")
            body = json.dumps({"applications": list(applications)}).encode()
            url = f"http://{FQDN}:8265/api/serve/applications/"
            return (await client.request("PUT", url, body=body, timeout_s=10)).status

        status: int = self.do(run())
        return status

    def get(self) -> Any:
        async def run() -> Any:
            client = NetworkClient(self.network, "operator")
            try:
                answer = await client.request("GET", f"http://{FQDN}:8265/api/serve/applications/", timeout_s=5)
            except HttpFailure as failure:
                return failure.failure.value
            return answer.json() if answer.status == 200 else answer.status

        return self.do(run())

    def ask(self, name: str, path: str = "/a") -> Any:
        """A request to the proxy in a pod."""

        async def run() -> Any:
            server: Any = self.network.listener(self.ips[name], 8000)
            if server is None:
                return "refused"
            return (await server.handle(HttpRequest.of("GET", path))).status

        return self.do(run())

    def nodes(self) -> list[str]:
        cluster = self.platform.cluster("default", "c")
        assert cluster is not None
        return [node.name for node in cluster.nodes.values()]


APP = {
    "name": "a",
    "import_path": "m:app",
    "route_prefix": "/a",
    "deployments": [
        {"name": "D", "num_replicas": 2, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 0.1}}
    ],
}
FT = [
    {"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"},
    {"name": "RAY_external_storage_namespace", "value": "uid-1"},
]
PATIENT = [{"name": "RAY_gcs_rpc_server_reconnect_timeout_s", "value": "600"}]


@pytest.fixture
def site() -> Site:
    return Site()


def with_a_worker(site: Site, *, head_env: Any = None, worker_env: Any = None) -> Site:
    site.start(head_pod(env=head_env), "node-0")
    site.start(worker_pod("c-worker", worker_env), "node-1")
    site.run(15)
    assert site.nodes() == ["c-head", "c-worker"]
    return site


def test_story_of_a_starting_head(site: Site) -> None:
    site.start(head_pod(), "node-0")
    site.run(10)
    story = [(round(e.t_s, 1), e["component"], e["state"]) for e in site.kernel.trace.select(Kind.RAY)]
    assert story == [(2.4, "gcs", "running"), (3.9, "node", "joined"), (4.4, "dashboard", "running")]
    assert isinstance(site.running["c-head"], HeadContainer)
    assert site.platform.cluster("default", "c").total_resources() == {"CPU": 2.0}  # type: ignore[union-attr]


def test_a_worker_waits_for_the_gcs_and_joins(site: Site) -> None:
    site.start(worker_pod("c-worker"), "node-1")
    site.run(3)
    site.start(head_pod(), "node-0")
    site.run(3.5)
    assert "c-worker" not in site.running
    site.run(10)
    assert isinstance(site.running["c-worker"], WorkerContainer)
    assert site.nodes() == ["c-head", "c-worker"]


@pytest.mark.accepts("SV-023", "SV-024")
def test_probes_of_head_and_worker(site: Site) -> None:
    site.start(head_pod(), "node-0")
    site.run(1)
    assert site.exec("c-head", f"{RAYLET} && {GCS}").exit_code == 1
    site.start(worker_pod("c-worker"), "node-1")
    site.run(14)
    result = site.exec("c-head", f"{RAYLET} && {GCS}")
    assert (result.exit_code, result.output) == (0, "success\nsuccess\n")
    assert site.exec("c-worker", RAYLET).exit_code == 0
    assert site.exec("c-worker", f"{RAYLET} && {PROXY}").exit_code == 1
    assert site.exec("c-worker", "cat /etc/hosts").exit_code == 127
    assert site.http("c-head", 52365, "/api/healthz") == (200, "raylet: success\ngcs: success")
    assert site.http("c-worker", 52365, "/api/healthz") == (200, "raylet: success\ngcs: success (no local gcs)")
    assert site.http("c-head", 52365, "/api/gcs_healthz")[0] == 404
    assert site.http("c-head", 8265, "/api/gcs_healthz") == (200, "success")
    assert site.http("c-worker", 8265, "/api/gcs_healthz") == "connection refused"
    site.running["c-worker"].is_raylet_hanging = True
    assert site.exec("c-worker", RAYLET, timeout_s=1) == "timeout"


@pytest.mark.parametrize(
    ("image", "status"),
    [("rayproject/ray:2.8.0-py310", 200), ("local/ray:2.9.3", 200), ("rayproject/ray:2.10.0", 404), ("ray", 404)],
)
def test_agents_of_old_releases_answer_about_serve(site: Site, image: str, status: int) -> None:
    pod = head_pod()
    pod["spec"]["containers"][0]["image"] = image
    site.start(pod, "node-0")
    site.run(16)
    answer = site.http("c-head", 52365, "/api/serve/applications/")
    assert answer[0] == status
    assert site.http("c-head", 8265, "/api/serve/applications/")[0] == 200
    if status == 200:
        assert json.loads(answer[1])["applications"] == {}


def test_a_worker_is_ready_when_a_replica_came(site: Site) -> None:
    with_a_worker(site)
    ready = f"{RAYLET} && {PROXY}"
    assert site.exec("c-worker", ready).exit_code == 1
    assert site.put(APP) == 200
    site.run(12)
    assert site.get()["applications"]["a"]["status"] == "RUNNING"
    assert site.exec("c-worker", ready).exit_code == 0
    assert (site.ask("c-head"), site.ask("c-worker")) == (200, 200)


def test_a_terminated_worker_leaves_in_order(site: Site) -> None:
    with_a_worker(site)
    site.put(APP)
    site.run(12)
    site.running["c-worker"].terminate()
    site.run(1.5)
    assert site.nodes() == ["c-head"]
    assert site.exits[0][:2] == ("c-worker", 0)
    assert site.ask("c-worker") == "refused"
    assert site.get()["applications"]["a"]["status"] == "UNHEALTHY"


def test_a_killed_worker_is_noticed_by_its_broken_connection(site: Site) -> None:
    with_a_worker(site)
    site.running["c-worker"].kill("OOMKilled")
    site.run(0.5)
    assert site.exits == [("c-worker", 137, 15.0)]
    assert site.nodes() == ["c-head", "c-worker"]
    site.run(1)
    assert site.nodes() == ["c-head"]


@pytest.mark.accepts("SV-141")
def test_a_silent_machine_is_given_up_after_a_minute(site: Site) -> None:
    with_a_worker(site)
    site.put(APP)
    site.run(12)
    site.network.silence_node("node-1")
    site.run(58)
    assert site.nodes() == ["c-head", "c-worker"]
    site.run(4)
    assert site.nodes() == ["c-head"]
    assert site.get()["applications"]["a"]["status"] == "UNHEALTHY"
    site.network.restore_node("node-1")
    site.run(2)
    assert site.exits[-1][:2] == ("c-worker", 1)


@pytest.mark.accepts("SV-140")
def test_head_loss_without_fault_tolerance(site: Site) -> None:
    with_a_worker(site)
    site.put(APP)
    site.run(12)
    head = head_pod()
    site.running["c-head"].kill()
    assert site.get() == "connection refused"
    assert site.ask("c-worker") == 200
    site.restart(head, "node-0")
    site.run(10)
    assert site.get() == {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}
    assert site.ask("c-worker") == 200
    site.run(52)
    assert [(name, code) for name, code, _ in site.exits] == [("c-head", 137), ("c-worker", 1)]
    assert site.ask("c-worker") == "refused"
    site.restart(worker_pod("c-worker"), "node-1")
    site.run(5)
    assert site.nodes() == ["c-head", "c-worker"]


@pytest.mark.accepts("SV-140")
def test_head_loss_with_fault_tolerance(site: Site) -> None:
    with_a_worker(site, head_env=FT, worker_env=PATIENT)
    site.put(APP)
    site.run(12)
    before = {r["replica_id"] for r in site.get()["applications"]["a"]["deployments"]["D"]["replicas"]}
    site.running["c-head"].kill()
    assert site.ask("c-worker") == 200
    site.run(100)
    assert site.ask("c-worker") == 200
    site.start(head_pod("c-head-2", FT), "node-2")
    site.run(16)
    shown = site.get()["applications"]["a"]
    assert shown["status"] == "RUNNING"
    after = {r["replica_id"] for r in shown["deployments"]["D"]["replicas"]}
    assert len(before & after) == 1
    assert site.nodes() == ["c-worker", "c-head-2"]
    assert (site.ask("c-head-2"), site.ask("c-worker")) == (200, 200)
    site.run(700)
    assert [name for name, _, _ in site.exits] == ["c-head"]


def test_workers_give_up_a_gcs_that_does_not_come_back(site: Site) -> None:
    with_a_worker(site, head_env=FT, worker_env=PATIENT)
    site.running["c-head"].kill()
    lost_s = site.now_s
    site.run(610)
    assert site.exits[-1] == ("c-worker", 1, round(lost_s + 600, 2))


def test_another_namespace_does_not_find_the_data(site: Site) -> None:
    with_a_worker(site, head_env=FT, worker_env=PATIENT)
    site.put(APP)
    site.run(12)
    site.running["c-head"].kill()
    other = [FT[0], {"name": "RAY_external_storage_namespace", "value": "uid-2"}]
    site.start(head_pod("c-head-2", other), "node-2")
    site.run(10)
    assert site.get()["applications"] == {}


def test_a_lost_redis_makes_the_head_unhealthy_and_keeps_a_new_one_from_starting(site: Site) -> None:
    with_a_worker(site, head_env=FT, worker_env=PATIENT)
    site.platform.storage.set_reachable("redis:6379", False)
    assert site.http("c-head", 8265, "/api/gcs_healthz")[0] == 503
    assert site.exec("c-head", f"{RAYLET} && {GCS}").exit_code == 1
    site.running["c-head"].kill()
    site.restart(head_pod(env=FT), "node-0")
    site.run(30)
    assert site.http("c-head", 8265, "/api/gcs_healthz") == "connection refused"
    site.platform.storage.set_reachable("redis:6379", True)
    site.run(6)
    assert site.http("c-head", 8265, "/api/gcs_healthz") == (200, "success")


def test_images_are_pulled_once_per_node(site: Site) -> None:
    runtime = RayContainerRuntime(site.platform, "node-9")
    assert not runtime.has_image("ray")
    site.do(runtime.pull_image("ray", head_pod()))
    assert (runtime.has_image("ray"), site.now_s) == (True, 8.01)


def test_other_containers_are_left_to_the_script(site: Site) -> None:
    runtime = RayContainerRuntime(site.platform, "node-9")
    container = site.do(runtime.start_container(pod("x", {}), {"name": "redis", "image": "redis"}, "10.1.2.3", 0))
    assert not isinstance(container, RayContainer)


def test_ray_stop_ends_the_container(site: Site) -> None:
    with_a_worker(site)
    assert site.exec("c-worker", "ray stop").exit_code == 0
    assert site.exits[-1][:2] == ("c-worker", 0)
    assert site.nodes() == ["c-head"]
