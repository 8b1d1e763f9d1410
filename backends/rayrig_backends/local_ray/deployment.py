"""`@serve.deployment`: a function or class with the options under which it is to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rayrig_backends.local_ray.instance import DeploymentSpec
from rayrig_core.objects import JsonObject

#: Options as 1.x spells them, and what the model calls them.
_RENAMED = {
    "max_concurrent_queries": "max_ongoing_requests",
    "_health_check_period_s": "health_check_period_s",
    "_health_check_timeout_s": "health_check_timeout_s",
    "_graceful_shutdown_wait_loop_s": "graceful_shutdown_wait_loop_s",
    "_graceful_shutdown_timeout_s": "graceful_shutdown_timeout_s",
    "_autoscaling_config": "autoscaling_config",
    "num_replicas": "num_replicas",
    "ray_actor_options": "ray_actor_options",
    "user_config": "user_config",
}
_MAX_CONCURRENT_QUERIES = 100
#: `route_prefix` as it is when nobody gave one: after the name. None means: not over HTTP.
_BY_NAME = "by name"


class Deployer(Protocol):
    """The driver's Serve."""

    def deploy(self, deployment: Deployment, /) -> None: ...

    def delete(self, name: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Deployment:
    """Not deployed by being declared. `options()` gives a changed copy."""

    func_or_class: Callable[..., Any]
    name: str
    version: str | None = None
    prev_version: str | None = None
    init_args: tuple[Any, ...] = ()
    init_kwargs: dict[str, Any] = field(default_factory=dict)
    settings: JsonObject = field(default_factory=dict)
    _route_prefix: str | None = _BY_NAME
    _serve: Deployer | None = None

    @property
    def route_prefix(self) -> str | None:
        return f"/{self.name}" if self._route_prefix == _BY_NAME else self._route_prefix

    @property
    def num_replicas(self) -> int:
        return int(self.settings.get("num_replicas", 1))

    @property
    def user_config(self) -> Any:
        return self.settings.get("user_config")

    def options(self, **options: Any) -> Deployment:
        """Raises `TypeError` for options that do not exist."""
        changes: dict[str, Any] = {}
        settings = dict(self.settings)
        for option, value in options.items():
            if option in ("name", "version", "prev_version", "init_args", "init_kwargs", "func_or_class"):
                changes[option] = tuple(value) if option == "init_args" else value
            elif option == "route_prefix":
                changes["_route_prefix"] = value
            elif option in _RENAMED:
                settings[option] = value
            else:
                raise TypeError(f"deployment() got an unexpected keyword argument '{option}'")
        return replace(self, settings=settings, **changes)

    def deploy(self, *init_args: Any, **init_kwargs: Any) -> None:
        """Returns when all replicas are healthy.

        Raises `RayServeException` without an instance, `ValueError` when `prev_version` is not what runs, `RuntimeError` when the
        deployment gets unhealthy.
        """
        arguments = (init_args or self.init_args, init_kwargs or self.init_kwargs)
        self._connected().deploy(replace(self, init_args=arguments[0], init_kwargs=arguments[1]))

    def delete(self) -> None:
        """Returns when its replicas are gone."""
        self._connected().delete(self.name)

    def spec(self) -> DeploymentSpec:
        """What the instance gets."""
        settings = {"max_concurrent_queries": _MAX_CONCURRENT_QUERIES, **self.settings}
        return DeploymentSpec(
            self.name,
            self.func_or_class,
            self.version,
            self.route_prefix,
            self.init_args,
            self.init_kwargs,
            {_RENAMED[option]: value for option, value in settings.items()},
        )

    def _connected(self) -> Deployer:
        assert self._serve is not None, "made by `serve.deployment`"
        return self._serve
