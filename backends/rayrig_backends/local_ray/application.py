"""An application of Ray 2.x that runs: asked over HTTP or through its handle, in virtual time."""

from __future__ import annotations

from itertools import islice
from typing import Any

from rayrig_backends.local_ray.handle import DriverHandle
from rayrig_backends.local_ray.instance import Instance
from rayrig_backends.local_ray.machines import Machines
from rayrig_core.http import HttpResponse
from rayrig_sim.driver import Pending


class RunningApplication:
    """What `serve.run` gives. `name` and `route_prefix` are those it was given."""

    def __init__(self, ray: Machines, instance: Instance, name: str, route_prefix: str | None) -> None:
        self.name = name
        self.route_prefix = route_prefix
        self._ray = ray
        self._instance = instance

    @property
    def handle(self) -> DriverHandle:
        """Of its ingress: what `serve.run` gives on Ray."""
        return DriverHandle(self._ray, self._instance.handle(self.name))

    @property
    def status(self) -> str:
        """As the dashboard would show it; DELETED once it is gone."""
        controller = self._instance.serve.controller
        found = controller.applications.get(self.name) if controller is not None else None
        return "DELETED" if found is None else found.status.value

    def request(self, method: str, path: str = "/", **options: Any) -> HttpResponse:
        """`Machines.request` below the route prefix."""
        return self._ray.request(method, self._below(path), **options)

    def get(self, path: str = "/", **options: Any) -> HttpResponse:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def send(self, method: str, path: str = "/", **options: Any) -> Pending[HttpResponse]:
        """Begin a request and return at once, so that several can be under way."""
        return self._ray.send(method, self._below(path), **options)

    def call(self, *args: Any, method: str = "__call__", multiplexed_model_id: str = "", **kwargs: Any) -> Any:
        """A call through the handle of the ingress; its result. Raises what it raises."""
        return self.begin(*args, method=method, multiplexed_model_id=multiplexed_model_id, **kwargs).result()

    def begin(
        self, *args: Any, method: str = "__call__", multiplexed_model_id: str = "", **kwargs: Any
    ) -> Pending[Any]:
        """`call`, without waiting for its result."""
        handle = self.handle.options(method_name=method, multiplexed_model_id=multiplexed_model_id)
        pending: Pending[Any] = handle.remote(*args, **kwargs)
        return pending

    def stream(self, *args: Any, method: str = "__call__", at_most: int | None = None, **kwargs: Any) -> list[Any]:
        """What a generator yields; after `at_most` values the caller leaves."""
        stream = self.handle.options(method_name=method, stream=True).remote(*args, **kwargs)
        values = list(islice(stream, at_most))
        stream.close()
        return values

    def delete(self) -> None:
        """Returns when it is gone."""
        self._ray.run(self._instance.delete_application, self.name)

    def _below(self, path: str) -> str:
        prefix = (self.route_prefix or "").rstrip("/")
        return prefix + path if path != "/" or not prefix else prefix
