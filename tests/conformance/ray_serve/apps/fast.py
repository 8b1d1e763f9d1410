"""`gold_fastapi`: an ingress that answers as the recorded FastAPI application does."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel, ValidationError

from rayrig_core.http import HttpResponse
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.request import ServeRequest

_JSON = {"content-type": "application/json"}
_HELLO = re.compile(r"/hello/([^/]+)")


class Pair(BaseModel):
    a: int
    b: int


class Api:
    async def __call__(self, request: ServeRequest) -> HttpResponse:
        path = request.path.removeprefix(request.route_prefix)
        if found := _HELLO.fullmatch(path):
            return _only("GET", request) or _answer({"hello": found[1]})
        match path:
            case "/add":
                return _only("POST", request) or _added(await request.body())
            case "/teapot":
                return _only("GET", request) or _answer({"detail": "short and stout"}, 418)
            case "/openapi.json":
                return _answer({"openapi": "3.1.0", "info": {"title": "gold", "version": "1"}})
            case "/docs":
                return HttpResponse.text(200, "<title>gold - Swagger UI</title>", "text/html; charset=utf-8")
        return _answer({"detail": "Not Found"}, 404)


def _answer(value: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status, json.dumps(value, separators=(",", ":")).encode(), _JSON)


def _only(method: str, request: ServeRequest) -> HttpResponse | None:
    if request.method == method:
        return None
    refusal = _answer({"detail": "Method Not Allowed"}, 405)
    return HttpResponse(refusal.status, refusal.body, {**_JSON, "allow": method})


def _added(body: bytes) -> HttpResponse:
    try:
        pair = Pair.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
        return _answer({"detail": [{**e, "loc": ["body", *e["loc"]]} for e in found]}, 422)
    return _answer({"sum": pair.a + pair.b})


def entries() -> dict[str, object]:
    return {"gold_fastapi.app": single("gold_fastapi.app", Api, docs_path="/docs")}
