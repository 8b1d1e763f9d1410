"""Stories of what is not about objects: media types, paths, methods, identities, bodies that cannot be read."""

from __future__ import annotations

from rayrig_backends.differential.grammar.draw import JSON_PATCH, MERGE_PATCH, Draw, create, get
from rayrig_backends.differential.grammar.kinds import CONFIG_MAP, NAMESPACED, POD
from rayrig_backends.differential.grammar.objects import good
from rayrig_backends.differential.steps import Step

_ACCEPTS = (
    "application/json",
    "application/yaml",
    "*/*",
    "application/*",
    "text/html",
    "text/plain",
    "application/xml",
    "",
    "application/json;q=0.1,application/yaml",
    "application/json; charset=utf-8",
    "text/html,*/*;q=0.5",
    "application/json;odd=1",
    "application/json;stream=watch",
    "nonsense",
    "application/json, text/html",
    "APPLICATION/JSON",
    "application/yaml;as=Table;v=v1;g=meta.k8s.io",
    "application/json;pretty=1",
    "application/vnd.kubernetes.protobuf;q=0.1,application/json",
)
_CONTENT_TYPES = (
    "application/json",
    "application/yaml",
    "text/plain",
    "application/xml",
    "application/json; charset=utf-8",
    "application/json;charset=utf-16",
    "nonsense",
    "",
    "application/x-www-form-urlencoded",
    "APPLICATION/JSON",
    "application/cbor",
    "text/yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "multipart/form-data",
    "json",
)
_TEXTS = (
    "",
    " ",
    "{",
    "}",
    "{}",
    "[]",
    "null",
    "1",
    '"x"',
    "true",
    "{'a': 1}",
    '{"kind": "ConfigMap"}',
    '{"apiVersion": "v1"}',
    '{"apiVersion": "v1", "kind": "Pod"}',
    '{"apiVersion": "v9", "kind": "ConfigMap"}',
    '{"apiVersion": "a/b/c", "kind": "ConfigMap"}',
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "z"}} trailing',
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}',
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "z", "name": "y"}}',
    '{"apiVersion": 1, "kind": "ConfigMap"}',
    '{"apiVersion": "v1", "kind": "ConfigMapList", "items": []}',
    '{"apiVersion": "v1", "kind": "Status"}',
    '{"a": 1e999}',
    '{"a": "\\ud800"}',
    '{"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "x"}, "data": {"b": "y"}}',
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: z\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}\ndata: {a: 1}\n",
    "a: b: c",
    "- a\n- b\n",
    "\t",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: *a\n",
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": null}}',
    '{"Kind": "ConfigMap", "APIVERSION": "v1", "metadata": {"name": "z"}}',
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"Name": "z"}}',
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "z"}, "Data": {"a": "b"}}',
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"z"},"data":{"a":"\\u0000é\\n"}}',
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"z"},"data":"x"}',
)
_PATHS = (
    "/api",
    "/apis",
    "/api/",
    "/apis/",
    "/api/v1",
    "/api/v1/",
    "/api/v2",
    "/apis/apps",
    "/apis/apps/",
    "/apis/apps/v1",
    "/apis/apps/v9",
    "/apis/nope",
    "/apis/nope/v1",
    "/api/v1/nope",
    "/api/v1/namespaces/${ns}/nope",
    "/api/v1/namespaces/${ns}/configmaps/",
    "/api/v1/namespaces/${ns}//configmaps",
    "//api/v1",
    "/api//v1",
    "/api/v1/namespaces/${ns}/configmaps/a/b",
    "/api/v1/namespaces/${ns}/configmaps/a/b/c",
    "/api/v1/configmaps",
    "/api/v1/configmaps/a",
    "/api/v1/namespaces//configmaps",
    "/api/v1/namespaces/${ns}/configmaps/..",
    "/api/v1/namespaces/${ns}/../${ns}/configmaps",
    "/api/v1/namespaces/${ns}/./configmaps",
    "/api/v1/namespaces/${ns}/configmaps/%2e%2e",
    "/api/v1/namespaces/${ns}/configmaps/a%2Fb",
    "/api/v1/namespaces/${ns}/configmaps/a%20b",
    "/api/v1/namespaces/${ns}/configmaps/%C3%BC",
    "/api/v1/namespaces/${ns}/ConfigMaps",
    "/api/v1/namespaces/${ns}",
    "/api/v1/namespaces/${ns}/",
    "/api/v1/namespaces/${ns}/status",
    "/api/v1/namespaces/${ns}/finalize",
    "/api/v1/nodes/${u}",
    "/nope",
    "/",
    "/healthz",
    "/livez",
    "/readyz",
    "/healthz/ping",
    "/livez/ping",
    "/readyz/nope",
    "/version",
    "/version/",
    "/openapi",
    "/metrics/nope",
    "/apis/apps/v1/namespaces/${ns}/configmaps",
    "/api/v1/namespaces/${ns}/pods/a/log",
    "/api/v1/namespaces/${ns}/pods/a/nope",
    "/api/v1/namespaces/${ns}/services/a/proxy",
    "/api/v1/proxy/nope",
    "/api/v1/watch",
    "/api/v1/watch/",
    "/api/v1/watch/nope",
    "/apis/apps/v1/deployments/",
    "/apis/APPS/v1",
    "/api/v1/namespaces/${ns}/pods/a/binding",
    "/api/v1/namespaces/nope-${u}/configmaps",
    "/api/v1/namespaces/nope-${u}/configmaps/a",
    "/api/v1/namespaces/UPPER/configmaps",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nope.${u}",
    "/openapi/v3/nope",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/api/v1/namespaces/${ns}/bindings",
    "/apis/policy/v1",
    "/logs",
    "/debug/pprof/nope",
    "/.well-known/nope",
    "/favicon.ico",
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "ODD", "get")


