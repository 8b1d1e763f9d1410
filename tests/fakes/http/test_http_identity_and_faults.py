"""Tokens, https and kubeconfig; faults that strike requests and events on the wire."""

from __future__ import annotations

import base64
import json
import ssl

import httpx
import pytest

from rayrig_backends.api_rules import ApiRule, ApiRules
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import InputError
from rayrig_core.faultpoints import (
    Delay,
    DropWatchEvent,
    ErrorBefore,
    ExpireWatch,
    FaultCounter,
    FaultPoint,
    LostReply,
    Reaction,
)
from rayrig_fakes.kubernetes.identity import UserInfo
from rayrig_fakes.kubernetes.tokens import Tokens, read_token_file

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


# Tokens


def test_a_token_file_gives_users_with_their_groups(tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text('t1,alice,u1,"system:masters,dev"\n\nt2, bob, u2\n')
    users = read_token_file(file)
    assert users == {"t1": UserInfo("alice", "u1", ("system:masters", "dev")), "t2": UserInfo("bob", "u2")}
    assert users["t2"].all_groups == ("system:authenticated",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("t1,alice\n", "tokens.csv:1: too few columns"),
        ("t1,alice,u\nt1,bob,u\n", "tokens.csv:2: this token was given before"),
        (",alice,u\n", "tokens.csv:1: token and user must not be empty"),
        ("\n", "tokens.csv: no tokens"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_refused_by_line(tmp_path, text, what):
    file = tmp_path / "tokens.csv"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        read_token_file(file)
    assert what in str(refused.value)


def test_without_tokens_everyone_is_the_administrator():
    assert Tokens().user_of("").groups == ("system:masters",)


@pytest.mark.accepts("K8-016")
def test_only_known_tokens_are_let_in():
    options = KubernetesOptions(users={"secret": UserInfo("alice", "1", ("system:masters",))}, controllers=False)
    with KubernetesThread(options) as thread, httpx.Client(base_url=thread.url, trust_env=False) as client:

        def get(**headers):
            return client.get("/readyz", headers=headers)

        assert get(authorization="Bearer secret").text == "ok"
        for refused in (get(authorization="Bearer other"), get(authorization="Basic secret"), get()):
            assert refused.status_code == 401
            assert refused.json() == {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Unauthorized",
                "reason": "Unauthorized",
                "code": 401,
            }


def test_https_is_trusted_by_the_kubeconfigs_authority_and_by_nobody_else():
    options = KubernetesOptions(tls=True, users={"secret": UserInfo("alice", "1")}, controllers=False)
    with KubernetesThread(options) as thread:
        config = thread.served.kubeconfig()
        assert thread.url.startswith("https://127.0.0.1:")
        cluster = config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        token = config["users"][0]["user"]["token"]
        with httpx.Client(verify=context, trust_env=False) as client:
            for host in ("127.0.0.1", "localhost"):
                url = f"https://{host}:{thread.served.port}/version"
                assert client.get(url, headers={"authorization": f"Bearer {token}"}).status_code == 200
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
            client.get(f"{thread.url}/version")


def test_the_kubeconfigs_certificate_says_who_one_is(tmp_path):
    users = {"t": UserInfo("alice", "1", ("dev", "ops")), "r": UserInfo("bob")}
    options = KubernetesOptions(tls=True, users=users, authorization="RBAC", controllers=False)
    with KubernetesThread(options) as thread:
        config = thread.served.kubeconfig()
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        files = {}
        for part in ("client-certificate-data", "client-key-data"):
            files[part] = tmp_path / part
            files[part].write_bytes(base64.b64decode(user[part]))
        review = f"{thread.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
        with httpx.Client(verify=context, trust_env=False) as stranger:
            assert stranger.post(review, json={}).status_code == 403
        context.load_cert_chain(*files.values())
        with httpx.Client(verify=context, trust_env=False) as client:
            told = client.post(review, json={}).json()["status"]["userInfo"]
        assert told == {"username": "alice", "groups": ["dev", "ops", "system:authenticated"]}


# Faults


class Deliveries:
    """Strikes the delivery of events about objects of one name."""

    def __init__(self, name: str, reaction: Reaction) -> None:
        self.name, self.reaction = name, reaction

    def strike(self, point: FaultPoint) -> Reaction | None:
        is_hit = point.verb == "deliver" and point.target == f"configmaps/default/{self.name}"
        return self.reaction if is_hit else None


@pytest.fixture
def struck():
    """A function that serves a fake with an injector and gives a client of it."""
    opened = []

    def serve(injector):
        thread = KubernetesThread(KubernetesOptions(faults=FaultCounter(injector), controllers=False))
        thread.start()
        client = httpx.Client(base_url=thread.url, trust_env=False, headers={"user-agent": "tester/1"})
        opened.append((thread, client))
        return client

    yield serve
    for thread, client in opened:
        client.close()
        thread.stop()


def rules(reaction, **match):
    found = ApiRules()
    found.add(ApiRule(reaction, **match))
    return found


@pytest.mark.accepts("K8-084")
def test_an_error_before_the_effect_leaves_nothing(struck):
    client = struck(rules(ErrorBefore(503, "ServiceUnavailable"), actor="tester", verb="create", left=1))
    assert client.post(CONFIG_MAPS, json=config_map("a")).status_code == 503
    assert client.get(f"{CONFIG_MAPS}/a").status_code == 404
    assert client.post(CONFIG_MAPS, json=config_map("a")).status_code == 201


@pytest.mark.accepts("K8-084")
def test_a_lost_reply_leaves_the_effect(struck):
    client = struck(rules(LostReply(), verb="create", resource="configmaps", left=1))
    assert client.post(CONFIG_MAPS, json=config_map("a")).status_code == 504
    assert client.get(f"{CONFIG_MAPS}/a").status_code == 200


def test_the_point_of_a_create_names_the_object(struck):
    seen = []

    class Listener:
        def strike(self, point):
            seen.append(point)

    client = struck(Listener())
    client.post(CONFIG_MAPS, json=config_map("a"))
    client.get(f"{CONFIG_MAPS}/a")
    client.get(f"{CONFIG_MAPS}/a")
    client.get("/api/v1/namespaces/default")
    assert seen == [
        FaultPoint("tester", "create", "configmaps/default/a", 1),
        FaultPoint("tester", "get", "configmaps/default/a", 1),
        FaultPoint("tester", "get", "configmaps/default/a", 2),
        FaultPoint("tester", "get", "namespaces/default", 1),
    ]


def events(client, count):
    with client.stream("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=2&resourceVersion=0") as answer:
        lines = answer.iter_lines()
        seen = [json.loads(next(lines)) for _ in range(count)]
    return [(event["type"], event["object"].get("metadata", {}).get("name")) for event in seen]


def test_a_dropped_event_never_arrives(struck):
    client = struck(Deliveries("b", DropWatchEvent()))
    for name in "abc":
        client.post(CONFIG_MAPS, json=config_map(name))
    assert events(client, 2) == [("ADDED", "a"), ("ADDED", "c")]


def test_a_delayed_event_holds_those_behind_it_back(struck):
    client = struck(Deliveries("b", Delay(0.05)))
    for name in "abc":
        client.post(CONFIG_MAPS, json=config_map(name))
    assert events(client, 3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


def test_an_expired_watch_ends_with_410(struck):
    client = struck(Deliveries("b", ExpireWatch()))
    for name in "abc":
        client.post(CONFIG_MAPS, json=config_map(name))
    assert events(client, 2) == [("ADDED", "a"), ("ERROR", None)]
