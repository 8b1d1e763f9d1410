"""Flags of `ray start` from a group's parameters, resources and labels (kuberay-operator 3.16)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster import recreate
from rayrig_controllers.raycluster.probes import has_node_health_path, serve_port
from rayrig_controllers.raycluster.ray_start import apply_command, command, is_gpu_key, parameters
from rayrig_core.objects import JsonObject


@pytest.fixture
def flags(values: Any) -> Any:
    """What a worker group's fields and its Ray container's resources come to, but for what every worker has."""

    def compute(limits: JsonObject | None = None, requests: JsonObject | None = None, **fields: Any) -> dict[str, str]:
        group = values.group(**fields)
        cluster = values.cluster(group)
        resources = {key: each for key, each in (("limits", limits), ("requests", requests)) if each is not None}
        found = parameters(cluster, group, {"resources": resources} if resources else {}, is_head=False)
        for key, value in (
            ("address", "rc-head-svc.default.svc.cluster.local:6379"),
            ("block", "true"),
            ("dashboard-agent-listen-port", "52365"),
            ("metrics-export-port", "8080"),
        ):
            assert found.pop(key) == value
        return found

    return compute


def test_a_worker_without_resources_has_only_the_common_flags(flags: Any) -> None:
    assert flags() == {}
    assert flags({}, {}) == {}
    assert flags({"cpu": "0", "memory": "0"}) == {}


@pytest.mark.accepts("RC-050")
def test_cpus_and_memory(flags: Any) -> None:
    assert flags({"cpu": "1500m", "memory": "1Gi"}) == {"num-cpus": "2", "memory": "1073741824"}
    assert flags({"cpu": "1"}, {"cpu": "7", "memory": "1Gi"}) == {"num-cpus": "1"}
    assert flags({"memory": "1Gi"}, {"cpu": "7"}) == {"num-cpus": "7", "memory": "1073741824"}
    given = {"num-cpus": "0", "memory": "5"}
    assert flags({"cpu": "3", "memory": "1Gi"}, rayStartParams=given) == given


@pytest.mark.accepts("RC-051")
def test_gpus_are_those_of_the_first_key(flags: Any) -> None:
    assert flags({"nvidia.com/gpu": "1", "amd.com/gpu": "3"}) == {"num-gpus": "3"}
    assert flags({"amd.com/gpu": "0", "nvidia.com/gpu": "1"}) == {"num-gpus": "1"}
    assert flags({"nvidia.com/gpu": "1"}, rayStartParams={"num-gpus": "0"}) == {"num-gpus": "0"}
    assert flags(None, {"nvidia.com/gpu": "1"}) == {}


@pytest.mark.parametrize(
    ("key", "is_gpu"),
    [
        ("nvidia.com/gpu", True),
        ("gpu", True),
        ("nvidia.com/mig-1g.5gb", True),
        ("nvidia.com/mig-10g.50gb", True),
        ("nvidia.com/mig-1g.5gb.me", False),
        ("nvidiaXcom/mig-1g.5gb", False),
        ("example.com/gpus", False),
    ],
)
def test_what_is_a_gpu(key: str, is_gpu: bool) -> None:
    assert is_gpu_key(key) is is_gpu


@pytest.mark.accepts("RC-052")
def test_accelerators(flags: Any) -> None:
    assert flags({"google.com/tpu": "4"}) == {"resources": "'{\"TPU\":4}'"}
    assert flags({"aws.amazon.com/neuroncore": "2"}) == {"resources": "'{\"neuron_cores\":2}'"}
    both = {"google.com/tpu": "4", "aws.amazon.com/neuroncore": "2"}
    assert flags(both) == {"resources": "'{\"neuron_cores\":2}'"}
    assert flags({**both, "aws.amazon.com/neuroncore": "0"}) == {"resources": "'{\"TPU\":4}'"}

    def named(text: str) -> str:
        found: str = flags(both, rayStartParams={"resources": text})["resources"]
        return found

    assert named('"{\\"Custom\\": 1}"') == '\'{"Custom":1,"neuron_cores":2}\''
    # Resources that name an accelerator already stay as they are written.
    assert named("'{\"TPU\": 1}'") == "'{\"TPU\": 1}'"
    assert named("'{\"neuron_cores\": 1}'") == "'{\"neuron_cores\": 1}'"
    assert named("no json") == "'{\"neuron_cores\":2}'"
    assert named("[1]") == "'{\"neuron_cores\":2}'"


def test_a_groups_own_resources_and_labels_go_over_its_parameters(flags: Any) -> None:
    given = {"num-cpus": "1", "num-gpus": "1", "memory": "1", "resources": "'{\"x\": 1}'", "labels": "a=b"}
    found = flags(
        {"cpu": "3", "memory": "1Gi"},
        rayStartParams=given,
        resources={"cpu": "1500m", "GPU": "2", "Memory": "1Ki", "custom": "500m", "Other": "3"},
        labels={"z": "1", "a": "2"},
    )
    assert found == {
        "num-cpus": "2",
        "num-gpus": "2",
        "memory": "1024",
        "resources": '\'{"Other":3,"custom":0.5}\'',
        "labels": "a=2,z=1",
    }


def test_what_the_user_sets_stays_but_for_block(values: Any) -> None:
    given = {
        "block": "false",
        "metrics-export-port": "1",
        "dashboard-agent-listen-port": "2",
        "dashboard-host": "127.0.0.1",
        "no-monitor": "false",
        "address": "elsewhere:1",
    }
    cluster = values.cluster(head={"rayStartParams": given}, enableInTreeAutoscaling=True)
    assert parameters(cluster, cluster.head, {}, is_head=True) == {**given, "block": "true", "no-monitor": "true"}
    group = values.group(rayStartParams=given)
    assert parameters(values.cluster(group), group, {}, is_head=False) == {**given, "block": "true"}
    plain = values.cluster()
    assert parameters(plain, plain.head, {}, is_head=True) == {
        "block": "true",
        "dashboard-agent-listen-port": "52365",
        "dashboard-host": "0.0.0.0",
        "metrics-export-port": "8080",
    }


@pytest.mark.accepts("RC-053")
def test_flags_are_sorted_and_switches_are_bare() -> None:
    params = {
        "b": "TRUE",
        "a": "False",
        "c": "1",
        "log-color": "true",
        "include-dashboard": "false",
        "include-log-monitor": "False",
    }
    flags = " --b  --c=1  --include-dashboard=false  --include-log-monitor=False  --log-color=true "
    assert command(params, is_head=True) == f"ray start --head {flags}"
    assert command(params, is_head=False) == f"ray start {flags}"
    assert command({}, is_head=False) == "ray start "


@pytest.mark.accepts("RC-054", "RC-055")
def test_the_users_command_and_arguments_come_first_each_between_spaces(values: Any) -> None:
    def made(annotations: dict[str, str] | None = None, **container: Any) -> JsonObject:
        cluster = values.cluster(metadata={"annotations": annotations or {}}, options=OperatorOptions())
        apply_command(cluster, container, "ray start --head ")
        return container

    script = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; ray start --head "
    shell = ["/bin/bash", "-c", "--"]
    assert made() == {"command": shell, "args": [script]}
    assert made(command=["a"], args=["b", "c"]) == {"command": shell, "args": [f" a  b  c  && {script}"]}
    assert made(args=["b"]) == {"command": shell, "args": [f" b  && {script}"]}
    own = {"command": ["bash"], "args": ["ray start --head"]}
    assert made(**own) == own
    overwritten = {"ray.io/overwrite-container-cmd": "true"}
    assert made(overwritten) == {}
    assert made({"ray.io/overwrite-container-cmd": "True"}) == {"command": shell, "args": [script]}


# What else is read off a group


@pytest.mark.accepts("RC-067")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.53", False),
        ("2.52.99", False),
        ("1.99.99", False),
        ("2.53.0", True),
        (" v2.53.0 ", True),
        ("2.53.0+build", True),
        ("2.53.0-rc1", False),
        ("2.53.1-rc1", True),
        ("2.54.0", True),
        ("3.0.0", True),
        ("2.53.0x", False),
    ],
)
def test_from_2_53_0_on_a_node_answers_over_http(version: str, expected: bool) -> None:
    assert has_node_health_path(version) is expected


def test_the_serve_port_is_the_one_of_that_name() -> None:
    assert serve_port({}) == 8000
    ports = [{"containerPort": 1}, {"name": "serve-grpc", "containerPort": 2}, {"name": "serve", "containerPort": 3}]
    assert serve_port({"ports": ports}) == 3
    assert serve_port({"ports": ports[:2]}) == 8000


@pytest.mark.accepts("RC-083", "RC-084")
@pytest.mark.parametrize(
    ("strategy", "version", "found", "decision"),
    [
        ("Recreate", "v1.7.0", "OTHER", "DELETE_ALL"),
        ("Recreate", "v1.7.0", "", "NOTHING"),
        ("Recreate", "v1.7.0", None, "NOTHING"),
        ("Recreate", "v1.6.0", "OTHER", "ADOPT"),
        ("Recreate", "v1.6.0", None, "ADOPT"),
        ("Recreate", None, "OTHER", "DELETE_ALL"),
        ("Recreate", "v1.7.0", "own", "NOTHING"),
        ("None", "v1.7.0", "OTHER", "NOTHING"),
        (None, "v1.7.0", "OTHER", "NOTHING"),
    ],
)
def test_when_pods_are_recreated(
    values: Any, strategy: str | None, version: str | None, found: str | None, decision: str
) -> None:
    fields = {"upgradeStrategy": {"type": strategy}} if strategy else {}
    cluster = values.cluster(values.group(), **fields)
    annotations = {
        "ray.io/kuberay-version": version,
        "ray.io/upgrade-strategy-recreate-hash": recreate.recreate_hash(cluster) if found == "own" else found,
    }
    head = {"metadata": {"annotations": {key: value for key, value in annotations.items() if value is not None}}}
    assert recreate.decide(cluster, [head]).name == decision
    assert recreate.decide(cluster, []).name == "NOTHING"


@pytest.mark.accepts("RC-083")
def test_a_suspension_counts_as_a_change_of_the_clusters_own_spec(values: Any) -> None:
    group = values.group()
    own = recreate.recreate_hash(values.cluster(group))
    assert recreate.recreate_hash(values.cluster({**group, "replicas": 4})) == own
    assert recreate.recreate_hash(values.cluster(group, suspend=True)) != own
    assert recreate.recreate_hash(values.cluster(group, rayVersion="2.53.0")) != own
