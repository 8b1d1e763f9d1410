"""The early RayServe API (Ray 0.8.5): endpoints, backends and traffic between them, as a facade over the simulation.

    from rayrig_sim.legacy import ray, requests, serve

    serve.init()
    serve.create_endpoint("hello", "/hello")
    serve.create_backend("hello:v1", lambda request: "hello world")
    serve.set_traffic("hello", {"hello:v1": 1.0})
    assert requests.get("http://127.0.0.1:8000/hello").text == "hello world"
    ray.shutdown()

The calls of `serve` are offered here as well. What runs the code, the network and the clock are those of every other Serve here
(`rayrig_sim.serve`, `network`, `kernel`); the routing, the queues and the batches are the early ones. `LegacyServe` is the same
without a current instance. Serve of Ray 1.x and 2.x is not here.
"""

from rayrig_sim.legacy.errors import RayServeException
from rayrig_sim.legacy.instance import LegacyServe
from rayrig_sim.legacy.serve import (
    BackendConfig,
    accept_batch,
    context,
    create_backend,
    create_endpoint,
    delete_backend,
    delete_endpoint,
    get_backend_config,
    get_handle,
    init,
    list_backends,
    list_endpoints,
    set_traffic,
    stat,
    update_backend_config,
)

__all__ = [
    "BackendConfig",
    "LegacyServe",
    "RayServeException",
    "accept_batch",
    "context",
    "create_backend",
    "create_endpoint",
    "delete_backend",
    "delete_endpoint",
    "get_backend_config",
    "get_handle",
    "init",
    "list_backends",
    "list_endpoints",
    "set_traffic",
    "stat",
    "update_backend_config",
]
