"""What a pod refers to and what of it is missing: in a container's environment (`CreateContainerConfigError`), to pull with."""

from __future__ import annotations

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, namespace_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import CONFIG_MAP, SECRET, ResourceType

_REFERENCES = (
    ("secretKeyRef", "secretRef", SECRET, "secret", "Secret"),
    ("configMapKeyRef", "configMapRef", CONFIG_MAP, "configmap", "ConfigMap"),
)


async def missing_reference(client: KubernetesClient, namespace: str, spec: JsonObject) -> str:
    """The first thing that is missing, in the kubelet's words; empty when all is there."""
    for source in spec.get("envFrom") or ():
        for _, field, resource, word, kind in _REFERENCES:
            if field in source:
                missing = await _missing(client, namespace, source[field], resource, word, kind)
                if missing:
                    return missing
    for variable in spec.get("env") or ():
        origin = variable.get("valueFrom")
        if not origin:
            continue
        for field, _, resource, word, kind in _REFERENCES:
            if field in origin:
                missing = await _missing(client, namespace, origin[field], resource, word, kind)
                if missing:
                    return missing
    return ""


async def _missing(
    client: KubernetesClient, namespace: str, reference: JsonObject, resource: ResourceType, word: str, kind: str
) -> str:
    name = reference.get("name", "")
    key = reference.get("key")
    optional = bool(reference.get("optional"))
    try:
        found = await client.get(resource, name, namespace)
    except NotFound:
        return "" if optional else f'{word} "{name}" not found'
    if key is None or optional:
        return ""
    if any(key in (found.get(part) or {}) for part in ("data", "stringData", "binaryData")):
        return ""
    return f"couldn't find key {key} in {kind} {namespace}/{name}"


async def missing_pull_secrets(client: KubernetesClient, pod: JsonObject) -> str:
    """Names of the pod's imagePullSecrets that are not there, separated by commas."""
    missing: list[str] = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        name = reference.get("name")
        if name:
            try:
                await client.get(SECRET, name, namespace_of(pod))
            except ApiError:
                missing.append(name)
    return ", ".join(missing)
