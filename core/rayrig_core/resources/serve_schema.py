"""The Serve REST schema: the document that is PUT to the dashboard, as Ray 2.60 validates it (ray-serve reference, section 3).

Model and validator names are Ray's where they show in error texts. Unknown fields are dropped except where a model is closed. The
second stage (3.7) is the Serve controller's; the document as the text in a manifest is `rayrig_core.resources.serve_config`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
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

from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.ray_labels import selector_problem
from rayrig_core.resources.runtime_env_uris import uri_problem

AnyDict: TypeAlias = dict[Any, Any]

#: Says whether the dashboard can import what a custom policy or router names. Key in the validation context.
Importable: TypeAlias = Callable[[str], bool]

#: What may be asked for in `additional_log_standard_attrs`: the attributes of a record of Python's logging.
LOG_RECORD_ATTRIBUTES = (
    "args", "asctime", "created", "exc_info", "exc_text", "filename", "funcName", "levelname", "levelno", "lineno",
    "message", "module", "msecs", "msg", "name", "pathname", "process", "processName", "relativeCreated", "stack_info",
    "taskName", "thread", "threadName",
)  # fmt: skip
LOG_LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET")
_LOG_NUMBERS = {50: "CRITICAL", 40: "ERROR", 30: "WARNING", 20: "INFO", 10: "DEBUG", 0: "NOTSET"}


def _check_import(path: str, info: ValidationInfo) -> None:
    """The dashboard imports policies and routers while it validates; what it can't import is a 500 (ray-serve 2.1)."""
    module = path.partition(":")[0] if ":" in path else path[: path.rfind(".")]
    importable: Importable | None = (info.context or {}).get("importable")
    known = importable(path) if importable is not None else module == "ray" or module.startswith("ray.")
    if not known:
        raise ModuleNotFoundError(f"No module named {module.partition('.')[0]!r}")


def _remote_uris_only(runtime_env: AnyDict) -> AnyDict:
    """`working_dir` and `py_modules` must be URIs (ray-serve 3.3). What is no text at all is an error of the dashboard's: 500."""
    uris = [*iter(runtime_env.get("py_modules", ())), runtime_env.get("working_dir")]
    for uri in uris:
        if uri is None:
            continue
        if not isinstance(uri, str):
            raise TypeError(f" path_or_uri must be a string, got {type(uri)}.")
        problem = uri_problem(uri)
        if problem:
            raise ValueError(
                "runtime_envs in the Serve config support only remote URIs in working_dir and py_modules, or "
                f'"local://" URIs for directories that already exist on every node. Got error when parsing URI: {problem}'
            )
    return runtime_env


def _repeated(names: list[str]) -> list[str]:
    """Those that are there more than once, in quotes."""
    return [f'"{name}"' for name in dict.fromkeys(names) if names.count(name) > 1]


class EncodingType(str, Enum):  # noqa: UP042 - error texts show its members as those of a plain Enum.
    """Log encodings."""

    TEXT = "TEXT"
    JSON = "JSON"


class ProxyLocation(StrEnum):
    """Where proxies run."""

    Disabled = "Disabled"
    HeadOnly = "HeadOnly"
    EveryNode = "EveryNode"


class _Schema(BaseModel):
    """Validators are built when a model is first used: most are used only within another, which has them built in."""

    model_config = ConfigDict(defer_build=True)


class LoggingConfig(_Schema):
    """3.6. Closed."""

    model_config = ConfigDict(extra="forbid")

    encoding: str | EncodingType = "TEXT"
    log_level: int | str = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[str] = []

    @field_validator("encoding")
    @classmethod
    def valid_encoding_format(cls, v: Any) -> Any:
        if v not in {member.value for member in EncodingType}:
            listing = ", ".join(repr(member) for member in (EncodingType.JSON, EncodingType.TEXT))
            raise ValueError(f"Got '{v}' for encoding. Encoding must be one of {{{listing}}}.")
        return v

    @field_validator("log_level")
    @classmethod
    def valid_log_level(cls, v: int | str) -> int | str:
        if isinstance(v, int):
            if v not in _LOG_NUMBERS:
                raise ValueError(f'Got "{v}" for log_level. log_level must be one of {list(_LOG_NUMBERS)}.')
            return _LOG_NUMBERS[v]
        if v not in LOG_LEVELS:
            raise ValueError(f'Got "{v}" for log_level. log_level must be one of {list(LOG_LEVELS)}.')
        return v

    @field_validator("additional_log_standard_attrs")
    @classmethod
    def valid_additional_log_standard_attrs(cls, v: list[str]) -> list[str]:
        for attr in v:
            if attr not in LOG_RECORD_ATTRIBUTES:
                listing = ", ".join(repr(known) for known in LOG_RECORD_ATTRIBUTES)
                raise ValueError(
                    f"Unknown attribute '{attr}'. Additional log standard attributes must be one of {{{listing}}}."
                )
        return list(dict.fromkeys(v))


