"""Scripts of containers as a scenario writes them: which containers, and what they play.

The vocabulary is the simulation's (`rayrig_sim.kubernetes.kubelet.container_scripts`); here durations must carry their unit, as
everywhere in the language.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rayrig_scenarios.language.model import Model
from rayrig_scenarios.language.units import bad, parse_duration
from rayrig_sim.kubernetes.kubelet.container_scripts import (
    CONTAINER_FIELDS,
    ScriptProblem,
    read_container,
    read_pulls,
    read_sandbox,
)
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule

_SELECTORS = ("image", "container", "pod", "namespace", "labels")


def _seconds(value: Any) -> float:
    try:
        return parse_duration(value)
    except PydanticCustomError as error:
        context = error.context or {}
        raise ScriptProblem((), str(context["what"]), str(context["remedy"])) from None


class ContainerScript(Model):
    """Containers, by any of image, container name, pod, labels and namespace (`*` matches any text), and what they play.

    The first entry that matches a container counts.
    """

    image: str = ""
    container: str = ""
    pod: str = ""
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    http: Any = None
    grpc: Any = None
    exec: Any = None
    runs: Any = None
    term: Any = None
    log: Any = None
    message: Any = None
    pull: Any = None
    sandbox: Any = None

    @field_validator(*CONTAINER_FIELDS, "pull", "sandbox", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        try:
            match name:
                case "pull":
                    return read_pulls(value, _seconds)
                case "sandbox":
                    return read_sandbox(value, _seconds)
                case _:
                    return read_container({name: value}, seconds=_seconds)[name]
        except ScriptProblem as problem:
            error = bad(problem.what, problem.remedy)
            place = problem.place if name in ("pull", "sandbox") else problem.place[1:]
            error.context["place"] = place  # type: ignore[index]
            raise error from None

    @model_validator(mode="after")
    def _some_selector(self) -> Self:
        if not any(getattr(self, name) for name in _SELECTORS):
            raise bad("says not which containers", "give one or more of: " + ", ".join(_SELECTORS))
        return self


def script_rule(written: ContainerScript) -> ScriptRule:
    """For the world."""
    return ScriptRule(
        image=written.image,
        container=written.container,
        pod=written.pod,
        namespace=written.namespace,
        labels=dict(written.labels),
        script={name: getattr(written, name) for name in CONTAINER_FIELDS if getattr(written, name) is not None},
        pulls=tuple(written.pull or ()),
        sandbox=written.sandbox or {},
    )
