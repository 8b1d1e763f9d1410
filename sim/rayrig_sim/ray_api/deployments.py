"""`@serve.deployment` and `bind`: code with its options, and the graph of an application (ray-serve.md 3.4, 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

from rayrig_core.objects import JsonObject
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.asyncio_code.http_calls import ASGI_APP

#: Options of the decorator that reach the model; others of Ray's are taken and have no effect here.
_OPTIONS = (
    "num_replicas",
    "ray_actor_options",
    "placement_group_bundles",
    "placement_group_strategy",
    "placement_group_bundle_label_selector",
    "max_replicas_per_node",
    "user_config",
    "max_ongoing_requests",
    "max_queued_requests",
    "autoscaling_config",
    "graceful_shutdown_wait_loop_s",
    "graceful_shutdown_timeout_s",
    "health_check_period_s",
    "health_check_timeout_s",
    "logging_config",
    "request_router_config",
    "backpressure_config",
    "rolling_update_percentage",
    "max_surge_percent",
    "gang_scheduling_config",
)
_WITHOUT_EFFECT = ("route_prefix", "deployment_actors", "max_constructor_retry_count")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Code and the options that it declares. `bind` makes it part of an application."""

    func_or_class: Callable[..., Any]
    name: str
    settings: JsonObject = field(default_factory=dict)

    def options(self, *, name: str | None = None, func_or_class: Any = None, **options: Any) -> Deployment:
        """A changed copy. Raises `TypeError` for options that do not exist, `ValueError` for those that make no sense."""
        if "version" in options:
            raise ValueError(
                "`version` in `@serve.deployment` has been removed. Serve manages deployment versions internally."
            )
        if options.get("num_replicas") == 0:
            raise ValueError("num_replicas is expected to larger than 0")
        if options.get("num_replicas") not in (None, "auto") and options.get("autoscaling_config") is not None:
            raise ValueError("Manually setting num_replicas is not allowed when autoscaling_config is provided.")
        for option in options:
            if option not in _OPTIONS and option not in _WITHOUT_EFFECT:
                raise TypeError(f"deployment() got an unexpected keyword argument '{option}'")
        settings = {
            **self.settings,
            **{option: _plain(value) for option, value in options.items() if option in _OPTIONS},
        }
        return replace(
            self, name=name or self.name, func_or_class=func_or_class or self.func_or_class, settings=settings
        )

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Raises `RuntimeError`: a deployment is bound."""
        raise RuntimeError(
            "Deployments cannot be constructed directly. Use `deployment.bind()` instead, or `deployment.func_or_class` for the "
            "code itself."
        )

    def bind(self, *args: Any, **kwargs: Any) -> Application:
        """With the arguments of the constructor; applications among them become handles."""
        return Application(self, args, kwargs)

    @property
    def num_replicas(self) -> Any:
        return self.settings.get("num_replicas", 1)

    @property
    def user_config(self) -> Any:
        return self.settings.get("user_config")


#: What error texts call it.
Deployment.__module__ = "ray.serve.deployment"


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """A bound deployment, with those that it calls among its arguments."""

    deployment: Deployment
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@overload
def deployment(func_or_class: Callable[..., Any], /) -> Deployment: ...
@overload
def deployment(
    func_or_class: None = None, /, *, name: str | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Deployment]: ...
def deployment(
    func_or_class: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any
) -> Deployment | Callable[[Callable[..., Any]], Deployment]:
    """The decorator, with or without options. Raises `TypeError` for code that cannot be called and for unknown options."""

    def declare(code: Callable[..., Any]) -> Deployment:
        if not callable(code):
            raise TypeError("@serve.deployment must be called on a class or function.")
        named = name or str(getattr(code, "__name__", "Deployment"))
        return Deployment(code, named).options(**options)

    return declare if func_or_class is None else declare(func_or_class)


def built(application: Application, import_path: str = "") -> ApplicationCode:
    """The application as the model runs it: callees before callers, the ingress last. Equal names get `_1`, `_2` …"""
    builder = _Builder()
    ingress = builder.add(application)
    docs_path = getattr(getattr(application.deployment.func_or_class, ASGI_APP, None), "docs_url", None)
    return ApplicationCode(import_path or ingress, ingress, builder.deployments, docs_path)


class _Builder:
    """Walks the graph once; what is bound once is deployed once, however many call it."""

    def __init__(self) -> None:
        self.deployments: dict[str, DeploymentCode] = {}
        self._names: dict[int, str] = {}
        #: Kept alive, so that no two of them get the same id.
        self._seen: list[Application] = []

    def add(self, application: Application) -> str:
        """Its name."""
        known = self._names.get(id(application))
        if known is not None:
            return known
        self._seen.append(application)
        args = self._handles(application.args)
        kwargs = self._handles(dict(application.kwargs))
        declared = application.deployment
        name, number = declared.name, 0
        while name in self.deployments:
            number += 1
            name = f"{declared.name}_{number}"
        self._names[id(application)] = name
        self.deployments[name] = DeploymentCode(
            name,
            declared.func_or_class,
            init_args=args,
            init_kwargs=kwargs,
            options=dict(declared.settings),
            is_asyncio=True,
        )
        return name

    def _handles(self, value: Any) -> Any:
        if isinstance(value, Application):
            return Child(self.add(value))
        if isinstance(value, (list, tuple)):
            return type(value)(self._handles(each) for each in value)
        if isinstance(value, dict):
            return {name: self._handles(each) for name, each in value.items()}
        return value


def _plain(value: Any) -> Any:
    """Pydantic objects such as `AutoscalingConfig` as the dictionaries that they stand for."""
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) else value
