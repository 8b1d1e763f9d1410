"""One served fake for all tests of a worker; each test has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread

_numbers = count()


@dataclass
class Cluster:
    """The served fake, a client, and this test's namespace."""

    url: str
    client: httpx.Client
    namespace: str
    thread: KubernetesThread

    def path(self, plural: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def config_map(self, name: str, **data: str) -> httpx.Response:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        return self.client.post(self.path("configmaps"), json=body)


@pytest.fixture(scope="session")
def served_thread() -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions()) as thread:
        yield thread


@pytest.fixture
def cluster(served_thread: KubernetesThread) -> Iterator[Cluster]:
    with httpx.Client(base_url=served_thread.url, trust_env=False, timeout=10) as client:
        namespace = f"test-{next(_numbers)}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        client.post("/api/v1/namespaces", json=body).raise_for_status()
        yield Cluster(served_thread.url, client, namespace, served_thread)
