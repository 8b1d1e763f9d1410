"""The HTTP-shaped face, without sockets: a request in, a response or an open watch out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import StaleRead
from rayrig_core.http import HttpRequest
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import POD, ResourceType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import ApiCall, Page
from rayrig_fakes.kubernetes.identity import ADMIN, UserInfo
from rayrig_fakes.kubernetes.rest.bookmark_objects import bookmark
from rayrig_fakes.kubernetes.rest.log_streams import LogStream
from rayrig_fakes.kubernetes.rest.methods import verb_of
from rayrig_fakes.kubernetes.rest.negotiation import Form, accepted, not_acceptable
from rayrig_fakes.kubernetes.rest.nonresource import document
from rayrig_fakes.kubernetes.rest.protobuf_status import protobuf_status
from rayrig_fakes.kubernetes.rest.requests import (
    JSON,
    PROTOBUF,
    YAML,
    Discovery,
    PlainNotFound,
    Target,
    call_of,
    flag,
    media_type,
    number,
    one,
    resolve,
)
from rayrig_fakes.kubernetes.rest.warning_headers import warning_headers
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.event_lines import EventForm, event_line, whole_object
from rayrig_fakes.kubernetes.storage.json_bytes import to_json
from rayrig_fakes.kubernetes.storage.revisions import Change
from rayrig_fakes.kubernetes.storage.store import Stored

_NO_SNIFFING = (("x-content-type-options", "nosniff"),)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A whole answer. Headers may repeat (`warning` does); their names are lower case."""

    status: int
    body: bytes
    content_type: str = JSON
    warnings: tuple[str, ...] = ()
    #: Further headers.
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        headers = [("content-type", self.content_type)] if self.content_type else []
        headers += [("warning", text) for text in self.warnings]
        return headers + list(self.extra) if self.extra else headers

    def json(self) -> Json:
        """Body parsed as JSON. Raises `ValueError`."""
        return json.loads(self.body)


Response: TypeAlias = ApiResponse | WatchResponse | LogStream


def handle(server: ApiServer, request: HttpRequest, user: UserInfo = ADMIN, stale: StaleRead | None = None) -> Response:
    """Answer one request of a user who may make it (a read from an older state, when it is `stale`). Never raises for what a
    client sends."""
    try:
        return _answer(server, request, user, stale)
    except PlainNotFound:
        return ApiResponse(404, b"404 page not found\n", "text/plain; charset=utf-8", extra=_NO_SNIFFING)
    except ApiError as refused:
        return _refusal(refused, request)
    except RecursionError:
        too_deep = status.bad_request("the object provided is nested too deeply")
        return _json(too_deep.code, too_deep.status)


def _refusal(refused: ApiError, request: HttpRequest, warnings: tuple[str, ...] = ()) -> ApiResponse:
    if refused.code == 406 and media_type(request.headers.get("accept", "")) == PROTOBUF:
        return ApiResponse(406, protobuf_status(refused.status), PROTOBUF)
    answer = _json(refused.code, refused.status, warnings)
    if media_type(request.headers.get("accept", "")) == YAML:
        answer = _as_yaml(answer)
    retry_after = (refused.status.get("details") or {}).get("retryAfterSeconds")
    return replace(answer, extra=(("retry-after", str(retry_after)),)) if retry_after else answer


def _json(code: int, value: Json, warnings: tuple[str, ...] = ()) -> ApiResponse:
    return ApiResponse(code, to_json(value), JSON, warnings)


def _answer(server: ApiServer, request: HttpRequest, user: UserInfo, stale: StaleRead | None) -> Response:
    target = resolve(server.state.registry, request.path)
    if isinstance(target, Discovery):
        found = document(server.state, target.path, request)
        return ApiResponse(found.status, found.body, found.content_type, extra=tuple(found.headers.items()))
    served = target.served
    verb = verb_of(request, target)
    form = accepted(request.headers.get("accept", ""), served.rules.is_custom, verb)
    warnings = warning_headers((served.warning,)) if served.warning else ()
    call = call_of(request, target, verb)
    if user is not ADMIN:
        call = call._replace(user=user)
    if stale is not None:
        call = call._replace(stale=stale)
    doubts: list[str] = []
    try:
        answer = _perform(server, request, target, call._replace(warnings=doubts), form, warnings)
    except ApiError as refused:
        # What was found doubtful is told all the same.
        answer = _refusal(refused, request, warnings + warning_headers(doubts))
    return _as_yaml(answer) if form.yaml and isinstance(answer, ApiResponse) else answer


