"""The whole of a scenario file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from rayrig_controllers.releases import KUBERAY_1_1, RELEASES
from rayrig_core.errors import InputError
from rayrig_core.remedies import closest
from rayrig_core.resources.feature_gates import GATE_NAMES
from rayrig_core.resources.quantities import parse_quantity
from rayrig_scenarios.language.conditions import Expectation
from rayrig_scenarios.language.container_scripts import ContainerScript
from rayrig_scenarios.language.documents import Document
from rayrig_scenarios.language.model import Model
from rayrig_scenarios.language.problems import input_error
from rayrig_scenarios.language.steps import Manifest, Step
from rayrig_scenarios.language.units import Duration, Rate, Spread, bad

#: Quantities are 64-bit integers in the end.
_MOST = 2**63


def _quantity(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise bad(f"{value!r} is no quantity", "write one such as 4, 500m or 16Gi")
    try:
        amount = parse_quantity(value)
    except ValueError:
        raise bad(f'"{value}" is no quantity', "write one such as 4, 500m or 16Gi") from None
    if amount < 0:
        raise bad(f'"{value}" is negative', "give 0 or more")
    if amount >= _MOST:
        raise bad(f'"{value}" is more than Kubernetes can count', "give less")
    return value


Quantity = Annotated[str, BeforeValidator(_quantity)]

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _kuberay(value: Any) -> Any:
    if isinstance(value, (str, float, int)):
        for profile, release in RELEASES.items():
            if str(value) in (profile, release.version):
                return release.version
        known = " or ".join(release.version for release in RELEASES.values())
        raise bad(f"there is no KubeRay {value} here", f"write {known}")
    return value


KubeRay = Annotated[Literal["v1.7.0", "v1.1.0"], BeforeValidator(_kuberay)]


def _gates(value: Any) -> Any:
    if isinstance(value, dict):
        for name in value:
            if name not in GATE_NAMES:
                raise bad(f'there is no feature gate "{name}"', closest(str(name), GATE_NAMES))
    return value


class Taint(Model):
    """A taint, or its text `key=value:NoSchedule`."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, written: Any) -> Any:
        if not isinstance(written, str):
            return written
        key_value, _, effect = written.partition(":")
        key, _, value = key_value.partition("=")
        if not key or effect not in _EFFECTS:
            raise bad(f'"{written}" is no taint', "write key=value:NoSchedule")
        return {"key": key, "value": value, "effect": effect}


class Nodes(Model):
    """`count` equal nodes, called `<name>-0`, `<name>-1`, …. `gpus` is short for the resource `nvidia.com/gpu`."""

    name: str = "node"
    count: Annotated[int, Field(ge=1, le=5000)] = 1
    cpu: Quantity = "16"
    memory: Quantity = "64Gi"
    gpus: Annotated[int, Field(ge=0)] = 0
    pods: Annotated[int, Field(ge=1)] = 110
    resources: dict[str, Quantity] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    taints: list[Taint] = Field(default_factory=list)


class Application(Model):
    """Behaviour of the application at an import path: `latency` of each request, `result` of each (JSON), or a `handler`
    (`module:attr`); `startup` of a replica; `fails_with`, the error its constructor raises."""

    latency: Spread = None
    result: Any = None
    handler: str = ""
    startup: Spread = None
    fails_with: str = ""


class TrafficRequest(Model):
    """One kind of request of a mix."""

    name: str = ""
    weight: Annotated[float, Field(gt=0)] = 1.0
    method: Literal["", "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"] = ""
    path: str = "/"
    json_: Any = None
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    duration: Spread = None


class TrafficSource(Model):
    """Requests to a Service or through a Gateway, at a `rate` whatever comes back, or by a number of `clients` that wait
    for each answer.

    Connections are kept and stay with their pod unless `keep_alive` is false; with `connection_age` a client closes one of that age
    and opens another.
    """

    name: str
    service: str = ""
    gateway: str = ""
    namespace: str = "default"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    rate: Rate | None = None
    clients: Annotated[int | None, Field(ge=1)] = None
    think_time: Duration = 0.0
    arrival: Literal["even", "poisson"] = "even"
    keep_alive: bool = True
    connection_age: Duration | None = None
    timeout: Duration = 30.0
    requests: Annotated[
        list[TrafficRequest], BeforeValidator(lambda v: v if isinstance(v, list) else [v]), Field(min_length=1)
    ]

    @model_validator(mode="after")
    def _open_or_closed(self) -> Self:
        if (self.rate is None) == (self.clients is None):
            what = "has neither rate nor clients" if self.rate is None else "has both rate and clients"
            raise bad(what, "give rate: 50/s (open loop) or clients: 10 (closed loop)")
        if bool(self.service) == bool(self.gateway):
            what = "has both service and gateway" if self.service else "has neither service nor gateway"
            raise bad(what, "give service: NAME (a Service) or gateway: NAME (a Gateway)")
        return self


class ScenarioFile(Model):
    """Nodes, manifests, traffic, then steps in order, then what is expected."""

    name: str
    description: str
    seed: Annotated[int, Field(ge=0)] = 0
    duration: Duration = 3600.0
    kuberay: KubeRay = "v1.7.0"
    feature_gates: Annotated[dict[str, bool], BeforeValidator(_gates)] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    nodes: list[Nodes] = Field(default_factory=list)
    manifests: list[Manifest] = Field(default_factory=list)
    applications: dict[str, Application] = Field(default_factory=dict)
    containers: list[ContainerScript] = Field(default_factory=list)
    traffic: list[TrafficSource] = Field(default_factory=list)
    steps: Annotated[list[Step], Field(min_length=1)]
    expect: list[Expectation] = Field(default_factory=list)

    @model_validator(mode="after")
    def _gates_there_are(self) -> Self:
        if self.feature_gates and self.kuberay == KUBERAY_1_1.version:
            raise bad(
                f"KubeRay {self.kuberay} has no feature gates", "leave feature-gates out, or write kuberay: v1.7.0"
            )
        return self


def parse_scenario(document: Document) -> ScenarioFile:
    """The document in the language's models. Raises `InputError`."""
    if not isinstance(document.data, dict):
        raise InputError("this is no scenario", where=document.where(), remedy="write name, description and steps")
    try:
        return ScenarioFile.model_validate(document.data)
    except ValidationError as error:
        raise input_error(error, document) from None
