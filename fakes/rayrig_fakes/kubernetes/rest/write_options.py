"""Parameters of writes that every verb checks in the same way (K8-017, K8-032)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_MANAGER_LIMIT = 128
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_PROPAGATION = ("Foreground", "Background", "Orphan")
_KIND_OF_OPTIONS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


def check_write_options(
    verb: str, manager: str, dry_run: Sequence[str], validation: str, *, applies: bool = False, forces: bool = False
) -> None:
    """`forces`: something is said of force. Raises `ApiError` 422 with all that is wrong."""
    causes = []
    if forces and not applies:
        causes.append(status.forbidden_field("force", "may not be specified for non-apply patch"))
    if applies and not manager:
        causes.append(status.required("fieldManager", "is required for apply patch"))
    causes += _of_manager(manager)
    causes += _of_dry_run(dry_run)
    if validation not in _VALIDATIONS:
        causes.append(status.not_supported("fieldValidation", validation, _VALIDATIONS))
    _refuse(verb, causes)


def check_delete_options(policy: str | None, orphan: bool | None, dry_run: Sequence[str]) -> None:
    """Raises `ApiError` 422 with all that is wrong."""
    causes = []
    if policy is not None and policy not in _PROPAGATION:
        causes.append(status.not_supported("propagationPolicy", policy, (*_PROPAGATION, "nil")))
    elif policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(status.invalid_value("propagationPolicy", policy, text))
    _refuse("delete", causes + _of_dry_run(dry_run))


def _of_manager(manager: str) -> list[Cause]:
    causes = []
    if len(manager.encode("utf-8", "surrogatepass")) > _MANAGER_LIMIT:
        causes.append(status.too_long("fieldManager", _MANAGER_LIMIT))
    place = 0
    for letter in manager:
        if not letter.isprintable():
            text = f"invalid character U+{ord(letter):04X} (at position {place})"
            causes.append(status.invalid_value("fieldManager", manager, text))
            break
        place += len(letter.encode("utf-8", "surrogatepass"))
    return causes


def _of_dry_run(values: Sequence[str]) -> list[Cause]:
    return [status.not_supported("dryRun", list(values), ["All"])] if any(value != "All" for value in values) else []


def _refuse(verb: str, causes: list[Cause]) -> None:
    if causes:
        raise status.invalid(_KIND_OF_OPTIONS.get(verb, "CreateOptions"), "meta.k8s.io", "", causes)
