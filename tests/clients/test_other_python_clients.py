"""kubernetes-asyncio, lightkube, kr8s and kopf as they are (K8-008)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import count

import httpx
import pytest

_numbers = count()


def create(served, path, body):
    answer = httpx.post(f"{served.url}{path}", json=body, trust_env=False)
    answer.raise_for_status()
    return answer.json()


@pytest.fixture
def namespace(served):
    name = f"others-{next(_numbers)}"
    create(served, "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.mark.accepts("K8-008")
def test_kubernetes_asyncio(served, namespace):
    pytest.importorskip("kubernetes_asyncio", reason="not installed: pip install 'rayrig[clients]'")
    from kubernetes_asyncio import client, config, watch

    async def story():
        async with await config.new_client_from_config(str(served.kubeconfig)) as api:
            core = client.CoreV1Api(api)
            await core.create_namespaced_config_map(namespace, config_map("a", x="1"))
            seen = []
            async with watch.Watch() as events:
                async for event in events.stream(core.list_namespaced_config_map, namespace, timeout_seconds=1):
                    seen.append((event["type"], event["object"].metadata.name))
            return seen

    assert asyncio.run(story()) == [("ADDED", "a")]


@pytest.mark.accepts("K8-008")
def test_lightkube(served, namespace):
    pytest.importorskip("lightkube", reason="not installed: pip install 'rayrig[clients]'")
    from lightkube import ApiError, Client, KubeConfig
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap

    client = Client(
        KubeConfig.from_file(served.kubeconfig), namespace=namespace, field_manager="tests", trust_env=False
    )
    client.create(ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "1"}))
    applied = client.apply(ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="b"), data={"y": "2"}))
    assert applied.data == {"y": "2"}
    assert [found.metadata.name for found in client.list(ConfigMap)] == ["a", "b"]
    client.patch(ConfigMap, "a", {"data": {"x": "3"}})
    assert client.get(ConfigMap, "a").data == {"x": "3"}
    client.delete(ConfigMap, "a")
    with pytest.raises(ApiError) as gone:
        client.get(ConfigMap, "a")
    assert gone.value.status.code == 404


@pytest.mark.accepts("K8-008")
def test_kr8s(served, namespace):
    pytest.importorskip("kr8s", reason="not installed: pip install 'rayrig[clients]'")
    # In a process of its own: it keeps a thread and connections for as long as its process lives.
    story = f"""
import kr8s
from kr8s.objects import ConfigMap
api = kr8s.api(kubeconfig={str(served.kubeconfig)!r}, namespace={namespace!r})
found = ConfigMap({json.dumps(config_map("a", x="1"))}, namespace={namespace!r}, api=api)
found.create()
found.patch({{"data": {{"x": "2"}}}})
print(found.data.x, [each.name for each in api.get("configmaps", namespace={namespace!r})])
found.delete()
"""
    done = subprocess.run([sys.executable, "-c", story], capture_output=True, text=True, timeout=30)
    assert done.stdout == "2 ['a']\n", done.stderr


OPERATOR = """
import kopf

@kopf.on.startup()
def settings(settings, **_):
    settings.posting.enabled = False
    settings.peering.standalone = True

@kopf.on.create("configmaps", labels={"greet": "yes"})
def greet(body, patch, **_):
    patch.metadata.annotations["greeting"] = "hello " + body["metadata"]["name"]

@kopf.on.delete("configmaps", labels={"greet": "yes"})
def goodbye(**_):
    pass
"""


@pytest.mark.accepts("K8-008")
def test_an_operator_in_kopf(served, namespace, tmp_path, monkeypatch):
    pytest.importorskip("kopf", reason="not installed: pip install 'rayrig[clients]'")
    operator = tmp_path / "greeter.py"
    operator.write_text(OPERATOR)
    monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig))
    process = subprocess.Popen(
        [sys.executable, "-m", "kopf", "run", "--namespace", namespace, str(operator)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        body = config_map("world")
        body["metadata"]["labels"] = {"greet": "yes"}
        with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as client:
            with client.stream("GET", f"{path}?watch=1&timeoutSeconds=25") as stream:
                create(served, path, body)
                greetings = (
                    json.loads(line)["object"]["metadata"].get("annotations", {}).get("greeting")
                    for line in stream.iter_lines()
                )
                assert next(filter(None, greetings), None) == "hello world"
            held = client.get(f"{path}/world").json()
            assert held["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            with client.stream(
                "GET", f"{path}?watch=1&timeoutSeconds=25&resourceVersion={held['metadata']['resourceVersion']}"
            ) as stream:
                client.delete(f"{path}/world")
                kinds = (json.loads(line)["type"] for line in stream.iter_lines())
                assert "DELETED" in kinds
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
