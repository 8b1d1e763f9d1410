"""The documents: OpenAPI 3 per group version with an index, and one in Swagger 2 (K8-004)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache

from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes import discovery
from rayrig_fakes.kubernetes.kinds.custom import CustomRules
from rayrig_fakes.kubernetes.openapi.operations import Operations
from rayrig_fakes.kubernetes.openapi.schemas import Schemas
from rayrig_fakes.kubernetes.registry import Registry, Served
from rayrig_fakes.kubernetes.state import ServerState

_JSON = "application/json"
_YEAR_S = 365 * 24 * 3600
_INFO: JsonObject = {"title": "Kubernetes", "version": discovery.VERSION["gitVersion"]}
_TOKEN: JsonObject = {"description": "Bearer token", "in": "header", "name": "authorization", "type": "apiKey"}
#: Documents about paths that name no resource: name, its one path, its operation.
_FIXED = {
    ".well-known/openid-configuration": (
        "/.well-known/openid-configuration/",
        "getServiceAccountIssuerOpenIDConfiguration",
    ),
    "api": ("/api/", "getCoreAPIVersions"),
    "apis": ("/apis/", "getAPIVersions"),
    "openid/v1/jwks": ("/openid/v1/jwks/", "getServiceAccountIssuerOpenIDKeyset"),
    "version": ("/version/", "getCodeVersion"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A document, or where it is now. Header names are lower case."""

    body: bytes
    content_type: str = _JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def find(state: ServerState, path: str, request: HttpRequest) -> Found | None:
    """What is at `/openapi/PATH`; None when there is nothing."""
    version, _, name = path.partition("/")
    if version not in ("v2", "v3") or (version == "v2" and name):
        return None
    if version == "v3" and not name:
        body = json.dumps(_index(state.registry), separators=(",", ":")).encode()
        # The real server leaves the type to be guessed.
        return Found(body, "text/plain; charset=utf-8", headers={"etag": f'"{_digest(body)}"', "vary": "Accept"})
    if not _takes_json(request.headers.get("accept", "")):
        return Found(b"", status=406, headers={"vary": "Accept"})
    if version == "v2":
        body = _cached(state.registry, "v2", lambda: _v2(state.registry))
        return Found(body, headers={"etag": f'"{_digest(body)}"', "vary": "Accept"})
    fingerprint = _fingerprint(state.registry, name)
    if fingerprint is None:
        return None
    headers = {"etag": f'"{fingerprint}"', "vary": "Accept"}
    wanted = (request.query.get("hash") or [""])[0]
    if wanted and wanted != fingerprint:
        return Found(b"", "text/html; charset=utf-8", 301, {**headers, "location": _url(name, fingerprint)})
    if wanted:
        headers["cache-control"] = "public, immutable"
        headers["expires"] = formatdate(state.now_unix_ns() // NS + _YEAR_S, usegmt=True)
    return Found(_cached(state.registry, fingerprint, lambda: _v3(state.registry, name)), headers=headers)


def _takes_json(accept: str) -> bool:
    if not accept.strip():
        return True
    ranges = [part.split(";")[0].strip() for part in accept.split(",")]
    return any(media in (_JSON, "*/*", "application/*") for media in ranges)


def _cached(registry: Registry, key: str, make: Callable[[], JsonObject]) -> bytes:
    found = registry.documents.get(key)
    if found is None:
        text = json.dumps(make(), separators=(",", ":"), ensure_ascii=False)
        found = registry.documents[key] = text.encode()
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest().upper()


# The index


def _url(name: str, fingerprint: str) -> str:
    return f"/openapi/v3/{name}?hash={fingerprint}"


def _index(registry: Registry) -> JsonObject:
    paths: JsonObject = {}
    for name in sorted(_names(registry)):
        fingerprint = _fingerprint(registry, name)
        if fingerprint is not None:
            paths[name] = {"serverRelativeURL": _url(name, fingerprint)}
    return {"paths": paths}


def _names(registry: Registry) -> Iterable[str]:
    """Groups have documents of their own, those of custom resources alone have none."""
    yield from _FIXED
    for group, version in registry.group_versions():
        if not group:
            yield f"api/{version}"
            continue
        yield f"apis/{group}/{version}"
    for group in dict.fromkeys(group for group, _ in registry.group_versions()):
        if group and not _is_custom_group(registry, group):
            yield f"apis/{group}"


def _is_custom_group(registry: Registry, group: str) -> bool:
    return all(registry.is_custom_group(each, version) for each, version in registry.group_versions() if each == group)


def _served(registry: Registry, name: str) -> list[Served] | None:
    """What a document is about; None when there is no such document."""
    if name in _FIXED:
        return []
    parts = name.split("/")
    if parts[0] == "api" and len(parts) == 2:
        return registry.in_version("", parts[1]) or None
    if parts[0] == "apis" and len(parts) == 3:
        return registry.in_version(parts[1], parts[2]) or None
    if parts[0] == "apis" and len(parts) == 2 and discovery.group(registry, parts[1]) is not None:
        return None if _is_custom_group(registry, parts[1]) else []
    return None


def _fingerprint(registry: Registry, name: str) -> str | None:
    """Of what a document is made of, so that it need not be made."""
    served = _served(registry, name)
    if served is None:
        return None
    parts = [name, str(_INFO["version"])]
    for each in served:
        parts.append(f"{each.type}/{each.type.kind} {each.subresources} {discovery.verbs_of(each)}")
        if isinstance(each.rules, CustomRules):
            parts.append(_fingerprint_of_schema(each.rules))
    return _digest("\n".join(parts).encode())


@lru_cache(maxsize=512)
def _fingerprint_of_schema(rules: CustomRules) -> str:
    return _digest(json.dumps(rules.schema, separators=(",", ":")).encode())


# The documents


def _v3(registry: Registry, name: str) -> JsonObject:
    schemas = Schemas("#/components/schemas/", v2=False)
    operations = Operations(schemas, v2=False)
    schemas.add_common()
    if name in _FIXED:
        path, operation = _FIXED[name]
        operations.add_document(path, operation, name.partition("/")[0].strip("."))
    else:
        tag = "".join(part.capitalize() for part in name.split("/")[1:])
        operations.add_document(f"/{name}/", f"get{tag}Resources", tag)
    for served in _served(registry, name) or ():
        operations.add_resource(served)
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": operations.sorted(),
        "components": {"schemas": schemas.sorted(), "securitySchemes": {"BearerToken": _TOKEN}},
    }


def _v2(registry: Registry) -> JsonObject:
    schemas = Schemas("#/definitions/", v2=True)
    operations = Operations(schemas, v2=True)
    schemas.add_common()
    for name, (path, operation) in _FIXED.items():
        operations.add_document(path, operation, name.partition("/")[0].strip("."))
    for served in registry:
        operations.add_resource(served)
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": operations.sorted(),
        "definitions": schemas.sorted(),
        "security": [{"BearerToken": []}],
        "securityDefinitions": {"BearerToken": _TOKEN},
    }
