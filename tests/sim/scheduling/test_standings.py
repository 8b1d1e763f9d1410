"""Nodes by where they stand for pods that ask for the same: the node named is the one that all filters and scores would name."""

from __future__ import annotations

from random import Random

import pytest

from rayrig_core.objects import JsonObject
from rayrig_sim.kubernetes.scheduling.cluster import HOSTNAME, ZONE, ClusterState
from rayrig_sim.kubernetes.scheduling.filters import fit
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds, pod_needs
from rayrig_sim.kubernetes.scheduling.scores import best
from rayrig_sim.kubernetes.scheduling.standings import Standings
from rayrig_sim.kubernetes.selectors import LabelSelector, equality_selector


def node(number: int, rng: Random, zones: int) -> JsonObject:
    labels = {HOSTNAME: f"n{number}", "disk": rng.choice(("ssd", "hdd"))}
    if zones:
        labels[ZONE] = f"z{rng.randrange(zones)}"
    has = {"cpu": str(rng.choice((2, 4))), "memory": f"{rng.choice((4, 8))}Gi", "pods": str(rng.choice((4, 8)))}
    spec: JsonObject = {}
    if rng.random() < 0.1:
        spec["unschedulable"] = True
    if rng.random() < 0.1:
        spec["taints"] = [{"key": "gpu", "effect": "NoSchedule"}]
    metadata = {"name": f"n{number}", "labels": labels}
    return {"kind": "Node", "metadata": metadata, "spec": spec, "status": {"allocatable": has}}


def pod(number: int, rng: Random) -> JsonObject:
    requests = rng.choice(({}, {"cpu": "500m"}, {"cpu": "1", "memory": "1Gi"}))
    spec: JsonObject = {"containers": [{"name": "main", "image": "x", "resources": {"requests": requests}}]}
    if rng.random() < 0.2:
        spec["nodeSelector"] = {"disk": "ssd"}
    if rng.random() < 0.2:
        spec["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    labels = {"app": rng.choice("abc")}
    return {
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": "d", "uid": str(number), "labels": labels},
        "spec": spec,
    }


def group_of(needs: PodNeeds) -> LabelSelector | None:
    """Two of three apps have a Service."""
    app = needs.labels["app"]
    return equality_selector({"app": app}) if app in "ab" else None


@pytest.mark.parametrize("seed", range(12))
def test_the_node_is_the_one_that_filters_and_scores_name(seed: int) -> None:
    rng = Random(seed)
    cluster = ClusterState()
    standings = Standings(cluster)
    zones = seed % 3
    for number in range(12):
        cluster.put_node(node(number, rng, zones))
    placed: list[str] = []
    named = 0
    for number in range(150):
        needs = pod_needs(pod(number, rng))
        found = fit(needs, cluster)
        name = standings.best(needs, group_of)
        if not found.feasible:
            assert name == ""
        elif name:
            named += 1
            selector = None if len(found.feasible) == 1 else group_of(needs)
            assert name == best(needs, found.feasible, cluster, selector).name
        if found.feasible:
            cluster.put_pod(needs, name or found.feasible[-1].name)
            placed.append(needs.uid)
        while placed and (not found.feasible or rng.random() < 0.3):
            cluster.remove_pod(placed.pop(rng.randrange(len(placed))))
            if rng.random() < 0.7:
                break
        if rng.random() < 0.05:
            cluster.put_node(node(rng.randrange(14), rng, zones))
        if rng.random() < 0.02:
            cluster.remove_node(f"n{rng.randrange(12)}")
    assert named > 40


def test_what_hangs_on_other_pods_is_left_to_filters_and_scores() -> None:
    cluster = ClusterState()
    standings = Standings(cluster)
    cluster.put_node(node(0, Random(1), 0))
    near = pod(0, Random(1))
    term = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": HOSTNAME}
    near["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert standings.best(pod_needs(near), group_of) == ""
