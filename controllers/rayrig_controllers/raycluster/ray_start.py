"""The `ray start` command of a Ray container (kuberay-operator 3.16)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rayrig_controllers.raycluster.cluster import Cluster, start_params
from rayrig_controllers.releases import Release
from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels
from rayrig_core.resources.quantities import parse_quantity, whole

#: Container resources that Ray knows under another name.
ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", "google.com/tpu": "TPU"}
#: Flags that take a value even for true and false; others become a bare switch or are dropped.
_KEEP_BOOLEAN = frozenset({"log-color", "include-dashboard", "include-log-monitor"})
_MIG = re.compile(r"nvidia\.com/mig-\d+g\.\d+gb")


def is_gpu_key(resource: str) -> bool:
    """Any resource ending in `gpu`, and NVIDIA's MIG slices."""
    return resource.endswith("gpu") or _MIG.fullmatch(resource) is not None


def parameters(cluster: Cluster, group: JsonObject, container: JsonObject, *, is_head: bool) -> dict[str, str]:
    """Flags of `ray start`: the group's rayStartParams with all defaults filled in."""
    params = {str(key): str(value) for key, value in start_params(group).items()}
    _from_group(params, group)
    if is_head:
        params.setdefault("dashboard-host", "0.0.0.0")
        if cluster.is_autoscaling:
            # The autoscaler runs in its own container.
            params["no-monitor"] = "true"
    else:
        params.setdefault("address", f"{cluster.head_service_fqdn}:{cluster.head_port}")
    params.setdefault("metrics-export-port", str(labels.METRICS_PORT))
    params["block"] = "true"
    params.setdefault("dashboard-agent-listen-port", str(labels.DASHBOARD_AGENT_PORT))
    _from_container(params, container.get("resources") or {}, cluster.options.release)
    return params


def _from_group(params: dict[str, str], group: JsonObject) -> None:
    """A group's top-level `resources` and `labels` become flags."""
    custom: dict[str, int | float] = {}
    for key, value in sorted((group.get("resources") or {}).items()):
        match key.lower():
            case "cpu":
                params["num-cpus"] = str(whole(value))
            case "gpu":
                params["num-gpus"] = str(whole(value))
            case "memory":
                params["memory"] = str(whole(value))
            case _:
                custom[key] = _number(value)
    if custom:
        params["resources"] = _quoted(custom)
    group_labels = group.get("labels")
    if group_labels:
        params["labels"] = ",".join(f"{key}={value}" for key, value in sorted(group_labels.items()))


def _from_container(params: dict[str, str], resources: JsonObject, release: Release) -> None:
    """What the container may use, where no flag says otherwise."""
    limits: Mapping[str, Any] = resources.get("limits") or {}
    requests: Mapping[str, Any] = resources.get("requests") or {}
    if "num-cpus" not in params:
        for source in (limits, requests) if release.counts_requested_cpus else (limits,):
            if parse_quantity(source.get("cpu", 0)) > 0:
                params["num-cpus"] = str(whole(source["cpu"]))
                break
    if "memory" not in params and parse_quantity(limits.get("memory", 0)) > 0:
        params["memory"] = str(whole(limits["memory"]))
    named = _named_resources(params)
    has_accelerator = any(name in named for name in ACCELERATORS.values())
    for key in sorted(limits):
        if parse_quantity(limits[key]) == 0:
            continue
        if "num-gpus" not in params and is_gpu_key(key):
            params["num-gpus"] = str(whole(limits[key]))
        if not has_accelerator and key in ACCELERATORS:
            named[ACCELERATORS[key]] = _number(limits[key])
            params["resources"] = _quoted(named)
            has_accelerator = True


def _named_resources(params: Mapping[str, str]) -> dict[str, Any]:
    """Custom resources already given by flag; text that is no JSON object counts as none."""
    try:
        value = json.loads(params.get("resources", "").strip("'\"").replace("\\", "") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: str | int | float) -> int | float:
    exact = parse_quantity(value)
    return exact.numerator if exact.denominator == 1 else float(exact)


def _quoted(resources: Mapping[str, Any]) -> str:
    return "'" + json.dumps(resources, separators=(",", ":"), sort_keys=True) + "'"


def command(params: Mapping[str, str], *, is_head: bool) -> str:
    """`ray start …` with the flags sorted, each between spaces."""
    parts = ["ray start --head " if is_head else "ray start "]
    for key in sorted(params):
        value = params[key]
        if key not in _KEEP_BOOLEAN and value.lower() in ("true", "false"):
            if value.lower() == "true":
                parts.append(f" --{key} ")
        else:
            parts.append(f" --{key}={value} ")
    return "".join(parts)


def shell(cluster: Cluster) -> list[str]:
    """Command of a container whose argument is a shell script."""
    return ["/bin/bash", "-cl", "--"] if cluster.options.login_shell else list(cluster.options.release.shell)


def apply_command(cluster: Cluster, container: JsonObject, start_command: str) -> None:
    """Make the container run `ray start`, after the user's own command if there is one that doesn't."""
    if cluster.overwrites_command:
        return
    own = "".join(f" {part} " for part in [*(container.get("command") or ()), *(container.get("args") or ())])
    if "ray start" in own:
        return
    script = f"ulimit -n {cluster.options.release.open_files}; {start_command}"
    container["command"] = shell(cluster)
    container["args"] = [f"{own} && {script}" if own else script]
