"""Routes: which call a method and a path stand for (`reference/kuberay-apiserver.md` section 2.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rayrig.apiserver.wire.errors import CallError, Code
from rayrig.apiserver.wire.messages import Message
from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject

Handler: TypeAlias = Callable[[JsonObject], Awaitable[JsonObject]]
"""Takes the decoded request message, returns the reply message; raises `CallError`."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of a call to HTTP.

    `rpc` is `Service.Method`. `template` has the request's fields in braces, one path segment each. `body` names the
    request field (proto spelling) that the HTTP body is; without one the body is ignored. What neither path nor body
    fills comes from the query.
    """

    method: str
    template: str
    rpc: str
    request: Message
    reply: Message
    handler: Handler
    body: str = ""

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The fields that the path fills, by their spelling in the template. A field takes an empty segment, too."""
        expected = self.template[1:].split("/")
        if len(segments) != len(expected):
            return None
        found: dict[str, str] = {}
        for segment, part in zip(segments, expected, strict=True):
            if part.startswith("{"):
                found[part[1:-1]] = segment
            elif segment != part:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Match:
    """`takes_form`: the body is a form whose fields stand beside the query's."""

    route: Route
    path_fields: Mapping[str, str]
    takes_form: bool = False


class Routes:
    """All that the gateway knows."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)

    def find(self, request: HttpRequest) -> Match:
        """Raises `CallError`: 5 where no route has the path, 12 where none has the method.

        A form may say another method in a header, so that a long query fits into a body; without it, it is taken for a GET
        where a POST means nothing.
        """
        is_form = request.method == "POST" and request.headers.get("content-type") == FORM
        override = request.headers.get("x-http-method-override", "").upper() if is_form else ""
        method = override or request.method
        segments = request.path[1:].split("/")
        matches = {route.method: (route, found) for route in self.all if (found := route.match(segments)) is not None}
        if method in matches:
            route, fields = matches[method]
            return Match(route, fields, bool(override))
        if is_form and not override and "GET" in matches:
            route, fields = matches["GET"]
            return Match(route, fields, True)
        if matches:
            raise CallError(Code.UNIMPLEMENTED, "Method Not Allowed")
        raise CallError(Code.NOT_FOUND, "Not Found")
