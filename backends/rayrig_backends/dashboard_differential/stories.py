"""Stories for two dashboards: short sequences of requests, read from JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rayrig_backends.differential.json_files import read_json
from rayrig_core.errors import InputError
from rayrig_core.http import HttpRequest
from rayrig_core.objects import Json, JsonObject

APPLICATIONS = "/api/serve/applications/"
Target = Literal["dashboard", "proxy"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `body` is sent as JSON; `text` as it is, instead. `within_s`: how long what it began may take to settle."""

    method: str
    path: str = APPLICATIONS
    to: Target = "dashboard"
    body: Json = None
    text: str | None = None
    within_s: float = 60.0

    @property
    def content(self) -> str:
        if self.text is not None:
            return self.text
        return "" if self.body is None else json.dumps(self.body)

    @property
    def request(self) -> HttpRequest:
        headers = {"content-type": "application/json"} if self.content else {}
        return HttpRequest.of(self.method, self.path, headers=headers, body=self.content.encode())

    @property
    def changes(self) -> bool:
        """It may change what Serve runs."""
        return self.to == "dashboard" and self.method in ("PUT", "POST", "DELETE")

    def told(self) -> str:
        """In one line."""
        where = self.path if self.to == "dashboard" else f"{self.to} {self.path}"
        return f"{self.method} {where} {self.content}".rstrip()


@dataclass(frozen=True, slots=True)
class Story:
    """`fresh`: Serve does not run when it begins; else it runs without applications."""

    name: str
    asks: tuple[Ask, ...]
    fresh: bool = False


def read_stories(path: Path) -> list[Story]:
    """Of a file, or of all `*.json` of a folder: lists of `{name, fresh, asks: [{method, path, to, body, text, within_s}]}`.

    Raises `InputError`.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    stories = [story for file in files for story in _of_file(file)]
    if not stories:
        raise InputError("no stories there", where=str(path), remedy="give a JSON file of stories, or a folder of them")
    return stories


def _of_file(path: Path) -> list[Story]:
    found = read_json(path)
    if not isinstance(found, list):
        raise InputError("not a list of stories", where=str(path))
    return [_story(each, f"{path} [{index}]") for index, each in enumerate(found)]


def _story(form: JsonObject, where: str) -> Story:
    try:
        return Story(form["name"], tuple(Ask(**ask) for ask in form["asks"]), form.get("fresh", False))
    except (TypeError, KeyError) as problem:
        raise InputError(f"no story: {problem}", where=where, remedy="name, asks and perhaps fresh") from None
