"""The `ray start` command of a container, as KubeRay generates it or a user wrote it (kuberay-operator.md 3.16)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from rayrig_core.objects import JsonObject, labels_of, metadata, namespace_of
from rayrig_core.resources.quantities import parse_quantity

GCS_PORT = 6379
DASHBOARD_PORT = 8265
AGENT_PORT = 52365
CLIENT_PORT = 10001
METRICS_PORT = 8080

_START = re.compile(r"(?:^|[\s;&|(/])ray\s+start(?=\s|$)(?P<flags>[^;&|]*)")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}?|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


_VERSION_TAG = re.compile(r":(\d+)\.(\d+)\.")


def ray_version(image: str) -> tuple[int, int] | None:
    """Of an image whose tag begins with the release of Ray (`rayproject/ray:2.8.0-py310`), as those of Ray do."""
    found = _VERSION_TAG.search(image)
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class StartCommand:
    """What one `ray start` says. `address` is empty on a head; ports have Ray's defaults."""

    is_head: bool
    address: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)

    def port(self, flag: str, default: int) -> int:
        text = self.flags.get(flag, "")
        return int(text) if text.isdigit() else default


def command_text(spec: JsonObject) -> str:
    """Command and arguments of a container as one text."""
    return " ".join([*(spec.get("command") or ()), *(spec.get("args") or ())])


def environment(pod: JsonObject, spec: JsonObject, pod_ip: str) -> dict[str, str]:
    """Environment variables of a container that are known from the pod alone; those from Secrets and ConfigMaps are left out."""
    values: dict[str, str] = {}
    for entry in spec.get("env") or ():
        source = entry.get("valueFrom")
        if source is None:
            values[entry["name"]] = expanded(str(entry.get("value", "")), values)
        elif "fieldRef" in source:
            values[entry["name"]] = _field(pod, source["fieldRef"].get("fieldPath", ""), pod_ip)
    return values


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[bool, str, tuple[tuple[str, str], ...]] | None:
    found = _START.search(text)
    if found is None:
        return None
    flags: dict[str, str] = {}
    try:
        words = shlex.split(found["flags"])
    except ValueError:
        words = found["flags"].split()
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and position < len(words) and not words[position].startswith("--"):
            value = words[position]
            position += 1
        flags[name] = value
    return "head" in flags, flags.get("address", ""), tuple(flags.items())


def start_command(text: str, env: Mapping[str, str]) -> StartCommand | None:
    """None when the text holds no `ray start`."""
    parsed = _parse(expanded(text, env))
    if parsed is None:
        return None
    is_head, address, flags = parsed
    if not is_head and not address:
        address = env.get("RAY_ADDRESS", "")
    return StartCommand(is_head, address, dict(flags))


def node_resources(command: StartCommand, spec: JsonObject, *, host_cpus: float) -> dict[str, float]:
    """Logical resources of the raylet: flags first, then what Ray would find in the container (its limits, else the host)."""
    limits = (spec.get("resources") or {}).get("limits") or {}
    flags = command.flags
    total: dict[str, float] = {}
    if "num-cpus" in flags:
        total["CPU"] = float(flags["num-cpus"])
    else:
        total["CPU"] = float(parse_quantity(limits["cpu"])) if "cpu" in limits else host_cpus
    gpus = float(flags["num-gpus"]) if "num-gpus" in flags else float(parse_quantity(limits.get("nvidia.com/gpu", "0")))
    if gpus:
        total["GPU"] = gpus
    memory = float(flags["memory"]) if "memory" in flags else float(parse_quantity(limits.get("memory", "0")))
    if memory:
        total["memory"] = memory
    custom = flags.get("resources", "")
    if custom:
        total.update({name: float(amount) for name, amount in json.loads(custom).items()})
    return {name: amount for name, amount in total.items() if amount or name == "CPU"}


def node_labels(command: StartCommand) -> dict[str, str]:
    """`--labels=a=b,c=d`."""
    pairs = (pair.partition("=") for pair in command.flags.get("labels", "").split(",") if pair)
    return {key: value for key, _, value in pairs}


def cluster_of(pod: JsonObject) -> tuple[str, str]:
    """(namespace, name) of the RayCluster of a pod; the pod's own name when it carries no label."""
    return namespace_of(pod), labels_of(pod).get("ray.io/cluster") or metadata(pod)["name"]


def expanded(text: str, env: Mapping[str, str]) -> str:
    """With variables put in, as the kubelet (`$(NAME)`) and a shell would; unknown ones stay."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[3]
        return env.get(name, found[2] if found[2] is not None else found[0])

    return _VARIABLE.sub(value, text) if "$" in text else text


def _field(pod: JsonObject, path: str, pod_ip: str) -> str:
    meta = metadata(pod)
    match path:
        case "metadata.name":
            return str(meta["name"])
        case "metadata.namespace":
            return namespace_of(pod)
        case "metadata.uid":
            return str(meta.get("uid", ""))
        case "status.podIP" | "status.podIPs":
            return pod_ip
        case "status.hostIP":
            return str((pod.get("status") or {}).get("hostIP", ""))
        case "spec.nodeName":
            return str(pod["spec"].get("nodeName", ""))
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    return str((meta.get(found[1]) or {}).get(found[2], "")) if found else ""
