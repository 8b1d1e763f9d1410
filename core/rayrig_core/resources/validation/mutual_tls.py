"""What the operator refuses with mutual TLS: settings that it makes itself (KubeRay 1.7.0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rayrig_core.objects import JsonObject
from rayrig_core.resources.cluster_spec import containers
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.resources.validation.problems import Problem

_ENV = ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
_VOLUME, _MOUNT_PATH = "ray-tls", "/etc/ray/tls"


def mutual_tls_problems(spec: JsonObject, gates: FeatureGates, path: str) -> Iterator[Problem]:
    """Problems of the Ray containers and of the autoscaler's options, when the operator configures TLS."""
    if not (gates.ray_cluster_mtls and (spec.get("tlsOptions") or {}).get("enabled")):
        return
    for container in containers(spec.get("headGroupSpec") or {})[:1]:
        where = f"{path}.headGroupSpec.template.spec.containers[0]"
        yield from _env_problems(container, "head Pod", "TLS configuration automatically", f"{where}.env")
        yield from _mount_problems(container, "head Pod", f"{where}.volumeMounts")
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        name = f'worker group "{group.get("groupName", "")}"'
        for container in containers(group)[:1]:
            where = f"{path}.workerGroupSpecs[{index}].template.spec.containers[0]"
            yield from _env_problems(container, name, "TLS configuration automatically", f"{where}.env")
            yield from _mount_problems(container, name, f"{where}.volumeMounts")
    options, where = spec.get("autoscalerOptions") or {}, f"{path}.autoscalerOptions"
    what = "TLS configuration for the autoscaler automatically"
    yield from _env_problems(options, "autoscalerOptions.env", what, f"{where}.env")
    yield from _mount_problems(options, "autoscalerOptions.volumeMounts", f"{where}.volumeMounts")


def _env_problems(container: JsonObject, name: str, what: str, path: str) -> Iterator[Problem]:
    given = {entry.get("name") for entry in _entries(container, "env")}
    for variable in _ENV:
        if variable in given:
            yield Problem(
                path,
                f"cannot set {variable} environment variable in {name} when tlsOptions is set - the operator manages {what}",
                "remove it",
            )


def _mount_problems(container: JsonObject, name: str, path: str) -> Iterator[Problem]:
    for mount in _entries(container, "volumeMounts"):
        for key, value, word in (("name", _VOLUME, "named"), ("mountPath", _MOUNT_PATH, "at path")):
            if mount.get(key) == value:
                yield Problem(
                    path,
                    f'cannot use volume mount {word} "{value}" in {name} when tlsOptions is set '
                    "- the operator manages TLS configuration automatically",
                    "remove it",
                )


def _entries(container: JsonObject, field: str) -> Iterable[JsonObject]:
    return container.get(field) or ()
