"""What a request asks for, read off method and path alone, whether or not such a resource is served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMED = re.compile(r"metadata\.name==?([A-Za-z0-9.:_-]+)")
_TRUE = ("1", "true", "True", "TRUE", "t", "T")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Attributes of a request. `resource` is empty for paths that name no resource (`/version`, `/apis/apps`)."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def target(self) -> str:
        """Target of the fault point, as the in-process client names it: `plural/namespace/name[/subresource]`, or the path."""
        if not self.resource:
            return self.path
        namespace = "" if self.resource == "namespaces" else self.namespace
        return "/".join(part for part in (self.resource, namespace, self.name, self.subresource) if part)


def request_info(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    """Verbs of requests that name no resource are the method in lower case."""
    parts = [part for part in path.split("/") if part]
    if not parts or parts[0] not in ("api", "apis"):
        return RequestInfo(method.lower(), path)
    depth = 2 if parts[0] == "api" else 3
    if len(parts) <= depth:
        return RequestInfo(method.lower(), path)
    group, version = ("", parts[1]) if depth == 2 else (parts[1], parts[2])
    rest = parts[depth:]
    verb = _VERBS.get(method, "")
    if rest[0] == "watch" and len(rest) > 1:
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if not name:
        if verb == "get":
            watches = query.get("watch")
            verb = "watch" if watches and watches[0] in _TRUE else "list"
            if (selector := query.get("fieldSelector")) and (one := _NAMED.fullmatch(selector[0])) is not None:
                # Whoever may see one object only lists it by its name.
                name = one.group(1)
        elif verb == "delete":
            verb = "deletecollection"
    return RequestInfo(verb, path, group, version, rest[0], subresource, namespace, name)