def _as_yaml(answer: ApiResponse) -> ApiResponse:
    # Heavy, and rarely asked for.
    from rayrig_fakes.kubernetes.rest.yaml_text import to_yaml

    if answer.content_type != JSON:
        return answer
    return ApiResponse(answer.status, to_yaml(answer.json()).encode(), YAML, answer.warnings, answer.extra)


def _perform(
    server: ApiServer,
    request: HttpRequest,
    target: Target,
    call: ApiCall,
    form: Form,
    warnings: tuple[str, ...],
) -> Response:
    served, verb = target.served, call.verb
    if verb == "watch":
        return _watch(server, request, target, call, form, warnings)
    if verb == "list":
        return _list(server, request, target, server.list(call), form, warnings)
    if verb == "deletecollection":
        return _list(server, request, target, server.delete_collection(call), form, warnings)
    answer = server.call(call)
    warnings += warning_headers(answer.warnings)
    if answer.text is not None:
        if call.log is not None and call.log.follow and target.served.type == POD:
            pod = server.object(POD, call.name, call.namespace)
            if pod is not None and pod["spec"].get("nodeName") and not call.log.previous:
                return LogStream(server, pod, answer.text, call.log)
        if not answer.text:
            return ApiResponse(204, b"", "", warnings)
        return ApiResponse(200, answer.text.encode(), "text/plain", warnings)
    if form.kind == "PartialObjectMetadataList" and answer.body.get("kind") != "Status":
        raise not_acceptable(
            f"you requested {form.kind}, but the requested object is not a list (*{_package(served.type)}.{served.type.kind})"
        )
    if form.kind == "Table":
        _check_include(request)
    if form.kind == "Table" and answer.body.get("kind") != "Status":
        body = _table(
            server, target, [answer.body], request, {"resourceVersion": _version(answer.body)}, form.api_version
        )
        return _json(answer.code, body, warnings)
    if form.kind == "PartialObjectMetadata" and answer.body.get("kind") != "Status":
        return _json(answer.code, _partial(answer.body, form.api_version), warnings)
    if answer.stored is not None:
        return ApiResponse(answer.code, answer.stored.json(), JSON, warnings)
    return _json(answer.code, answer.body, warnings)


def _package(kind: ResourceType) -> str:
    """Where the server has its own form of a kind."""
    first = kind.group.partition(".")[0]
    return "core" if first in ("", "events") else first


def _version(obj: JsonObject) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))


# Representations


def _partial(obj: JsonObject, api_version: str) -> JsonObject:
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def _check_include(request: HttpRequest) -> str:
    """Which part of an object goes with its row. Raises `ApiError` 400."""
    include = one(request.query, "includeObject")
    if include not in ("", "Metadata", "Object", "None"):
        text = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise status.bad_request(f"Unable to convert to Table as requested: {text}")
    return include


def _table(
    server: ApiServer,
    target: Target,
    objects: Iterable[JsonObject],
    request: HttpRequest,
    metadata: JsonObject,
    api_version: str,
) -> JsonObject:
    include = _check_include(request)
    from rayrig_fakes.kubernetes.tables.everyday_kinds import row_conditions
    from rayrig_fakes.kubernetes.tables.printing import layout

    columns, row = layout(target.served)
    now = server.state.now_unix_ns()
    rows: list[JsonObject] = []
    for obj in objects:
        shown = None if include == "None" else obj if include == "Object" else _partial(obj, api_version)
        shown_row: JsonObject = {"cells": row(obj, now), "object": shown}
        if target.served.type == POD and (conditions := row_conditions(obj)):
            shown_row["conditions"] = conditions
        rows.append(shown_row)
    # The server lays kinds without a layout of their own out in another way, which has no empty list.
    is_plain = len(columns) == 2 and columns[1].name == "Created At"
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in columns
        ],
        "rows": rows or (None if is_plain else []),
    }