def negotiation(draw: Draw) -> list[Step]:
    """Accept and Content-Type headers of all sorts."""
    kind = draw.one(NAMESPACED)
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 6)):
        choice = draw.rng.randint(0, 4)
        accept = (("Accept", draw.one(_ACCEPTS)),)
        content = (("Content-Type", draw.one(_CONTENT_TYPES)),)
        if choice == 0:
            steps.append(get(kind, draw.one(("a", "nope")), headers=accept))
        elif choice == 1:
            steps.append(Step("GET", kind.collection, (), accept))
        elif choice == 2:
            steps.append(create(kind, good(draw, kind, "b"), headers=(*content, *(accept if draw.chance(0.3) else ()))))
        elif choice == 3:
            steps.append(
                Step(
                    "PATCH",
                    kind.at("a"),
                    tuple(draw.maybe(0.3, ("fieldManager", "m"))),
                    content,
                    {"metadata": {"labels": {"n": "1"}}},
                )
            )
        else:
            steps.append(
                Step(
                    "DELETE",
                    kind.at("a"),
                    (),
                    content if draw.chance(0.5) else (),
                    {"kind": "DeleteOptions", "apiVersion": "v1"},
                )
            )
    return steps


def paths(draw: Draw) -> list[Step]:
    """Paths and methods, served and not. Nothing that would change what is not the story's."""
    steps: list[Step] = []
    for _ in range(draw.rng.randint(4, 8)):
        path = draw.one(_PATHS)
        method = "GET" if draw.chance(0.6) else draw.one(_METHODS)
        if (
            method in ("POST", "PUT", "PATCH", "DELETE")
            and "${ns}/" not in path
            and "nope" not in path
            and "${u}" not in path
        ):
            method = "GET"
        if path in (
            "/api",
            "/apis",
            "/api/",
            "/apis/",
            "/api/v1",
            "/api/v1/",
            "/version",
            "/version/",
            "/",
            "/apis/apps/v1",
            "/apis/policy/v1",
        ):
            # What is served differs by version and settings; that is for the conformance of discovery.
            method = "OPTIONS" if method == "GET" else method
        headers = (("Content-Type", draw.one((MERGE_PATCH, JSON_PATCH))),) if method == "PATCH" else ()
        text = draw.one(("{}", "[]", "")) if method in ("POST", "PUT", "PATCH") else None
        user = draw.one(("admin",) * 6 + ("reader", "none", "bad"))
        steps.append(Step(method, path, (), headers, None, text, user=user))
    return steps


def bodies(draw: Draw) -> list[Step]:
    """Texts that are no good JSON or YAML, or not of the kind."""
    steps = [create(CONFIG_MAP, good(draw, CONFIG_MAP, "a"))]
    for _ in range(draw.rng.randint(3, 6)):
        text = draw.one(_TEXTS)
        media = draw.one(("application/json",) * 3 + ("application/yaml", "application/yaml", ""))
        query = tuple(draw.maybe(0.4, ("fieldValidation", draw.one(("Strict", "Warn", "Ignore")))))
        choice = draw.rng.randint(0, 5)
        headers = (("Content-Type", media),)
        if choice <= 1:
            steps.append(Step("POST", CONFIG_MAP.collection, query, headers, None, text))
        elif choice == 2:
            steps.append(Step("PUT", CONFIG_MAP.at("a"), query, headers, None, text))
        elif choice == 3:
            media = draw.one(
                (MERGE_PATCH, JSON_PATCH, "application/strategic-merge-patch+json", "application/apply-patch+yaml")
            )
            manager = (("fieldManager", "m"),) if "apply" in media else ()
            steps.append(
                Step(
                    "PATCH",
                    CONFIG_MAP.at(draw.one(("a", "nope"))),
                    (*query, *manager),
                    (("Content-Type", media),),
                    None,
                    text,
                )
            )
        elif choice == 4:
            steps.append(Step("DELETE", CONFIG_MAP.at("nope"), (), headers, None, text))
        else:
            steps.append(Step("POST", POD.collection, query, headers, None, text))
    return steps


def identity(draw: Draw) -> list[Step]:
    """Users without rights, without a token, with a wrong one."""
    kind = draw.one(NAMESPACED)
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 6)):
        user = draw.one(("reader", "reader", "none", "bad"))
        choice = draw.rng.randint(0, 8)
        path = draw.one(
            (
                kind.collection,
                kind.at("a"),
                kind.everywhere,
                "/api/v1/nodes",
                "/healthz",
                "/nope",
                "/apis/nope/v1/x",
                kind.at("a", "status"),
                "/api/v1/namespaces/${ns}/pods/a/log",
            )
        )
        method = draw.one(("GET", "GET", "POST", "PUT", "PATCH", "DELETE")) if choice < 5 else "GET"
        query = tuple(draw.maybe(0.1, ("watch", "true"), ("timeoutSeconds", "1")))
        if choice == 6:
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": draw.one(
                    (
                        {"resourceAttributes": {"namespace": "${ns}", "verb": "get", "resource": "pods"}},
                        {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}},
                        {},
                    )
                ),
            }
            steps.append(
                Step(
                    "POST",
                    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                    (),
                    (),
                    review,
                    user=draw.one(("admin", user)),
                )
            )
            continue
        if choice == 7:
            whoami = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            steps.append(Step("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", (), (), whoami, user=user))
            continue
        headers = (("Content-Type", MERGE_PATCH),) if method == "PATCH" else ()
        body = good(draw, kind, "a") if method in ("POST", "PUT", "PATCH") else None
        steps.append(Step(method, path, query, headers, body, user=user, watch=bool(query) and method == "GET"))
    return steps
