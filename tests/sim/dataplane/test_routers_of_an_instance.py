"""What the controller pushes reaches every router of a deployment, also those made later (reference/ray-serve.md 5.11)."""

from __future__ import annotations

from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.router import RouterConfig

APP = DeploymentId("App", "app")


def serve() -> LocalServe:
    return LocalServe(single("m.app", Constant(1.0)), pods=2, replicas=2)


def test_a_router_made_later_begins_with_what_was_pushed() -> None:
    site = serve()
    site.routers.configure(APP, RouterConfig(max_queued_requests=7))
    site.routers.set_unavailable(APP, True, 5)
    late = site.routers.router(APP, owner="late")
    assert [replica.replica_id for replica in late.replicas] == ["app0", "app1"]
    assert (late._config.max_queued_requests, late._unavailable, late.has_had_replicas) == (7, True, True)


def test_a_handle_counts_its_own_load() -> None:
    site = serve()
    for pod in (0, 0, 1):
        site.kernel.spawn("client", site.request("GET", "/", pod=pod))
    site.kernel.run(until_s=0.5)
    assert site.routers.loads(APP) == [("proxy/node-0", 0, 2), ("proxy/node-1", 0, 1)]


def test_what_a_dead_owner_held_counts_no_more() -> None:
    site = serve()
    site.routers.update_replicas(APP, [])
    site.kernel.spawn("client", site.request("GET", "/", pod=1))
    site.kernel.run(until_s=0.5)
    assert site.routers.loads(APP) == [("proxy/node-0", 0, 0), ("proxy/node-1", 1, 0)]
    site.routers.close_owner("proxy/node-1")
    assert site.routers.loads(APP) == [("proxy/node-0", 0, 0)]


def test_a_removed_deployment_has_no_replicas_and_is_available_when_it_comes_back() -> None:
    site = serve()
    site.routers.set_unavailable(APP, True)
    site.routers.remove(APP)
    site.routers.remove(DeploymentId("Other", "app"))
    router = site.routers.router(APP, owner="me")
    assert (router.replicas, router._unavailable) == ([], False)
    assert [replica.watchers for replica in site.replicas["App"]] == [[], []]


def test_a_closed_router_watches_nothing() -> None:
    site = serve()
    router = site.routers.router(APP, owner="me")
    before = len(site.replicas["App"][0].watchers)
    site.routers.close(router)
    assert len(site.replicas["App"][0].watchers) == before - 1
    assert [owner for owner, _, _ in site.routers.loads(APP)] == ["proxy/node-0", "proxy/node-1"]
