"""The paths of served resources: what can be asked, with which parameters, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import discovery
from rayrig_fakes.kubernetes.openapi import names
from rayrig_fakes.kubernetes.openapi.schemas import GVK, Schemas
from rayrig_fakes.kubernetes.patch import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from rayrig_fakes.kubernetes.registry import Served

_JSON = "application/json"
_QUERY = {
    "allowWatchBookmarks": "boolean",
    "continue": "string",
    "dryRun": "string",
    "fieldManager": "string",
    "fieldSelector": "string",
    "fieldValidation": "string",
    "force": "boolean",
    "gracePeriodSeconds": "integer",
    "labelSelector": "string",
    "limit": "integer",
    "orphanDependents": "boolean",
    "pretty": "string",
    "propagationPolicy": "string",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
_LISTING = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_DELETING = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
#: By verb: the method, what the extension calls the action, the parameters.
_VERBS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "list": ("get", "list", _LISTING),
    "create": ("post", "post", _WRITING),
    "deletecollection": ("delete", "deletecollection", (*_LISTING[1:8], *_DELETING)),
    "get": ("get", "get", ()),
    "update": ("put", "put", _WRITING),
    "patch": ("patch", "patch", (*_WRITING, "force")),
    "delete": ("delete", "delete", _DELETING),
}
_ON_COLLECTION, _ON_OBJECT = ("list", "create", "deletecollection"), ("get", "update", "patch", "delete")
#: Answers that are no objects.
_CONNECTING = ("attach", "exec", "log", "portforward", "proxy")


class Operations:
    """The paths of one document."""

    def __init__(self, schemas: Schemas, *, v2: bool) -> None:
        self.paths: dict[str, JsonObject] = {}
        self._schemas = schemas
        self._v2 = v2

    def sorted(self) -> dict[str, JsonObject]:
        return dict(sorted(self.paths.items()))

    def add_document(self, path: str, operation_id: str, tag: str) -> None:
        """A path that answers a document of its own kind."""
        operation: JsonObject = {
            "operationId": operation_id,
            "tags": [tag],
            "responses": self._responses(None, ("200",)),
        }
        if self._v2:
            operation |= {"produces": [_JSON], "schemes": ["https"]}
        self.paths[path] = {"get": operation}

    def add_resource(self, served: Served) -> None:
        """All paths of a resource and its subresources."""
        kind = served.type
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        place = f"{root}/namespaces/{{namespace}}" if kind.namespaced else root
        collection = f"{place}/{kind.plural}"
        name = self._schemas.add_kind(served)
        verbs = discovery.verbs_of(served)
        self._add(served, collection, [verb for verb in _ON_COLLECTION if verb in verbs], name)
        if kind.namespaced and not served.verbs:
            self._add(served, f"{root}/{kind.plural}", ["list"], name, "ForAllNamespaces")
        if not served.verbs:
            self._add(served, f"{collection}/{{name}}", [verb for verb in _ON_OBJECT if verb in verbs], name)
        for subresource in served.subresources:
            self._add_subresource(served, f"{collection}/{{name}}", name, subresource)

    def _add_subresource(self, served: Served, path: str, name: str, subresource: str) -> None:
        group, version, kind = discovery.subresource_kind(served, subresource)
        verbs = discovery.subresource_verbs(subresource)
        gvk: JsonObject = {
            "group": group if version else served.type.group,
            "kind": kind,
            "version": version or served.type.version,
        }
        if subresource in _CONNECTING:
            self._add(served, f"{path}/{subresource}", verbs, None, subresource.capitalize(), gvk)
            return
        if kind != served.type.kind:
            api_version = f"{group}/{version}" if group else version or "v1"
            found = self._schemas.add_named(api_version, kind)
            self._add(served, f"{path}/{subresource}", verbs, found, subresource.capitalize(), gvk)
            return
        self._add(served, f"{path}/{subresource}", verbs, name, subresource.capitalize())

    def _add(
        self,
        served: Served,
        path: str,
        verbs: Sequence[str],
        schema: str | None,
        qualifier: str = "",
        gvk: JsonObject | None = None,
    ) -> None:
        """`gvk`: what the bodies are, where it is not the resource's own kind."""
        found: JsonObject = {}
        for verb in verbs:
            method, _, _ = _VERBS[verb]
            found[method] = self._operation(served, verb, schema, path, qualifier)
            if gvk is not None:
                found[method][GVK] = dict(gvk)
        if not found:
            return
        parameters = [self._parameter(part, "path") for part in ("name", "namespace") if f"{{{part}}}" in path]
        found["parameters"] = [*parameters, self._parameter("pretty", "query")]
        self.paths[path] = found

    def _operation(self, served: Served, verb: str, schema: str | None, path: str, qualifier: str) -> JsonObject:
        kind = served.type
        method, action, query = _VERBS[verb]
        group = "".join(part.capitalize() for part in (kind.group.removesuffix(".k8s.io") or "core").split("."))
        scope = "Namespaced" if "{namespace}" in path else ""
        word = {"update": "replace", "get": "read", "deletecollection": "deleteCollection"}.get(verb, verb)
        if not schema:
            word = f"connect{method.capitalize()}"
        operation: JsonObject = {
            "operationId": f"{word}{group}{kind.version.capitalize()}{scope}{kind.kind}{qualifier}",
            "tags": [f"{group[0].lower()}{group[1:]}_{kind.version}"],
            "x-kubernetes-action": action if schema else "connect",
            GVK: {"group": kind.group, "kind": kind.kind, "version": kind.version},
        }
        parameters = [self._parameter(name, "query") for name in query]
        if verb in ("create", "update") and schema:
            self._take(operation, parameters, schema, ("*/*",), required=True)
        elif verb == "patch":
            types: tuple[str, ...] = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
            if not served.rules.is_custom:
                types = (*types, STRATEGIC_PATCH)
            self._take(operation, parameters, names.PATCH, types, required=True)
        elif verb in ("delete", "deletecollection") and schema:
            self._take(operation, parameters, names.DELETE_OPTIONS, ("*/*",), required=False)
        if parameters:
            operation["parameters"] = parameters
        operation["responses"] = self._responses(*_answer(verb, schema))
        if self._v2:
            operation |= {"produces": [_JSON, "application/yaml"], "schemes": ["https"]}
        return operation

    def _take(
        self, operation: JsonObject, parameters: list[JsonObject], schema: str, types: Sequence[str], *, required: bool
    ) -> None:
        reference = self._schemas.reference(schema)
        if self._v2:
            operation["consumes"] = list(types)
            parameters.append(
                {"name": "body", "in": "body", "schema": reference, **({"required": True} if required else {})}
            )
            return
        operation["requestBody"] = {"content": {each: {"schema": reference} for each in types}}
        if required:
            operation["requestBody"]["required"] = True

    def _parameter(self, name: str, place: str) -> JsonObject:
        kind = _QUERY.get(name, "string")
        found: JsonObject = {"name": name, "in": place}
        if place == "path":
            found["required"] = True
        if self._v2:
            return found | {"type": kind, "uniqueItems": True}
        return found | {"schema": {"type": kind, "uniqueItems": True}}

    def _responses(self, schema: str | None, codes: Sequence[str]) -> JsonObject:
        words = {"200": "OK", "201": "Created", "202": "Accepted"}
        answers: JsonObject = {code: self._response(words[code], schema) for code in codes}
        # Every refusal is a Status.
        answers["default"] = self._response("Refused", names.STATUS)
        return answers

    def _response(self, description: str, schema: str | None) -> JsonObject:
        if schema is None:
            return {"description": description}
        reference = self._schemas.reference(schema)
        if self._v2:
            return {"description": description, "schema": reference}
        return {"description": description, "content": {_JSON: {"schema": reference}}}


def _answer(verb: str, schema: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Schema of the answer, and the codes it comes with."""
    if schema is None:
        return None, ("200",)
    codes: tuple[str, ...] = ("200",)
    if verb == "list":
        return f"{schema}List", codes
    if verb == "deletecollection":
        # The list of what was deleted: the real server's documents say Status.
        return None, ("200",)
    if verb == "delete":
        # A Status, or the object that goes on until its finalizers are gone.
        return None, ("200", "202")
    if verb == "create":
        codes = ("200", "201", "202")
    elif verb in ("update", "patch"):
        codes = ("200", "201")
    return schema, codes
