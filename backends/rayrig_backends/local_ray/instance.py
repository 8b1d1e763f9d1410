"""A Serve instance as drivers of Ray 1.9 to 1.12 know it: detached or bound to its driver, in a namespace, with a checkpoint.

Each deployment stands for itself there; on the model it is an application of one deployment (ray-serve.md 13.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from rayrig_backends.local_ray.kv_store import KVStoreBase
from rayrig_backends.local_ray.machines import Machines
from rayrig_core.objects import JsonObject
from rayrig_sim.serve.application import ApplicationState
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode, Registry
from rayrig_sim.serve.controller import ServeController
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.instance import SimulatedServe

#: Written in this order, so that a crash between them leaves a route to nothing.
ROUTES_KEY = "serve-endpoint-state-checkpoint"
DEPLOYMENTS_KEY = "serve-deployment-state-checkpoint"
#: How often a driver asks whether a deployment is healthy.
_POLL_S = 0.1


class RayServeException(Exception):
    """Serve cannot do that now."""


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What `deploy` hands over. `version` None: any deploy is a new version."""

    name: str
    func_or_class: Any
    version: str | None = None
    route_prefix: str | None = None
    init_args: tuple[Any, ...] = ()
    init_kwargs: dict[str, Any] = field(default_factory=dict)
    options: JsonObject = field(default_factory=dict)


class Instance:
    """`namespace` is where the controller lives; a checkpoint is kept under it. `http_options` are those it was started with."""

    def __init__(
        self,
        ray: Machines,
        *,
        namespace: str,
        controller_name: str,
        detached: bool,
        http_options: JsonObject,
        checkpoint_path: str,
        store: KVStoreBase,
    ) -> None:
        self.namespace = namespace
        self.controller_name = controller_name
        self.detached = detached
        self.http_options = http_options
        self.checkpoint_path = checkpoint_path
        self.serve = SimulatedServe(ray.ray, registry=Registry(), network=ray.network)
        #: By name, in order of their first deploy.
        self.deployments: dict[str, DeploymentSpec] = {}
        self._ray = ray
        self._store = store
        self._count = 0
        #: The driver's, each with its router, as long as the instance.
        self._handles: dict[DeploymentId, DeploymentHandle] = {}

    async def start(self) -> None:
        """The controller and the proxies come up; what the checkpoint holds is deployed again."""
        options = self.http_options
        await self.serve.deploy(
            {
                "applications": [],
                "http_options": {key: options[key] for key in ("host", "port", "root_path") if key in options},
                "proxy_location": _LOCATIONS[options["location"]],
            }
        )
        kept = self._store.get(DEPLOYMENTS_KEY)
        for spec in cloudpickle.loads(kept) if kept is not None else ():
            self._deploy(spec)

    async def deploy(self, spec: DeploymentSpec) -> None:
        """Returns when the deployment is healthy. Raises `RuntimeError` when it gets unhealthy, `ValueError` for a taken route."""
        self._deploy(spec)
        self._save()
        await self._until_healthy(spec.name)

    def _deploy(self, spec: DeploymentSpec) -> None:
        controller = self._controller()
        self._count += 1
        # The model takes a new import path for new code.
        version = spec.version if spec.version is not None else f"deploy {self._count}"
        import_path = f"{spec.name}@{version}"
        document = {"name": spec.name, "route_prefix": spec.route_prefix, "import_path": import_path}
        code = DeploymentCode(
            spec.name,
            spec.func_or_class,
            init_args=spec.init_args,
            init_kwargs=spec.init_kwargs,
            options=spec.options,
        )
        built = ApplicationCode(import_path, spec.name, {spec.name: code})
        controller.run_application(document, built, None)
        self.deployments[spec.name] = spec

    async def run_application(self, name: str, route_prefix: str | None, code: ApplicationCode) -> None:
        """An application of Ray 2.x. Returns when it runs.

        Raises `RayServeException` for a prefix that another one has, `RuntimeError` when it fails to deploy.
        """
        self._count += 1
        document = {"name": name, "route_prefix": route_prefix, "import_path": f"{name}@deploy {self._count}"}
        try:
            self._controller().run_application(document, code, None)
        except ValueError as taken:
            raise RayServeException(str(taken)) from None
        application = await self._settled(name)
        if application.status != "RUNNING":
            raise RuntimeError(f"Deploying application {name} failed: {application.message}")

    def handle(self, name: str) -> DeploymentHandle:
        """Of the ingress of a running application. Raises `RayServeException` when there is none."""
        application = self._controller().applications.get(name)
        if application is None or application.ingress is None:
            raise RayServeException(f"Application '{name}' does not exist.")
        ingress = application.ingress
        handle = self._handles.get(ingress)
        if handle is None:
            handle = self._handles[ingress] = self.serve.context.routers.handles(name, "driver")(ingress.name)
        return handle

    async def delete_application(self, name: str) -> None:
        """Returns when it is gone."""
        controller = self._controller()
        controller.delete_application(name, None)
        await self._until_gone(controller, name)

    async def delete(self, name: str) -> None:
        """Returns when its replicas are gone. Nothing when there is no such deployment."""
        if self.deployments.pop(name, None) is None:
            return
        controller = self._controller()
        controller.delete_application(name, None)
        self._save()
        await self._until_gone(controller, name)

    async def shutdown(self) -> None:
        """Everything goes, the checkpoint included."""
        self.deployments.clear()
        await self.serve.shutdown()
        for key in (ROUTES_KEY, DEPLOYMENTS_KEY):
            self._store.delete(key)

    def _save(self) -> None:
        routes = {spec.route_prefix: name for name, spec in self.deployments.items() if spec.route_prefix is not None}
        self._store.put(ROUTES_KEY, cloudpickle.dumps(routes))
        self._store.put(DEPLOYMENTS_KEY, cloudpickle.dumps(list(self.deployments.values())))

    async def _until_healthy(self, name: str) -> None:
        application = await self._settled(name)
        if application.status != "RUNNING":
            told = self._controller().deployments.get(DeploymentId(name, name))
            raise RuntimeError(
                f"Deployment {name} is UNHEALTHY: {told.status.message if told else application.message}"
            )

    async def _settled(self, name: str) -> ApplicationState:
        """The application, as soon as it runs or has failed."""
        while True:
            application = self._controller().applications[name]
            if application.status in ("RUNNING", "UNHEALTHY", "DEPLOY_FAILED"):
                return application
            await self._ray.kernel.sleep(_POLL_S)

    async def _until_gone(self, controller: ServeController, name: str) -> None:
        while name in controller.applications:
            await self._ray.kernel.sleep(_POLL_S)

    def _controller(self) -> ServeController:
        if self.serve.controller is None:
            raise RayServeException("The Serve controller is not running.")
        return self.serve.controller


class RunningInstance:
    """The one that has the cluster's port, if any."""

    def __init__(self) -> None:
        self.instance: Instance | None = None

    def lose(self) -> None:
        """It dies with its cluster."""
        if self.instance is not None:
            self.instance.serve.crash_controller(is_restarting=False)
            self.instance = None


#: From the words of 1.x to those of the model.
_LOCATIONS = {"HeadOnly": "HeadOnly", "EveryNode": "EveryNode", "NoServer": "Disabled", None: "Disabled"}
