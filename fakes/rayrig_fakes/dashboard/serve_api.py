"""`/api/serve/applications/` and the scale endpoint (ray-serve.md 2.1 to 2.3)."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from rayrig_core.errors import ServeRefused, ServeStartFailed, ServeUnavailable
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.ports import ServeInstance
from rayrig_core.resources.serve_schema import ScaleDeploymentRequest, set_fields, validate_serve_config
from rayrig_core.resources.serve_schema_parts import Importable
from rayrig_fakes.dashboard.answers import EMPTY, encoded, json_answer, traceback_answer

_API_TYPES: dict[str, tuple[str, ...]] = {"imperative": ("imperative",), "declarative": ("declarative",)}
_ALL = ("declarative", "imperative")
_NO_INSTANCE: JsonObject = {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}


class ServeApi:
    """The Serve paths of one dashboard. `importable` says what policies and routers the head's image can import."""

    def __init__(self, instance: ServeInstance, importable: Importable | None = None) -> None:
        self._instance = instance
        self._importable = importable
        self._encoded: tuple[JsonObject, bytes] | None = None

    async def get(self, request: HttpRequest, *, is_redacted: bool = False) -> HttpResponse:
        """The state of the instance; an unchanged answer is encoded once."""
        given = request.query.get("api_type")
        sources: tuple[str, ...] = _ALL
        if given is not None:
            known = _API_TYPES.get(given[0].lower())
            if known is None:
                text = f"Invalid 'api_type' value: '{given[0]}'. Must be one of: imperative, declarative"
                return HttpResponse.text(400, text)
            sources = known
        await self._instance.answering()
        if not self._instance.is_running:
            return json_answer(_NO_INSTANCE)
        try:
            details = self._instance.details(sources)
        except ServeUnavailable as error:
            text = f"Failed to get a response from the controller. The GCS may be down, please retry later: {error}"
            return HttpResponse.text(503, text)
        if is_redacted:
            return json_answer(_redacted(details))
        kept = self._encoded
        if kept is None or kept[0] is not details:
            kept = self._encoded = (details, json.dumps(details, separators=(",", ":")).encode())
        return encoded(kept[1])

    async def put(self, request: HttpRequest) -> HttpResponse:
        try:
            document = request.json()
        except ValueError as error:
            return traceback_answer(error)
        try:
            config = validate_serve_config(document, importable=self._importable)
        except ValidationError as error:
            return HttpResponse.text(400, str(error))
        except (ModuleNotFoundError, NotImplementedError, AttributeError, TypeError) as error:
            return traceback_answer(error)
        try:
            await self._instance.deploy(set_fields(config))
        except ServeStartFailed as error:
            return traceback_answer(error)
        except ServeUnavailable as error:
            return HttpResponse.text(400, str(error))
        return EMPTY

    async def delete(self, _: HttpRequest) -> HttpResponse:
        await self._instance.shutdown()
        return EMPTY

    async def scale(self, request: HttpRequest, app: str, deployment: str) -> HttpResponse:
        await self._instance.answering()
        if not self._instance.is_running:
            return json_answer({"error": "Serve controller is not available"}, 503)
        try:
            asked = ScaleDeploymentRequest.model_validate(request.json())
        except ValueError as error:
            return json_answer({"error": f"Invalid request body: {error}"}, 400)
        try:
            self._instance.scale(app, deployment, asked.target_num_replicas)
        except KeyError:
            return json_answer({"error": "Application or Deployment not found"}, 404)
        except ServeRefused as error:
            return json_answer({"error": str(error)}, 412)
        except ServeUnavailable as error:
            return json_answer({"error": str(error)}, 503)
        return json_answer({"message": "Scaling request received. Deployment will get scaled asynchronously."})


def _redacted(details: JsonObject) -> JsonObject:
    """Copy in which values of environment variables can't be read."""
    copy = copy_json(details)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "env_vars" and isinstance(item, dict):
                    value[key] = dict.fromkeys(item, "<redacted>")
                else:
                    walk(item)

    walk(copy)
    return copy
