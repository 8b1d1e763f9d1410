"""What each kind of fault does in the world in memory.

One method for each entry of `rayrig_backends.faults.FAULTS`. A striker does the deed and answers what was struck; what ends by
itself ends in an actor of its own. The trace event of the fault is the cause of all that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from rayrig_backends.api_rules import ApiRule, ApiRules
from rayrig_backends.dashboards import Dashboards
from rayrig_backends.machines import BrokenImage, BrokenImages, Machine
from rayrig_backends.memory_traffic import MemoryTraffic
from rayrig_backends.targets import Targets
from rayrig_controllers.manager import Manager
from rayrig_core.errors import ApiError, InputError
from rayrig_core.faultpoints import Delay, ErrorBefore, LostReply, Reaction, StaleRead
from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, Task
from rayrig_core.resource_types import POD, ResourceType
from rayrig_core.resources import labels
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.kubelet.containers import Container
from rayrig_sim.kubernetes.nodes.nodes import NodeControl
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.serve.instance import SimulatedServe
from rayrig_sim.serve.proxies import ProxyProcess

Params = Mapping[str, Any]
T = TypeVar("T")
_ACTOR = "fault"


class Struck(Protocol):
    """The parts of a world that faults strike."""

    @property
    def runtime(self) -> Runtime: ...

    machines: dict[str, Machine]
    broken_images: BrokenImages
    node_control: NodeControl
    rules: ApiRules
    ray: RayPlatform
    dashboards: Dashboards
    traffics: dict[str, MemoryTraffic]
    operator: Manager | None

    def client(self, actor: str) -> KubernetesClient: ...

    def objects(self, resource: ResourceType, namespace: str = "") -> list[JsonObject]: ...

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Task[T]: ...

    def start_operator(self) -> None: ...


class MemoryFaults:
    """Strikes on demand."""

    def __init__(self, world: Struck) -> None:
        self._world = world
        self._targets = Targets(world.objects)

    async def strike(self, kind: str, params: Params) -> str:
        """Let the fault happen; what was struck, in a few words. Raises `InputError` when its target does not exist."""
        striker = getattr(self, "_" + kind.replace("-", "_"))
        told: str = await striker(params)
        return told

    def _emit(self, kind: str, subject: str, detail: str) -> None:
        runtime = self._world.runtime
        runtime.cause = runtime.trace.emit(Kind.FAULT, subject, kind, detail)

    def _lasting(self, kind: str, subject: str, params: Params, end: Callable[[], object]) -> None:
        """Call `end` when the fault's duration is over; without a duration it lasts."""
        duration_s = params["duration"]
        if duration_s is None:
            return

        async def ending() -> None:
            await self._world.runtime.sleep(duration_s)
            self._emit(kind, subject, "over")
            end()

        self._world.spawn(f"{_ACTOR}/{kind}", ending())

    # Pods and containers

    async def _head_crash(self, params: Params) -> str:
        head = self._targets.head(params)
        if params["mode"] == "pod":
            return await self._delete_pod("head-crash", head, 0)
        return self._kill_container("head-crash", head, None, "Error")

    async def _pod_kill(self, params: Params) -> str:
        return await self._delete_pod("pod-kill", self._targets.pod(params), params["grace"])

    async def _container_kill(self, params: Params) -> str:
        return self._kill_container("container-kill", self._targets.pod(params), params["container"], params["reason"])

    async def _delete_pod(self, kind: str, pod: JsonObject, grace_s: float | None) -> str:
        self._emit(kind, _subject(pod), "deleted")
        grace = None if grace_s is None else round(grace_s)
        client = self._world.client(_ACTOR)
        try:
            await client.delete(POD, name_of(pod), namespace_of(pod), grace_period_seconds=grace)
        except ApiError as error:
            raise InputError(
                f"pod {name_of(pod)} cannot be deleted: {error.message}", remedy="aim at a pod that is there"
            ) from None
        return f"deleted pod {name_of(pod)}"

    def _kill_container(self, kind: str, pod: JsonObject, name: str | None, reason: str) -> str:
        name = name or pod["spec"]["containers"][0]["name"]
        container = self._container(pod, name)
        self._emit(kind, _subject(pod), f"container {name} killed ({reason})")
        container.kill("" if reason == "Error" else reason)
        return f"killed container {name} of pod {name_of(pod)}"

    def _container(self, pod: JsonObject, name: str) -> Container:
        machine = self._world.machines.get(pod["spec"].get("nodeName", ""))
        container = machine.runtime.container(pod, name) if machine is not None else None
        if container is None or container.exited.is_set:
            raise InputError(
                f"container {name} of pod {name_of(pod)} does not run",
                remedy="wait until the pod runs, or name another",
            )
        return container

    async def _image_pull_failure(self, params: Params) -> str:
        image = BrokenImage(params["image"], params["reason"])
        subject = f"images/{image.part}"
        self._emit("image-pull-failure", subject, image.code)
        broken = self._world.broken_images
        broken.add(image)
        self._lasting("image-pull-failure", subject, params, lambda: broken.remove(image))
        return f"pulls of {image.part} fail"

    # Nodes

    def _node(self, params: Params) -> str:
        name = params["node"]
        if name is None:
            pod = self._targets.pod(params)
            name = pod["spec"].get("nodeName")
            if name is None:
                raise InputError(f"pod {name_of(pod)} is on no node", remedy="wait until it is scheduled")
        if name not in self._world.machines:
            raise InputError(f'there is no node "{name}"', remedy="there are: " + ", ".join(self._world.machines))
        return str(name)

    async def _node_loss(self, params: Params) -> str:
        node = self._node(params)
        self._emit("node-loss", f"nodes/{node}", "")
        self._world.node_control.lose(node)
        return f"lost node {node}"

    async def _node_restore(self, params: Params) -> str:
        node = self._node(params)
        self._emit("node-restore", f"nodes/{node}", "")
        self._world.node_control.restore(node)
        return f"restored node {node}"

    async def _node_drain(self, params: Params) -> str:
        node = self._node(params)
        self._emit("node-drain", f"nodes/{node}", "")
        grace = params["grace"]
        drain = self._world.node_control.drain(node, grace_period_s=None if grace is None else round(grace))
        self._world.spawn(f"{_ACTOR}/node-drain/{node}", drain)
        return f"draining node {node}"

    # Operator and API

    async def _operator_crash(self, params: Params) -> str:
        world = self._world
        manager = world.operator
        if manager is None or not manager.is_running:
            raise InputError("the operator is down already", remedy="wait until it is back")
        self._emit("operator-crash", "operator", "")
        manager.crash()

        async def restart() -> None:
            await world.runtime.sleep(params["restart_after"])
            self._emit("operator-crash", "operator", "restarted")
            world.start_operator()

        world.spawn(f"{_ACTOR}/operator-crash", restart())
        return f"crashed the operator, back in {params['restart_after']:g} s"

    async def _api_error(self, params: Params) -> str:
        code, reason = params["code"], params["reason"]
        reaction: Reaction = LostReply(code, reason) if params["after_effect"] else ErrorBefore(code, reason)
        return self._api_rule("api-error", params, reaction, f"answered {code} {reason}")

    async def _api_latency(self, params: Params) -> str:
        return self._api_rule("api-latency", params, Delay(params["delay"]), f"take {params['delay']:g} s longer")

    async def _api_stale_read(self, params: Params) -> str:
        stale = StaleRead(max(1, params["changes"]), params["lag"] or 0.0)
        how = f"{stale.lag_s:g} s old" if stale.lag_s else f"{stale.changes} changes old"
        return self._api_rule("api-stale-read", params, stale, f"are answered from a state that is {how}")

    def _api_rule(self, kind: str, params: Params, reaction: Reaction, what: str) -> str:
        rule = ApiRule(reaction, params["actor"] or "", params["verb"] or "", params["resource"] or "", params["count"])
        calls = " ".join(part for part in (rule.actor, rule.verb, rule.resource) if part) or "all"
        subject = "api-server"
        self._emit(kind, subject, f"{calls} calls {what}")
        self._world.rules.add(rule)
        self._lasting(kind, subject, params, lambda: self._world.rules.remove(rule))
        return f"{calls} calls {what}"

    # Ray and Serve

    def _serve(self, namespace: str, cluster: str) -> SimulatedServe:
        serve = self._world.ray.serve(namespace, cluster)
        if serve is None or serve.controller is None:
            raise InputError(
                f'Serve does not run in Ray cluster "{cluster}"', remedy="wait for the service to be ready"
            )
        return serve

    async def _replica_kill(self, params: Params) -> str:
        namespace, cluster = self._targets.cluster(params)
        serve = self._serve(namespace, cluster)
        app, deployment, index = params["application"], params["deployment"], params["index"]
        replicas = serve.replicas(app, deployment)
        if index >= len(replicas):
            raise InputError(
                f"{app}/{deployment} has {len(replicas)} replicas, none has index {index}",
                remedy="indices begin with 0; check application and deployment",
            )
        replica = replicas[index]
        self._emit("replica-kill", f"rayclusters/{namespace}/{cluster}", f"{app}/{deployment}/{replica.replica_id}")
        replica.process.crash(cause=self._world.runtime.cause)
        return f"killed replica {replica.replica_id} of {app}/{deployment}"

    def _proxy(self, params: Params) -> tuple[JsonObject, ProxyProcess]:
        pod = self._targets.pod(params)
        cluster = labels_of(pod).get(labels.CLUSTER, "")
        for process in self._serve(namespace_of(pod), cluster).proxy_processes():
            if process.node.name == name_of(pod):
                return pod, process
        raise InputError(
            f"there is no Serve proxy on pod {name_of(pod)}", remedy="a proxy comes with the first replica"
        )

    async def _proxy_kill(self, params: Params) -> str:
        pod, process = self._proxy(params)
        self._emit("proxy-kill", _subject(pod), "")
        process.crash()
        return f"killed the proxy on {name_of(pod)}"

    async def _proxy_hang(self, params: Params) -> str:
        pod, process = self._proxy(params)
        self._emit("proxy-hang", _subject(pod), "")
        process.set_hanging(True)
        self._lasting("proxy-hang", _subject(pod), params, lambda: process.set_hanging(False))
        return f"the proxy on {name_of(pod)} hangs"

    async def _dashboard_error(self, params: Params) -> str:
        namespace, cluster = self._targets.cluster(params)
        subject = f"rayclusters/{namespace}/{cluster}"
        dashboards = self._world.dashboards
        self._emit("dashboard-error", subject, f"every call is answered {params['code']}")
        dashboards.set_error(namespace, cluster, params["code"])
        self._lasting("dashboard-error", subject, params, lambda: dashboards.set_error(namespace, cluster, None))
        return f"the dashboard of {cluster} answers {params['code']}"

    async def _gcs_kill(self, params: Params) -> str:
        head = self._targets.head(params)
        container = self._container(head, head["spec"]["containers"][0]["name"])
        self._emit("gcs-kill", _subject(head), "")
        stop = getattr(container, "stop_gcs", None)
        if stop is None or not stop("told to stop"):
            raise InputError(f"no GCS runs on {name_of(head)}", remedy="wait until the head is ready")
        return f"stopped the GCS on {name_of(head)}"

    async def _gcs_redis_loss(self, params: Params) -> str:
        head = self._targets.head(params)
        address = next(
            (
                str(entry.get("value", ""))
                for entry in head["spec"]["containers"][0].get("env") or ()
                if entry.get("name") == "RAY_REDIS_ADDRESS"
            ),
            "",
        )
        if not address:
            raise InputError(
                f"the GCS of {name_of(head)} keeps its tables in memory",
                remedy="set gcsFaultToleranceOptions in the RayService",
            )
        storage = self._world.ray.storage
        self._emit("gcs-redis-loss", _subject(head), address)
        storage.set_reachable(address, False)
        self._lasting("gcs-redis-loss", _subject(head), params, lambda: storage.set_reachable(address, True))
        return f"Redis at {address} is lost"

    # Traffic

    async def _traffic_surge(self, params: Params) -> str:
        sources = self._world.traffics
        name = params["traffic"]
        if name is None and len(sources) == 1:
            name = next(iter(sources))
        if name not in sources:
            what = f'there is no traffic "{name}"' if name else "there are several traffics, or none"
            raise InputError(what, remedy="name one of: " + (", ".join(sources) or "(there is none)"))
        source, factor = sources[name], params["factor"]
        self._emit("traffic-surge", f"traffic/{name}", f"times {factor:g}")
        source.scale(factor)
        self._lasting("traffic-surge", f"traffic/{name}", params, lambda: source.scale(1.0))
        return f"{name} sends {factor:g} times as much"


def _subject(pod: JsonObject) -> str:
    return f"pods/{namespace_of(pod)}/{name_of(pod)}"
