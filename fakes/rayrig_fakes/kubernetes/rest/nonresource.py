"""Paths that name no resource: discovery, OpenAPI, health, metrics, version (K8-001 to K8-006).

Documents carry ETags where the real server's do, and are answered with 304 to whoever has them already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import discovery, status
from rayrig_fakes.kubernetes.rest.requests import JSON, PROTOBUF, YAML, PlainNotFound, media_type
from rayrig_fakes.kubernetes.state import ServerState

_PLAIN = "text/plain; charset=utf-8"
_AGGREGATED = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#: What the server looks after, as `?verbose` lists it.
_CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiextensions-informers", "poststarthook/crd-informer-synced")
_HEALTH = ("healthz", "livez", "readyz")
_PATHS = (
    "/.well-known/openid-configuration",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
    *(f"/{path}/{check}" for path in _HEALTH for check in _CHECKS),
)

#: About tokens of service accounts. They are signed with a key that nobody else has, so there are no public ones.
_ISSUER: dict[str, JsonObject] = {
    ".well-known/openid-configuration": {
        "issuer": "https://kubernetes.default.svc.cluster.local",
        "jwks_uri": "https://127.0.0.1:6443/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256"],
    },
    "openid/v1/jwks": {"keys": []},
}


@dataclass(frozen=True, slots=True)
class Document:
    """An answer. Header names are lower case."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def document(state: ServerState, path: str, request: HttpRequest) -> Document:
    """What is at a path (without slashes at its ends). Raises `PlainNotFound`, `ApiError` 405 and 406."""
    form = _form(state, path, request.headers.get("accept", ""))
    found = _find(state, path, request)
    if request.method != "GET" and _is_for_get(state, path):
        raise status.method_not_allowed()
    if form == YAML and found.content_type == JSON:
        from rayrig_fakes.kubernetes.rest.yaml_text import to_yaml

        found = Document(to_yaml(json.loads(found.body)).encode(), YAML, found.status, found.headers)
    etag = found.headers.get("etag")
    if etag is not None and etag in request.headers.get("if-none-match", ""):
        return Document(b"", found.content_type, 304, found.headers)
    return found


def _form(state: ServerState, path: str, accept: str) -> str:
    """JSON or YAML, for the documents that are served in both. Raises `ApiError` 406."""
    first = path.partition("/")[0]
    if not accept or accept == "*/*" or first not in ("api", "apis", "version"):
        return JSON
    by_route = _is_for_get(state, path)
    types = (JSON,) if first == "version" else (JSON, YAML, PROTOBUF)
    is_known = False
    for part in accept.split(","):
        media = media_type(part)
        if media in (JSON, "*/*", YAML) or (media == "application/*" and not by_route):
            form = YAML if media == YAML else JSON
            if form not in types:
                continue
            is_known = True
            if first == "version" or " as=" not in part.replace(";", " "):
                return form
            if "apidiscovery.k8s.io" in part:
                return JSON
        elif media == PROTOBUF:
            is_known = True
    if by_route and not is_known:
        text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(types)}"
        raise status.error(406, "NotAcceptable", text, {})
    if accept.strip().startswith(PROTOBUF) and "as=" not in accept:
        return JSON
    raise status.error(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(types)}")


def _is_for_get(state: ServerState, path: str) -> bool:
    """What the real server routes by method; the rest answers any method in the same way."""
    parts = path.split("/")
    if parts[0] != "apis":
        return parts[0] in ("version", "api", ".well-known", "openid")
    return len(parts) == 3 and not state.registry.is_custom_group(parts[1], parts[2])


def _find(state: ServerState, path: str, request: HttpRequest) -> Document:
    first, _, rest = path.partition("/")
    if first in _HEALTH:
        return _health(first, rest, request)
    issuer = _ISSUER.get(path)
    if issuer is not None:
        return _json(issuer)
    if path == "metrics":
        return Document(_metrics(state).encode(), "text/plain; version=0.0.4; charset=utf-8")
    if first == "openapi":
        # Most servers are never asked.
        from rayrig_fakes.kubernetes.openapi.documents import find

        found = find(state, rest, request)
        if found is None:
            if rest.startswith("v3/"):
                return Document(b"", "", 404)
            raise PlainNotFound
        return Document(found.body, found.content_type, found.status, found.headers)
    return _discover(state, path, request)


