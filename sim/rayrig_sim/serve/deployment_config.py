"""What a deployment is configured to be: document over code over default, checked as the controller checks it after the PUT.

`deployment_infos` is the second stage of validation and the merge (ray-serve.md 3.4, 3.5, 3.7); its errors become the message of an
application in DEPLOY_FAILED. Which differences between two configurations matter, and how much, is in `deployment_update.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, model_validator

from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources import serve_deployment_schema as schema
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode
from rayrig_sim.serve.autoscaling import AutoscalingConfig

#: `max_replicas` under `num_replicas: auto` unless given.
AUTO_MAX_REPLICAS = 100
_STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


class DeploymentConfig(BaseModel):
    """Named as Ray's, because the name stands in the error text."""

    num_replicas: int | None = None
    autoscaling_config: schema.AutoscalingConfig | None = None
    gang_size: int = 1

    @model_validator(mode="after")
    def gangs_are_whole(self) -> Self:
        if self.autoscaling_config is None and (self.num_replicas or 0) % self.gang_size:
            raise ValueError(f"num_replicas ({self.num_replicas}) must be a multiple of gang_size ({self.gang_size}).")
        return self


class RequestRouterConfig(schema.RequestRouterConfig):
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Config:
    """The options whose difference is noticed, by value, when a deployment is deployed again. Times in seconds."""

    num_replicas: int | None = 1
    autoscaling: AutoscalingConfig | None = None
    max_ongoing_requests: int = 5
    max_queued_requests: int = -1
    user_config: JsonObject | None = None
    graceful_shutdown_wait_loop_s: float = 2.0
    graceful_shutdown_timeout_s: float = 20.0
    health_check_period_s: float = 10.0
    health_check_timeout_s: float = 30.0
    rolling_update_percentage: float = 0.2
    max_surge_percent: int = 0
    backpressure_config: JsonObject = field(default_factory=dict)
    request_router_config: JsonObject = field(default_factory=dict)
    logging_config: JsonObject | None = None
    gang_scheduling_config: JsonObject | None = None
    #: Names of the options that the document gives; `name` among them when the deployment is listed at all.
    configured: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ActorConfig:
    """How a replica's actor is created. A change of the last four alone is not noticed (ray-serve.md 3.8)."""

    options: JsonObject
    max_replicas_per_node: int | None = None
    placement_group_bundles: list[dict[str, float]] | None = None
    placement_group_strategy: str | None = None
    placement_group_bundle_label_selector: list[dict[str, str]] | None = None

    @property
    def asked(self) -> dict[str, float]:
        """Logical resources by Ray's names, as they are asked for, zeros included; of the placement group's first bundle's actor
        only."""
        options = self.options
        wanted: dict[str, float] = dict(options.get("resources") or {})
        for name, option in (("CPU", "num_cpus"), ("GPU", "num_gpus"), ("memory", "memory")):
            amount = options.get(option, 1 if name == "CPU" else None)
            if amount is not None:
                wanted[name] = int(amount) if name == "memory" else amount
        if options.get("accelerator_type"):
            wanted[f"accelerator_type:{options['accelerator_type']}"] = 0.001
        return wanted

    @property
    def resources(self) -> dict[str, float]:
        """Those that take something."""
        return {name: amount for name, amount in self.asked.items() if amount}


@dataclass(frozen=True, slots=True)
class DeploymentInfo:
    """Configuration and code of one deployment of a built application."""

    name: str
    app: str
    config: Config
    actor: ActorConfig
    code: DeploymentCode
    code_version: str
    #: Of the ingress only.
    route_prefix: str | None = None
    is_ingress: bool = False


def code_version(document: JsonObject) -> str:
    """What decides whether an application is built again: everything of the document that reaches the user's code at build time,
    and the parts of its deployments that Serve counts among it (ray-serve.md 3.8)."""
    deployments = document.get("deployments") or ()
    autoscaled = [d["autoscaling_config"] for d in deployments if isinstance(d.get("autoscaling_config"), dict)]
    return canonical(
        {
            "import_path": document.get("import_path"),
            "runtime_env": document.get("runtime_env") or {},
            "args": document.get("args") or {},
            "autoscaling_policy": document.get("autoscaling_policy"),
            "policies": [config.get("policy") for config in autoscaled],
            "routers": [
                d["request_router_config"] for d in deployments if isinstance(d.get("request_router_config"), dict)
            ],
            "actors": [d["deployment_actors"] for d in deployments if isinstance(d.get("deployment_actors"), list)],
        }
    )


