"""How an API server is reached: by URL, by kubeconfig; what cannot be used is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from rayrig_backends.cluster.connection import Connection, connect_to, from_kubeconfig
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import InputError
from rayrig_core.resource_types import NAMESPACE
from rayrig_fakes.kubernetes.identity import ADMIN


async def _namespaces(connection: Connection) -> int:
    client = HttpKubernetesClient(connection, Random(1), user_agent="test")
    try:
        return len((await client.list(NAMESPACE)).items)
    finally:
        await client.aclose()


def test_a_kubeconfigs_token_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1/'}}],"
        " users: [{name: u, user: {token: secret}}, {name: n, user: {}}, {name: b, user: {username: me, password: pw}}],"
        " contexts: [{name: a, context: {cluster: c, user: u}}, {name: b, context: {cluster: c, user: n}},"
        " {name: basic, context: {cluster: c, user: b}}]}"
    )
    assert from_kubeconfig(file).server == "http://127.0.0.1:1"
    assert from_kubeconfig(file).authorization() == "Bearer secret"
    assert from_kubeconfig(file, "b").authorization() == ""
    assert from_kubeconfig(file, "basic").authorization() == "Basic bWU6cHc="


def test_a_server_by_https_with_tokens_is_reached_by_its_kubeconfig(tmp_path: Path) -> None:
    file = tmp_path / "config"
    options = KubernetesOptions(tls=True, users={"good": ADMIN}, authorization="RBAC", controllers=False)
    with KubernetesThread(options, kubeconfig=file) as thread:
        assert asyncio.run(_namespaces(from_kubeconfig(file))) >= 1
        assert asyncio.run(_namespaces(connect_to(thread.url, token="good", insecure=True))) >= 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://a", "http://"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="--server"):
        connect_to(url)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "{kind: Config, current-context: x}"])
def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(InputError, match=r"config: cannot be used: .+"):
        from_kubeconfig(file)


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(InputError, match=r"ca\.pem: holds no certificate"):
        connect_to("https://127.0.0.1:1", certificate_authority=file)


def test_loopback_is_known() -> None:
    assert connect_to("http://127.0.0.1:1").is_loopback
    assert connect_to("http://localhost:1").is_loopback
    assert not connect_to("https://example.com").is_loopback
