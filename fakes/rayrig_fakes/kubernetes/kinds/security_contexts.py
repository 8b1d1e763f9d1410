"""What is wrong with security contexts, of pods and of their containers."""

from __future__ import annotations

import re

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import backsteps, each, one_of
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.inside import inside

_ID_TEXT = "must be between 0 and 2147483647, inclusive"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_SYSCTL_TEXT = (
    r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*"
    "[a-z0-9])?$"
)


def pod_security_problems(context: JsonObject, field: str, spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        causes += _id(context.get(name), f"{field}.{name}")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        causes += _id(group, f"{field}.supplementalGroups[{index}]")
    seen: list[str] = []
    for index, each_one in enumerate(context.get("sysctls") or ()):
        name, at = each_one.get("name") or "", f"{field}.sysctls[{index}].name"
        if not name:
            causes.append(status.required(at))
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            causes.append(status.invalid_value(at, name, _SYSCTL_TEXT))
        elif name in seen:
            causes.append(status.duplicate(at, name))
        seen.append(name)
    causes += one_of(f"{field}.fsGroupChangePolicy", context.get("fsGroupChangePolicy"), ("Always", "OnRootMismatch"))
    causes += one_of(f"{field}.supplementalGroupsPolicy", context.get("supplementalGroupsPolicy"), ("Merge", "Strict"))
    causes += one_of(f"{field}.seLinuxChangePolicy", context.get("seLinuxChangePolicy"), ("Recursive",))
    return causes + _profiles(context, field)


def container_security_problems(context: JsonObject, field: str, spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    for name in ("runAsUser", "runAsGroup"):
        causes += _id(context.get(name), f"{field}.{name}")
    mount = context.get("procMount")
    causes += one_of(f"{field}.procMount", mount, ("Default", "Unmasked"))
    if mount == "Unmasked" and spec.get("hostUsers") is not False:
        text = "`hostUsers` must be false to use `Unmasked`"
        causes.append(status.invalid_value(f"{field}.procMount", mount, text))
    if context.get("allowPrivilegeEscalation") is False:
        added = (context.get("capabilities") or {}).get("add") or ()
        for contradicts, what in (
            (context.get("privileged"), "`privileged` to true"),
            ("CAP_SYS_ADMIN" in added, "`capabilities.Add` CAP_SYS_ADMIN"),
        ):
            if contradicts:
                text = f"cannot set `allowPrivilegeEscalation` to false and {what}"
                causes.append(status.invalid_value(field, inside(context, "SecurityContext"), text))
    return causes + _profiles(context, field)


def _id(value: Json, field: str) -> list[Cause]:
    if value is None or 0 <= value <= 0x7FFFFFFF:
        return []
    return [status.invalid_value(field, value, _ID_TEXT)]


def _profiles(context: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, type_name, word in (
        ("seccompProfile", "SeccompProfile", "seccomp"),
        ("appArmorProfile", "AppArmorProfile", "AppArmor"),
    ):
        profile = context.get(name)
        if profile is None:
            continue
        kind, local, at = profile.get("type") or "", profile.get("localhostProfile"), f"{field}.{name}"
        if not kind:
            causes.append(status.required(f"{at}.type", f"type is required when {name} is set"))
        elif kind not in _PROFILES:
            causes.append(status.not_supported(f"{at}.type", kind, _PROFILES))
        elif kind == "Localhost":
            if local is None:
                text = f"must be set when {word} type is Localhost"
                causes.append(status.required(f"{at}.localhostProfile", text))
            else:
                causes += each(f"{at}.localhostProfile", local, backsteps(local))
        elif local is not None:
            text = f"can only be set when {word} type is Localhost"
            causes.append(status.invalid_value(f"{at}.localhostProfile", inside(profile, type_name), text))
    return causes
