"""The Serve REST schema: the document that is PUT to the dashboard, as Ray 2.60 validates it (ray-serve reference, section 3).

Model and validator names are Ray's where they show in error texts. Unknown fields are dropped except where a model is closed. The
second stage (3.7) is the Serve controller's; the document as the text in a manifest is `rayrig_core.resources.serve_config`'s.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.serve_deployment_schema import DeploymentSchema
from rayrig_core.resources.serve_schema_parts import (
    AnyDict,
    Importable,
    LoggingConfig,
    Schema,
    remote_uris_only,
    repeated,
)


class ProxyLocation(StrEnum):
    """Where proxies run."""

    Disabled = "Disabled"
    HeadOnly = "HeadOnly"
    EveryNode = "EveryNode"


class ServeApplicationSchema(Schema):
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
        return remote_uris_only(v)

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


class HTTPOptionsSchema(Schema):
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


class gRPCOptionsSchema(Schema):  # noqa: N801 - Ray's name, shown in error texts
    """3.2."""

    port: int = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: float | None = None
    enable_reflection: bool = True


class ControllerOptions(Schema):
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


class TracingConfig(Schema):
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


class ServeDeploySchema(Schema):
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
        twice = repeated(names)
        if twice:
            listing = ("applications " if len(twice) > 1 else "application ") + ", ".join(twice)
            raise ValueError(f"Found multiple configs for {listing}. Please remove all duplicates.")
        return v

    @field_validator("applications")
    @classmethod
    def application_routes_unique(cls, v: list[ServeApplicationSchema]) -> list[ServeApplicationSchema]:
        twice = repeated([application.route_prefix for application in v if application.route_prefix is not None])
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


class ScaleDeploymentRequest(Schema):
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
