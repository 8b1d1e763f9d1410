"""Roles over HTTP: tokens of users and service accounts, impersonation, reviews; documents that a client has already."""

from __future__ import annotations

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_fakes.kubernetes.identity import UserInfo

PODS = "/api/v1/namespaces/default/pods"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
USERS = {"adm": UserInfo("root", "1", ("system:masters",)), "rd": UserInfo("reader", "2")}


@pytest.fixture(scope="module")
def client():
    options = KubernetesOptions(users=USERS, authorization="RBAC", controllers=False)
    with KubernetesThread(options) as thread, httpx.Client(base_url=thread.url, trust_env=False) as opened:
        yield opened


def ask(client, method, path, token="adm", json=None, headers=()):
    named = [("authorization", f"Bearer {token}")] if token else []
    return client.request(method, path, json=json, headers=[*named, *headers])


@pytest.mark.accepts("K8-016")
def test_users_may_do_what_roles_give_them(client):
    refused = ask(client, "GET", PODS, "rd")
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'pods is forbidden: User "reader" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert (
        ask(client, "GET", PODS, "").json()["message"].startswith('pods is forbidden: User "system:anonymous" cannot')
    )
    assert ask(client, "GET", "/readyz", "").text == "ok"
    assert ask(client, "GET", "/readyz", "nobody").status_code == 401
    role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "reader"}],
    }
    assert ask(client, "POST", f"{ROLES}/roles", json=role).status_code == 201
    assert ask(client, "POST", f"{ROLES}/rolebindings", json=binding).status_code == 201
    assert ask(client, "GET", PODS, "rd").status_code == 200
    assert ask(client, "GET", f"{PODS}?watch=1", "rd").json()["message"].startswith("pods is forbidden")


@pytest.mark.accepts("K8-016")
def test_a_token_of_a_service_account_is_known_again(client):
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    assert ask(client, "POST", accounts, json={"metadata": {"name": "robot"}}).status_code == 201
    issued = ask(client, "POST", f"{accounts}/robot/token", json={"spec": {}}).json()["status"]["token"]
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found = ask(client, "POST", review, issued, json={}).json()["status"]["userInfo"]
    assert found["username"] == "system:serviceaccount:default:robot"


def test_administrators_may_act_as_others(client):
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    acting = [("impersonate-user", "bob"), ("impersonate-group", "dev"), ("impersonate-group", "ops")]
    found = ask(client, "POST", review, json={}, headers=acting).json()["status"]["userInfo"]
    assert found == {"username": "bob", "groups": ["dev", "ops", "system:authenticated"]}
    refused = ask(client, "POST", review, "rd", json={}, headers=acting)
    assert refused.json()["message"] == (
        'selfsubjectreviews.authentication.k8s.io is forbidden: User "reader" cannot impersonate-on:user-info:create '
        'resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope'
    )


def test_what_is_known_of_a_user_beside_the_name_can_be_said_too(client):
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    acting = [("impersonate-user", "bob"), ("impersonate-uid", "7"), ("impersonate-extra-acme.com%2fproject", "p")]
    found = ask(client, "POST", review, json={}, headers=acting).json()["status"]["userInfo"]
    assert found["extra"] == {"acme.com/project": ["p"]}
    assert found["uid"] == "7"


def test_to_get_a_stream_one_must_be_allowed_to_create_it(client):
    group = "rbac.authorization.k8s.io"
    here = f"/apis/{group}/v1/namespaces/default"
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec", "pods/log"]}
    ask(client, "POST", f"{here}/roles", json={"metadata": {"name": "looks"}, "rules": [rule]})
    bound = {
        "metadata": {"name": "looks"},
        "subjects": [{"kind": "User", "apiGroup": group, "name": "reader"}],
        "roleRef": {"kind": "Role", "apiGroup": group, "name": "looks"},
    }
    ask(client, "POST", f"{here}/rolebindings", json=bound)
    refused = ask(client, "GET", f"{PODS}/p/exec?command=ls", "rd")
    assert (refused.status_code, refused.json()["message"]) == (403, 'pods "p" is forbidden: ')
    assert ask(client, "GET", f"{PODS}/p/log", "rd").status_code == 404
    assert ask(client, "GET", f"{PODS}/p/exec?command=ls").status_code == 404


def test_a_document_is_not_sent_again_to_whoever_has_it(client):
    first = ask(client, "GET", "/openapi/v3/apis/apps/v1", "rd")
    again = ask(client, "GET", "/openapi/v3/apis/apps/v1", "rd", headers=[("if-none-match", first.headers["etag"])])
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_groups_without_a_user_cannot_be_impersonated(client):
    refused = ask(client, "GET", PODS, headers=[("impersonate-group", "g"), ("impersonate-group", "h")])
    assert refused.status_code == 400
    assert refused.json()["message"] == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g", "h"}, Extra:map[string][]string(nil)} '
        "without impersonating a user name"
    )
