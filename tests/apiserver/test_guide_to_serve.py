"""The guide to RayServe with the API server, from its first command to its last: its curl commands, as they stand in it.

With the operator of the guide's time `kubectl get service` prints what the guide shows; the one of release 1.7 makes the head's
Service headless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.resource_types import SERVICE

GUIDE = Path(__file__).parents[3] / "shared" / "guides" / "kuberay-apiserver-serve.md"

_CURL = re.compile(r"^curl -X (\w+) 'localhost:8888(\S+)'.*?(?:--data '(.*?)'\n)?```", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^(test-cluster-\S+) +(\S+) +(\S+) +(\S+) +(\S+) *$", re.MULTILINE)
_ADDRESS = re.compile(r"10(\.\d+){3}")

Site = Any


@dataclass(frozen=True)
class Command:
    """A curl command of the guide."""

    method: str
    path: str
    body: str


@dataclass(frozen=True)
class Guide:
    """Its commands in the order in which it has them, and the Services that it prints."""

    cluster: Command
    template: Command
    submit: Command
    get: Command
    delete: Command
    services: list[tuple[str, ...]]


@pytest.fixture(scope="module")
def guide() -> Guide:
    if not GUIDE.exists():
        pytest.skip("the guide is not here")
    text = GUIDE.read_text()
    commands = [Command(method, path, body) for method, path, body in _CURL.findall(text)]
    return Guide(*commands, services=_PRINTED.findall(text))


def printed(site: Site) -> list[tuple[str, ...]]:
    """`kubectl get service`, without the age, which the guide leaves out, and without what else is there."""
    table = site.world.object_table(SERVICE, "default")
    assert [column.upper() for column in table.columns] == [
        "NAME",
        "TYPE",
        "CLUSTER-IP",
        "EXTERNAL-IP",
        "PORT(S)",
        "AGE",
    ]
    return [row[:-1] for row in table.rows if row[0].startswith("test-cluster")]


def without_addresses(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(_ADDRESS.sub("<ip>", cell) for cell in row) for row in rows]


@pytest.mark.accepts("AS-011", "AS-012", "AS-037", "AS-050", "AS-051", "AS-053")
@pytest.mark.parametrize("profile", ["v1.1.0", "v1.7.0"])
def test_the_guide_works_from_first_to_last(guide: Guide, new_site: Callable[..., Site], profile: str) -> None:
    site = new_site(profile=profile).start()

    def curl(command: Command) -> Any:
        return site.ok(command.method, command.path, command.body or None)

    # Before the cluster, the template.
    status, refused = site.send(guide.cluster.method, guide.cluster.path, guide.cluster.body)
    assert (status, refused["code"]) == (500, 13)
    assert curl(guide.template) == {**json.loads(guide.template.body), "memoryUnit": "Gi"}

    # Creating a cluster with RayServe support
    cluster = curl(guide.cluster)
    assert set(cluster["annotations"]) == {"ray.io/enable-serve-service", "ray.io/creation-timestamp"}
    (group,) = cluster["clusterSpec"]["workerGroupSpec"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (1, 1, 5)
    site.until(lambda: len(printed(site)) == 2, within_s=5)
    shown = without_addresses(guide.services)
    if profile == "v1.7.0":
        name, kind, _, *rest = shown[0]
        shown[0] = (name, kind, "None", *rest)
    assert without_addresses(printed(site)) == shown
    status, refused = site.send(guide.submit.method, guide.submit.path, guide.submit.body)
    assert (status, refused) == (500, {"code": 2, "message": "cluster is not ready"})
    site.until(site.is_ready)

    # Create Serve applications
    assert site.post("http://test-cluster-serve-svc.default:8000/fruit", ["MANGO", 2]) == b""
    assert curl(guide.submit) == {}

    # Get Serve applications
    def run() -> bool:
        applications = curl(guide.get)["applications"]
        return {name: app["status"] for name, app in applications.items()} == dict.fromkeys(
            ("fruit_app", "math_app"), "RUNNING"
        )

    site.until(run)
    reply = curl(guide.get)
    assert len(reply["proxies"]) == 2
    for name, route in (("fruit_app", "/fruit"), ("math_app", "/calc")):
        application = reply["applications"][name]
        assert application["routePrefix"] == route
        assert [d["status"] for d in application["deployments"].values()] == ["HEALTHY"] * 5
    mango = reply["applications"]["fruit_app"]["deployments"]["MangoStand"]
    assert mango["deploymentConfig"]["userConfig"] == {"price": "3"}
    site.sleep(10)
    assert site.post("http://test-cluster-serve-svc.default:8000/fruit", ["MANGO", 2]) == b"6"
    assert site.post("http://test-cluster-serve-svc.default:8000/calc", ["MUL", 3]) == b'"15 pizzas please!"'

    # Delete Serve applications
    assert curl(guide.delete) == {}
    assert "applications" not in curl(guide.get)
    assert site.post("http://test-cluster-serve-svc.default:8000/fruit", ["MANGO", 2]) == b""
