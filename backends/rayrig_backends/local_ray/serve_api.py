"""The `serve` module of a driver of Ray 1.9 to 1.12 (ray-serve.md 13.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, overload

from rayrig_backends.local_ray.application import RunningApplication
from rayrig_backends.local_ray.deployment import Deployment
from rayrig_backends.local_ray.handle import DriverHandle
from rayrig_backends.local_ray.instance import Instance, RayServeException, RunningInstance
from rayrig_backends.local_ray.kv_store import open_kv_store
from rayrig_backends.local_ray.machines import Machines
from rayrig_backends.local_ray.status import ServeStatus, status_of
from rayrig_core.objects import JsonObject
from rayrig_sim.ray_api.deployments import Application, built
from rayrig_sim.serve.details import NO_INSTANCE

_log = logging.getLogger("rayrig.serve")

CONTROLLER_NAME = "SERVE_CONTROLLER_ACTOR"
_DEFAULT_NAMESPACE = "serve"
_DEFAULT_CHECKPOINT = "ray://"
_HTTP_OPTIONS: JsonObject = {
    "host": "127.0.0.1",
    "port": 8000,
    "middlewares": [],
    "location": "HeadOnly",
    "num_cpus": 0,
    "root_url": "",
    "root_path": "",
    "fixed_number_replicas": None,
}
_LOCATIONS = ("HeadOnly", "EveryNode", "NoServer", None)
_NO_INSTANCE = "There is no instance running on this Ray cluster. Please call `serve.start(detached=True) to start one."


class Serve:
    """One driver's. All calls but `start` raise `RayServeException` when no instance runs that it can reach (SV-154)."""

    def __init__(self, ray: Machines, running: RunningInstance, namespace: str | None) -> None:
        """`namespace` None: the driver's is anonymous."""
        self._ray = ray
        self._running = running
        self._driver_namespace = namespace
        self._instance: Instance | None = None
        self._letters = ray.kernel.streams.stream("drivers")

    def start(
        self,
        detached: bool = False,
        http_options: JsonObject | None = None,
        dedicated_cpu: bool = False,
        _checkpoint_path: str = _DEFAULT_CHECKPOINT,
        _override_controller_namespace: str | None = None,
    ) -> None:
        """Start an instance, or connect to the one that runs: this driver's, or a detached one in the namespace (SV-152).

        Raises `ValueError` for options and checkpoint paths that do not exist, `InputError` for storage that cannot be used,
        `RayServeException` when an instance in another namespace has the port.
        """
        options = _checked(http_options or {})
        namespace = self._namespace(_override_controller_namespace, detached)
        running = self._found(namespace)
        if running is not None:
            self._reconnect(running, options if http_options else None, _checkpoint_path)
            return
        ray = self._ray
        if self._running.instance is not None:
            raise RayServeException(
                f"Failed to bind Ray Serve HTTP proxy to port {options['port']}: the instance in namespace "
                f"'{self._running.instance.namespace}' has it. There can be one Serve instance on each Ray cluster."
            )
        name = CONTROLLER_NAME
        if not detached:
            letters = "".join(
                self._letters.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(6)
            )
            name = f"{letters}:{CONTROLLER_NAME}"
        instance = Instance(
            ray,
            namespace=namespace,
            controller_name=name,
            detached=detached,
            http_options=options,
            checkpoint_path=_checkpoint_path,
            store=open_kv_store(_checkpoint_path, f"{name}-{namespace}", ray.internal_kv),
        )
        self._running.instance = self._instance = instance
        ray.run(instance.start)

    def connect(self) -> None:
        """Raises `RayServeException` when there is nothing to connect to."""
        self._connected()

    def shutdown(self) -> None:
        """Everything of the instance goes, its checkpoint included. Nothing when there is none."""
        instance = self._instance or self._found(self._namespace(None, True))
        if instance is not None:
            self._ray.run(instance.shutdown)
            self._running.instance = self._instance = None

    # Applications, as Ray 2.x has them

    def run(self, target: Application, *, name: str = "default", route_prefix: str | None = "/") -> RunningApplication:
        """Deploy a bound application (`rayrig_sim.ray_api.serve`) and return when it runs; starts Serve where none runs.

        Raises `RayServeException` for a route prefix that another application has, `RuntimeError` when deploying fails.
        """
        if self._found(self._namespace(None, True)) is None:
            self.start(detached=True)
        instance = self._connected()
        self._ray.run(instance.run_application, name, route_prefix, built(target, name))
        return RunningApplication(self._ray, instance, name, route_prefix)

    def get_app_handle(self, name: str) -> DriverHandle:
        """Of an application's ingress. Raises `RayServeException` when there is none."""
        return DriverHandle(self._ray, self._connected().handle(name))

    def status(self) -> ServeStatus:
        """Of proxies, applications, deployments and replicas, as the dashboard tells it."""
        instance = self._found(self._namespace(None, True))
        return status_of(instance.serve.details() if instance is not None else NO_INSTANCE)

    # Deployments, as Ray 1.x has them

    @overload
    def deployment(self, func_or_class: Callable[..., Any], /) -> Deployment: ...
    @overload
    def deployment(
        self, func_or_class: None = None, /, **options: Any
    ) -> Callable[[Callable[..., Any]], Deployment]: ...
    def deployment(
        self, func_or_class: Callable[..., Any] | None = None, /, **options: Any
    ) -> Deployment | Callable[[Callable[..., Any]], Deployment]:
        """The decorator, with or without options (`Deployment.options`)."""

        def declare(code: Callable[..., Any]) -> Deployment:
            if not callable(code):
                raise TypeError("@serve.deployment must be called on a class or function.")
            return Deployment(code, getattr(code, "__name__", "deployment"), _serve=self).options(**options)

        return declare if func_or_class is None else declare(func_or_class)

    def deploy(self, deployment: Deployment) -> None:
        """See `Deployment.deploy`."""
        instance = self._connected()
        running = instance.deployments.get(deployment.name)
        wanted = deployment.prev_version
        if wanted is not None:
            if running is None:
                raise ValueError(f"prev_version '{wanted}' is specified but there is no existing deployment.")
            if running.version != wanted:
                raise ValueError(
                    f"prev_version '{wanted}' does not match with the existing version '{running.version}'."
                )
        self._ray.run(instance.deploy, deployment.spec())

    def delete(self, name: str) -> None:
        """An application, or a deployment of Ray 1.x. Returns when it is gone; nothing when there is none."""
        instance = self._connected()
        self._ray.run(instance.delete if name in instance.deployments else instance.delete_application, name)

    def get_deployment(self, name: str) -> Deployment:
        """As it was deployed last. Raises `KeyError`."""
        found = self.list_deployments().get(name)
        if found is None:
            raise KeyError(f"Deployment {name} was not found. Did you call Deployment.deploy()?")
        return found

    def list_deployments(self) -> dict[str, Deployment]:
        """By name."""
        return {
            name: Deployment(
                spec.func_or_class,
                name,
                spec.version,
                None,
                spec.init_args,
                spec.init_kwargs,
                {option: value for option, value in spec.options.items() if option in ("num_replicas", "user_config")},
                spec.route_prefix,
                self,
            )
            for name, spec in self._connected().deployments.items()
        }

    # Inside

    def driver_ended(self) -> None:
        """The process is gone."""
        instance, self._instance = self._instance, None
        if instance is not None and not instance.detached and self._running.instance is instance:
            self._ray.run(instance.shutdown)
            self._running.instance = None

    def _namespace(self, override: str | None, detached: bool) -> str:
        if override is not None:
            return override
        if self._driver_namespace is not None:
            return self._driver_namespace
        return _DEFAULT_NAMESPACE if detached else "anonymous"

    def _found(self, namespace: str) -> Instance | None:
        """The instance of this process, or a detached one in the namespace."""
        running = self._running.instance
        if running is None or not (running is self._instance or (running.detached and running.namespace == namespace)):
            return None
        return running

    def _connected(self) -> Instance:
        found = self._found(self._namespace(None, True))
        if found is None:
            raise RayServeException(_NO_INSTANCE)
        self._instance = found
        return found

    def _reconnect(self, running: Instance, options: JsonObject | None, checkpoint_path: str) -> None:
        self._instance = running
        _log.info("Connecting to existing Serve instance in namespace '%s'.", running.namespace)
        if options is not None and options != running.http_options:
            changed = [key for key, value in options.items() if value != running.http_options[key]]
            _log.warning(
                "The new client HTTP config differs from the existing one in the fields %s. It is ignored.", changed
            )
        if checkpoint_path not in (_DEFAULT_CHECKPOINT, running.checkpoint_path):
            _log.warning(
                "The new client checkpoint path %s differs from the existing one. It is ignored.", checkpoint_path
            )


def _checked(options: JsonObject) -> JsonObject:
    unknown = [name for name in options if name not in _HTTP_OPTIONS]
    if unknown:
        raise ValueError(f"no such HTTP options: {', '.join(unknown)} (there are {', '.join(_HTTP_OPTIONS)})")
    whole = {**_HTTP_OPTIONS, **options}
    if whole["location"] not in _LOCATIONS:
        raise ValueError(f"HTTP location must be one of {', '.join(map(str, _LOCATIONS))}, not {whole['location']}")
    return whole