def _list(
    server: ApiServer, request: HttpRequest, target: Target, page: Page, form: Form, warnings: tuple[str, ...]
) -> ApiResponse:
    kind, custom = target.served.type, target.served.rules.is_custom
    metadata: JsonObject = {"resourceVersion": str(page.revision)}
    if page.continue_token or custom:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if form.kind == "PartialObjectMetadata":
        listed = "*unstructured.UnstructuredList" if custom else f"*{_package(kind)}.{kind.kind}List"
        raise not_acceptable(f"you requested {form.kind}, but the requested object is a list ({listed})")
    if form.kind == "Table":
        if not page.continue_token:
            metadata.pop("continue", None)
        return _json(
            200,
            _table(server, target, [each.obj for each in page.items], request, metadata, form.api_version),
            warnings,
        )
    if form.kind == "PartialObjectMetadataList":
        if not page.continue_token:
            metadata.pop("continue", None)
        items = [_partial(each.obj, form.api_version) for each in page.items]
        body = {"kind": form.kind, "apiVersion": form.api_version, "metadata": metadata, "items": items}
        return _json(200, body, warnings)
    head = to_json({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
    body_items = b",".join(_item(each, custom) for each in page.items)
    return ApiResponse(200, head[:-1] + b',"items":[' + body_items + b"]}", JSON, warnings)


def _item(stored: Stored, custom: bool) -> bytes:
    """Items of built-in lists leave out kind and apiVersion."""
    return stored.json() if custom else stored.item()


# Watches


def _watch(
    server: ApiServer, request: HttpRequest, target: Target, call: ApiCall, form: Form, warnings: tuple[str, ...]
) -> WatchResponse:
    query = request.query
    if form.kind == "Table":
        _check_include(request)
    # The old path of watches, without the flag, gives none.
    bookmarks = flag(query, "allowWatchBookmarks") and flag(query, "watch")
    if target.name:
        selector = f"metadata.name={target.name}"
        call = call._replace(
            name="", field_selector=f"{call.field_selector},{selector}" if call.field_selector else selector
        )
    timeout = number(query, "timeoutSeconds")
    cursor = server.watch(call)
    closing = None
    tells_all = call.send_initial_events if "sendInitialEvents" in query else call.resource_version in ("", "0")
    if bookmarks and tells_all:
        closing = bookmark(target.served.type, str(server.revision), closes_initial=True)
        if form.kind == "PartialObjectMetadata":
            closing = _partial(closing, form.api_version)
    shaped, first = _event_forms(server, target, request, form)
    return WatchResponse(
        target,
        cursor,
        shaped,
        server.state.store.event_chunks,
        first=first,
        timeout_s=float(timeout) if timeout else None,
        bookmarks=bookmarks,
        warnings=warnings,
        closing=closing,
    )


def bookmark_line(server: ApiServer, watch: WatchResponse) -> bytes:
    """A BOOKMARK event at the present version, to be sent now and then and before the end of a stream."""
    return event_line("BOOKMARK", bookmark(watch.target.served.type, str(server.revision)))


def _event_forms(
    server: ApiServer, target: Target, request: HttpRequest, form: Form
) -> tuple[EventForm, EventForm | None]:
    """How events are shown, and how the first of them is where that differs."""
    if form.kind == "PartialObjectMetadata":
        return (_metadata_only if form.version == "v1" else _metadata_only_v1beta1), None
    if form.kind != "Table":
        return whole_object, None

    def row(change: Change) -> bytes:
        body = _table(
            server, target, [change.object], request, {"resourceVersion": _version(change.object)}, form.api_version
        )
        body["columnDefinitions"] = None
        return event_line(change.type, body)

    def row_with_columns(change: Change) -> bytes:
        body = _table(
            server, target, [change.object], request, {"resourceVersion": _version(change.object)}, form.api_version
        )
        return event_line(change.type, body)

    return row, row_with_columns


def _metadata_only(change: Change) -> bytes:
    return event_line(change.type, _partial(change.object, "meta.k8s.io/v1"))


def _metadata_only_v1beta1(change: Change) -> bytes:
    return event_line(change.type, _partial(change.object, "meta.k8s.io/v1beta1"))
