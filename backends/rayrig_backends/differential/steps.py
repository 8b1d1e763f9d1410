"""The form of a story: requests whose texts may speak of what earlier answers held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from rayrig_core.errors import InputError
from rayrig_core.objects import Json, JsonObject

#: Who asks: with the token of an administrator, of a user without rights, without one, with one that nobody has.
USERS = ("admin", "reader", "none", "bad")


@dataclass(frozen=True, slots=True)
class Step:
    """One request. Path, query, headers and strings of the body may hold references (`references.fill`)."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    #: Sent as JSON; `text` is sent as it stands.
    body: Json = None
    text: str | None = None
    user: str = "admin"
    #: The answer is a stream, which stays open to the end of the story.
    watch: bool = False
    #: Ask until the definition at this path is Established and its resources are served.
    until_served: str = ""

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        query = urlencode(self.query, safe="${}:/,=!()")
        return f"{self.path}?{query}" if query else self.path

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def told(self) -> str:
        """The step in one line, as a person would type it."""
        parts = [self.method, self.target]
        parts += [f"-H '{key}: {value}'" for key, value in self.headers]
        if self.user != "admin":
            parts.append(f"(as {self.user})")
        if self.watch:
            parts.append("(a watch, open from here)")
        if self.text is not None:
            parts.append(repr(self.text))
        elif self.body is not None:
            parts.append(json.dumps(self.body, ensure_ascii=False))
        return " ".join(parts)

    def as_json(self) -> JsonObject:
        """Without what is as usual."""
        form: JsonObject = {"method": self.method, "path": self.path}
        if self.query:
            form["query"] = [list(pair) for pair in self.query]
        if self.headers:
            form["headers"] = [list(pair) for pair in self.headers]
        if self.text is not None:
            form["text"] = self.text
        elif self.body is not None:
            form["body"] = self.body
        if self.user != "admin":
            form["user"] = self.user
        if self.watch:
            form["watch"] = True
        if self.until_served:
            form["untilServed"] = self.until_served
        return form

    @classmethod
    def of_json(cls, form: Mapping[str, Any]) -> Step:
        """Raises `InputError`."""
        try:
            return cls(
                str(form["method"]),
                str(form["path"]),
                tuple((str(key), str(value)) for key, value in form.get("query") or ()),
                tuple((str(key), str(value)) for key, value in form.get("headers") or ()),
                form.get("body"),
                form.get("text"),
                form.get("user", "admin"),
                bool(form.get("watch", False)),
                form.get("untilServed", ""),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise InputError(f"not a step: {problem!r}") from None


@dataclass(frozen=True, slots=True)
class Story:
    """Steps that are told in a namespace of their own (`${ns}`), whose names hold a word of their own (`${u}`)."""

    area: str
    number: int
    steps: tuple[Step, ...]

    def with_steps(self, steps: tuple[Step, ...]) -> Story:
        return replace(self, steps=steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def as_json(self) -> JsonObject:
        return {"area": self.area, "number": self.number, "steps": [step.as_json() for step in self.steps]}

    @classmethod
    def of_json(cls, form: Mapping[str, Any]) -> Story:
        """Raises `InputError`."""
        steps = form.get("steps")
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise InputError("a story needs a list of steps")
        return cls(str(form.get("area", "")), int(form.get("number", 0)), tuple(Step.of_json(step) for step in steps))
