"""The server as tests of users have it: beside a rig."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rayrig.apiserver.server import ApiServerSettings
from rayrig.apiserver.simulated import SimulatedApiServer
from rayrig_backends.world import World
from rayrig_core.errors import InputError
from rayrig_scenarios.api import Rig

TEMPLATE = {"name": "t", "namespace": "default", "cpu": 1, "memory": 1}
TEMPLATES = "/apis/v1/namespaces/default/compute_templates"


def test_it_answers_v1_and_v2_and_takes_time() -> None:
    rig = Rig()
    api = SimulatedApiServer(rig.world)
    before_s = rig.now_s
    assert api.request("POST", TEMPLATES, TEMPLATE).json() == {**TEMPLATE, "memoryUnit": "Gi"}
    assert 0 < rig.now_s - before_s < 1
    assert api.request("GET", "/apis/ray.io/v1/namespaces/default/rayjobs").json()["kind"] == "RayJobList"
    assert api.request("POST", TEMPLATES, body="{").status == 400


def test_two_of_one_world_share_what_is_stored() -> None:
    rig = Rig()
    SimulatedApiServer(rig.world).request("POST", TEMPLATES, TEMPLATE)
    guarded = SimulatedApiServer(rig.world, ApiServerSettings(token="let me in"))
    assert guarded.request("GET", TEMPLATES).status == 401
    answer = guarded.request("GET", TEMPLATES, headers={"Authorization": "let me in"})
    assert [template["name"] for template in answer.json()["computeTemplates"]] == ["t"]


def test_faults_strike_its_calls() -> None:
    rig = Rig()
    api = SimulatedApiServer(rig.world)
    rig.fault("api-error", actor="kuberay-apiserver", verb="list", code=503)
    answer = api.request("GET", "/apis/v1/namespaces/default/clusters")
    assert (answer.status, answer.json()["code"]) == (500, 2)


def test_another_world_is_refused() -> None:
    with pytest.raises(InputError, match="not in memory"):
        SimulatedApiServer(cast(World, cast(Any, object())))
