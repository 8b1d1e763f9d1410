"""Volumes of pods and their mounts, from messages and back (`kuberay-apiserver.md` 6.6, 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rayrig.apiserver.clusters.messages import ACCESS_MODE, HOST_PATH_TYPE, MOUNT_PROPAGATION, VOLUME_TYPE
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.quantities import quantity
from rayrig.apiserver.stored import MANAGED_BY, MANAGER
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import canonical

CLAIM, HOST_PATH, EPHEMERAL, CONFIGMAP, SECRET, EMPTY_DIR = range(len(VOLUME_TYPE.values))
_DIRECTORY, _FILE = range(len(HOST_PATH_TYPE.values))
_RWO, _ROX, _RWX = range(len(ACCESS_MODE.values))
_NONE, _HOST_TO_CONTAINER, _BIDIRECTIONAL = range(len(MOUNT_PROPAGATION.values))

_PROPAGATIONS = {_HOST_TO_CONTAINER: "HostToContainer", _BIDIRECTIONAL: "Bidirectional"}
_ACCESS_MODES = {_RWO: "ReadWriteOnce", _ROX: "ReadOnlyMany", _RWX: "ReadWriteMany"}


def mounts_of(volumes: Sequence[JsonObject]) -> list[JsonObject]:
    """`volumeMounts` of a container."""
    return [_mount(volume) for volume in volumes]


def _mount(volume: JsonObject) -> JsonObject:
    mount: JsonObject = {"name": volume.get("name", ""), "mountPath": volume.get("mountPath", "")}
    if volume.get("readOnly"):
        mount["readOnly"] = True
    if propagation := _PROPAGATIONS.get(volume.get("mountPropagationMode", _NONE)):
        mount["mountPropagation"] = propagation
    return mount


def pod_volumes_of(volumes: Sequence[JsonObject]) -> list[JsonObject]:
    """`volumes` of a pod; one of an unknown type has none. Raises `Unconvertible`."""
    makers = ((volume, _SOURCES.get(volume.get("volumeType", CLAIM))) for volume in volumes)
    return [{"name": volume.get("name", ""), **make(volume)} for volume, make in makers if make]


def _claim(volume: JsonObject) -> JsonObject:
    claim: JsonObject = {"claimName": volume.get("source", "")}
    if volume.get("readOnly"):
        claim["readOnly"] = True
    return {"persistentVolumeClaim": claim}


def _host_path(volume: JsonObject) -> JsonObject:
    kind = "File" if volume.get("hostPathType") == _FILE else "Directory"
    return {"hostPath": {"path": volume.get("source", ""), "type": kind}}


def _ephemeral(volume: JsonObject) -> JsonObject:
    storage = volume.get("storage")
    if not storage:
        raise Unconvertible("storage for ephemeral volume is empty")
    mode = _ACCESS_MODES.get(volume.get("accessMode", _RWO), _ACCESS_MODES[_RWO])
    amount = _size(storage, "storage for ephemeral volume is not specified correctly")
    spec: JsonObject = {"accessModes": [mode], "resources": {"requests": {"storage": amount}}}
    if volume.get("storageClassName"):
        spec["storageClassName"] = volume["storageClassName"]
    return {"ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {MANAGED_BY: MANAGER}}, "spec": spec}}}


def _config_map(volume: JsonObject) -> JsonObject:
    return {"configMap": _keys_of(volume, "name")}


def _secret(volume: JsonObject) -> JsonObject:
    return {"secret": _keys_of(volume, "secretName")}


def _keys_of(volume: JsonObject, name_field: str) -> JsonObject:
    source: JsonObject = {}
    if volume.get("source"):
        source[name_field] = volume["source"]
    if items := volume.get("items"):
        source["items"] = [{"key": key, "path": path} for key, path in items.items()]
    return source


def _empty_dir(volume: JsonObject) -> JsonObject:
    if not volume.get("storage"):
        return {"emptyDir": {}}
    limit = _size(volume["storage"], "storage for empty dir volume is not specified correctly")
    return {"emptyDir": {"sizeLimit": limit}}


def _size(text: str, refusal: str) -> str:
    try:
        return quantity(text)
    except ValueError:
        raise Unconvertible(refusal) from None


_SOURCES: dict[int, Callable[[JsonObject], JsonObject]] = {
    CLAIM: _claim,
    HOST_PATH: _host_path,
    EPHEMERAL: _ephemeral,
    CONFIGMAP: _config_map,
    SECRET: _secret,
    EMPTY_DIR: _empty_dir,
}


def volumes_of(pod_spec: JsonObject) -> list[JsonObject]:
    """Messages of a pod's volumes of the six types; others aren't told of. Where none mounts it, there is no path."""
    mounts: dict[str, JsonObject] = {}
    for container in pod_spec.get("containers") or ():
        for mount in container.get("volumeMounts") or ():
            mounts.setdefault(mount["name"], mount)
    told = (_volume(volume, mounts.get(volume["name"], {})) for volume in pod_spec.get("volumes") or ())
    return [volume for volume in told if volume is not None]


def mounted_of(mounts: Sequence[JsonObject]) -> list[JsonObject]:
    """Messages that tell of mounts alone."""
    return [
        {
            "name": mount["name"],
            "mountPath": mount.get("mountPath", ""),
            "readOnly": mount.get("readOnly", False),
            "mountPropagationMode": _propagation(mount),
        }
        for mount in mounts
    ]


def _volume(volume: JsonObject, mount: JsonObject) -> JsonObject | None:
    told: JsonObject = {"name": volume["name"], "mountPath": mount.get("mountPath", "")}
    if (keys := volume.get("configMap")) is not None:
        return told | {"volumeType": CONFIGMAP, "source": keys.get("name", ""), "items": _items(keys)}
    if (keys := volume.get("secret")) is not None:
        return told | {"volumeType": SECRET, "source": keys.get("secretName", ""), "items": _items(keys)}
    if (empty := volume.get("emptyDir")) is not None:
        limit = empty.get("sizeLimit")
        return told | {"volumeType": EMPTY_DIR, "storage": "" if limit is None else canonical(limit)}
    told["mountPropagationMode"] = _propagation(mount)
    if (host := volume.get("hostPath")) is not None:
        kind = _FILE if host.get("type") == "File" else _DIRECTORY
        return told | {"volumeType": HOST_PATH, "source": host.get("path", ""), "hostPathType": kind}
    if (claim := volume.get("persistentVolumeClaim")) is not None:
        return told | {
            "volumeType": CLAIM,
            "source": claim.get("claimName", ""),
            "readOnly": claim.get("readOnly", False),
        }
    if (ephemeral := volume.get("ephemeral")) is not None:
        return told | {"volumeType": EPHEMERAL, **_claimed((ephemeral.get("volumeClaimTemplate") or {}).get("spec"))}
    return None


def _claimed(spec: JsonObject | None) -> JsonObject:
    """What an ephemeral volume asks for."""
    given = spec or {}
    first = (given.get("accessModes") or [""])[0]
    mode = next((number for number, name in _ACCESS_MODES.items() if name == first), _RWO)
    storage = ((given.get("resources") or {}).get("requests") or {}).get("storage", 0)
    return {
        "accessMode": mode,
        "storage": canonical(storage),
        "storageClassName": given.get("storageClassName") or "",
    }


def _items(source: JsonObject) -> dict[str, str]:
    return {item["key"]: item["path"] for item in source.get("items") or ()}


def _propagation(mount: JsonObject) -> int:
    wanted = mount.get("mountPropagation")
    return next((number for number, name in _PROPAGATIONS.items() if name == wanted), _NONE)
