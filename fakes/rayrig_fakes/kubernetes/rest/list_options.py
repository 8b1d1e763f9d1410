"""Which parameters of a list or watch go together, and how flags are read (K8-049, K8-055)."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_MATCH = "resourceVersionMatch"


def is_set(query: Mapping[str, list[str]], name: str) -> bool:
    """A flag as the conversion of parameters reads it: given, and neither `false` nor `0`."""
    values = query.get(name)
    return values is not None and (values or [""])[0].lower() not in ("false", "0")


def check_list_options(query: Mapping[str, list[str]]) -> None:
    """Raises `ApiError` 422 with all that is wrong. A watch by its old path, without the flag, is held to the rules of a list."""
    causes = _of_watch(query) if is_set(query, "watch") else _of_list(query)
    if causes:
        raise status.invalid("ListOptions", "meta.k8s.io", "", causes)


def _of_list(query: Mapping[str, list[str]]) -> list[Cause]:
    version, match = _one(query, "resourceVersion"), _one(query, _MATCH)
    causes = []
    if match:
        if not version:
            causes.append(_forbidden(f"{_MATCH} is forbidden unless resourceVersion is provided"))
        if _one(query, "continue"):
            causes.append(_forbidden(f"{_MATCH} is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(status.not_supported(_MATCH, match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and version == "0":
            causes.append(_forbidden(f'{_MATCH} "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        causes.append(status.forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _of_watch(query: Mapping[str, list[str]]) -> list[Cause]:
    match, initial = _one(query, _MATCH), "sendInitialEvents" in query
    causes = []
    if initial and match != "NotOlderThan":
        causes.append(_forbidden(f"sendInitialEvents requires setting {_MATCH} to NotOlderThan"))
    if match and not initial:
        causes.append(_forbidden(f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"))
    if match and match != "NotOlderThan":
        causes.append(status.not_supported(_MATCH, match, ("NotOlderThan",)))
    if _one(query, "continue"):
        causes.append(_forbidden(f"{_MATCH} is forbidden when continue is provided"))
    return causes


def _forbidden(text: str) -> Cause:
    return status.forbidden_field(_MATCH, text)


def _one(query: Mapping[str, list[str]], name: str) -> str:
    return (query.get(name) or [""])[0]
