"""Base of the language's models: unknown fields refused with the nearest known one, single values allowed where they are plain."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from rayrig_core.remedies import closest
from rayrig_scenarios.language.units import bad


def yaml_name(field: str) -> str:
    """Fields are written with hyphens: `start_traffic` is `start-traffic`; a trailing `_` only keeps Python content."""
    return field.rstrip("_").replace("_", "-")


class Model(BaseModel):
    """A mapping of a scenario file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        alias_generator=yaml_name,
        populate_by_name=True,
        protected_namespaces=(),
        defer_build=True,
    )

    #: Field that a plain text written instead of the mapping stands for.
    shorthand: ClassVar[str] = ""

    @classmethod
    def field_names(cls) -> list[str]:
        """As they are written in YAML."""
        return [yaml_name(name) for name in cls.model_fields]

    @model_validator(mode="before")
    @classmethod
    def _mapping_of_known_fields(cls, value: Any) -> Any:
        if cls.shorthand and isinstance(value, str):
            return {cls.shorthand: value}
        if not isinstance(value, dict):
            return value
        known = cls.field_names()
        for key in value:
            if key not in known and key not in cls.model_fields:
                error = bad(f'no field is called "{key}"', closest(str(key), known))
                error.context["key"] = key  # type: ignore[index]
                raise error
        return value


class OneOf(Model):
    """A mapping in which exactly one of the fields is given, besides those in `beside`."""

    beside: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [
            name for name in type(self).model_fields if name not in self.beside and getattr(self, name) is not None
        ]
        if len(given) == 1:
            return self
        choices = ", ".join(yaml_name(name) for name in type(self).model_fields if name not in self.beside)
        if not given:
            raise bad("says nothing", f"give one of: {choices}")
        raise bad(
            "says several things at once: " + ", ".join(yaml_name(name) for name in given), "make it one entry for each"
        )

    @property
    def chosen(self) -> str:
        """Name of the given field, in Python's spelling."""
        return next(
            name for name in type(self).model_fields if name not in self.beside and getattr(self, name) is not None
        )