def _json(value: JsonObject) -> Document:
    return Document(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


# Discovery


def _discover(state: ServerState, path: str, request: HttpRequest) -> Document:
    registry = state.registry
    parts = path.split("/") if path else []
    if not parts:
        return _json(discovery.root_paths(registry, _PATHS))
    if parts == ["version"]:
        return _json(discovery.VERSION)
    if parts in (["api"], ["apis"]):
        core = parts == ["api"]
        if _wants_aggregated(request.headers.get("accept", "")):
            return _aggregated(discovery.aggregated(registry, core=core))
        return _json(discovery.api_versions() if core else discovery.group_list(registry))
    found: JsonObject | None = None
    if parts[0] == "apis" and len(parts) == 2:
        found = discovery.group(registry, parts[1])
    elif parts[0] in ("api", "apis") and len(parts) > 1:
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[-1])
        if registry.has_group_version(group, version):
            found = discovery.resource_list(registry, group, version)
    if found is None:
        if parts[0] == "api" or (parts[0] == "apis" and len(parts) > 2 and registry.is_builtin_group(parts[1])):
            raise status.unknown_resource()
        raise PlainNotFound
    return _json(found)


def _wants_aggregated(accept: str) -> bool:
    """The first range that can be served is the aggregated list."""
    for part in accept.split(","):
        if media_type(part) != JSON:
            continue
        parameters = dict(piece.strip().partition("=")[::2] for piece in part.split(";")[1:])
        if "as" not in parameters and "g" not in parameters:
            return False
        if parameters == {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}:
            return True
    return False


def _aggregated(value: JsonObject) -> Document:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    return Document(body, _AGGREGATED, headers={"etag": etag, "vary": "Accept", "cache-control": "public"})


# Health and metrics


def _health(path: str, check: str, request: HttpRequest) -> Document:
    if check:
        if check not in _CHECKS:
            raise PlainNotFound
        return Document(b"ok", _PLAIN, headers=_NO_SNIFFING)
    if "verbose" not in request.query:
        return Document(b"ok", _PLAIN, headers=_NO_SNIFFING)
    excluded = request.query.get("exclude") or ()
    lines = [f"[+]{name} {'excluded: ok' if name in excluded else 'ok'}" for name in _CHECKS]
    return Document("\n".join([*lines, f"{path} check passed", ""]).encode(), _PLAIN, headers=_NO_SNIFFING)


_NO_SNIFFING = {"x-content-type-options": "nosniff"}


def _metrics(state: ServerState) -> str:
    """Few, in Prometheus' text format: what is stored, and by which version."""
    version = discovery.VERSION
    build = ",".join(
        f'{label}="{version[key]}"'
        for label, key in (("git_version", "gitVersion"), ("major", "major"), ("minor", "minor"))
    )
    lines = [
        "# HELP kubernetes_build_info Version of the API this server speaks.",
        "# TYPE kubernetes_build_info gauge",
        f"kubernetes_build_info{{{build}}} 1",
        "# HELP apiserver_storage_objects Number of stored objects by resource.",
        "# TYPE apiserver_storage_objects gauge",
    ]
    storages = dict.fromkeys(served.storage for served in state.registry if not served.verbs)
    for storage in sorted(storages):
        lines.append(f'apiserver_storage_objects{{resource="{storage}"}} {len(state.store.collection(storage))}')
    lines += [
        "# HELP rayrig_storage_revision The newest resourceVersion.",
        "# TYPE rayrig_storage_revision counter",
        f"rayrig_storage_revision {state.store.revision}",
    ]
    return "\n".join(lines) + "\n"
