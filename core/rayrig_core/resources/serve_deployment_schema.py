"""One deployment of a Serve document: scaling, resources, routing, gangs, limits (ray-serve reference, section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rayrig_core.resources.ray_labels import selector_problem
from rayrig_core.resources.serve_schema_parts import (
    AnyDict,
    LoggingConfig,
    Schema,
    check_import,
    remote_uris_only,
)


class AutoscalingPolicy(Schema):
    """A custom policy: `module:function`."""

    policy_function: str = "ray.serve.autoscaling_policy:default_autoscaling_policy"
    policy_kwargs: AnyDict = {}


class AutoscalingConfig(Schema):
    """3.5. A document's `autoscaling_config` passes the first stage as any object; this model is the second stage."""

    min_replicas: NonNegativeInt = 1
    initial_replicas: NonNegativeInt | None = None
    max_replicas: PositiveInt = 1
    target_ongoing_requests: PositiveFloat | None = 2
    metrics_interval_s: PositiveFloat = 10.0
    look_back_period_s: PositiveFloat = 30.0
    smoothing_factor: PositiveFloat = 1.0
    upscale_smoothing_factor: PositiveFloat | None = None
    downscale_smoothing_factor: PositiveFloat | None = None
    upscaling_factor: PositiveFloat | None = None
    downscaling_factor: PositiveFloat | None = None
    downscale_delay_s: NonNegativeFloat = 600.0
    downscale_to_zero_delay_s: NonNegativeFloat | None = None
    upscale_delay_s: NonNegativeFloat = 30.0
    aggregation_function: str = "mean"
    policy: AutoscalingPolicy = Field(default_factory=AutoscalingPolicy)

    @field_validator("aggregation_function", mode="before")
    @classmethod
    def aggregation_function_valid(cls, v: Any) -> Any:
        if isinstance(v, str):
            if v.lower() not in ("mean", "max", "min"):
                raise ValueError(f"'{v.lower()}' is not a valid AggregationFunction")
            return v.lower()
        return v

    @model_validator(mode="after")
    def replicas_settings_valid(self) -> Self:
        low, high, initial = self.min_replicas, self.max_replicas, self.initial_replicas
        if low > high:
            raise ValueError(f"max_replicas ({high}) must be greater than or equal to min_replicas ({low})!")
        if initial is not None:
            if initial < low:
                raise ValueError(f"min_replicas ({low}) must be less than or equal to initial_replicas ({initial})!")
            if initial > high:
                raise ValueError(
                    f"max_replicas ({high}) must be greater than or equal to initial_replicas ({initial})!"
                )
        return self


class RayActorOptionsSchema(Schema):
    """What a replica's actor asks for: CPUs and GPUs as counts, memory in bytes."""

    runtime_env: AnyDict = {}
    num_cpus: NonNegativeFloat | None = None
    num_gpus: NonNegativeFloat | None = None
    memory: NonNegativeFloat | None = None
    resources: AnyDict = {}
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None
    fallback_strategy: list[dict[str, Any]] | None = None

    @field_validator("label_selector")
    @classmethod
    def label_selector_is_valid(cls, v: dict[str, str] | None) -> dict[str, str] | None:
        problem = selector_problem(v or {})
        if problem:
            raise ValueError(problem)
        return v

    @field_validator("runtime_env")
    @classmethod
    def runtime_env_contains_remote_uris(cls, v: AnyDict) -> AnyDict:
        return remote_uris_only(v)


class BackpressureConfig(Schema):
    """What a proxy answers when the queue is full. Closed."""

    model_config = ConfigDict(extra="forbid")

    status_code: Literal[503, 429] = 503
    retry_after_s: NonNegativeFloat | None = None


class RequestRouterConfig(Schema):
    """How replicas are chosen (7.2)."""

    request_router_class: str = "ray.serve._private.request_router:PowerOfTwoChoicesRequestRouter"
    request_router_kwargs: AnyDict = {}
    request_routing_stats_period_s: PositiveFloat = 10
    request_routing_stats_timeout_s: PositiveFloat = 30
    initial_backoff_s: PositiveFloat = 0.025
    backoff_multiplier: PositiveFloat = 2
    max_backoff_s: PositiveFloat = 0.5


class GangPlacementStrategy(StrEnum):
    """How near to one another the replicas of a gang are placed."""

    PACK = "PACK"
    SPREAD = "SPREAD"


class GangRuntimeFailurePolicy(StrEnum):
    """What goes when one replica of a gang fails."""

    RESTART_GANG = "RESTART_GANG"
    RESTART_REPLICA = "RESTART_REPLICA"


class GangSchedulingConfig(Schema):
    """Replicas placed together."""

    gang_size: Annotated[int, Field(ge=1)]
    gang_placement_strategy: GangPlacementStrategy = GangPlacementStrategy.PACK
    runtime_failure_policy: GangRuntimeFailurePolicy = GangRuntimeFailurePolicy.RESTART_GANG

    @field_validator("runtime_failure_policy")
    @classmethod
    def runtime_failure_policy_implemented(cls, v: GangRuntimeFailurePolicy) -> GangRuntimeFailurePolicy:
        if v is GangRuntimeFailurePolicy.RESTART_REPLICA:
            raise NotImplementedError(
                "RESTART_REPLICA policy is not yet implemented. File a GitHub issue if you need this feature."
            )
        return v


class DeploymentActorConfig(Schema):
    """An actor that lives as long as the deployment."""

    name: str
    actor_class: str
    init_args: list[Any] = []
    init_kwargs: AnyDict = {}
    actor_options: AnyDict = {}


