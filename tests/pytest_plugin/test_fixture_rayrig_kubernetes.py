"""The fixture that serves a fake Kubernetes."""

from __future__ import annotations

import json

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions
from rayrig_core.resource_types import CONFIG_MAP
from rayrig_fakes.kubernetes.identity import UserInfo


def test_it_is_served_where_its_kubeconfig_says(rayrig_kubernetes):
    config = json.loads(rayrig_kubernetes.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == rayrig_kubernetes.url
    assert httpx.get(f"{rayrig_kubernetes.url}/readyz", trust_env=False).text == "ok"


@pytest.mark.accepts("K8-086")
def test_a_test_sees_nothing_of_another(rayrig_kubernetes):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    url = f"{rayrig_kubernetes.url}/api/v1/namespaces/default/configmaps"
    assert httpx.get(url, trust_env=False).json()["items"] == []
    assert httpx.post(url, json=body, trust_env=False).status_code == 201
    found = rayrig_kubernetes.ask(lambda api: api.objects(CONFIG_MAP, "default"))
    assert [obj["metadata"]["name"] for obj in found] == ["a"]


class TestWithTokens:
    @pytest.fixture
    def rayrig_kubernetes_options(self):
        return KubernetesOptions(users={"secret": UserInfo("alice", "1", ("system:masters",))})

    def test_options_are_overridden_by_a_fixture(self, rayrig_kubernetes):
        assert httpx.get(f"{rayrig_kubernetes.url}/version", trust_env=False).status_code == 401
        config = json.loads(rayrig_kubernetes.kubeconfig.read_text())
        assert config["users"] == [{"name": "alice", "user": {"token": "secret"}}]
