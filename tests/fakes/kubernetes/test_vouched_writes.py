"""What is vouched for is taken as it is, and is stored as if everything in it had been looked through."""

from __future__ import annotations

import json
from random import Random

import pytest

from rayrig_core.errors import AlreadyExists, ApiError, Conflict, NotFound
from rayrig_core.objects import JsonObject, Vouched
from rayrig_core.ports import PatchType
from rayrig_core.resource_types import CORE_EVENT, ENDPOINT_SLICE, POD, REPLICA_SET, ResourceType
from rayrig_fakes.kubernetes.calls import ApiCall, Verb
from rayrig_fakes.kubernetes.server import ApiServer

_NOW_NS = 1_767_225_600 * 1_000_000_000
_SPEC: JsonObject = {"containers": [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}]}
_PORTS = [{"name": "", "protocol": "TCP", "port": 80}]


class Twins:
    """Two servers that are told the same, one of them with writes that are vouched for."""

    def __init__(self) -> None:
        self.plain, self.vouched = (ApiServer(lambda: _NOW_NS, Random(1)) for _ in range(2))

    def both(
        self,
        verb: Verb,
        resource: ResourceType,
        name: str,
        body: JsonObject,
        subresource: str = "",
        patch_type: PatchType = "merge",
    ) -> JsonObject:
        call = ApiCall(verb, resource, "default", name, subresource, patch_type=patch_type)
        answers = []
        for server, sent in ((self.plain, json.loads(json.dumps(body))), (self.vouched, Vouched(body))):
            try:
                answers.append(json.dumps(server.call(call._replace(body=sent)).body))
            except ApiError as refused:
                answers.append(f"{refused.code} {refused.message}")
        assert answers[0] == answers[1]
        assert self.plain.revision == self.vouched.revision
        answer: JsonObject = json.loads(answers[0]) if answers[0].startswith("{") else {}
        return answer


@pytest.fixture
def twins() -> Twins:
    return Twins()


def pod(name: str = "") -> JsonObject:
    metadata: JsonObject = {"namespace": "default", "labels": {"app": "a"}}
    metadata["name" if name else "generateName"] = name or "p-"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _SPEC}


def status_patch(uid: str, **status: object) -> JsonObject:
    kinds = ("Ready", "PodScheduled")
    conditions = [{"reason": None, "message": None, "type": kind, "status": "True"} for kind in kinds]
    order = [{"type": kind} for kind in kinds]
    return {
        "metadata": {"uid": uid},
        "status": {"conditions": conditions, "$setElementOrder/conditions": order, **status},
    }


def test_pods_of_one_spec_have_its_defaults(twins: Twins) -> None:
    made = [twins.both("create", POD, "", pod()) for _ in range(3)]
    assert [each["spec"]["dnsPolicy"] for each in made] == ["ClusterFirst"] * 3
    assert len({each["metadata"]["name"] for each in made}) == 3


def test_a_name_that_is_taken_is_refused_as_ever(twins: Twins) -> None:
    twins.both("create", POD, "", pod("p"))
    twins.both("create", POD, "", pod("p"))
    with pytest.raises(AlreadyExists):
        twins.vouched.call(ApiCall("create", POD, "default", body=Vouched(pod("p"))))


def test_a_kubelets_status_is_merged_and_one_that_says_nothing_new_is_not_written(twins: Twins) -> None:
    uid = twins.both("create", POD, "", pod("p"))["metadata"]["uid"]
    first = status_patch(uid, phase="Running", podIPs=[{"ip": "10.0.0.1"}], hostIP="10.1.0.1")
    assert twins.both("patch", POD, "p", first, "status", "strategic")["status"]["podIP"] == "10.0.0.1"
    revision = twins.vouched.revision
    twins.both("patch", POD, "p", first, "status", "strategic")
    assert twins.vouched.revision == revision
    other = status_patch(uid, podIPs=[{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}])
    assert twins.both("patch", POD, "p", other, "status", "strategic")["status"]["podIPs"] == [{"ip": "10.0.0.2"}]


def test_a_status_of_another_pod_of_that_name_is_refused(twins: Twins) -> None:
    twins.both("create", POD, "", pod("p"))
    twins.both("patch", POD, "p", status_patch("another"), "status", "strategic")
    body = Vouched(status_patch("another"))
    with pytest.raises(NotFound):
        twins.vouched.call(ApiCall("patch", POD, "default", "q", "status", body=body, patch_type="strategic"))


def test_sizes_and_statuses_of_replica_sets(twins: Twins) -> None:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": _SPEC}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    body = {"metadata": {"name": "r", "namespace": "default"}, "spec": spec}
    # Its maker doesn't know the defaults of a template, so he vouches for nothing.
    made, _ = (
        server.call(ApiCall("create", REPLICA_SET, "default", body=body)).own()
        for server in (twins.plain, twins.vouched)
    )
    grown = twins.both("update", REPLICA_SET, "r", {**made, "spec": {**made["spec"], "replicas": 3}})
    assert grown["metadata"]["generation"] == 2
    told = twins.both("update", REPLICA_SET, "r", {**grown, "status": {"replicas": 3}}, "status")
    assert (told["status"], told["metadata"]["generation"]) == ({"replicas": 3}, 2)
    with pytest.raises(Conflict):
        twins.vouched.call(ApiCall("update", REPLICA_SET, "default", "r", body=Vouched(made)))


def test_endpoints_and_events(twins: Twins) -> None:
    metadata = {"name": "s", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}
    endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}}
    body = {"metadata": metadata, "addressType": "IPv4", "endpoints": [endpoint], "ports": _PORTS}
    made = twins.both("create", ENDPOINT_SLICE, "", body)
    twins.both(
        "update", ENDPOINT_SLICE, "s", {**made, "endpoints": [endpoint, {**endpoint, "addresses": ["10.0.0.2"]}]}
    )
    about = {"kind": "Pod", "apiVersion": "v1", "name": "p", "namespace": "default"}
    event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": about, "reason": "R", "message": "m"}
    twins.both("create", CORE_EVENT, "", {"apiVersion": "v1", "kind": "Event", **event})
