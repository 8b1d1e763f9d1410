"""Why a pod of a real cluster is not ready: from its objects and Events alone, as an API server shows them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from why_telling import details, story

from rayrig_core.errors import ApiError, InputError, api_error
from rayrig_core.objects import JsonObject
from rayrig_core.ports import ObjectList
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import parse_rfc3339
from rayrig_scenarios.why.chain import Chain
from rayrig_scenarios.why.from_cluster import evidence_of, why, why_each
from rayrig_scenarios.why.stages import Stage

NOW = parse_rfc3339("2026-11-21T12:10:00Z")
WORKER_PROBE: JsonObject = {
    "exec": {
        "command": [
            "bash",
            "-c",
            (
                "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success && "
                "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
            ),
        ]
    },
    "periodSeconds": 5,
    "timeoutSeconds": 2,
    "failureThreshold": 1,
}


class Shown:
    """What an API server lists. A kind that is not given is forbidden."""

    def __init__(self, **objects: list[JsonObject]) -> None:
        self.objects = objects

    async def list(self, resource: ResourceType, namespace: str = "", **_: Any) -> ObjectList:
        if resource.plural not in self.objects:
            status = {
                "code": 403,
                "reason": "Forbidden",
                "message": f"{resource.plural} is forbidden",
                "status": "Failure",
            }
            raise api_error(status)
        found = self.objects[resource.plural]
        return ObjectList([o for o in found if not namespace or o["metadata"].get("namespace") == namespace], "1", "")


def at(time: str) -> str:
    return f"2026-11-21T{time}Z"


def a_pod(name: str = "web-1", *, node: str = "n1", labels: dict[str, str] | None = None, **spec: Any) -> JsonObject:
    container = {"name": "main", "image": "web:1", **spec}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "creationTimestamp": at("12:00:00")}
    metadata["labels"] = labels or {}  # type: ignore[assignment]
    return {"metadata": metadata, "spec": {"containers": [container], **({"nodeName": node} if node else {})}}


def with_status(pod: JsonObject, *conditions: tuple[str, str, str, str], **container: Any) -> JsonObject:
    """Conditions are (type, status, time, message)."""
    pod["status"] = {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": status, "lastTransitionTime": at(time), "message": message}
            for kind, status, time, message in conditions
        ],
        "containerStatuses": [{"name": "main", "ready": False, "restartCount": 0, **container}],
    }
    return pod


def a_node(name: str = "n1", *, ready: str = "True", time: str = "11:00:00") -> JsonObject:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": at(time), "reason": "NodeStatusUnknown"}
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": [condition], "allocatable": allocatable}}


def an_event(pod: JsonObject, reason: str, message: str, *, first: str, last: str, count: int) -> JsonObject:
    about = {"kind": "Pod", "uid": pod["metadata"]["uid"], "fieldPath": "spec.containers{main}"}
    return {
        "metadata": {"name": f"e-{reason}-{first}", "namespace": "default"},
        "involvedObject": about,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "firstTimestamp": at(first),
        "lastTimestamp": at(last),
        "count": count,
    }


def asked(shown: Shown, name: str = "web-1") -> Chain:
    evidence = asyncio.run(evidence_of(shown, "default", NOW))  # type: ignore[arg-type]
    return why(evidence, name, "default")


def test_a_failing_probe_is_told_as_events_tell_it() -> None:
    pod = with_status(
        a_pod(readinessProbe={"httpGet": {"path": "/ready", "port": 80}}),
        ("Ready", "False", "12:03:00", "containers with unready status: [main]"),
        state={"running": {"startedAt": at("12:01:00")}},
        started=True,
    )
    message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    event = an_event(pod, "Unhealthy", message, first="12:02:40", last="12:09:50", count=44)
    chain = asked(Shown(pods=[pod], nodes=[a_node()], events=[event], rayservices=[]))
    assert chain.stage is Stage.READINESS_PROBE
    assert chain.clock.tell(chain.since_ns or 0) == "12:03:00Z"
    assert story(chain) == ["12:02:40Z: the readiness probe of main fails"]
    assert details(chain) == [
        "it asks :80/ready each 10 s, timeout 1 s; 3 failures in a row count",
        '12:02:40Z to 12:09:50Z, as Events tell: failed 44 times, "HTTP probe failed with statuscode: 503"',
    ]
    assert chain.as_json_value()["at"] == at("12:10:00")


def test_without_an_event_nothing_is_made_up() -> None:
    pod = with_status(
        a_pod(readinessProbe={"tcpSocket": {"port": 80}}),
        ("Ready", "False", "12:03:00", ""),
        state={"running": {"startedAt": at("12:01:00")}},
        started=True,
    )
    chain = asked(Shown(pods=[pod]))
    assert story(chain) == ["12:01:00Z: the readiness probe of main has not succeeded yet, and no failure was reported"]


def test_a_worker_of_a_ray_service_is_explained_by_its_status() -> None:
    labels = {"ray.io/cluster": "shop-abc", "ray.io/node-type": "worker"}
    pod = with_status(
        a_pod("shop-abc-worker-x", labels=labels, readinessProbe=WORKER_PROBE),
        ("Ready", "False", "12:03:00", ""),
        state={"running": {"startedAt": at("12:01:00")}},
        started=True,
    )
    event = an_event(pod, "Unhealthy", "Readiness probe failed: success\n", first="12:02:40", last="12:09:50", count=3)
    deployment = {"status": "UNHEALTHY", "message": "The deployment failed to start 3 times in a row."}
    application = {"status": "DEPLOY_FAILED", "message": "Failed.", "serveDeploymentStatuses": {"Model": deployment}}
    service = {
        "metadata": {"name": "shop", "namespace": "default"},
        "status": {
            "activeServiceStatus": {"rayClusterName": "shop-abc", "applicationStatuses": {"store": application}}
        },
    }
    head = with_status(
        a_pod("shop-abc-head", labels={**labels, "ray.io/node-type": "head"}), ("Ready", "True", "12:01:00", "")
    )
    shown = Shown(pods=[pod, head], nodes=[a_node()], events=[event], rayservices=[service])
    chain = asked(shown, "shop-abc-worker")
    assert story(chain) == [
        "12:02:40Z: the readiness probe of main fails",
        "no Serve proxy answers on it: most often no replica is placed there",
        "RayService shop reports that store is DEPLOY_FAILED",
    ]
    assert details(chain, 2) == [
        "application store: DEPLOY_FAILED: Failed.",
        "deployment store/Model: UNHEALTHY: The deployment failed to start 3 times in a row.",
    ]


def test_a_crash_loop() -> None:
    pod = with_status(
        a_pod(),
        ("Ready", "False", "12:09:00", ""),
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=main"}},
        lastState={
            "terminated": {"exitCode": 1, "reason": "Error", "finishedAt": at("12:09:00"), "message": "no database"}
        },
        restartCount=4,
    )
    chain = asked(Shown(pods=[pod], nodes=[a_node()], events=[], rayservices=[]))
    assert story(chain) == ["12:09:00Z: container main ended with code 1"]
    assert details(chain) == [
        "its last words: no database",
        "it has been started anew 4 times",
        "CrashLoopBackOff: back-off 40s restarting failed container=main",
    ]


def test_a_pod_no_node_takes_is_held_against_the_nodes() -> None:
    pod = a_pod(node="", resources={"requests": {"cpu": "3"}})
    message = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: none."
    pod["status"] = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": at("12:00:01"),
            }
        ],
    }
    other = a_pod("elsewhere", resources={"requests": {"cpu": "2"}})
    other["metadata"]["namespace"] = "kube-system"
    chain = asked(Shown(pods=[pod, other], nodes=[a_node()]))
    assert story(chain) == [
        "12:00:01Z: no node takes it: 0/1 nodes are available: 1 Insufficient cpu",
        "it asks for cpu 3; n1: cpu: 2 of 4 free, taken by elsewhere",
    ]


def test_a_silent_node() -> None:
    pod = with_status(
        a_pod(),
        ("Ready", "False", "12:05:00", ""),
        ("ContainersReady", "True", "12:01:00", ""),
        ready=True,
        state={"running": {}},
    )
    chain = asked(Shown(pods=[pod], nodes=[a_node(ready="Unknown", time="12:05:00")]))
    assert chain.stage is Stage.NODE
    assert story(chain) == ["12:05:00Z: its node n1 is silent: its kubelet reports nothing any more"]


def test_a_pod_that_is_being_deleted_says_since_when_and_for_how_long() -> None:
    pod = with_status(a_pod(), ("Ready", "True", "12:01:00", ""), ready=True, state={"running": {}})
    pod["metadata"] |= {"deletionTimestamp": at("12:10:20"), "deletionGracePeriodSeconds": 30, "finalizers": ["a/b"]}
    chain = asked(Shown(pods=[pod], nodes=[a_node()]))
    assert story(chain) == ["12:09:50Z: it is being deleted"]
    assert details(chain) == [
        "main may run until 12:10:20Z, the end of its grace of 30 s",
        "it stays until its finalizers are removed: a/b",
        "its condition Ready is True still, but no Service sends new connections to it",
    ]


def test_a_ready_pod_and_a_list_of_all() -> None:
    ready = with_status(a_pod("web-2"), ("Ready", "True", "12:01:00", ""), ready=True, state={"running": {}})
    waiting = a_pod("web-3", node="")
    shown = Shown(pods=[ready, waiting], nodes=[a_node()])
    assert story(asked(shown, "web-2")) == ["12:01:00Z: it is ready"]
    evidence = asyncio.run(evidence_of(shown, "default", NOW))  # type: ignore[arg-type]
    assert [(one.pod, one.short()) for one in why_each(evidence, "default")] == [
        ("web-2", "it is ready"),
        ("web-3", "the scheduler has not looked at it yet"),
    ]


def test_pods_that_may_not_be_listed_and_pods_that_are_not_there() -> None:
    with pytest.raises(ApiError, match="pods is forbidden"):
        asked(Shown())
    with pytest.raises(InputError, match='there is no pod "web-1"'):
        asked(Shown(pods=[]))