def canonical(value: Json) -> str:
    """Text that is equal for equal JSON values, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def merge_runtime_envs(application: JsonObject, deployment: JsonObject) -> JsonObject:
    """Environment variables one by one, the deployment's winning; every other key of a deployment replaces the application's."""
    merged = {**application, **deployment}
    merged["env_vars"] = {**(application.get("env_vars") or {}), **(deployment.get("env_vars") or {})}
    return merged


def deployment_infos(document: JsonObject, code: ApplicationCode) -> dict[str, DeploymentInfo]:
    """Each deployment of the code under the application's document, in the code's order.

    Raises `ValueError` (pydantic's `ValidationError` among them) with the text Serve shows.
    """
    listed = {given["name"]: given for given in document.get("deployments") or ()}
    prefix = document.get("route_prefix", "/")
    version = code_version(document)
    app_env = document.get("runtime_env") or {}
    infos: dict[str, DeploymentInfo] = {}
    # As the document lists them: the first error is told.
    for name in dict.fromkeys((*listed, *code.deployments)):
        if name not in code.deployments:
            raise ValueError(f"Deployment '{name}' does not exist. Available: {list(code.deployments)}")
        deployment, given = code.deployments[name], listed.get(name)
        is_ingress = name == code.ingress
        infos[name] = DeploymentInfo(
            name=name,
            app=document.get("name", "default"),
            config=_config(given, deployment.options),
            actor=_actor(given or {}, deployment.options, app_env),
            code=deployment,
            code_version=version,
            route_prefix=prefix if is_ingress else None,
            is_ingress=is_ingress,
        )
    # The last thing that is looked at.
    check_route_prefix(prefix)
    return {name: infos[name] for name in code.deployments}


def check_router_classes(document: JsonObject) -> None:
    """What the build does with the routers' classes that a document names: it splits their import paths (golden/ray-serve
    S02b). Raises `TypeError`.
    """
    for deployment in document.get("deployments") or ():
        found = (deployment.get("request_router_config") or {}).get("request_router_class", "")
        if not isinstance(found, str):
            raise TypeError(f"argument of type '{type(found).__name__}' is not iterable")


def check_route_prefix(prefix: str | None) -> None:
    """Raises `ValueError`. None, an application without a route, is fine."""
    if prefix is None:
        return
    if not prefix.startswith("/"):
        raise ValueError(f"Invalid route_prefix '{prefix}', must start with a forward slash ('/').")
    if prefix != "/" and prefix.endswith("/"):
        raise ValueError(f"Invalid route_prefix '{prefix}', may not end with a trailing '/'.")
    if "{" in prefix or "}" in prefix:
        raise ValueError(f"Invalid route_prefix '{prefix}', may not contain wildcards.")


def _config(given: JsonObject | None, code: Mapping[str, Any]) -> Config:
    listed = given or {}
    value = {**code, **listed}
    num_replicas, autoscaling = _count(listed, code)
    router = RequestRouterConfig.model_validate(value.get("request_router_config") or {})
    gang = value.get("gang_scheduling_config")
    if gang is not None and autoscaling is None:
        DeploymentConfig(num_replicas=num_replicas, gang_size=gang["gang_size"])
    return Config(
        num_replicas=num_replicas,
        autoscaling=autoscaling,
        max_ongoing_requests=int(value.get("max_ongoing_requests", 5)),
        max_queued_requests=int(value.get("max_queued_requests", -1)),
        user_config=value.get("user_config"),
        graceful_shutdown_wait_loop_s=float(value.get("graceful_shutdown_wait_loop_s", 2)),
        graceful_shutdown_timeout_s=float(value.get("graceful_shutdown_timeout_s", 20)),
        health_check_period_s=float(value.get("health_check_period_s", 10)),
        health_check_timeout_s=float(value.get("health_check_timeout_s", 30)),
        rolling_update_percentage=float(value.get("rolling_update_percentage", 0.2)),
        max_surge_percent=int(value.get("max_surge_percent", 0)),
        backpressure_config={"status_code": 503, "retry_after_s": None, **(value.get("backpressure_config") or {})},
        request_router_config=router.model_dump(mode="json"),
        logging_config=value.get("logging_config"),
        gang_scheduling_config=gang,
        configured=frozenset(listed) | frozenset(code),
    )


def _count(listed: JsonObject, code: Mapping[str, Any]) -> tuple[int | None, AutoscalingConfig | None]:
    """(num_replicas, autoscaling): each as the document says, or else the code. With both it is autoscaled."""
    num_replicas: int | None = 1
    given: JsonObject | None = None
    autoscaling: schema.AutoscalingConfig | None = None
    for source in (code, listed):
        is_auto = source.get("num_replicas") == "auto"
        if "num_replicas" in source:
            count = source["num_replicas"]
            num_replicas = (None if source is listed else 1) if is_auto else None if count is None else int(count)
        if source.get("autoscaling_config") is not None or ("autoscaling_config" in source and not is_auto):
            given = source["autoscaling_config"]
            autoscaling = (
                None if is_auto else DeploymentConfig.model_validate({"autoscaling_config": given}).autoscaling_config
            )
        if is_auto:
            defaults = schema.AutoscalingConfig(max_replicas=AUTO_MAX_REPLICAS).model_dump(mode="json")
            autoscaling = schema.AutoscalingConfig.model_validate({**defaults, **(given or {})})
    return num_replicas, None if autoscaling is None else _light(autoscaling)


def _light(checked: schema.AutoscalingConfig) -> AutoscalingConfig:
    values = checked.model_dump(mode="json")
    policy = values.pop("policy")
    if values["target_ongoing_requests"] is None:
        values["target_ongoing_requests"] = 2
    return AutoscalingConfig(
        **values, policy_function=policy["policy_function"], policy_kwargs=canonical(policy["policy_kwargs"])
    )


def _actor(given: JsonObject, code: Mapping[str, Any], app_env: JsonObject) -> ActorConfig:
    options = dict(given["ray_actor_options"] if "ray_actor_options" in given else code.get("ray_actor_options") or {})
    runtime_env = options.get("runtime_env") or {}
    if app_env or runtime_env:
        options["runtime_env"] = merge_runtime_envs(app_env, runtime_env)
    else:
        options.pop("runtime_env", None)
    if options.get("num_cpus") is None:
        options["num_cpus"] = 1
    if {"CPU", "GPU"} & set(options.get("resources") or ()):
        raise ValueError("Use the 'num_cpus' and 'num_gpus' keyword instead of 'CPU' and 'GPU' in 'resources' keyword")
    value = {**code, **given}
    actor = ActorConfig(
        options=options,
        max_replicas_per_node=value.get("max_replicas_per_node"),
        placement_group_bundles=value.get("placement_group_bundles"),
        placement_group_strategy=value.get("placement_group_strategy"),
        placement_group_bundle_label_selector=value.get("placement_group_bundle_label_selector"),
    )
    _check_placement(actor)
    return actor


def _check_placement(actor: ActorConfig) -> None:
    _check_placement_group(actor)
    per_node = actor.max_replicas_per_node
    if per_node is None:
        return
    if not 1 <= per_node <= 100:
        raise ValueError(
            f"Invalid max_replicas_per_node {per_node}. Valid values are None or an integer in the range of [1, 100]."
        )
    if actor.placement_group_bundles is not None:
        raise ValueError("Setting max_replicas_per_node is not allowed when placement_group_bundles is provided.")


def _check_placement_group(actor: ActorConfig) -> None:
    bundles, strategy = actor.placement_group_bundles, actor.placement_group_strategy
    if bundles is None:
        for option in ("placement_group_strategy", "placement_group_bundle_label_selector"):
            if getattr(actor, option) is not None:
                raise ValueError(f"If `{option}` is provided, `placement_group_bundles` must also be provided.")
        return
    if strategy is not None and strategy not in _STRATEGIES:
        supported = "{" + ", ".join(repr(one) for one in _STRATEGIES) + "}"
        raise ValueError(f"Invalid placement group strategy {strategy}. Supported strategies are: {supported}.")
    if not bundles:
        raise ValueError(
            "Bundles must be a non-empty list of resource dictionaries. "
            'For example: `[{"CPU": 1.0}, {"GPU": 1.0}]`. Got empty list instead.'
        )
    numbers = [{name: float(amount) for name, amount in bundle.items()} for bundle in bundles]
    if any(not any(bundle.values()) for bundle in numbers):
        raise ValueError(f"Bundles cannot be an empty dictionary or resources with only 0 values. Bundles: {numbers}")
    _check_first_bundle(actor, numbers[0])


def _check_first_bundle(actor: ActorConfig, bundle: dict[str, float]) -> None:
    options = actor.options
    wanted = [("`num_cpus`", "CPU", options.get("num_cpus")), ("`num_gpus`", "GPU", options.get("num_gpus"))]
    wanted.append(("`memory`", "memory", options.get("memory")))
    wanted += [(f"`{name}` requirement", name, amount) for name, amount in (options.get("resources") or {}).items()]
    for option, name, amount in wanted:
        if amount and amount > bundle.get(name, 0):
            raise ValueError(
                "When using `placement_group_bundles`, the replica actor will be placed in the first bundle, so the "
                "resource requirements for the actor must be a subset of the first bundle. "
                f"{option} for the actor is {amount}, but the bundle only has {bundle.get(name, 0)} `{name}` specified."
            )


def shown(info: DeploymentInfo) -> JsonObject:
    """`deployment_config` of the GET answer (ray-serve.md 2.2)."""
    config = info.config
    result: JsonObject = {"name": info.name}
    if config.autoscaling is None:
        result["num_replicas"] = config.num_replicas
    result |= {
        "max_ongoing_requests": config.max_ongoing_requests,
        "max_queued_requests": config.max_queued_requests,
        "backpressure_config": config.backpressure_config,
        "user_config": config.user_config,
        "graceful_shutdown_wait_loop_s": config.graceful_shutdown_wait_loop_s,
        "graceful_shutdown_timeout_s": config.graceful_shutdown_timeout_s,
        "health_check_period_s": config.health_check_period_s,
        "health_check_timeout_s": config.health_check_timeout_s,
        "ray_actor_options": info.actor.options,
        "request_router_config": config.request_router_config,
        "rolling_update_percentage": config.rolling_update_percentage,
        "max_surge_percent": config.max_surge_percent,
    }
    if config.autoscaling is not None:
        result["autoscaling_config"] = _shown_autoscaling(config.autoscaling)
    if info.actor.max_replicas_per_node is not None:
        result["max_replicas_per_node"] = info.actor.max_replicas_per_node
    return result


def _shown_autoscaling(config: AutoscalingConfig) -> JsonObject:
    return {
        "min_replicas": config.min_replicas,
        "initial_replicas": config.initial_replicas,
        "max_replicas": config.max_replicas,
        "target_ongoing_requests": config.target_ongoing_requests,
        "metrics_interval_s": config.metrics_interval_s,
        "look_back_period_s": config.look_back_period_s,
        "smoothing_factor": config.smoothing_factor,
        "upscale_smoothing_factor": config.upscale_smoothing_factor,
        "downscale_smoothing_factor": config.downscale_smoothing_factor,
        "upscaling_factor": config.upscaling_factor,
        "downscaling_factor": config.downscaling_factor,
        "downscale_delay_s": config.downscale_delay_s,
        "downscale_to_zero_delay_s": config.downscale_to_zero_delay_s,
        "upscale_delay_s": config.upscale_delay_s,
        "aggregation_function": config.aggregation_function,
        "policy": {"policy_function": config.policy_function, "policy_kwargs": json.loads(config.policy_kwargs)},
    }
