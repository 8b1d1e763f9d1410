"""schemathesis against the OpenAPI documents that the fake publishes: every answer has a code, a type and a body as told there.

For each operation some requests are made from its description. They are pointed at objects that are there, so that they get
further than to a 404. The same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("schemathesis", reason="not installed: pip install 'rayrig[generated]'")

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.resources.crds import custom_resource_definitions
from tests.fuzz.corpus import RESOURCES

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES = 4

#: A server may say more of itself elsewhere; these are what clients use.
DOCUMENTS = (
    "api/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/events.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/autoscaling/v2",
    "apis/networking.k8s.io/v1",
    "apis/fuzz.example.com/v1",
    "apis/ray.io/v1",
    "version",
)

#: Operations whose answers are not what their description says, with the reason.
NOT_AS_DESCRIBED = {
    "POST /api/v1/namespaces/{namespace}/bindings": "without a target 500, as from the real server",
    "POST /api/v1/namespaces/{namespace}/pods/{name}/binding": "the same",
    "GET /api/v1/namespaces/{namespace}/pods/{name}/log": "of a pod without node 204 and nothing, as from the real server",
    "POST /api/v1/namespaces/{namespace}/limitranges": "without limits they are null, as from the real server",
    "PUT /api/v1/namespaces/{namespace}/limitranges/{name}": "the same",
    "PATCH /api/v1/namespaces/{namespace}/limitranges/{name}": "the same",
    "POST /api/v1/namespaces/{namespace}/serviceaccounts/{name}/token": "no bound object is null, as from the real server",
    "POST /apis/networking.k8s.io/v1/ipaddresses": "the parent is not checked",
}


def is_a_proxy(label: str) -> bool:
    """Whatever is behind it answers, or 500 when nothing is, as from the real server."""
    return label.endswith("/proxy") or "/proxy/" in label


@pytest.fixture
def url() -> Iterator[str]:
    """A fake with an object `a` of many kinds in the namespace `default`."""
    options = KubernetesOptions(definitions=custom_resource_definitions(), controllers=False)
    with KubernetesThread(options) as thread:
        with httpx.Client(base_url=thread.url, trust_env=False) as client:
            for resource in RESOURCES:
                if resource.plural == "subjectaccessreviews":
                    continue
                name = "widgets.fuzz.example.com" if resource.kind == "CustomResourceDefinition" else "a"
                body = {"metadata": {"name": name}, **resource.body}
                if resource.prefix == "/apis/fuzz.example.com/v1":
                    body |= {"apiVersion": "fuzz.example.com/v1", "kind": resource.kind}
                answer = client.post(resource.path("default"), json=body)
                assert answer.status_code in (201, 409), answer.text
        yield thread.url


def aimed(case: Any) -> None:
    """Point a generated request at what is there, and let its body be about the same object."""
    parameters = case.path_parameters or {}
    for name in parameters:
        if name in ("namespace", "name"):
            parameters[name] = {"namespace": "default", "name": "a"}[name]
    query = case.query
    if query:
        # A watch is another answer than the operation describes, and a version in the future is waited for.
        for name in ("watch", "follow", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "continue"):
            query.pop(name, None)
    kinds = case.operation.definition.raw.get("x-kubernetes-group-version-kind") or {}
    if isinstance(case.body, dict) and kinds:
        group = f"{kinds['group']}/" if kinds.get("group") else ""
        if case.operation.method.upper() == "POST":
            case.body["metadata"] = {"generateName": "g-"}
        elif case.operation.method.upper() == "PUT":
            case.body["metadata"] = {"name": "a"}
        if case.operation.method.upper() in ("POST", "PUT"):
            case.body |= {"apiVersion": f"{group}{kinds['version']}", "kind": kinds["kind"]}
            if kinds["kind"] in ("Role", "ClusterRole") and not case.body.get("rules"):
                # Without rules they are null in the answer, as from the real server, which no description says.
                case.body["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


@pytest.mark.accepts("K8-004", "K8-013")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_answers_are_as_described(url: str, document: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi/v3/{document}")
    problems: list[str] = []
    asked = 0
    # What is deleted is gone for the others.
    operations = sorted(
        (each.ok() for each in schema.get_all_operations()), key=lambda each: each.method.upper() == "DELETE"
    )
    for operation in operations:
        if operation.label in NOT_AS_DESCRIBED or is_a_proxy(operation.label):
            continue

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            aimed(case)
            answer = case.call(base_url=url, timeout=20)
            try:
                case.validate_response(answer, checks=CHECKS)
            except (Exception, FailureGroup) as problem:
                body = "" if case.body is NOT_SET else json.dumps(case.body, default=str)
                problems.append(f"{case.operation.label} {body:.400}: {problem!s:.1500}")

        ask()
        if len(problems) > 5:
            break
    assert problems == [], "\n\n".join(problems)
    assert asked > 0
