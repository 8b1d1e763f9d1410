"""Routes: which call a method and a path stand for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from rayrig.apiserver.wire.messages import Message
from rayrig_core.objects import JsonObject

Handler: TypeAlias = Callable[[JsonObject], Awaitable[JsonObject]]
"""Takes the decoded request message, returns the reply message; raises `CallError`."""


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
