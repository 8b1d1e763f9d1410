"""Scheduler and controllers in a process of their own, at an API server that runs alone, on wall time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from rayrig.cli import main
from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.control_plane_process import ControlPlaneProcess, ControlPlaneSettings
from rayrig_backends.cluster.hollow_nodes import HollowNodes, HollowNodesSettings
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.served_types import served_types
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.objects import JsonObject, has_condition
from rayrig_core.resource_types import (
    CORE_EVENT,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    STORAGE_CLASS,
    ResourceType,
)
from rayrig_sim.kubernetes.controller_names import ControllerName, left_out
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

_LIMIT_S = 30.0
_WIDGETS = ResourceType("test.rayrig.dev", "v1", "widgets", "Widget")


def play(story: Callable[[HttpKubernetesClient], Awaitable[None]], leave_out: tuple[ControllerName, ...] = ()) -> None:
    """Tell `story` to an API server without controllers, beside which a control plane and one node work."""

    async def whole(url: str) -> None:
        client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
        plane = ControlPlaneProcess(ControlPlaneSettings(connect_to(url), leave_out=leave_out))
        nodes = HollowNodes(HollowNodesSettings(connect_to(url), [NodeSpec("n-0", address="172.18.0.2")]))
        runs = [asyncio.create_task(each.run()) for each in (plane, nodes)]
        try:
            async with asyncio.timeout(_LIMIT_S):
                await story(client)
        finally:
            for process in (plane, nodes):
                process.stop()
            await asyncio.gather(*runs)
            await client.aclose()

    with KubernetesThread(KubernetesOptions(controllers=False)) as kubernetes:
        asyncio.run(whole(kubernetes.url))


async def until(
    client: HttpKubernetesClient, resource: ResourceType, holds: Callable[[list[JsonObject]], bool]
) -> list[JsonObject]:
    """The objects of that type in `default`, as soon as that holds of them."""
    first = await client.list(resource, "default")
    stream = await client.watch(resource, "default", resource_version=first.resource_version)
    try:
        while True:
            items = (await client.list(resource, "default")).items
            if holds(items):
                return items
            await stream.next()
    finally:
        stream.close()


def deployment(replicas: int) -> JsonObject:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def test_a_deployment_gets_pods_nodes_and_endpoints_and_takes_them_away_again() -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await client.create(DEPLOYMENT, deployment(2))
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        await client.create(SERVICE, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
        pods = await until(client, POD, lambda pods: sum(has_condition(pod, "Ready") for pod in pods) == 2)
        assert [pod["spec"]["nodeName"] for pod in pods] == ["n-0", "n-0"]
        slices = await until(
            client, ENDPOINT_SLICE, lambda slices: sum(len(each.get("endpoints") or []) for each in slices) == 2
        )
        addresses = {address for each in slices for end in each["endpoints"] for address in end["addresses"]}
        assert addresses == {pod["status"]["podIP"] for pod in pods}
        await client.delete(DEPLOYMENT, "web", "default")
        await until(client, POD, lambda pods: not pods)

    play(story)


def test_a_claim_is_provisioned_when_a_pod_that_uses_it_has_a_node() -> None:
    async def story(client: HttpKubernetesClient) -> None:
        fast = {"metadata": {"name": "fast"}, "provisioner": "disks", "volumeBindingMode": "WaitForFirstConsumer"}
        await client.create(STORAGE_CLASS, fast)
        asked = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}
        spec = {**asked, "resources": {"requests": {"storage": "2Gi"}}}
        await client.create(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "c"}, "spec": spec}, "default")
        made = deployment(1)
        made["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
        await client.create(DEPLOYMENT, made)
        await until(client, POD, lambda pods: any(has_condition(pod, "Ready") for pod in pods))
        claim = await client.get(PERSISTENT_VOLUME_CLAIM, "c", "default")
        assert (claim["status"]["phase"], claim["status"]["capacity"]) == ("Bound", {"storage": "2Gi"})

    play(story)


def test_a_controller_that_is_left_out_does_nothing() -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await client.create(DEPLOYMENT, deployment(1))
        await until(client, POD, lambda pods: len(pods) == 1)
        await client.delete(DEPLOYMENT, "web", "default")
        # Whoever would have collected has had the time by when a later deployment is served.
        later = deployment(1)
        later["metadata"]["name"] = "later"
        later["spec"]["selector"]["matchLabels"] = later["spec"]["template"]["metadata"]["labels"] = {"app": "later"}
        await client.create(DEPLOYMENT, later)
        pods = await until(client, POD, lambda pods: any(each["metadata"]["labels"]["app"] == "later" for each in pods))
        assert sorted(each["metadata"]["labels"]["app"] for each in pods) == ["later", "web"]

    play(story, left_out(["-garbage-collector-controller", "*"]))


def test_owners_and_owned_may_be_custom_resources_that_are_defined_later() -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "metadata": {"name": "widgets.test.rayrig.dev"},
        "spec": {
            "group": "test.rayrig.dev",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }

    def widget(name: str, **metadata: Any) -> JsonObject:
        return {
            "apiVersion": "test.rayrig.dev/v1",
            "kind": "Widget",
            "metadata": {"name": name, "namespace": "default", **metadata},
        }

    async def story(client: HttpKubernetesClient) -> None:
        await client.create(CUSTOM_RESOURCE_DEFINITION, definition)
        owner = await client.create(_WIDGETS, widget("owner"))
        reference = {
            "apiVersion": "test.rayrig.dev/v1",
            "kind": "Widget",
            "name": "owner",
            "uid": owner["metadata"]["uid"],
        }
        await client.create(_WIDGETS, widget("owned", ownerReferences=[reference]))
        await client.delete(_WIDGETS, "owner", "default")
        await until(client, _WIDGETS, lambda widgets: not widgets)

    play(story)


def test_what_is_served_is_told_once_and_only_what_can_be_followed() -> None:
    async def ask(url: str) -> list[ResourceType]:
        client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
        try:
            return await served_types(client)
        finally:
            await client.aclose()

    with KubernetesThread(KubernetesOptions(controllers=False)) as kubernetes:
        types = asyncio.run(ask(kubernetes.url))
    assert {POD, DEPLOYMENT, CORE_EVENT} <= set(types)
    assert EVENT not in types
    assert not [each for each in types if "/" in each.plural or each.kind.endswith("Review")]
    assert len({each.group_resource for each in types}) == len(types)


def test_the_list_of_controllers_is_read_as_the_controller_manager_reads_it() -> None:
    every = tuple(ControllerName)
    jobs = ControllerName.JOBS
    assert left_out(["*"]) == ()
    assert left_out(["*", "-job-controller"]) == (jobs,)
    assert left_out(["-job-controller"]) == every
    assert left_out(["job-controller"]) == tuple(name for name in every if name is not jobs)
    assert left_out(["job-controller", "-job-controller", "*"]) == ()


def test_an_unknown_controller_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["control-plane", "--server", "http://127.0.0.1:1", "--controllers", "*,-jobs"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "no such controller: jobs (" in told
    assert "job-controller" in told


def test_a_server_that_does_not_answer_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["control-plane", "--server", "http://127.0.0.1:1"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("rayrig: http://127.0.0.1:1: no answer: connection refused")
