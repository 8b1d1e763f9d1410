"""What the server tells of its calls: a Swagger document for each group of them, and a page that lists them."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence

from rayrig.apiserver.wire.routes import Route
from rayrig.apiserver.wire.swagger import document
from rayrig_core.http import HttpResponse

_ENDING = ".swagger.json"


class Descriptions:
    """`groups` has routes by the name of the file that describes them."""

    def __init__(self, groups: Mapping[str, Sequence[Route]]) -> None:
        self._groups = {**groups, "error": ()}

    def answer(self, path: str) -> HttpResponse | None:
        """None where there is nothing."""
        if path == "/swagger-ui/":
            return HttpResponse.text(200, self._page(), "text/html; charset=utf-8")
        name = path.removeprefix("/swagger/").removesuffix(_ENDING)
        if path != f"/swagger/{name}{_ENDING}" or name not in self._groups:
            return None
        text = json.dumps(document(f"{name}.proto", self._groups[name]), indent=2)
        return HttpResponse.text(200, text, "application/json")

    def _page(self) -> str:
        lines = ["<!DOCTYPE html>", '<html lang="en"><meta charset="utf-8"><title>KubeRay API server</title>']
        for name, routes in self._groups.items():
            lines.append(f'<h2><a href="/swagger/{name}{_ENDING}">{name}</a></h2>')
            rows = [f"<tr><td>{route.method}<td>{html.escape(route.template)}<td>{route.rpc}" for route in routes]
            lines += ["<table>", *rows, "</table>"] if rows else []
        return "\n".join([*lines, "</html>", ""])
