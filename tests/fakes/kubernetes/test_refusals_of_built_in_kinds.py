"""What is wrong with objects of built-in kinds, in the server's words: a good object of each kind, spoiled in one way at a time.

`refusals.jsonl` has the good objects first, then what is changed in one (null takes a field away) and all that is said of it.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject, copy_json
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api

_LINES = [
    json.loads(line) for line in Path(__file__).with_name("refusals.jsonl").read_text(encoding="utf-8").splitlines()
]
_GOOD = {line["good"]: line for line in _LINES if "good" in line}
_SPOILED: dict[str, list[JsonObject]] = {}
for _line in _LINES:
    if "kind" in _line:
        _SPOILED.setdefault(_line["kind"], []).append(_line)


def changed(obj: JsonObject, changes: JsonObject) -> JsonObject:
    """A copy with the values at these paths: `spec.containers[0].name`, or parts between bars where names hold dots."""
    result = copy_json(obj)
    for path, value in changes.items():
        parts: list[str | int] = (
            list(path.split("|"))
            if "|" in path
            else [int(part[1:-1]) if part.startswith("[") else part for part in re.findall(r"[^.\[\]]+|\[\d+\]", path)]
        )
        here: Any = result
        for part, following in itertools.pairwise(parts):
            empty: Any = [] if isinstance(following, int) else {}
            if isinstance(part, int) and part == len(here):
                here.append(empty)
            elif not isinstance(part, int) and here.get(part) is None:
                here[part] = empty
            here = here[part]
        last: Any = parts[-1]
        if value is None:
            del here[last]
        elif isinstance(last, int) and last == len(here):
            here.append(value)
        else:
            here[last] = value
    return result


def send(api: Api, method: str, target: str, body: JsonObject, content_type: str = "application/json") -> ApiResponse:
    content = json.dumps(body).encode()
    answer = handle(api.server, HttpRequest.of(method, target, headers={"content-type": content_type}, body=content))
    assert isinstance(answer, ApiResponse)
    return answer


def said(answer: ApiResponse) -> list[str]:
    body = answer.json()
    assert (answer.status, body["reason"]) == (422, "Invalid"), body
    return [f"{cause['field']}: {cause['message']}" for cause in body["details"]["causes"]]


@pytest.mark.accepts("K8-013", "K8-014")
@pytest.mark.parametrize("kind", _SPOILED)
def test_what_is_wrong_is_said_in_the_servers_words(api: Api, kind: str) -> None:
    good = _GOOD[kind]
    for case in _SPOILED[kind]:
        spoiled = changed(good["object"], case["with"])
        found = said(send(api, "POST", f"{good['path']}?dryRun=All", spoiled))
        assert sorted(found) == sorted(case["says"]), case["with"]


@pytest.mark.accepts("K8-013")
def test_a_changed_pod_spec_is_shown_line_by_line(api: Api) -> None:
    pods = "/api/v1/namespaces/default/pods"
    assert send(api, "POST", pods, _GOOD["pod"]["object"]).status == 201
    patch = {"spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "<1>"}]}]}}
    (text,) = said(send(api, "PATCH", f"{pods}/x", patch, "application/merge-patch+json"))
    words, _, shown = text.partition("\n")
    assert words == (
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    assert shown.splitlines() == [
        "@@ -10,7 +10,13 @@",
        '    "WorkingDir": "",',
        '    "Ports": null,',
        '    "EnvFrom": null,',
        '-   "Env": null,',
        '+   "Env": [',
        "+    {",
        '+     "Name": "A",',
        '+     "Value": "\\u003c1\\u003e",',
        '+     "ValueFrom": null',
        "+    }",
        "+   ],",
        '    "Resources": {',
        '     "Limits": null,',
        '     "Requests": null,',
    ]


@pytest.mark.accepts("K8-013")
@pytest.mark.parametrize(
    ("kind", "patch", "says"),
    [
        ("pod", {"spec": {"activeDeadlineSeconds": 0}}, ["must be between 1 and 2147483647, inclusive"]),
        ("deploy", {"spec": {"selector": {"matchLabels": {"a": "c"}}}}, ["does not match", "field is immutable"]),
        ("sts", {"spec": {"serviceName": "other"}}, ["updates to statefulset spec for fields other than 'replicas'"]),
        ("ds", {"spec": {"selector": {"matchLabels": {"a": "b", "c": "d"}}}}, ["does not match", "field is immutable"]),
        ("job", {"spec": {"completionMode": "Indexed"}}, ['Invalid value: "Indexed": field is immutable']),
        ("job", {"spec": {"completions": 5}}, ["Invalid value: 5: field is immutable"]),
        ("secret", {"type": "other"}, ["field is immutable"]),
        ("pc", {"value": 7}, ["value: Forbidden: may not be changed in an update."]),
        ("sc", {"provisioner": "c/d"}, ["updates to provisioner are forbidden."]),
        ("ingclass", {"spec": {"controller": "c.d/e"}}, ['Invalid value: "c.d/e": field is immutable']),
        ("eps", {"addressType": "FQDN"}, ['Invalid value: "FQDN": field is immutable']),
        ("pv", {"spec": {"volumeMode": "Block"}}, ['Invalid value: "Block": field is immutable']),
    ],
)
def test_what_may_not_change(api: Api, kind: str, patch: JsonObject, says: list[str]) -> None:
    good = _GOOD[kind]
    assert send(api, "POST", good["path"], good["object"]).status == 201
    name = good["object"]["metadata"]["name"]
    found = said(send(api, "PATCH", f"{good['path']}/{name}", patch, "application/merge-patch+json"))
    for text in says:
        assert any(text in cause for cause in found), found


@pytest.mark.accepts("K8-013")
@pytest.mark.parametrize(("kind", "times"), [("cm", 4), ("svc", 3), ("event", 2), ("eps", 3), ("crev", 5), ("pv", 4)])
def test_an_update_says_what_is_wrong_with_labels_each_time_it_looks(api: Api, kind: str, times: int) -> None:
    good = _GOOD.get(kind) or {"path": "/api/v1/namespaces/default/configmaps", "object": {"metadata": {"name": "x"}}}
    obj = json.loads(json.dumps(good["object"]).replace("{ns}", "default"))
    assert send(api, "POST", good["path"], obj).status == 201
    name = obj["metadata"]["name"]
    patch = {"metadata": {"labels": {"a b": "c"}}}
    found = said(send(api, "PATCH", f"{good['path']}/{name}", patch, "application/merge-patch+json"))
    assert len(found) == times
    assert len(dict.fromkeys(found)) == 1


@pytest.mark.accepts("K8-018")
def test_remarks_come_with_refusals_too(api: Api) -> None:
    pod = changed(_GOOD["pod"]["object"], {"spec.containers[0].image": "", "spec.nodeNam": "n"})
    answer = send(api, "POST", "/api/v1/namespaces/default/pods", pod)
    assert answer.status == 422
    assert [value for name, value in answer.headers if name == "warning"] == [
        '299 - "unknown field \\"spec.nodeNam\\""'
    ]
