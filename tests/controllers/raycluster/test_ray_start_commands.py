"""The `ray start` command and what decides its flags."""

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.ray_start import is_gpu_key
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_core.objects import JsonObject

HEAD_COMMAND = (
    "ray start --head  --block  --dashboard-agent-listen-port=52365  --dashboard-host=0.0.0.0  --memory=2147483648  "
    "--metrics-export-port=8080  --num-cpus=1 "
)
ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; "


def head(values: Any, **fields: Any) -> JsonObject:
    """Ray container of the head pod of a cluster."""
    return head_pod(values.cluster(**fields), "hash")["spec"]["containers"][0]


def worker(values: Any, resources: JsonObject | None = None, **fields: Any) -> JsonObject:
    ray = values.container("ray-worker")
    if resources is not None:
        ray["resources"] = resources
    spec = values.group(template={"spec": {"containers": [ray]}}, **fields)
    return worker_pod(values.cluster(spec), spec, Place(0))["spec"]["containers"][0]


def env(container: JsonObject) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}


@pytest.mark.accepts("RC-049")
def test_the_heads_command_lists_the_flags_in_order(values: Any) -> None:
    container = head(values)
    assert container["command"] == ["/bin/bash", "-c", "--"]
    assert container["args"] == [ULIMIT + HEAD_COMMAND]
    assert env(container)["KUBERAY_GEN_RAY_START_CMD"] == HEAD_COMMAND


@pytest.mark.accepts("RC-050")
def test_cpus_come_from_the_limit_else_the_request_rounded_up(values: Any) -> None:
    assert "--num-cpus=2 " in worker(values, {"requests": {"cpu": "1500m"}})["args"][0]
    assert "--num-cpus=3 " in worker(values, {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}})["args"][0]
    assert "--num-cpus" not in worker(values, {})["args"][0]
    assert "--memory" not in worker(values, {"requests": {"memory": "1Gi"}})["args"][0]


@pytest.mark.accepts("RC-051")
@pytest.mark.parametrize("key", ["nvidia.com/gpu", "example.com/gpu", "nvidia.com/mig-2g.32gb"])
def test_gpus_come_from_any_gpu_limit_unless_given(values: Any, key: str) -> None:
    assert "--num-gpus=2 " in worker(values, {"limits": {key: "2"}})["args"][0]
    assert "--num-gpus=7 " in worker(values, {"limits": {key: 2}}, rayStartParams={"num-gpus": "7"})["args"][0]
    assert "--num-gpus" not in worker(values, {"limits": {key: "0"}})["args"][0]


def test_a_memory_slice_is_no_gpu() -> None:
    assert not is_gpu_key("nvidia.com/mig-2g")
    assert not is_gpu_key("example.com/gpus")


@pytest.mark.accepts("RC-052")
def test_accelerators_become_custom_resources_of_ray(values: Any) -> None:
    assert "--resources='{\"TPU\":4}' " in worker(values, {"limits": {"google.com/tpu": "4"}})["args"][0]
    both = {"limits": {"google.com/tpu": "4", "aws.amazon.com/neuroncore": "2"}}
    assert "--resources='{\"neuron_cores\":2}' " in worker(values, both)["args"][0]
    named = worker(values, {"limits": {"google.com/tpu": "4"}}, rayStartParams={"resources": "'{\"TPU\": 1}'"})
    assert "--resources='{\"TPU\": 1}' " in named["args"][0]
    added = worker(values, {"limits": {"google.com/tpu": "4"}}, rayStartParams={"resources": "'{\"a\": 1}'"})
    assert '--resources=\'{"TPU":4,"a":1}\' ' in added["args"][0]


@pytest.mark.accepts("RC-053")
def test_switches_are_bare_or_dropped_but_for_three_flags(values: Any) -> None:
    params = {"a": "true", "b": "false", "log-color": "false", "include-dashboard": "true", "block": "false"}
    command = head(values, head={"rayStartParams": params})["args"][0]
    assert "--head  --a  --block  --dashboard" in command
    assert "--b" not in command.replace("--block", "")
    assert "--include-dashboard=true  --log-color=false " in command