class AutoscalingPolicy(_Schema):
    """A custom policy: `module:function`."""

    policy_function: str = "ray.serve.autoscaling_policy:default_autoscaling_policy"
    policy_kwargs: AnyDict = {}


class AutoscalingConfig(_Schema):
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


class RayActorOptionsSchema(_Schema):
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
        return _remote_uris_only(v)


class BackpressureConfig(_Schema):
    """What a proxy answers when the queue is full. Closed."""

    model_config = ConfigDict(extra="forbid")

    status_code: Literal[503, 429] = 503
    retry_after_s: NonNegativeFloat | None = None


class RequestRouterConfig(_Schema):
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


class GangSchedulingConfig(_Schema):
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


class DeploymentActorConfig(_Schema):
    """An actor that lives as long as the deployment."""

    name: str
    actor_class: str
    init_args: list[Any] = []
    init_kwargs: AnyDict = {}
    actor_options: AnyDict = {}


class DeploymentSchema(_Schema):
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
            _check_import(policy["policy_function"], info)
        return v

    @field_validator("request_router_config", mode="before")
    @classmethod
    def import_router(cls, v: Any, info: ValidationInfo) -> Any:
        if isinstance(v, dict) and isinstance(v.get("request_router_class"), str):
            _check_import(v["request_router_class"], info)
        return v

    @property
    def is_autoscaled(self) -> bool:
        return self.autoscaling_config is not None or self.num_replicas == "auto"


class ServeApplicationSchema(_Schema):
    """3.3."""

    name: str = "default"
    route_prefix: str | None = "/"
    import_path: str
    runtime_env: AnyDict = {}
    host: str = "0.0.0.0"
    port: int = 8000
    deployments: list[DeploymentSchema] = []
    autoscaling_policy: AnyDict | None = None
    args: AnyDict = {}
    logging_config: LoggingConfig | None = None
    external_scaler_enabled: bool = False

    @field_validator("runtime_env")
    @classmethod
    def runtime_env_contains_remote_uris(cls, v: AnyDict) -> AnyDict:
        return _remote_uris_only(v)

    @field_validator("import_path")
    @classmethod
    def import_path_format_valid(cls, v: str) -> str:
        if ":" in v:
            if v.count(":") > 1:
                raise ValueError(f'Got invalid import path "{v}". An import path may have at most one colon.')
            if v.startswith(":") or v.endswith(":"):
                raise ValueError(f'Got invalid import path "{v}". An import path may not start or end with a colon.')
            return v
        if "." not in v:
            raise ValueError(
                f'Got invalid import path "{v}". An import path must contain at least on dot or colon separating the '
                "module (and potentially submodules) from the deployment graph. "
                'E.g.: "module.deployment_graph".'
            )
        if v.startswith(".") or v.endswith("."):
            raise ValueError(f'Got invalid import path "{v}". An import path may not start or end with a dot.')
        return v

    @model_validator(mode="after")
    def validate_external_scaler(self) -> Self:
        names = ", ".join(f'"{deployment.name}"' for deployment in self.deployments if deployment.is_autoscaled)
        if self.external_scaler_enabled and names:
            raise ValueError(
                "external_scaler_enabled is set to True, but the following deployment(s) have autoscaling configured: "
                f"{names}. When using an external autoscaler, Serve's built-in autoscaling must be disabled for all "
                "deployments in the application."
            )
        return self


class HTTPOptionsSchema(_Schema):
    """3.2. Times in seconds."""

    host: str = "0.0.0.0"
    port: int = 8000
    root_path: str = ""
    request_timeout_s: float | None = None
    keep_alive_timeout_s: int = 90
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None

    @field_validator("ssl_certfile")
    @classmethod
    def validate_ssl_certfile(cls, v: str | None, info: ValidationInfo) -> str | None:
        if (v is None) != (info.data.get("ssl_keyfile") is None):
            raise ValueError("Both ssl_keyfile and ssl_certfile must be provided together to enable HTTPS.")
        return v


class gRPCOptionsSchema(_Schema):  # noqa: N801 - Ray's name, shown in error texts
    """3.2."""

    port: int = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: float | None = None
    enable_reflection: bool = True


