"""The Swagger documents that the server gives of itself, and that its replies keep to them (`kuberay-apiserver.md` 1, 15.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from tests.conformance.apiserver.judge import RECORDINGS, load
from tests.conformance.apiserver.player import Player

#: KubeRay's own documents are not part of this repository.
_KUBERAYS = Path(__file__).parents[3] / "shared" / "golden" / "apiserver" / "swagger"
_V1 = "/apis/v1"
_IN = f"{_V1}/namespaces/{{namespace}}"
_ITEM_CALLS = {"get", "delete"}
#: Sections 4 to 11.
_CALLS = {
    "config": {
        f"{_V1}/compute_templates": {"get"},
        f"{_IN}/compute_templates": {"get", "post"},
        f"{_IN}/compute_templates/{{name}}": _ITEM_CALLS,
    },
    "cluster": {
        f"{_V1}/clusters": {"get"},
        f"{_IN}/clusters": {"get", "post"},
        f"{_IN}/clusters/{{name}}": _ITEM_CALLS,
    },
    "serve": {
        f"{_V1}/services": {"get"},
        f"{_IN}/services": {"get", "post"},
        f"{_IN}/services/{{name}}": _ITEM_CALLS | {"put"},
    },
    "job": {f"{_V1}/jobs": {"get"}, f"{_IN}/jobs": {"get", "post"}, f"{_IN}/jobs/{{name}}": _ITEM_CALLS},
    "job_submission": {
        f"{_IN}/jobsubmissions/{{clustername}}": {"get", "post"},
        f"{_IN}/jobsubmissions/{{clustername}}/{{submissionid}}": _ITEM_CALLS | {"post"},
        f"{_IN}/jobsubmissions/{{clustername}}/log/{{submissionid}}": {"get"},
    },
    "serve_submission": {f"{_IN}/serveapplication/{{clustername}}": {"get", "post", "delete"}},
    "error": {},
}


def _document(site: Any, name: str) -> Any:
    answer = site.run(site.server.handle(HttpRequest("GET", f"/swagger/{name}.swagger.json")))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


@pytest.mark.accepts("AS-070")
@pytest.mark.parametrize("name", _CALLS)
def test_documents_list_every_call(site: Any, name: str) -> None:
    document = _document(site, name)
    assert document["swagger"] == "2.0"
    assert {path: set(methods) for path, methods in document["paths"].items()} == _CALLS[name]
    for reference in re.findall(r'"#/definitions/(\w+)"', json.dumps(document)):
        assert reference in document["definitions"]


@pytest.mark.parametrize("path", ["/swagger/absent.swagger.json", "/swagger/", "/swagger/x.txt", "/swagger-ui/x"])
def test_other_documents_there_are_none(site: Any, path: str) -> None:
    answer = site.run(site.server.handle(HttpRequest("GET", path)))
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_a_page_lists_the_calls(site: Any) -> None:
    answer = site.run(site.server.handle(HttpRequest("GET", "/swagger-ui/")))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<td>PUT<td>{_IN}/services/{{name}}<td>RayServeService.UpdateRayService" in answer.body.decode()


@pytest.mark.parametrize("name", ["cluster", "config", "error", "job", "job_submission", "serve"])
def test_documents_say_what_kuberays_say(site: Any, name: str) -> None:
    if not _KUBERAYS.exists():
        pytest.skip("KubeRay's own documents are not part of this repository")
    kuberays = _without_prose(json.loads((_KUBERAYS / f"{name}.swagger.json").read_text()))
    # Described, but served by no release.
    kuberays["tags"] = [tag for tag in kuberays.get("tags", []) if tag["name"] != "ImageTemplateService"]
    for part in ("paths", "definitions"):
        kuberays[part] = {key: each for key, each in kuberays[part].items() if "image" not in key.lower()}
    assert {"tags": [], **_document(site, name)} == kuberays


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        prose = ("title", "summary") if "version" not in value else ()
        kept = {key: each for key, each in value.items() if key not in prose or not isinstance(each, str)}
        if "schema" not in kept:
            kept = {key: each for key, each in kept.items() if key != "description" or not isinstance(each, str)}
        elif "in" in kept:
            kept.pop("description", None)
        return {key: _without_prose(each) for key, each in kept.items()}
    return [_without_prose(each) for each in value] if isinstance(value, list) else value


@pytest.mark.accepts("AS-069")
def test_replies_have_no_field_that_a_strict_client_does_not_know(site: Any) -> None:
    documents = [_document(site, name) for name in _CALLS]
    checked = 0
    for case in load(RECORDINGS):
        answers, _, _ = Player().play(case)
        for step, answer in zip(case["steps"], answers, strict=True):
            if step["op"] == "http" and answer["status"] == 200 and step["path"].startswith(f"{_V1}/"):
                assert list(_unknown(answer["body"], *_schema(documents, step))) == [], step["path"]
                checked += 1
    assert checked > 60


def _schema(documents: list[Any], step: dict[str, Any]) -> tuple[Any, Any]:
    """Of the reply to a request, and the definitions that it refers to."""
    path = step["path"].partition("?")[0]
    for document in documents:
        for template, methods in document["paths"].items():
            pattern = re.sub(r"\\{\w+\\}", "[^/]*", re.escape(template))
            if re.fullmatch(pattern, path) and step["method"].lower() in methods:
                operation = methods[step["method"].lower()]
                return operation["responses"]["200"]["schema"], document["definitions"]
    raise AssertionError(f"{step['method']} {path} is described nowhere")


def _unknown(value: Any, schema: Any, definitions: Any, path: str = "$") -> Iterator[str]:
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unknown(each, schema["items"], definitions, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            field = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if field is None:
                yield f"{path}.{key}"
            else:
                yield from _unknown(each, field, definitions, f"{path}.{key}")
