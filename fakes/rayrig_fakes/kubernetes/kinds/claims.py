"""PersistentVolumeClaims, wherever one occurs: as an object, in a pod's volume, in a StatefulSet."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import one_of, selector_problems
from rayrig_fakes.kubernetes.status import Cause

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")


def claim_spec_problems(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    modes = spec.get("accessModes") or []
    if not modes:
        causes.append(status.required(f"{field}.accessModes", "at least 1 access mode is required"))
    causes += selector_problems(spec.get("selector"), f"{field}.selector")
    causes += access_mode_problems(modes, f"{field}.accessModes")
    resources = spec.get("resources") or {}
    storage = (resources.get("requests") or {}).get("storage")
    if storage is None:
        causes.append(status.required(f"{field}.resources[storage]"))
    elif parse_quantity(storage) <= 0:
        causes.append(status.invalid_value(f"{field}.resources[storage]", storage, "must be greater than zero"))
    causes += one_of(f"{field}.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)
    return causes


def access_mode_problems(modes: list[str], field: str) -> list[Cause]:
    causes = [status.not_supported(field, mode, _ACCESS_MODES) for mode in modes if mode not in _ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        causes.append(status.forbidden_field(field, text))
    return causes


def claim_warnings(spec: JsonObject, field: str) -> list[str]:
    found = []
    for part in ("requests", "limits"):
        storage = ((spec.get("resources") or {}).get(part) or {}).get("storage")
        if storage is not None and parse_quantity(storage).denominator != 1:
            text = f'fractional byte value "{storage}" is invalid, must be an integer'
            found.append(f"{field}.resources.{part}[storage]: {text}")
    return found
