"""Volumes of a pod spec: defaults, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import setdefault
from rayrig_fakes.kubernetes.kinds.checks import backsteps, descending_path, each
from rayrig_fakes.kubernetes.kinds.claims import claim_spec_problems
from rayrig_fakes.kubernetes.kinds.field_sources import field_source_problems, resource_source_problems
from rayrig_fakes.kubernetes.status import Cause

_FILE_MODE = 420  # 0644
_TOKEN_SECONDS = 3600
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_DRIVER = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?")
_DRIVER_TEXT = (
    "a valid CSI driver name must be 63 characters or less, beginning and ending with an alphanumeric character"
)
#: Fields a downward volume may show.
_DOWNWARD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
#: By source, in the order they are looked at: the fields it cannot do without.
_NEEDED: dict[str, tuple[str, ...]] = {
    "hostPath": ("path",),
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "secret": ("secretName",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "flocker": (),
    "persistentVolumeClaim": (),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": (),
    "downwardAPI": (),
    "fc": (),
    "flexVolume": ("driver",),
    "configMap": ("name",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "storageos": ("volumeName",),
    "photonPersistentDisk": ("pdID",),
    "projected": (),
    "scaleIO": ("gateway", "system", "volumeName"),
    "csi": ("driver",),
    "ephemeral": ("volumeClaimTemplate",),
    "image": ("reference",),
}
_OTHER_DEFAULTS: dict[str, JsonObject] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
}


def default_volume(volume: JsonObject, image_policy: Callable[[str], str]) -> None:
    """Fill in, in place, what the API server fills in."""
    if len(volume) == 1:
        volume["emptyDir"] = {}
        return
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        found = volume.get(source)
        if found is not None and found.get("defaultMode") is None:
            found["defaultMode"] = _FILE_MODE
    host = volume.get("hostPath")
    if host is not None and host.get("type") is None:
        host["type"] = ""
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for source in (volume.get("projected") or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = _TOKEN_SECONDS
        items += (source.get("downwardAPI") or {}).get("items") or ()
    for item in items:
        if item.get("fieldRef") and not item["fieldRef"].get("apiVersion"):
            item["fieldRef"]["apiVersion"] = "v1"
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template is not None:
        setdefault(template["spec"], volumeMode="Filesystem")
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = image_policy(image.get("reference") or "")
    for source, defaults in _OTHER_DEFAULTS.items():
        found = volume.get(source)
        if found is not None:
            for name, value in defaults.items():
                if not found.get(name):
                    found[name] = value


def volume_problems(volumes: list[JsonObject], field: str, spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    names: list[str] = []
    for index, volume in enumerate(volumes):
        at, name = f"{field}[{index}]", volume.get("name") or ""
        causes += _sources(volume, at, spec)
        if not name:
            causes.append(status.required(f"{at}.name"))
        else:
            wrong = each(f"{at}.name", name, dns_label(name))
            causes += wrong
            if not wrong and name in names:
                causes.append(status.duplicate(f"{at}.name", name))
        names.append(name)
    return causes


def _sources(volume: JsonObject, field: str, spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    given = [source for source in ("emptyDir", *_NEEDED) if volume.get(source) is not None]
    for position, source in enumerate(given):
        at = f"{field}.{source}"
        if position:
            causes.append(status.forbidden_field(at, "may not specify more than 1 volume type"))
            continue
        found = volume[source]
        causes += [
            status.required(f"{at}.{name}") for name in _NEEDED.get(source, ()) if found.get(name) in (None, "", [])
        ]
        causes += _particular(source, found, at, spec)
    return causes


def _particular(source: str, found: JsonObject, field: str, spec: JsonObject) -> list[Cause]:
    """What is wrong with one source beside what it lacks."""
    match source:
        case "emptyDir":
            size = found.get("sizeLimit")
            if size is not None and parse_quantity(size) < 0:
                text = "SizeLimit field must be a valid resource quantity"
                return [status.forbidden_field(f"{field}.sizeLimit", text)]
        case "hostPath":
            causes = each(f"{field}.path", found.get("path"), backsteps(found.get("path") or ""))
            if found.get("type") not in _HOST_PATH_TYPES:
                causes.append(status.not_supported(f"{field}.type", found.get("type"), _HOST_PATH_TYPES))
            return causes
        case "nfs":
            path = found.get("path") or ""
            if not path.startswith("/"):
                return [status.invalid_value(f"{field}.path", path, "must be an absolute path")]
        case "secret" | "configMap":
            return _mode(found, field) + _items(found.get("items") or [], f"{field}.items")
        case "persistentVolumeClaim":
            if not found.get("claimName"):
                return [status.required(f"{field}.claimName")]
        case "downwardAPI":
            return _mode(found, field) + _downward(found.get("items") or [], field)
        case "projected":
            return _mode(found, field) + _projected(found, field, spec)
        case "csi":
            driver = found.get("driver") or ""
            if driver and (len(driver) > 63 or not _DRIVER.fullmatch(driver)):
                return [status.invalid_value(f"{field}.driver", driver, _DRIVER_TEXT)]
        case "ephemeral":
            template = found.get("volumeClaimTemplate")
            if template is not None:
                return claim_spec_problems(template["spec"], f"{field}.volumeClaimTemplate.spec")
        case "fc":
            if not found.get("targetWWNs") and not found.get("wwids"):
                text = "must specify either targetWWNs or wwids, but not both"
                return [status.required(f"{field}.targetWWNs", text)]
        case "azureDisk":
            uri = found.get("diskURI") or ""
            blob = found.get("kind") != "Managed"
            if uri and blob and not uri.startswith("https://"):
                choice = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
                return [status.not_supported(f"{field}.diskURI", uri, [choice])]
    return []


def _mode(found: JsonObject, field: str) -> list[Cause]:
    mode = found.get("defaultMode")
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [status.invalid_value(f"{field}.defaultMode", mode, _MODE_TEXT)]


def _items(items: list[JsonObject], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, item in enumerate(items):
        at, key, path = f"{field}[{index}]", item.get("key") or "", item.get("path") or ""
        if not key:
            causes.append(status.required(f"{at}.key"))
        causes += _relative(path, f"{at}.path")
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            causes.append(status.invalid_value(f"{at}.mode", mode, _MODE_TEXT))
    return causes


def _relative(path: str, field: str) -> list[Cause]:
    if not path:
        return [status.required(field)]
    causes = each(field, path, descending_path(path))
    # Names that begin with two dots are the kubelet's.
    if not causes and path.startswith(".."):
        causes.append(status.invalid_value(field, path, "must not start with '..'"))
    return causes


def _downward(items: list[JsonObject], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for item in items:
        causes += _relative(item.get("path") or "", f"{field}.path")
        source, amount = item.get("fieldRef"), item.get("resourceFieldRef")
        if source is not None:
            causes += field_source_problems(source, f"{field}.fieldRef", _DOWNWARD_FIELDS)
            if amount is not None:
                text = "fieldRef and resourceFieldRef can not be specified simultaneously"
                causes.append(status.invalid_value(field, "resource", text))
        elif amount is not None:
            causes += resource_source_problems(amount, f"{field}.resourceFieldRef", volume=True)
        else:
            text = "one of fieldRef and resourceFieldRef is required"
            causes.append(status.required(field, text))
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            causes.append(status.invalid_value(f"{field}.mode", mode, _MODE_TEXT))
    return causes


def _projected(found: JsonObject, field: str, spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    paths: list[str] = []

    def claim(path: str, owner: Json) -> None:
        if path:
            if path in paths:
                causes.append(status.invalid_value(field, owner, "conflicting duplicate paths"))
            paths.append(path)

    for index, source in enumerate(found.get("sources") or ()):
        at = f"{field}.sources[{index}]"
        kinds = [kind for kind in source if source[kind] is not None]
        for position, kind in enumerate(kinds):
            if position:
                text = "may not specify more than 1 volume type per source"
                causes.append(status.forbidden_field(at, text))
                continue
            part = source[kind]
            if kind in ("secret", "configMap"):
                if not part.get("name"):
                    causes.append(status.required(f"{at}.{kind}.name"))
                causes += _items(part.get("items") or [], f"{at}.{kind}.items")
                for item in part.get("items") or ():
                    claim(item.get("path") or "", part.get("name"))
            elif kind == "downwardAPI":
                causes += _downward(part.get("items") or [], f"{at}.downwardAPI")
                for item in part.get("items") or ():
                    claim(item.get("path") or "", item.get("path"))
            elif kind == "serviceAccountToken":
                causes += _token(part, field, at)
                if not spec.get("serviceAccountName"):
                    text = "must not be specified when serviceAccountName is not set"
                    causes.append(status.forbidden_field(f"{at}.serviceAccountToken", text))
                claim(part.get("path") or "", part.get("path"))
    return causes


def _token(token: JsonObject, field: str, source: str) -> list[Cause]:
    causes: list[Cause] = []
    seconds, at = token.get("expirationSeconds") or 0, f"{source}.serviceAccountToken.expirationSeconds"
    if seconds < 600:
        causes.append(status.invalid_value(at, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 1 << 32:
        causes.append(status.invalid_value(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    return causes + _relative(token.get("path") or "", f"{field}.path")