class ControllerOptions(_Schema):
    """Closed."""

    model_config = ConfigDict(extra="forbid")

    runtime_env: AnyDict | None = None

    @field_validator("runtime_env")
    @classmethod
    def only_env_vars(cls, v: AnyDict | None) -> AnyDict | None:
        others = sorted(str(key) for key in v or () if key != "env_vars")
        if others:
            raise ValueError(
                f"ControllerOptions.runtime_env only supports ['env_vars'] in this version; got disallowed keys {others}. "
                "Per-replica runtime_env belongs on the deployment (``serve.deployment(runtime_env=...)``), not on the "
                "controller actor."
            )
        env_vars = (v or {}).get("env_vars", {})
        if not isinstance(env_vars, dict):
            raise ValueError(f"runtime_env.env_vars must be a dict[str, str], got {type(env_vars).__name__}.")
        for key, value in env_vars.items():
            if not key:
                raise ValueError(f"env_vars key must be a non-empty str, got {key!r}.")
            if not isinstance(value, str):
                raise ValueError(f"env_vars[{key!r}] must be str (got {type(value).__name__}); coerce explicitly.")
        return v


class TracingConfig(_Schema):
    """Closed."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = False
    exporter_import_path: str = ""
    sampling_ratio: float = 1.0

    @field_validator("sampling_ratio")
    @classmethod
    def valid_sampling_ratio(cls, v: float) -> float:
        if not 0 <= v <= 1:
            raise ValueError(f"sampling_ratio must be between 0.0 and 1.0, got {v}.")
        return v


class ServeDeploySchema(_Schema):
    """3.1: the whole document. `target_capacity` in percent."""

    proxy_location: ProxyLocation = ProxyLocation.EveryNode
    http_options: HTTPOptionsSchema = Field(default_factory=HTTPOptionsSchema)
    grpc_options: gRPCOptionsSchema = Field(default_factory=gRPCOptionsSchema)
    controller_options: ControllerOptions | None = None
    logging_config: LoggingConfig | None = None
    tracing_config: TracingConfig | None = None
    applications: list[ServeApplicationSchema]
    target_capacity: Annotated[float, Field(ge=0, le=100)] | None = None

    @field_validator("applications")
    @classmethod
    def application_names_unique(cls, v: list[ServeApplicationSchema]) -> list[ServeApplicationSchema]:
        names = [application.name for application in v]
        twice = _repeated(names)
        if twice:
            listing = ("applications " if len(twice) > 1 else "application ") + ", ".join(twice)
            raise ValueError(f"Found multiple configs for {listing}. Please remove all duplicates.")
        return v

    @field_validator("applications")
    @classmethod
    def application_routes_unique(cls, v: list[ServeApplicationSchema]) -> list[ServeApplicationSchema]:
        twice = _repeated([application.route_prefix for application in v if application.route_prefix is not None])
        if twice:
            listing = ("route prefixes " if len(twice) > 1 else "route prefix ") + ", ".join(twice)
            raise ValueError(
                f"Found duplicate applications for {listing}. Please ensure each application's route_prefix is unique."
            )
        return v

    @field_validator("applications")
    @classmethod
    def application_names_nonempty(cls, v: list[ServeApplicationSchema]) -> list[ServeApplicationSchema]:
        if any(not application.name for application in v):
            raise ValueError("Application names must be nonempty.")
        return v

    @model_validator(mode="after")
    def nested_host_and_port(self) -> Self:
        for application in self.applications:
            if "host" in application.model_fields_set:
                raise ValueError(
                    f'Host "{application.host}" is set in the config for application `{application.name}`. '
                    "Please remove it and set host in the top level deploy config only."
                )
            if "port" in application.model_fields_set:
                raise ValueError(
                    f"Port {application.port} is set in the config for application `{application.name}`. "
                    "Please remove it and set port in the top level deploy config only."
                )
        return self


class ScaleDeploymentRequest(_Schema):
    """Body of the scale endpoint (2.3)."""

    target_num_replicas: NonNegativeInt


def validate_serve_config(document: Json, *, importable: Importable | None = None) -> ServeDeploySchema:
    """First-stage validation, as the PUT does it.

    Raises pydantic's `ValidationError` (the dashboard answers 400); `ModuleNotFoundError`, `NotImplementedError`, `AttributeError`
    or `TypeError` (500).
    """
    return ServeDeploySchema.model_validate(document, context={"importable": importable})


def set_fields(config: ServeDeploySchema) -> JsonObject:
    """The document as Serve keeps it: known fields that were given, converted to their types."""
    return config.model_dump(mode="json", exclude_unset=True)