@pytest.mark.accepts("RC-054")
def test_an_overwritten_command_is_left_alone_and_the_generated_one_is_told(values: Any) -> None:
    template = {"spec": {"containers": [values.container("ray-head", command=["sh"], args=["go"])]}}
    metadata = {"annotations": {"ray.io/overwrite-container-cmd": "true"}}
    cluster = values.cluster(head={"template": template}, metadata=metadata)
    pod = head_pod(cluster, "hash")
    container = pod["spec"]["containers"][0]
    assert (container["command"], container["args"]) == (["sh"], ["go"])
    assert env(container)["KUBERAY_GEN_RAY_START_CMD"] == HEAD_COMMAND
    assert pod["metadata"]["annotations"]["ray.io/overwrite-container-cmd"] == "true"


@pytest.mark.accepts("RC-055")
def test_the_users_own_command_comes_first_unless_it_starts_ray_itself(values: Any) -> None:
    template = {"spec": {"containers": [values.container("ray-head", command=["echo first"], args=["sleep 1"])]}}
    assert head(values, head={"template": template})["args"] == [
        f" echo first  sleep 1  && {ULIMIT}{HEAD_COMMAND}",
    ]
    own = {"spec": {"containers": [values.container("ray-head", command=["ulimit -n 9; ray start --head"])]}}
    container = head(values, head={"template": own})
    assert container["command"] == ["ulimit -n 9; ray start --head"]
    assert "args" not in container


def test_top_level_resources_and_labels_of_a_group_become_flags(values: Any) -> None:
    command = worker(values, resources={"limits": {"cpu": "1"}}, labels={"z": "1", "a": "2"}, rayStartParams=None)[
        "args"
    ][0]
    assert "--labels=a=2,z=1 " in command
    spec = values.group(resources={"CPU": "8", "GPU": "1", "TPU": "2", "memory": "1000"})
    pod = worker_pod(values.cluster(spec), spec, Place(0))
    flags = "--memory=1000  --metrics-export-port=8080  --num-cpus=8  --num-gpus=1  --resources='{\"TPU\":2}' "
    assert flags in pod["spec"]["containers"][0]["args"][0]


@pytest.mark.accepts("RC-057")
def test_workers_and_their_init_container_find_the_head_on_its_port(values: Any) -> None:
    spec = values.group()
    pod = worker_pod(values.cluster(spec, head={"rayStartParams": {"port": "7000"}}), spec, Place(0))
    address = "rc-head-svc.default.svc.cluster.local:7000"
    container, init = pod["spec"]["containers"][0], pod["spec"]["initContainers"][-1]
    assert env(container)["RAY_ADDRESS"] == address
    assert f"--address={address} " in container["args"][0]
    assert f"ray health-check --address {address} " in init["args"][0]
    assert env(container)["RAY_PORT"] == "7000"


@pytest.mark.accepts("RC-008")
def test_null_start_parameters_count_as_empty(values: Any) -> None:
    assert head(values, head={"rayStartParams": None})["args"] == [ULIMIT + HEAD_COMMAND]
    assert worker(values, rayStartParams=None)["args"] == worker(values)["args"]


def test_a_login_shell_and_the_1_1_profile_change_the_shell(values: Any) -> None:
    login = values.cluster(options=OperatorOptions(login_shell=True))
    assert head_pod(login, "")["spec"]["containers"][0]["command"] == ["/bin/bash", "-cl", "--"]
    old = head_pod(values.cluster(options=OperatorOptions(profile="1.1")), "")["spec"]["containers"][0]
    assert old["command"] == ["/bin/bash", "-lc", "--"]
    assert old["args"][0].startswith("ulimit -n 65536; ray start --head ")
