"""The official Python client as it is: typed, dynamic, watches (K8-008)."""

from __future__ import annotations

import datetime
import queue
import threading
from itertools import count

import pytest

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'rayrig[clients]'")

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

from rayrig_fakes.kubernetes.saved_state import SavedState

_numbers = count()


@pytest.fixture
def api(served):
    with config.new_client_from_config(str(served.kubeconfig)) as found:
        yield found


@pytest.fixture
def namespace(api):
    name = f"python-{next(_numbers)}"
    body = client.V1Namespace(metadata=client.V1ObjectMeta(name=name))
    client.CoreV1Api(api).create_namespace(body)
    return name


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def pod(name):
    container = client.V1Container(name="c", image="x", resources=client.V1ResourceRequirements(requests={"cpu": "1"}))
    spec = client.V1PodSpec(containers=[container])
    return client.V1Pod(metadata=client.V1ObjectMeta(name=name, labels={"app": name}), spec=spec)


@pytest.mark.accepts("K8-008")
def test_typed_objects(api, namespace):
    core = client.CoreV1Api(api)
    created = core.create_namespaced_pod(namespace, pod("p"))
    assert created.status.phase == "Pending"
    assert created.metadata.creation_timestamp.tzinfo is not None
    listed = core.list_namespaced_pod(namespace, label_selector="app=p", limit=1)
    assert [item.metadata.name for item in listed.items] == ["p"]
    patched = core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"tier": "front"}}})
    assert patched.metadata.labels == {"app": "p", "tier": "front"}
    core.delete_namespaced_pod("p", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_pod("p", namespace)
    assert (gone.value.status, gone.value.reason) == (404, "Not Found")


@pytest.mark.accepts("K8-008", "K8-022")
def test_a_stale_update_is_a_conflict(api, namespace):
    core = client.CoreV1Api(api)
    first = core.create_namespaced_config_map(namespace, config_map("a", x="1"))
    core.patch_namespaced_config_map("a", namespace, {"data": {"x": "2"}})
    with pytest.raises(ApiException) as conflict:
        core.replace_namespaced_config_map("a", namespace, first)
    assert conflict.value.status == 409


@pytest.mark.accepts("K8-008")
def test_a_watch_goes_on_where_a_list_ended(api, namespace):
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(namespace, config_map("before"))
    listed = core.list_namespaced_config_map(namespace)
    for name in "ab":
        core.create_namespaced_config_map(namespace, config_map(name))
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=1,
    )
    assert [(event["type"], event["object"].metadata.name) for event in stream] == [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.accepts("K8-008")
def test_a_watch_that_is_too_old_is_told_410(api, namespace, served):
    core = client.CoreV1Api(api)
    old = core.create_namespaced_config_map(namespace, config_map("a")).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("b"))
    served.ask(lambda server: server.compact())
    with pytest.raises(ApiException) as gone:
        list(watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=old, timeout_seconds=2))
    assert gone.value.status == 410


@pytest.mark.accepts("K8-008")
def test_the_dynamic_client_discovers_and_applies(api, namespace):
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    assert maps.server_side_apply(body=body, namespace=namespace, field_manager="tests").data.x == "1"
    assert [item.metadata.name for item in maps.get(namespace=namespace).items] == ["a"]
    maps.delete(name="a", namespace=namespace)


@pytest.mark.accepts("K8-008")
def test_custom_resources(api, namespace):
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{namespace}.example.com"},
        "spec": {
            "group": f"{namespace}.example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                        }
                    },
                }
            ],
        },
    }
    client.ApiextensionsV1Api(api).create_custom_resource_definition(definition)
    things = client.CustomObjectsApi(api)
    where = (f"{namespace}.example.com", "v1", namespace, "things")
    body = {
        "apiVersion": f"{namespace}.example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "a"},
        "spec": {"size": 1},
    }
    things.create_namespaced_custom_object(*where, body)
    assert things.get_namespaced_custom_object(*where, "a")["spec"] == {"size": 1}
    body["spec"]["size"] = "large"
    body["metadata"]["name"] = "b"
    with pytest.raises(ApiException) as refused:
        things.create_namespaced_custom_object(*where, body)
    assert refused.value.status == 422
    client.ApiextensionsV1Api(api).delete_custom_resource_definition(f"things.{namespace}.example.com")


