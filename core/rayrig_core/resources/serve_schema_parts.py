"""What the schemas of a Serve document share: their base, checks of what is imported and fetched, and how to log."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

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


def check_import(path: str, info: ValidationInfo) -> None:
    """The dashboard imports policies and routers while it validates; what it can't import is a 500 (ray-serve 2.1)."""
    module = path.partition(":")[0] if ":" in path else path[: path.rfind(".")]
    importable: Importable | None = (info.context or {}).get("importable")
    known = importable(path) if importable is not None else module == "ray" or module.startswith("ray.")
    if not known:
        raise ModuleNotFoundError(f"No module named {module.partition('.')[0]!r}")


def remote_uris_only(runtime_env: AnyDict) -> AnyDict:
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


def repeated(names: list[str]) -> list[str]:
    """Those that are there more than once, in quotes."""
    return [f'"{name}"' for name in dict.fromkeys(names) if names.count(name) > 1]


class Schema(BaseModel):
    """Validators are built when a model is first used: most are used only within another, which has them built in."""

    model_config = ConfigDict(defer_build=True)


class EncodingType(str, Enum):  # noqa: UP042 - error texts show its members as those of a plain Enum.
    """Log encodings."""

    TEXT = "TEXT"
    JSON = "JSON"


class LoggingConfig(Schema):
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
