"""What a pod's volumes bring from ConfigMaps and Secrets: which of them are missing, and the text of a file in a container.

Only volumes of those two kinds are looked at; projected volumes hold what the cluster itself makes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, namespace_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import CONFIG_MAP, SECRET, ResourceType


def _sources(pod: JsonObject) -> Iterator[tuple[str, ResourceType, str, JsonObject]]:
    """(volume, kind of its source, name of the source, the volume's source) of each volume from a ConfigMap or Secret."""
    for volume in pod["spec"].get("volumes") or ():
        if "configMap" in volume:
            yield volume["name"], CONFIG_MAP, volume["configMap"].get("name", ""), volume["configMap"]
        elif "secret" in volume:
            yield volume["name"], SECRET, volume["secret"].get("secretName", ""), volume["secret"]


async def missing_mount(client: KubernetesClient, pod: JsonObject) -> str:
    """Why a volume cannot be set up, in the kubelet's words; empty when all can. Source: kubelet, volume manager."""
    for volume, resource, name, source in _sources(pod):
        if source.get("optional"):
            continue
        word = resource.kind.lower()
        shown = f'MountVolume.SetUp failed for volume "{volume}" : '
        try:
            found = await client.get(resource, name, namespace_of(pod))
        except NotFound:
            return f'{shown}{word} "{name}" not found'
        for item in source.get("items") or ():
            if not any(item["key"] in (found.get(part) or {}) for part in ("data", "binaryData")):
                what = (
                    "configmap references non-existent config"
                    if resource is CONFIG_MAP
                    else "references non-existent secret"
                )
                return f"{shown}{what} key: {item['key']}"
    return ""


async def mounted_text(client: KubernetesClient, pod: JsonObject, spec: JsonObject, path: str) -> str | None:
    """The text of a file that a container has from a ConfigMap or Secret; None when it has none such."""
    sources = {volume: (resource, name, source) for volume, resource, name, source in _sources(pod)}
    for mount in spec.get("volumeMounts") or ():
        where = str(mount.get("mountPath", "")).rstrip("/")
        if mount.get("name") not in sources or not (path == where or path.startswith(f"{where}/")):
            continue
        inside = "/".join(part for part in (mount.get("subPath", ""), path.removeprefix(where).lstrip("/")) if part)
        resource, name, source = sources[mount["name"]]
        keys = {item["path"]: item["key"] for item in source.get("items") or ()}
        key = keys.get(inside) if keys else inside
        try:
            data = (await client.get(resource, name, namespace_of(pod))).get("data") or {}
        except NotFound:
            return None
        if key not in data:
            return None
        return _decoded(data[key]) if resource is SECRET else str(data[key])
    return None


async def secret_value(client: KubernetesClient, namespace: str, reference: JsonObject) -> str | None:
    """The value of a `secretKeyRef`; None when there is none."""
    try:
        data = (await client.get(SECRET, reference.get("name", ""), namespace)).get("data") or {}
    except NotFound:
        return None
    value = data.get(reference.get("key", ""))
    return None if value is None else _decoded(value)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