class DeploymentSchema(Schema):
    """3.4. A field that is None and not in `model_fields_set` was left out: code or default decide."""

    name: str
    num_replicas: PositiveInt | str | None = None
    max_ongoing_requests: PositiveInt = 5
    max_queued_requests: StrictInt = -1
    backpressure_config: BackpressureConfig = Field(default_factory=BackpressureConfig)
    user_config: AnyDict | None = None
    autoscaling_config: AnyDict | AutoscalingConfig | None = None
    graceful_shutdown_wait_loop_s: NonNegativeFloat = 2
    graceful_shutdown_timeout_s: NonNegativeFloat = 20
    health_check_period_s: PositiveFloat = 10
    health_check_timeout_s: PositiveFloat = 30
    ray_actor_options: RayActorOptionsSchema = Field(default_factory=RayActorOptionsSchema)
    placement_group_bundles: list[dict[str, float]] = []
    placement_group_strategy: str = "PACK"
    placement_group_bundle_label_selector: list[dict[str, str]] = []
    max_replicas_per_node: int = 0
    logging_config: LoggingConfig = Field(default_factory=LoggingConfig)
    request_router_config: AnyDict | RequestRouterConfig = {}
    gang_scheduling_config: AnyDict | GangSchedulingConfig | None = None
    deployment_actors: list[AnyDict | DeploymentActorConfig] | None = None
    rolling_update_percentage: Annotated[float, Field(gt=0, le=1)] = 0.2
    max_surge_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="before")
    @classmethod
    def validate_num_replicas_and_autoscaling_config(cls, values: Any) -> Any:
        count = values.get("num_replicas")
        if isinstance(count, int):
            if values.get("autoscaling_config") is not None:
                raise ValueError("Manually setting num_replicas is not allowed when autoscaling_config is provided.")
        elif count not in (None, "auto"):
            raise ValueError(f'`num_replicas` must be an int or "auto", but got: {count}')
        return values

    @model_validator(mode="before")
    @classmethod
    def validate_gang_scheduling_config(cls, values: Any) -> Any:
        # Comes first of all. Ray asks whatever it has got for its fields: where that is no object, the answer is a 500.
        if not isinstance(values, dict):
            raise AttributeError(f"{type(values).__name__!r} object has no attribute 'get'")
        gang = values.get("gang_scheduling_config")
        if isinstance(gang, dict):
            gang = GangSchedulingConfig(**gang)
            values = {**values, "gang_scheduling_config": gang}
        if gang is None:
            return values
        count = values.get("num_replicas")
        if count == "auto":
            scaling = values.get("autoscaling_config") or {}
            for field in ("min_replicas", "max_replicas", "initial_replicas"):
                bound = scaling.get(field)
                if bound is not None and bound % gang.gang_size:
                    raise ValueError(
                        f"autoscaling_config.{field} ({bound}) must be a multiple of gang_size ({gang.gang_size})."
                    )
        elif isinstance(count, int) and count % gang.gang_size:
            raise ValueError(f"num_replicas ({count}) must be a multiple of gang_size ({gang.gang_size}).")
        return values

    @model_validator(mode="after")
    def validate_max_replicas_per_node(self) -> Self:
        if {"max_replicas_per_node", "placement_group_bundles"} <= self.model_fields_set:
            raise ValueError("Setting max_replicas_per_node is not allowed when placement_group_bundles is provided.")
        return self

    @model_validator(mode="after")
    def validate_bundle_label_selector(self) -> Self:
        if "placement_group_bundle_label_selector" not in self.model_fields_set:
            return self
        selectors, bundles = self.placement_group_bundle_label_selector, self.placement_group_bundles
        if "placement_group_bundles" not in self.model_fields_set:
            raise ValueError(
                "Setting bundle_label_selector is not allowed when placement_group_bundles is not provided."
            )
        if len(selectors) not in (1, len(bundles)):
            raise ValueError(
                "The `placement_group_bundle_label_selector` list must contain either a single selector (to apply to all "
                f"bundles) or match the number of `placement_group_bundles`. Got {len(selectors)} selectors for "
                f"{len(bundles)} bundles."
            )
        return self

    @model_validator(mode="after")
    def validate_gang_placement(self) -> Self:
        if self.gang_scheduling_config is None:
            return self
        if "max_replicas_per_node" in self.model_fields_set:
            raise ValueError("Setting max_replicas_per_node is not allowed when gang_scheduling_config is provided.")
        if "placement_group_strategy" in self.model_fields_set:
            raise ValueError(
                "Setting placement_group_strategy is not allowed when gang_scheduling_config is provided. Use "
                "gang_scheduling_config.gang_placement_strategy instead."
            )
        return self

    @model_validator(mode="after")
    def validate_max_queued_requests(self) -> Self:
        if self.max_queued_requests < 1 and self.max_queued_requests != -1:
            raise ValueError("max_queued_requests must be -1 (no limit) or a positive integer.")
        return self

    @field_validator("autoscaling_config", mode="before")
    @classmethod
    def import_policy(cls, v: Any, info: ValidationInfo) -> Any:
        policy = v.get("policy") if isinstance(v, dict) else None
        if isinstance(policy, dict) and isinstance(policy.get("policy_function"), str):
            check_import(policy["policy_function"], info)
        return v

    @field_validator("request_router_config", mode="before")
    @classmethod
    def import_router(cls, v: Any, info: ValidationInfo) -> Any:
        if isinstance(v, dict) and isinstance(v.get("request_router_class"), str):
            check_import(v["request_router_class"], info)
        return v

    @property
    def is_autoscaled(self) -> bool:
        return self.autoscaling_config is not None or self.num_replicas == "auto"
