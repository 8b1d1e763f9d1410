"""Resources of nodes, `ray start` commands, placement groups."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_sim.kernel import Kernel
from rayrig_sim.ray.cluster import ActorSpec, RayCluster
from rayrig_sim.ray.placement import place_bundles
from rayrig_sim.ray.resources import Ledger, amounts, implicit
from rayrig_sim.ray_pods.start_command import environment, node_labels, node_resources, start_command

GENERATED = (
    "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; ray start --head  --block  --dashboard-agent-listen-port=52365  "
    "--dashboard-host=0.0.0.0  --memory=2147483648  --metrics-export-port=8080  --num-cpus=1 "
)


def test_the_command_that_kuberay_generates() -> None:
    command = start_command(GENERATED, {})
    assert command is not None
    assert (command.is_head, command.address) == (True, "")
    assert command.port("dashboard-agent-listen-port", 1) == 52365
    assert node_resources(command, {}, host_cpus=8) == {"CPU": 1.0, "memory": 2147483648.0}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ray start --address=c-head-svc.ns.svc.cluster.local:6379 --block", "c-head-svc.ns.svc.cluster.local:6379"),
        ("echo hi && ray start --address=$FQ_RAY_IP:6379", "fq:6379"),
        ("ray start --address $(FQ_RAY_IP):6379; sleep infinity", "fq:6379"),
        ("ray start --block", "env:6379"),
    ],
)
def test_where_a_worker_goes(text: str, address: str) -> None:
    command = start_command(text, {"FQ_RAY_IP": "fq", "RAY_ADDRESS": "env:6379"})
    assert command is not None
    assert (command.is_head, command.address) == (False, address)


def test_text_without_ray_start_is_no_command() -> None:
    assert start_command("ray kuberay-autoscaler --cluster-name c", {}) is None
    assert start_command("array start", {}) is None


def test_custom_resources_gpus_and_labels() -> None:
    text = 'ray start --address=h:6379 --num-gpus=2 --labels=a=b,c=d --resources=\'{"TPU": 4, "w1": 1}\''
    command = start_command(text, {})
    assert command is not None
    spec = {"resources": {"limits": {"cpu": "1500m", "memory": "2Gi"}}}
    assert node_resources(command, spec, host_cpus=8) == {
        "CPU": 1.5,
        "GPU": 2.0,
        "memory": 2147483648.0,
        "TPU": 4.0,
        "w1": 1.0,
    }
    assert node_labels(command) == {"a": "b", "c": "d"}


def test_environment_of_a_container() -> None:
    pod = {"metadata": {"name": "p", "namespace": "n", "labels": {"ray.io/cluster": "c"}}, "spec": {}}
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "x$(A)"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['ray.io/cluster']"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    assert environment(pod, {"env": env}, "10.0.0.1") == {"A": "1", "B": "x1", "C": "c", "E": "10.0.0.1"}


def test_tenths_add_up() -> None:
    ledger = Ledger({"CPU": 1})
    need = amounts({"CPU": 0.1})
    for _ in range(10):
        assert ledger.fits(need)
        ledger.take(need)
    assert not ledger.fits(need)
    for _ in range(10):
        ledger.give_back(need)
    assert ledger.is_idle


def test_implicit_resources_are_one_per_node() -> None:
    ledger = Ledger({"CPU": 4})
    half = amounts({implicit("a:D"): 0.5})
    ledger.take(half)
    ledger.take(half)
    assert not ledger.fits(half)
    ledger.give_back(half)
    assert ledger.fits(half)
    ledger.give_back(half)
    assert ledger.is_idle


def ledgers(*cpus: float) -> list[Ledger]:
    return [Ledger({"CPU": count}) for count in cpus]


@pytest.mark.parametrize(
    ("strategy", "cpus", "placed"),
    [
        ("PACK", (1, 2), [1, 1]),
        ("PACK", (1, 1), [0, 1]),
        ("STRICT_PACK", (1, 1), None),
        ("SPREAD", (2, 2), [0, 1]),
        ("SPREAD", (2,), [0, 0]),
        ("STRICT_SPREAD", (2,), None),
        ("STRICT_SPREAD", (1, 1), [0, 1]),
    ],
)
def test_placement_groups(strategy: str, cpus: Any, placed: list[int] | None) -> None:
    one = amounts({"CPU": 1})
    assert place_bundles(ledgers(*cpus), [one, one], strategy) == placed


def test_what_fits_nowhere_waits_and_is_demand() -> None:
    cluster = RayCluster(Kernel(0), "c")
    cluster.add_node("w1", "10.0.0.1", {"CPU": 1})
    first = cluster.create_actor(ActorSpec("x", {"CPU": 1}))
    placed: list[str] = []
    second = cluster.create_actor(ActorSpec("y", {"CPU": 1}), on_placed=lambda: placed.append("y"))
    assert (first.is_alive, second.is_alive, cluster.demand()) == (True, False, [{"CPU": 1}])
    cluster.kill_actor(first)
    assert (placed, second.is_alive, cluster.demand()) == (["y"], True, [])


def test_label_selectors() -> None:
    cluster = RayCluster(Kernel(0), "c")
    cluster.add_node("w1", "10.0.0.1", {"CPU": 1}, labels={"zone": "a"})
    cluster.add_node("w2", "10.0.0.2", {"CPU": 1}, labels={"zone": "b"})
    for selector, node in (({"zone": "b"}, "w2"), ({"zone": "!b"}, "w1"), ({"zone": "in(c,a)"}, "w1")):
        actor = cluster.create_actor(ActorSpec("x", {"CPU": 0.1}, label_selector=selector))
        assert actor.node is not None
        assert actor.node.name == node