@pytest.mark.accepts("K8-008")
def test_the_dynamic_client_watches_patches_and_deletes_a_collection(api, namespace):
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    for name in "ab":
        body = {"metadata": {"name": name, "labels": {"app": "x"}}, "data": {"x": "1"}}
        maps.create(body=body, namespace=namespace)
    seen = [(event["type"], event["object"].metadata.name) for event in maps.watch(namespace=namespace, timeout=1)]
    assert seen == [("ADDED", "a"), ("ADDED", "b")]
    patch = {"data": {"x": None, "y": "2"}}
    changed = maps.patch(name="a", namespace=namespace, body=patch, content_type="application/merge-patch+json")
    assert changed.data.to_dict() == {"y": "2"}
    maps.delete(namespace=namespace, label_selector="app=x")
    assert maps.get(namespace=namespace).items == []


class Seen:
    """What an informer tells, to be waited for."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[str, str]] = queue.Queue()

    def teller(self, kind: str):
        def tell(found) -> None:
            self._told.put((kind, found.metadata.name if hasattr(found, "metadata") else type(found).__name__))

        return tell

    def next(self) -> tuple[str, str]:
        return self._told.get(timeout=20)


@pytest.mark.accepts("K8-008")
def test_an_informer_keeps_up_with_changes_and_survives_lost_history(api, namespace, served):
    from kubernetes.informer import ADDED, DELETED, ERROR, MODIFIED, SharedInformer

    core, seen = client.CoreV1Api(api), Seen()
    core.create_namespaced_config_map(namespace, config_map("a", x="1"))
    informer = SharedInformer(core.list_namespaced_config_map, namespace=namespace)
    for kind in (ADDED, MODIFIED, DELETED, ERROR):
        informer.add_event_handler(kind, seen.teller(kind))
    informer.start()
    try:
        assert seen.next() == ("ADDED", "a")
        core.create_namespaced_config_map(namespace, config_map("b"))
        assert seen.next() == ("ADDED", "b")
        before = served.ask(SavedState.of)
        core.patch_namespaced_config_map("a", namespace, {"data": {"x": "2"}})
        core.delete_namespaced_config_map("b", namespace)
        assert [seen.next(), seen.next()] == [("MODIFIED", "a"), ("DELETED", "b")]
        # History is lost and two changes are undone: its watch ends, it lists again and tells what is otherwise now.
        served.ask(before.restore)
        assert seen.next() == ("ERROR", "ApiException")
        assert [seen.next(), seen.next()] == [("MODIFIED", "a"), ("ADDED", "b")]
        assert [found.data for found in informer.cache.list()] == [{"x": "1"}, None]
    finally:
        # The end of its stream is what lets its thread see that it is to stop.
        stopping = threading.Thread(target=informer.stop)
        stopping.start()
        core.create_namespaced_config_map(namespace, config_map("end"))
        stopping.join(20)
    assert not stopping.is_alive()


@pytest.mark.accepts("K8-008", "K8-080")
def test_one_of_two_candidates_leads_until_it_lets_go(api, namespace):
    leases = client.CoordinationV1Api(api)

    def lease(holder: str, version: str | None = None):
        now = datetime.datetime.now(datetime.UTC)
        spec = client.V1LeaseSpec(holder_identity=holder, lease_duration_seconds=15, acquire_time=now, renew_time=now)
        return client.V1Lease(metadata=client.V1ObjectMeta(name="leader", resource_version=version), spec=spec)

    held = leases.create_namespaced_lease(namespace, lease("one"))
    with pytest.raises(ApiException) as late:
        leases.create_namespaced_lease(namespace, lease("two"))
    assert (late.value.status, late.value.reason) == (409, "Conflict")
    seen = leases.read_namespaced_lease("leader", namespace).metadata.resource_version
    leases.replace_namespaced_lease("leader", namespace, lease("one", held.metadata.resource_version))
    with pytest.raises(ApiException) as stale:
        leases.replace_namespaced_lease("leader", namespace, lease("two", seen))
    assert stale.value.status == 409
