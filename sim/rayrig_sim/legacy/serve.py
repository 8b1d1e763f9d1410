"""`from rayrig_sim.legacy import serve`: the module-level calls of Ray 0.8.5's `ray.serve` (ray-serve.md 13.1).

Each takes effect before it returns; virtual time passes meanwhile. All but `init` raise `RayServeException` before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.legacy import session
from rayrig_sim.legacy.backend_config import BackendConfig
from rayrig_sim.legacy.context import accept_batch, context
from rayrig_sim.legacy.errors import RayServeException
from rayrig_sim.legacy.handles import RayServeHandle
from rayrig_sim.legacy.instance import LegacyServe

__all__ = [
    "BackendConfig",
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


def init(
    *,
    http_host: str = "127.0.0.1",
    http_port: int = 8000,
    kernel: Kernel | None = None,
    seed: int = 0,
    calibration: Calibration | None = None,
) -> LegacyServe:
    """Start Serve, or connect to the one that runs: a second call changes nothing.

    `kernel` is the simulation to run in, a new one from `seed` when left out; without `calibration` processes start and packets
    travel in no time.
    """
    instance = session.found()
    if instance is None:
        instance = LegacyServe(kernel, seed=seed, http_host=http_host, http_port=http_port, calibration=calibration)
        session.connect(instance)
    return instance


def create_endpoint(name: str, route: str | None = None, methods: Sequence[str] = ("GET",)) -> None:
    """See `LegacyServe.create_endpoint`."""
    session.current().create_endpoint(name, route, methods)


def delete_endpoint(name: str) -> None:
    """See `LegacyServe.delete_endpoint`."""
    session.current().delete_endpoint(name)


def set_traffic(endpoint: str, weights: Mapping[str, float]) -> None:
    """See `LegacyServe.set_traffic`."""
    session.current().set_traffic(endpoint, weights)


def create_backend(
    tag: str,
    func_or_class: Callable[..., Any],
    *args: Any,
    ray_actor_options: dict[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """See `LegacyServe.create_backend`. A distribution (`rayrig_sim.calibration`) in place of code only takes time."""
    session.current().create_backend(tag, func_or_class, *args, ray_actor_options=ray_actor_options, config=config)


def update_backend_config(tag: str, config_options: Mapping[str, Any]) -> None:
    """See `LegacyServe.update_backend_config`."""
    session.current().update_backend_config(tag, config_options)


def get_backend_config(tag: str) -> BackendConfig:
    """Raises `AssertionError` for an unknown tag."""
    return session.current().get_backend_config(tag)


def delete_backend(tag: str) -> None:
    """See `LegacyServe.delete_backend`."""
    session.current().delete_backend(tag)


def get_handle(endpoint: str, *, missing_ok: bool = False) -> RayServeHandle:
    """Raises `KeyError` for an endpoint that does not exist, unless it may come later."""
    instance = session.current()
    if not missing_ok and not instance.endpoints.has(endpoint):
        raise KeyError(f"endpoint {endpoint!r} is not registered")
    return RayServeHandle(instance, endpoint)


def list_endpoints() -> dict[str, dict[str, object]]:
    """Name to route, methods and traffic."""
    return session.current().endpoints.listed()


def list_backends() -> dict[str, dict[str, Any]]:
    """Tag to configuration."""
    return {tag: backend.config.as_dict() for tag, backend in session.current().backends.items()}


def stat() -> dict[str, dict[str, int]]:
    """See `LegacyServe.stat`."""
    return session.current().stat()
