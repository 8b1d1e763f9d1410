"""Which object an apply step means, and what its changes make of it."""

from __future__ import annotations

from rayrig_core.errors import InputError
from rayrig_core.merge_patch import apply_merge_patch
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.remedies import closest
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.language.paths import assign, parse_path
from rayrig_scenarios.language.steps import Apply

#: Stands for every manifest, or every traffic, of the scenario.
EVERYTHING = "all"


class BadPath(ValueError):
    """A path of a change that leads nowhere in the object."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        super().__init__(text)


def changed_object(obj: JsonObject, apply: Apply) -> JsonObject:
    """The object with the changes of an apply step. Raises `ValueError` when a path leads nowhere."""
    changed: JsonObject = apply_merge_patch(copy_json(obj), apply.merge) if apply.merge else obj
    for path, value in apply.set.items():
        try:
            changed = assign(changed, parse_path(path), value)
        except ValueError as error:
            raise BadPath(path, str(error)) from None
    return changed


def _full_name(written: WrittenObject) -> str:
    return "/".join(part for part in written.key if part)


def choose_manifests(name: str, known: list[WrittenObject]) -> list[WrittenObject]:
    """The manifests an apply step means by `all`, an object's name, `Kind/name` or `Kind/namespace/name`. Raises `InputError`."""
    if name == EVERYTHING and known:
        return known
    found = [
        written for written in known if name in (written.name, f"{written.kind}/{written.name}", _full_name(written))
    ]
    if len(found) == 1:
        return found
    if found:
        kinds = ", ".join(f"{written.kind}/{written.name}" for written in found)
        if len({written.kind: None for written in found}) < len(found):
            kinds = ", ".join(_full_name(written) for written in found)
        raise InputError(f'"{name}" is the name of several manifests', remedy=f"write one of: {kinds}")
    names = [written.name for written in known]
    remedy = closest(name, [*names, EVERYTHING]) if names else "add it under manifests"
    raise InputError(f'no manifest is called "{name}"', remedy=remedy)
