"""`serveConfigV2`: the Serve document as YAML text in a manifest. What is wrong with it is told with line, field and remedy.

The schema itself is `rayrig_core.resources.serve_schema`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from pydantic import BaseModel, ValidationError

from rayrig_core.errors import InputError
from rayrig_core.objects import Json
from rayrig_core.resources.go_yaml import YamlError, yaml_to_json
from rayrig_core.resources.serve_deployment_schema import AutoscalingConfig, DeploymentSchema, RayActorOptionsSchema
from rayrig_core.resources.serve_schema import (
    HTTPOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
    gRPCOptionsSchema,
    validate_serve_config,
)
from rayrig_core.resources.serve_schema_parts import Importable


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong in a Serve config. `line` is counted from 1 in the text, 0 when the text has no such place."""

    line: int
    location: tuple[int | str, ...]
    what: str
    remedy: str

    def where(self, where: str, first_line: int) -> str:
        """`FILE:LINE applications[0].name`, for a text that begins at `first_line` of `where`."""
        return _place(where, first_line, self.line, self.location)


def parse_serve_config(
    yaml_text: str, where: str = "serveConfigV2", *, first_line: int = 1, importable: Importable | None = None
) -> ServeDeploySchema:
    """Parse and validate `serveConfigV2`.

    `where` names the place of the text (a file, a field of a manifest); `first_line` is the line there at which the text begins.
    Raises `InputError` with line and field.
    """
    found = _parsed(yaml_text, importable)
    if isinstance(found, ServeDeploySchema):
        return found
    first = found[0]
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    raise InputError(first.what + more, where=first.where(where, first_line), remedy=first.remedy)


def serve_config_problems(yaml_text: str) -> list[ConfigProblem]:
    """All that Serve would refuse."""
    found = _parsed(yaml_text, None)
    return found if isinstance(found, list) else []


def _parsed(yaml_text: str, importable: Importable | None) -> ServeDeploySchema | list[ConfigProblem]:
    try:
        document = yaml_to_json(yaml_text)
    except YamlError as error:
        return [ConfigProblem(error.line, (), f"not YAML: {error.problem}", "mend the YAML text")]
    try:
        return validate_serve_config(document, importable=importable)
    except ValidationError as error:
        return [
            ConfigProblem(
                line_of(yaml_text, tuple(found["loc"])),
                tuple(found["loc"]),
                f"invalid Serve config: {found['msg'].removeprefix('Value error, ')}",
                _REMEDIES.get(found["type"], "see the Serve config schema"),
            )
            for found in error.errors(include_url=False, include_input=False)
        ]
    except (ModuleNotFoundError, NotImplementedError) as error:
        return [ConfigProblem(0, (), f"invalid Serve config: {error}", "name what the head's image has")]


_REMEDIES = {
    "missing": "add the field",
    "extra_forbidden": "remove the field",
    "value_error": "change the value",
    "list_type": "give a list",
    "dict_type": "give a mapping",
    "model_type": "give a mapping",
    "string_type": "give text, in quotes if it looks like a number",
}


def _place(where: str, first_line: int, line: int, location: tuple[int | str, ...]) -> str:
    place = f"{where}:{first_line + line - 1}" if line else where
    return f"{place} {field_path(location)}" if location else place


def field_path(location: tuple[int | str, ...]) -> str:
    """`applications[0].import_path` from pydantic's location; names of union branches are left out."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isidentifier():
            path += f".{step}" if path else step
    return path


def line_of(yaml_text: str, location: tuple[int | str, ...]) -> int:
    """Line, from 1, at which the value at `location` stands, or the nearest one around it; 0 when the text has none."""
    node = yaml.compose(yaml_text, Loader=yaml.SafeLoader)
    line = 0
    for step in (*location, None):
        if node is None:
            break
        line = node.start_mark.line + 1
        found = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    line, found = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
        if found is None:
            break
        node = found
    return line


def unknown_fields(document: Json) -> list[tuple[int | str, ...]]:
    """Locations of the fields that Serve would drop without a word. The document must have passed validation."""
    unknown: list[tuple[int | str, ...]] = []
    _collect_unknown(ServeDeploySchema, document, (), unknown)
    return unknown


_NESTED: dict[type[BaseModel], dict[str, type[BaseModel]]] = {
    ServeDeploySchema: {
        "applications": ServeApplicationSchema,
        "http_options": HTTPOptionsSchema,
        "grpc_options": gRPCOptionsSchema,
    },
    ServeApplicationSchema: {"deployments": DeploymentSchema},
    DeploymentSchema: {"ray_actor_options": RayActorOptionsSchema, "autoscaling_config": AutoscalingConfig},
}


def _collect_unknown(
    model: type[BaseModel], value: Json, location: tuple[int | str, ...], unknown: list[tuple[int | str, ...]]
) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _collect_unknown(model, item, (*location, index), unknown)
        return
    if not isinstance(value, dict):
        return
    nested = _NESTED.get(model, {})
    for key, item in value.items():
        if key not in model.model_fields:
            unknown.append((*location, key))
        elif key in nested:
            _collect_unknown(nested[key], item, (*location, key), unknown)
