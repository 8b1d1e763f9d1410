"""Roles and bindings: what they allow, what refusals say, what reviews answer, who may give what."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError, Forbidden, Invalid, NotFound
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ROLE, ROLE_BINDING, SERVICE_ACCOUNT, ResourceType
from rayrig_fakes.kubernetes.authorization.bootstrap import enforce_rbac
from rayrig_fakes.kubernetes.authorization.impersonation import impersonated
from rayrig_fakes.kubernetes.authorization.rules import CLUSTER_ROLE, CLUSTER_ROLE_BINDING
from rayrig_fakes.kubernetes.authorization.service_account_tokens import user_of
from rayrig_fakes.kubernetes.identity import ADMIN, ANONYMOUS, Asked, UserInfo, check
from tests.fakes.kubernetes.conftest import Api

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
ACCESS = ResourceType(AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
SUBJECT = ResourceType(AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview", False)
LOCAL = ResourceType(AUTHORIZATION, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview")
RULES = ResourceType(AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False)
WHO = ResourceType(AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview", False)
TOKEN = ResourceType(AUTHENTICATION, "v1", "tokenreviews", "TokenReview", False)

ANN = UserInfo("ann", "u1", ("dev",))
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
PODS = {"verb": "get", "resource": "pods", "namespace": "default"}


@pytest.fixture
def rbac(api: Api) -> Api:
    enforce_rbac(api.server.state)
    return api


def role(name: str, *rules: JsonObject) -> JsonObject:
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, to: str, *subjects: tuple[str, str], kind: str = "Role") -> JsonObject:
    return {
        "metadata": {"name": name},
        "roleRef": {"kind": kind, "name": to},
        "subjects": [
            {"kind": each, "name": who, **({"namespace": "default"} if each == "ServiceAccount" else {})}
            for each, who in subjects
        ],
    }


def may(api: Api, user: UserInfo, verb: str, resource: str = "", **asked: str) -> bool:
    return api.server.state.authorizer.authorize(user, Asked(verb, resource=resource, **asked)).allowed


@pytest.mark.accepts("K8-016")
def test_only_administrators_may_do_what_no_role_gives(rbac: Api) -> None:
    assert may(rbac, ADMIN, "delete", "nodes", name="n")
    assert not may(rbac, ANN, "list", "nodes")
    assert not may(rbac, ANONYMOUS, "list", "nodes")


def test_everyone_known_may_discover_and_everyone_may_ask_for_health(rbac: Api) -> None:
    for path in ("/api", "/apis/apps/v1", "/openapi/v3/apis/apps/v1", "/version", "/readyz"):
        assert may(rbac, ANN, "get", path=path)
    assert [path for path in ("/version", "/readyz", "/api", "/metrics") if may(rbac, ANONYMOUS, "get", path=path)] == [
        "/version",
        "/readyz",
    ]
    assert not may(rbac, ANN, "post", path="/version")


@pytest.mark.parametrize(
    ("rule", "asked", "allowed"),
    [
        (READ_PODS, {"verb": "get", "resource": "pods"}, True),
        (READ_PODS, {"verb": "watch", "resource": "pods"}, False),
        (READ_PODS, {"verb": "get", "resource": "pods", "subresource": "log"}, False),
        (READ_PODS, {"verb": "get", "resource": "pods", "group": "apps"}, False),
        ({**READ_PODS, "resources": ["pods/log"]}, {"verb": "get", "resource": "pods", "subresource": "log"}, True),
        ({**READ_PODS, "resources": ["pods/log"]}, {"verb": "get", "resource": "pods"}, False),
        ({**READ_PODS, "resources": ["*/log"]}, {"verb": "get", "resource": "pods", "subresource": "log"}, True),
        ({**READ_PODS, "resources": ["*"]}, {"verb": "get", "resource": "pods", "subresource": "log"}, True),
        ({**READ_PODS, "resourceNames": ["a"]}, {"verb": "get", "resource": "pods", "name": "a"}, True),
        ({**READ_PODS, "resourceNames": ["a"]}, {"verb": "get", "resource": "pods", "name": "b"}, False),
        ({**READ_PODS, "resourceNames": ["a"]}, {"verb": "list", "resource": "pods"}, False),
        ({**READ_PODS, "apiGroups": ["*"]}, {"verb": "get", "resource": "pods", "group": "x.io"}, True),
        ({**READ_PODS, "verbs": ["*"]}, {"verb": "deletecollection", "resource": "pods"}, True),
    ],
)
def test_what_a_rule_allows(rbac: Api, rule: JsonObject, asked: dict[str, str], allowed: bool) -> None:
    rbac.create(ROLE, role("r", rule))
    rbac.create(ROLE_BINDING, binding("b", "r", ("User", "ann")))
    assert may(rbac, ANN, namespace="default", **asked) is allowed
    assert not may(rbac, ANN, namespace="kube-system", **asked)
    assert not may(rbac, UserInfo("bob"), namespace="default", **asked)


def test_paths_match_by_their_beginning(rbac: Api) -> None:
    rule = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"]}
    rbac.create(CLUSTER_ROLE, role("r", rule))
    rbac.create(CLUSTER_ROLE_BINDING, binding("b", "r", ("Group", "dev"), kind="ClusterRole"))
    found = [path for path in ("/metrics", "/debug/pprof", "/debug", "/metrics/x") if may(rbac, ANN, "get", path=path)]
    assert found == ["/metrics", "/debug/pprof"]


def test_a_cluster_role_bound_in_a_namespace_holds_there_alone(rbac: Api) -> None:
    rbac.create(ROLE_BINDING, binding("b", "view", ("Group", "dev"), kind="ClusterRole"))
    assert may(rbac, ANN, "list", "pods", namespace="default")
    assert not may(rbac, ANN, "list", "pods")
    assert not may(rbac, ANN, "list", "secrets", namespace="default")
    rbac.delete(ROLE_BINDING, "b")
    assert not may(rbac, ANN, "list", "pods", namespace="default")


def test_a_service_account_is_a_user_with_groups(rbac: Api) -> None:
    rbac.create(SERVICE_ACCOUNT, {"metadata": {"name": "robot"}})
    rbac.create(ROLE, role("r", READ_PODS))
    rbac.create(ROLE_BINDING, binding("b", "r", ("ServiceAccount", "robot")))
    body = {"spec": {"expirationSeconds": 600}}
    answer = rbac.call("create", SERVICE_ACCOUNT, "robot", subresource="token", body=body)
    assert answer["status"]["expirationTimestamp"] == "2026-01-01T00:10:00Z"
    token = answer["status"]["token"]
    robot = user_of(rbac.server.state, token)
    assert robot is not None
    assert robot.name == "system:serviceaccount:default:robot"
    assert robot.all_groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert may(rbac, robot, "get", "pods", namespace="default")
    reviewed = rbac.create(TOKEN, {"spec": {"token": token}})["status"]
    assert (reviewed["authenticated"], reviewed["user"]["username"]) == (True, robot.name)
    assert user_of(rbac.server.state, token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    rbac.pass_time(600)
    assert user_of(rbac.server.state, token) is None


def test_a_token_ends_with_its_account_and_with_the_pod_it_is_bound_to(rbac: Api) -> None:
    rbac.create(SERVICE_ACCOUNT, {"metadata": {"name": "robot"}})
    rbac.pod("p", bound=False, serviceAccountName="robot")
    body = {"spec": {"boundObjectRef": {"kind": "Pod", "name": "p"}}}

    def issue(**spec: Any) -> str:
        answer = rbac.call("create", SERVICE_ACCOUNT, "robot", subresource="token", body=spec)
        return str(answer["status"]["token"])

    plain, bound = issue(), issue(**body)
    found = user_of(rbac.server.state, bound)
    assert found is not None
    assert found.extra["authentication.kubernetes.io/pod-name"] == ["p"]
    rbac.delete(ResourceType("", "v1", "pods", "Pod"), "p")
    assert user_of(rbac.server.state, bound) is None
    assert user_of(rbac.server.state, plain) is not None
    rbac.delete(SERVICE_ACCOUNT, "robot")
    assert user_of(rbac.server.state, plain) is None


def test_tokens_that_cannot_be_issued(rbac: Api) -> None:
    rbac.create(SERVICE_ACCOUNT, {"metadata": {"name": "robot"}})
    with pytest.raises(NotFound, match='serviceaccounts "nobody" not found'):
        rbac.call("create", SERVICE_ACCOUNT, "nobody", subresource="token", body={})
    with pytest.raises(Invalid, match="may not specify a duration less than 10 minutes"):
        rbac.call("create", SERVICE_ACCOUNT, "robot", subresource="token", body={"spec": {"expirationSeconds": 5}})


@pytest.mark.accepts("K8-016")
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            Asked("list", resource="pods", namespace="default"),
            'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            Asked("patch", group="ray.io", resource="rayservices", subresource="status", namespace="a", name="x"),
            (
                'rayservices.ray.io "x" is forbidden: User "ann" cannot patch resource "rayservices/status" in API group '
                '"ray.io" in the namespace "a"'
            ),
        ),
        (
            Asked("list", resource="nodes"),
            'nodes is forbidden: User "ann" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (Asked("get", "/metrics"), 'forbidden: User "ann" cannot get path "/metrics"'),
    ],
)
def test_what_a_refusal_says(rbac: Api, asked: Asked, text: str) -> None:
    with pytest.raises(Forbidden) as refused:
        check(rbac.server.state.authorizer, ANN, asked)
    assert refused.value.message == text


def test_a_refusal_names_a_bound_role_that_does_not_exist(rbac: Api) -> None:
    rbac.create(ROLE_BINDING, binding("b", "r", ("User", "ann")))
    with pytest.raises(Forbidden) as refused:
        check(rbac.server.state.authorizer, ANN, Asked("list", resource="pods", namespace="default"))
    assert refused.value.message.endswith(
        'in the namespace "default": RBAC: role.rbac.authorization.k8s.io "r" not found'
    )


# Reviews


@pytest.mark.accepts("K8-016")
def test_access_reviews_answer_for_oneself_and_for_others(rbac: Api) -> None:
    rbac.create(ROLE, role("r", READ_PODS))
    rbac.create(ROLE_BINDING, binding("b", "r", ("User", "ann")))
    reason = 'RBAC: allowed by RoleBinding "b/default" of Role "r" to User "ann"'
    asked = {"spec": {"resourceAttributes": PODS}}
    assert rbac.create(ACCESS, asked, user=ANN) == {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {"resourceAttributes": PODS},
        "status": {"allowed": True, "reason": reason},
    }
    assert rbac.create(ACCESS, asked, user=UserInfo("bob"))["status"] == {"allowed": False}
    other = {"spec": {"user": "ann", "resourceAttributes": PODS}}
    assert rbac.create(SUBJECT, other)["status"] == {"allowed": True, "reason": reason}
    assert rbac.create(LOCAL, other)["status"] == {"allowed": True, "reason": reason}
    # A subject has the groups that are named, and no others.
    path = {"nonResourceAttributes": {"path": "/api", "verb": "get"}}
    assert not rbac.create(SUBJECT, {"spec": {"user": "ann", **path}})["status"]["allowed"]
    assert rbac.create(SUBJECT, {"spec": {"groups": ["system:authenticated"], **path}})["status"]["allowed"]


@pytest.mark.parametrize(
    ("kind", "spec", "fields"),
    [
        (ACCESS, {}, ["spec.resourceAttributes"]),
        (ACCESS, {"resourceAttributes": PODS, "nonResourceAttributes": {}}, ["spec.nonResourceAttributes"]),
        (SUBJECT, {"resourceAttributes": PODS}, ["spec.user"]),
        (
            LOCAL,
            {"user": "ann", "resourceAttributes": {**PODS, "namespace": "x"}},
            ["spec.resourceAttributes.namespace"],
        ),
    ],
)
def test_reviews_that_cannot_be_answered(rbac: Api, kind: ResourceType, spec: JsonObject, fields: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        rbac.create(kind, {"spec": spec})
    assert [cause["field"] for cause in refused.value.status["details"]["causes"]] == fields


def test_the_rules_of_oneself(rbac: Api) -> None:
    rbac.create(ROLE, role("r", READ_PODS))
    rbac.create(ROLE_BINDING, binding("b", "r", ("User", "ann")))
    found = rbac.create(RULES, {"spec": {"namespace": "default"}}, user=ANN)["status"]
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in found["resourceRules"]
    assert any("/api/*" in rule["nonResourceURLs"] for rule in found["nonResourceRules"])
    assert found["incomplete"] is False
    with pytest.raises(ApiError, match="no namespace on request"):
        rbac.create(RULES, {"spec": {}}, user=ANN)


def test_who_am_i(rbac: Api) -> None:
    assert rbac.create(WHO, {}, user=ANN) == {
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"userInfo": {"username": "ann", "uid": "u1", "groups": ["dev", "system:authenticated"]}},
    }


def test_without_rbac_everyone_may_do_everything(api: Api) -> None:
    assert api.create(ACCESS, {"spec": {"resourceAttributes": PODS}}, user=ANN)["status"] == {"allowed": True}


# Giving permissions


def writer(rbac: Api, *rules: JsonObject) -> None:
    """Ann may write roles and bindings in `default`, and what `rules` say."""
    may_write = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}
    # All verbs are too many: `escalate` and `bind` are among them.
    may_write["verbs"] = ["create", "update", "patch"]
    rbac.create(ROLE, role("writer", may_write, *rules))
    rbac.create(ROLE_BINDING, binding("writer", "writer", ("User", "ann")))


def test_nobody_gives_by_a_role_what_they_do_not_have(rbac: Api) -> None:
    writer(rbac, READ_PODS)
    rbac.create(ROLE, role("mine", READ_PODS), user=ANN)
    more = {**READ_PODS, "resources": ["pods", "secrets"], "verbs": ["get", "delete"]}
    with pytest.raises(Forbidden) as refused:
        rbac.create(ROLE, role("more", more), user=ANN)
    assert refused.value.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "ann" (groups=["dev" "system:authenticated"]) is attempting '
        "to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}'
    )
    with pytest.raises(Forbidden):
        rbac.patch(ROLE, "mine", {"rules": [more]}, user=ANN)
    assert rbac.get(ROLE, "mine")["rules"] == [READ_PODS]
    labelled = rbac.patch(ROLE, "writer", {"metadata": {"labels": {"a": "b"}}}, user=ANN)
    assert labelled["metadata"]["labels"] == {"a": "b"}


def test_whoever_may_escalate_gives_anything(rbac: Api) -> None:
    group = "rbac.authorization.k8s.io"
    writer(rbac, {"apiGroups": [group], "resources": ["roles"], "verbs": ["escalate"]})
    assert rbac.create(ROLE, role("all", {**READ_PODS, "verbs": ["*"]}), user=ANN)["rules"][0]["verbs"] == ["*"]


def test_nobody_binds_a_role_that_gives_more_than_they_have(rbac: Api) -> None:
    writer(rbac, READ_PODS)
    rbac.create(ROLE, role("small", READ_PODS))
    rbac.create(ROLE, role("large", {**READ_PODS, "verbs": ["*"]}))
    rbac.create(ROLE_BINDING, binding("small", "small", ("User", "bob")), user=ANN)
    with pytest.raises(Forbidden, match="is attempting to grant RBAC permissions not currently held"):
        rbac.create(ROLE_BINDING, binding("large", "large", ("User", "bob")), user=ANN)
    with pytest.raises(NotFound, match='"none" not found'):
        rbac.create(ROLE_BINDING, binding("none", "none", ("User", "bob")), user=ANN)


def test_whoever_may_bind_a_role_binds_it(rbac: Api) -> None:
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["view"]}
    writer(rbac, rule)
    rbac.create(ROLE_BINDING, binding("b", "view", ("User", "bob"), kind="ClusterRole"), user=ANN)
    with pytest.raises(Forbidden):
        rbac.create(ROLE_BINDING, binding("c", "edit", ("User", "bob"), kind="ClusterRole"), user=ANN)


# Kinds


def test_a_role_gathers_the_rules_of_those_its_selectors_match(rbac: Api) -> None:
    gathering = role("all")
    gathering["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}
    rbac.create(CLUSTER_ROLE, gathering)
    part = role("part", READ_PODS)
    part["metadata"]["labels"] = {"to": "all"}
    rbac.create(CLUSTER_ROLE, part)
    assert rbac.get(CLUSTER_ROLE, "all")["rules"] == [READ_PODS]
    rbac.delete(CLUSTER_ROLE, "part")
    assert rbac.get(CLUSTER_ROLE, "all")["rules"] is None


def test_new_parts_of_the_roles_for_people_join_them(rbac: Api) -> None:
    before = rbac.get(CLUSTER_ROLE, "admin")["rules"]
    part = role("ray-view", {"apiGroups": ["ray.io"], "resources": ["rayservices"], "verbs": ["get"]})
    part["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rbac.create(CLUSTER_ROLE, part)
    for name in ("view", "edit", "admin"):
        assert part["rules"][0] in rbac.get(CLUSTER_ROLE, name)["rules"]
    rbac.delete(CLUSTER_ROLE, "ray-view")
    assert rbac.get(CLUSTER_ROLE, "admin")["rules"] == before


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (ROLE, role("r", {"apiGroups": [""], "resources": ["pods"], "verbs": []}), "rules[0].verbs: Required value"),
        (ROLE, role("r", {"resources": ["pods"], "verbs": ["get"]}), "rules[0].apiGroups: Required value"),
        (
            ROLE,
            role("r", {"nonResourceURLs": ["/x"], "verbs": ["get"]}),
            "namespaced rules cannot apply to non-resource",
        ),
        (ROLE_BINDING, binding("b", ""), "roleRef.name: Required value"),
        (CLUSTER_ROLE_BINDING, binding("b", "r"), 'roleRef.kind: Unsupported value: "Role"'),
        (ROLE_BINDING, binding("b", "r", ("Robot", "x")), 'subjects[0].kind: Unsupported value: "Robot"'),
    ],
)
def test_roles_and_bindings_that_make_no_sense(api: Api, kind: ResourceType, body: JsonObject, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(kind, body)
    assert text in refused.value.message


def test_a_binding_stays_with_its_role(api: Api) -> None:
    made = api.create(ROLE_BINDING, binding("b", "r", ("User", "ann")))
    assert made["subjects"][0]["apiGroup"] == made["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    with pytest.raises(Invalid, match="cannot change roleRef"):
        api.patch(ROLE_BINDING, "b", {"roleRef": {"name": "other"}})


# Acting as somebody else


def test_impersonation(rbac: Api) -> None:
    authorizer = rbac.server.state.authorizer
    asked = Asked("list", "/api/v1/pods", version="v1", resource="pods")
    headers = {"impersonate-user": "bob", "impersonate-group": "dev, ops"}
    bob = impersonated(authorizer, ADMIN, headers, asked)
    assert bob == UserInfo("bob", groups=("dev", "ops", "system:authenticated"))
    robot = impersonated(authorizer, ADMIN, {"impersonate-user": "system:serviceaccount:default:robot"}, asked)
    assert "system:serviceaccounts:default" in robot.groups
    assert impersonated(authorizer, ANN, {}, asked) is ANN
    with pytest.raises(Forbidden) as refused:
        impersonated(authorizer, ANN, {"impersonate-user": "bob"}, asked)
    assert refused.value.message == (
        'pods is forbidden: User "ann" cannot impersonate-on:user-info:list resource "pods" in API group "" '
        "at the cluster scope"
    )


def test_impersonation_for_some_requests_only(rbac: Api) -> None:
    rules = [
        {"verbs": ["impersonate-on:user-info:list"], "apiGroups": [""], "resources": ["pods"]},
        {
            "verbs": ["impersonate:user-info"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["users"],
            "resourceNames": ["bob"],
        },
    ]
    role = {"metadata": {"name": "as-bob"}, "rules": rules}
    rbac.create(CLUSTER_ROLE, role)
    bound = {
        "metadata": {"name": "as-bob"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "as-bob"},
    }
    rbac.create(CLUSTER_ROLE_BINDING, bound)
    authorizer = rbac.server.state.authorizer
    pods = Asked("list", "/api/v1/pods", version="v1", resource="pods")
    assert impersonated(authorizer, ANN, {"impersonate-user": "bob"}, pods).name == "bob"
    with pytest.raises(Forbidden, match="impersonate:user-info"):
        impersonated(authorizer, ANN, {"impersonate-user": "eve"}, pods)
    nodes = Asked("list", "/api/v1/nodes", version="v1", resource="nodes")
    with pytest.raises(Forbidden, match="impersonate-on:user-info:list"):
        impersonated(authorizer, ANN, {"impersonate-user": "bob"}, nodes)
