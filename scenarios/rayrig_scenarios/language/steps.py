"""The steps of a scenario, in the words they are written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from rayrig_backends import faults
from rayrig_core.errors import InputError
from rayrig_scenarios.language.conditions import Condition, FieldPath, KindName, ObjectRef
from rayrig_scenarios.language.model import Model, OneOf
from rayrig_scenarios.language.node_steps import DrainOf, NodeOf
from rayrig_scenarios.language.remembered import NAME
from rayrig_scenarios.language.units import Duration, bad, parse_duration


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Manifest(Model):
    """Where objects are written: in a file (path from the scenario's own folder), among rayrig's own, or right here."""

    shorthand: ClassVar[str] = "file"

    file: str | None = None
    bundled: str | None = None
    inline: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("file", "bundled", "inline") if getattr(self, name) is not None]
        if len(given) != 1:
            raise bad(
                "names no manifest" if not given else "names several manifests", "give one of: file, bundled, inline"
            )
        return self


class Apply(Model):
    """`kubectl apply` of a manifest of this scenario (by its object's name, `Kind/name`, or `all`), as it was applied last, with
    changes: `set` replaces single fields by path, `merge` is a merge patch. Or of one from elsewhere. `refused` is a part of what
    the API server must answer instead of taking it."""

    shorthand: ClassVar[str] = "manifest"

    manifest: str | None = None
    file: str | None = None
    bundled: str | None = None
    inline: dict[str, Any] | None = None
    set: dict[FieldPath, Any] = Field(default_factory=dict)
    merge: dict[str, Any] = Field(default_factory=dict)
    refused: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("manifest", "file", "bundled", "inline") if getattr(self, name) is not None]
        if len(given) != 1:
            what = "says not what to apply" if not given else "applies several things at once"
            raise bad(what, "give one of: manifest, file, bundled, inline")
        if self.manifest == "all" and (self.set or self.merge):
            raise bad("changes all manifests alike", "name the one to change")
        return self

    @property
    def source(self) -> Manifest | None:
        """A manifest from elsewhere, or None for one of the scenario's."""
        if self.manifest is not None:
            return None
        return Manifest(file=self.file, bundled=self.bundled, inline=self.inline)


class Patch(Model):
    """`kubectl patch` of a live object: a merge patch, a JSON patch, or single fields by path. `refused` as in `apply`."""

    kind: KindName = "RayService"
    name: str
    namespace: str = "default"
    merge: dict[str, Any] | None = None
    json_: list[dict[str, Any]] | None = None
    set: dict[FieldPath, Any] | None = None
    refused: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.merge, self.json_, self.set)) != 1:
            raise bad("says not how to patch, or says it twice", "give one of: merge, json, set")
        return self


class Wait(Model):
    """Wait until all conditions hold at one time; the step fails when `timeout` passes first."""

    for_: Annotated[list[Condition], BeforeValidator(_one_or_more)]
    timeout: Duration = 600.0


class Hold(Model):
    """All conditions must hold now and all the time until `for` has passed; the step fails as soon as one does not."""

    that: Annotated[list[Condition], BeforeValidator(_one_or_more)]
    for_: Duration


class ObjectField(Model):
    """A field of an object."""

    kind: KindName = "RayService"
    name: str
    namespace: str = "default"
    path: FieldPath


def _names_to_remember(value: Any) -> Any:
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise bad(f'"{name}" is no name for a value', "use small letters, digits and hyphens")
        if not value:
            raise bad("remembers nothing", "write a name and the field whose value it stands for")
    return value


class Fault(Model):
    """A fault strikes: `kind` and the parameters of that kind (`rayrig_backends.faults`)."""

    model_config = ConfigDict(extra="allow")
    shorthand: ClassVar[str] = "kind"

    kind: str

    @model_validator(mode="before")
    @classmethod
    def _mapping_of_known_fields(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, dict) and isinstance(value.get("kind"), str):
            kind = value["kind"]
            params = {key: param for key, param in value.items() if key != "kind"}
            return {"kind": kind, **_checked_params(kind, params)}
        return value

    @property
    def params(self) -> Mapping[str, Any]:
        return self.model_extra or {}


def _checked_params(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    known = faults.FAULTS[kind].params if kind in faults.FAULTS else {}
    read = {}
    for name, value in params.items():
        # The YAML spelling has hyphens, as everywhere in the language.
        name = name.replace("-", "_")
        if name in known and known[name].type is faults.ParamType.DURATION:
            value = parse_duration(value)
        read[name] = value
    try:
        return faults.checked(kind, read)
    except InputError as error:
        raise bad(error.what, error.remedy) from None


class ExpectedAnswer(Model):
    """What a request must be answered with. `json` compares values, `text` whole texts, `contains` a part."""

    status: int = 200
    json_: Any = None
    text: str | None = None
    contains: str = ""
    failure: Literal["", "refused", "reset", "timeout", "unresolved", "unreachable", "any"] = ""


class Request(Model):
    """One HTTP request to a Service or through a Gateway from inside the cluster. With `json` or `body` the method is POST unless
    given.

    With `within`, it is sent again every half second until it is answered as expected: names and rules of a Service that has just
    become ready take a moment to reach the nodes.
    """

    service: str = ""
    gateway: str = ""
    namespace: str = "default"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    method: Literal["", "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"] = ""
    path: str = "/"
    json_: Any = None
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = 10.0
    within: Duration = 0.0
    expect: ExpectedAnswer = ExpectedAnswer()

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if bool(self.service) == bool(self.gateway):
            what = "has both service and gateway" if self.service else "has neither service nor gateway"
            raise bad(what, "give service: NAME (a Service) or gateway: NAME (a Gateway)")
        return self


class Step(OneOf):
    """One step. `name` says what it is for, in the scenario's own words."""

    beside: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = ""
    apply: Apply | None = None
    patch: Patch | None = None
    delete: ObjectRef | None = None
    wait: Wait | None = None
    hold: Hold | None = None
    remember: Annotated[dict[str, ObjectField] | None, BeforeValidator(_names_to_remember)] = None
    fault: Fault | None = None
    drain: DrainOf | None = None
    cordon: NodeOf | None = None
    uncordon: NodeOf | None = None
    sleep: Duration | None = None
    request: Request | None = None
    start_traffic: Annotated[list[str] | None, BeforeValidator(_one_or_more)] = None
    stop_traffic: Annotated[list[str] | None, BeforeValidator(_one_or_more)] = None
