"""A Serve instance of the early API: endpoints, backends and a proxy, on the kernel and the network of the simulation.

The proxy listens on the pod `head`, behind a Service `serve`: traffic sources and other actors reach it as they reach any Serve.
Calls of a driver come from outside the simulation: each lets virtual time pass until it has taken effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Calibration, instant
from rayrig_sim.driver import Driver
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.legacy.backend import Backend
from rayrig_sim.legacy.backend_config import BackendConfig
from rayrig_sim.legacy.context import accepts_batch
from rayrig_sim.legacy.endpoints import Endpoints
from rayrig_sim.legacy.http_proxy import HttpProxy
from rayrig_sim.legacy.queries import Query
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.serve.application_code import DeploymentCode

SERVICE = "serve"


class LegacyServe(Driver):
    """`advance` lets time pass, as calls do that wait for something. Without `kernel` it has one of its own, from `seed`.

    `calibration` None: starting and networking take no time.
    """

    def __init__(
        self,
        kernel: Kernel | None = None,
        *,
        seed: int = 0,
        http_host: str = "127.0.0.1",
        http_port: int = 8000,
        calibration: Calibration | None = None,
    ) -> None:
        self._has_own_kernel = kernel is None
        super().__init__(kernel or Kernel(seed))
        self.calibration = calibration or instant()
        self.http_host = http_host
        self.http_port = http_port
        self.endpoints = Endpoints()
        self.backends: dict[str, Backend] = {}
        self.network = Network(self.kernel, ServiceTable(), self.kernel.streams, self.calibration)
        self.http = NetworkClient(self.network, "driver")
        #: The pod's.
        self.address = self.network.allocate_pod_ip("head")
        self.network.listen(self.address, http_port, HttpProxy(self.kernel, self.endpoints, self.send))
        self._put_service()
        self._rng = self.kernel.streams.stream("legacy/traffic")
        self._held: dict[str, deque[Query]] = {}

    # Endpoints

    def create_endpoint(self, name: str, route: str | None = None, methods: Sequence[str] = ("GET",)) -> None:
        """Raises `ValueError`: the route or the name is taken."""
        self.endpoints.create(name, route, methods)

    def delete_endpoint(self, name: str) -> None:
        """Backends stay. Nothing when there is no such endpoint with traffic."""
        self.endpoints.delete(name)

    def set_traffic(self, endpoint: str, weights: Mapping[str, float]) -> None:
        """Raises `ValueError` for unknown names, `AssertionError` when the weights do not sum to 1."""
        self.endpoints.set_traffic(endpoint, weights, self.backends)
        for query in self._held.pop(endpoint, ()):
            self.send(endpoint, query)

    # Backends

    def create_backend(
        self,
        tag: str,
        func_or_class: Callable[..., Any],
        *args: Any,
        ray_actor_options: JsonObject | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Returns when the workers are constructed, whose exceptions leave here.

        A tag that exists gets the new code for workers to come; those that run keep theirs. Raises `TypeError` for code that
        cannot be called and a config that is no dict, `ValueError` for a config that makes no sense.
        """
        if not callable(func_or_class) and not hasattr(func_or_class, "draw_ns"):
            raise TypeError(f"Backend must be a function or class, it is {type(func_or_class).__name__}.")
        if config is not None and not isinstance(config, dict):
            raise TypeError(f"config must be a dictionary, it is {type(config).__name__}.")
        wanted = BackendConfig().merged(config or {})
        code = DeploymentCode(tag, func_or_class, init_args=args, options={"ray_actor_options": ray_actor_options})
        _check_batching(code, wanted)
        backend = self.backends.get(tag)
        if backend is None:
            startup = self.calibration.worker_process_start
            backend = self.backends[tag] = Backend(self.kernel, tag, code, wanted, startup)
        backend.code, backend.config = code, wanted
        self.run(backend.scale)

    def update_backend_config(self, tag: str, options: Mapping[str, Any]) -> None:
        """Raises `AssertionError` for an unknown tag, `ValueError` for options that make no sense."""
        backend = self._registered(tag)
        if not isinstance(options, dict):
            raise ValueError(f"config_options must be a dictionary, it is {type(options).__name__}.")
        wanted = backend.config.merged(options)
        _check_batching(backend.code, wanted)
        backend.config = wanted
        self.run(backend.scale)

    def get_backend_config(self, tag: str) -> BackendConfig:
        """Raises `AssertionError` for an unknown tag."""
        return self._registered(tag).config

    def delete_backend(self, tag: str) -> None:
        """Raises `ValueError` while an endpoint's traffic names it. Nothing when there is none."""
        user = self.endpoints.user_of(tag)
        if tag in self.backends and user is not None:
            raise ValueError(
                f"Backend '{tag}' is used by endpoint '{user}' and cannot be deleted. Please remove the backend from all "
                "endpoints and try again."
            )
        backend = self.backends.pop(tag, None)
        if backend is not None:
            backend.close()

    def _registered(self, tag: str) -> Backend:
        if tag not in self.backends:
            raise AssertionError(f"Backend {tag} is not registered.")
        return self.backends[tag]

    # Queries

    def send(self, endpoint: str, query: Query) -> None:
        """Give the query to a backend by the endpoint's weights; without traffic it waits until some is set."""
        weights = self.endpoints.weights(endpoint)
        if not weights:
            self._held.setdefault(endpoint, deque()).append(query)
            return
        # By the key's text, not by `hash`, which differs from process to process.
        rng = self._rng if query.shard_key is None else Random(f"{endpoint}/{query.shard_key}")
        (tag,) = rng.choices(list(weights), list(weights.values()))
        self.backends[tag].put(query)

    def stat(self) -> dict[str, dict[str, int]]:
        """Of each backend: queries answered, at work, and waiting."""
        return {
            tag: {"answered": backend.answered, "ongoing": backend.ongoing, "queued": backend.queued}
            for tag, backend in self.backends.items()
        }

    def close(self) -> None:
        """Everything ends, as with the Ray cluster."""
        self.network.close(self.address, self.http_port)
        for backend in self.backends.values():
            backend.close()
        if self._has_own_kernel:
            self.kernel.close()

    def _put_service(self) -> None:
        table, name, port = self.network.table, SERVICE, {"name": "http", "port": self.http_port}
        spec = {"clusterIP": "10.96.0.10", "ports": [port]}
        table.put_service({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
        endpoint = {"addresses": [self.address], "conditions": {"ready": True}, "targetRef": {"name": "head"}}
        table.put_slice("default", name, {"metadata": {"name": name}, "ports": [port], "endpoints": [endpoint]})


def _check_batching(code: DeploymentCode, config: BackendConfig) -> None:
    if (config.max_batch_size or 1) > 1 and not accepts_batch(code.behaviour):
        raise ValueError(
            f"max_batch_size is set in config but the function or method does not accept batching. Please use "
            f"@serve.accept_batch to explicitly mark the function or method of backend {code.name!r} as one that accepts batching."
        )
