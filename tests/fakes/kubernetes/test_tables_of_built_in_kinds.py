"""What `kubectl get` would show."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resource_types import CONFIG_MAP, CORE_EVENT, ENDPOINT_SLICE, NODE, POD, SERVICE, ResourceType
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.tables.cells import human_duration
from tests.fakes.kubernetes.conftest import Api


def rows(api: Api, kind: ResourceType) -> list[list[Any]]:
    return api.server.table(kind, "default" if kind.namespaced else "")[1]


def container(ready: bool = False, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": "c", "ready": ready, "restartCount": restarts, "state": state}


@pytest.mark.accepts("K8-011")
@pytest.mark.parametrize(
    ("status", "cells"),
    [
        ({"phase": "Running", "podIP": "10.1.1.1", "containerStatuses": [container(True, 2, running={})]},
         ["1/1", "Running", "2", "0s", "10.1.1.1"]),
        ({"phase": "Running", "containerStatuses": [container(False, 1, waiting={"reason": "CrashLoopBackOff"})]},
         ["0/1", "CrashLoopBackOff", "1", "0s", "<none>"]),
        ({"phase": "Failed", "reason": "Evicted"}, ["0/1", "Evicted", "0", "0s", "<none>"]),
        ({"phase": "Succeeded", "containerStatuses": [container(terminated={"exitCode": 0, "reason": "Completed"})]},
         ["0/1", "Completed", "0", "0s", "<none>"]),
        ({"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 3})]},
         ["0/1", "ExitCode:3", "0", "0s", "<none>"]),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]},
         ["0/1", "Init:0/1", "0", "0s", "<none>"]),
    ],
)  # fmt: skip
def test_pods(api: Api, status: dict[str, Any], cells: list[str]) -> None:
    init = [{"name": "i", "image": "i"}] if "initContainerStatuses" in status else []
    api.pod("p", **({"initContainers": init} if init else {}))
    api.patch(POD, "p", {"status": status}, subresource="status")
    assert rows(api, POD) == [["p", *cells, "n1", "<none>", "<none>"]]


@pytest.mark.accepts("K8-011")
def test_a_pod_being_deleted(api: Api) -> None:
    api.pod("p")
    api.delete(POD, "p")
    api.pass_time(200)
    assert rows(api, POD)[0][:5] == ["p", "0/1", "Terminating", "0", "3m20s"]


@pytest.mark.accepts("K8-011")
def test_other_kinds(api: Api) -> None:
    api.config_map("m", data={"a": "1", "b": "2"})
    assert rows(api, CONFIG_MAP) == [["m", 2, "0s"]]
    api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"x": "y"}}})
    address = api.get(SERVICE, "s")["spec"]["clusterIP"]
    assert rows(api, SERVICE) == [["s", "ClusterIP", address, "<none>", "80/TCP", "0s", "x=y"]]
    api.create(NODE, {"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}},
                      "spec": {"unschedulable": True},
                      "status": {"conditions": [{"type": "Ready", "status": "True"}],
                                 "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                                 "nodeInfo": {"kubeletVersion": "v1.36.2"}}})  # fmt: skip
    assert rows(api, NODE) == [
        ["n", "Ready,SchedulingDisabled", "worker", "0s", "v1.36.2", "10.0.0.9", "<none>", *["<unknown>"] * 3]
    ]
    api.create(CORE_EVENT, {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
                            "reason": "R", "type": "Warning", "message": "m\n", "count": 3,
                            "lastTimestamp": "2026-01-01T00:00:00Z", "source": {"component": "c"}})  # fmt: skip
    api.pass_time(30)
    assert rows(api, CORE_EVENT) == [["30s", "Warning", "R", "pod/p", "", "c", "m", "<unknown>", 3, "e"]]
    endpoints = [{"addresses": [f"10.1.1.{n}"]} for n in range(5)]
    api.create(ENDPOINT_SLICE, {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": endpoints,
                                "ports": [{"port": 80}]})  # fmt: skip
    assert rows(api, ENDPOINT_SLICE) == [["e", "IPv4", "80", "10.1.1.0,10.1.1.1,10.1.1.2 + 2 more...", "0s"]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (10_799, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 120, "5h2m"),
        (47 * 3600, "47h"),
        (3 * 86_400 + 7200, "3d2h"),
        (100 * 86_400, "100d"),
        (800 * 86_400, "2y70d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert human_duration(seconds * NS) == text
