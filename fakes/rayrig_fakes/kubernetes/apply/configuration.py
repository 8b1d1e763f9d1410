"""Applying a configuration: merge, conflicts, removal of what is no longer applied (K8-030)."""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterable

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.apply.fields import FieldSet, Path, leaves, path_text
from rayrig_fakes.kubernetes.apply.managers import Manager, everything_before, one_of, read, write
from rayrig_fakes.kubernetes.apply.topology import Place, text

#: The manager under which kubectl applies on the server, and where it noted what it had applied before by itself.
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply_configuration(
    live: JsonObject | None,
    config: JsonObject,
    place: Place,
    manager: Manager,
    unix_ns: int,
    *,
    force: bool,
    sent: Json = None,
) -> JsonObject:
    """What the live object becomes, with its managedFields. `live` is not changed; `sent` is the configuration as it came.

    Raises `Conflict` when others own fields with other values and `force` is not set.
    """
    wanted = leaves(config, place)
    if live is None:
        created: JsonObject = marshal.loads(marshal.dumps(config, 2))
        manager.fields, manager.time = dict.fromkeys(wanted), rfc3339(unix_ns)
        write(created, [manager])
        return created
    managers = read(live)
    if not managers:
        managers = [everything_before(live, place, manager.api_version, unix_ns)]
    mine = one_of(managers, manager)
    mine.api_version = manager.api_version
    others = [each for each in managers if each is not mine]
    present = leaves(live, place)
    changed = {path: None for path, value in wanted.items() if path in present and present[path] != value}
    changed |= _added(live, wanted, present, others, place)
    conflicts = [(each, path) for each in others for path in each.fields if path in changed]
    if conflicts and manager.name == KUBECTL:
        mine_before = _owned_by_last_applied(live, place, present)
        if all(path in mine_before for _, path in conflicts):
            force = True
        conflicts = [(each, path) for each, path in conflicts if path not in mine_before]
    if conflicts and not force:
        raise _conflict(conflicts)
    for each in others:
        each.fields = {path: None for path in each.fields if path not in changed}
    merged: JsonObject = _merged(marshal.loads(marshal.dumps(live, 2)), config, place)
    given_up = [path for path in mine.fields if path not in wanted]
    _remove_unowned(merged, given_up, others, wanted, place)
    if manager.name == KUBECTL and LAST_APPLIED in (live["metadata"].get("annotations") or {}):
        merged["metadata"]["annotations"][LAST_APPLIED] = text(sent if sent is not None else config) + "\n"
    if merged != live:
        mine.time = rfc3339(unix_ns)
    mine.fields = dict.fromkeys(wanted)
    write(merged, managers)
    return merged


def _added(
    live: JsonObject, wanted: dict[Path, object], present: dict[Path, object], others: list[Manager], place: Place
) -> FieldSet:
    """What others own though it is not there (objects that are empty are not kept), and is to be there now."""
    absent = [path for each in others for path in each.fields if path not in present]
    absent = [path for path in absent if any(new[: len(path)] == path for new in wanted)]
    return {path: None for path in absent if not _is_there(live, path, place)}


def _is_there(value: Json, path: Path, place: Place) -> bool:
    for step in path:
        if step.startswith("f:"):
            if not isinstance(value, dict) or step[2:] not in value:
                return False
            value, place = value[step[2:]], place.field(step[2:])
        else:
            items = value if isinstance(value, list) else ()
            found = [item for item in items if place.step(item) == step]
            if not found:
                return False
            value, place = found[0], place.item
    return True


def _conflict(conflicts: list[tuple[Manager, Path]]) -> ApiError:
    causes, texts = [], []
    for manager, path in conflicts:
        who = f'conflict with "{manager.name}"'
        if manager.subresource:
            who += f' with subresource "{manager.subresource}"'
        if manager.operation == "Update":
            who += f" using {manager.api_version}"
        causes.append({"reason": "FieldManagerConflict", "message": who, "field": path_text(path)})
        texts.append(f"{who}: {path_text(path)}")
    count = len(conflicts)
    if count == 1:
        return status.error(409, "Conflict", f"Apply failed with 1 conflict: {texts[0]}", {"causes": causes})
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause["message"].removeprefix("conflict with "), []).append(cause["field"])
    lines = [
        line
        for who in sorted(by_manager)
        for line in (f"conflicts with {who}:", *(f"- {field}" for field in by_manager[who]))
    ]
    text_of_all = f"Apply failed with {count} conflicts: " + "\n".join(lines)
    return status.error(409, "Conflict", text_of_all, {"causes": causes})


def _owned_by_last_applied(live: JsonObject, place: Place, present: dict[Path, object]) -> FieldSet:
    """What clients that apply by themselves have written down, as far as it is still so: theirs to take over."""
    try:
        last = json.loads((live["metadata"].get("annotations") or {}).get(LAST_APPLIED) or "{}")
    except ValueError:
        return {}
    if not isinstance(last, dict):
        return {}
    return {path: None for path, value in leaves(last, place).items() if present.get(path, last) == value}


def _merged(live: Json, config: Json, place: Place) -> Json:
    if config is None and (
        (isinstance(live, dict) and not place.is_atomic) or (isinstance(live, list) and place.list_kind != "atomic")
    ):
        # Nothing is said of what is in it.
        return live
    if isinstance(live, dict) and isinstance(config, dict) and not place.is_atomic:
        for name, value in config.items():
            if name in live:
                live[name] = _merged(live[name], value, place.field(name))
            else:
                live[name] = marshal.loads(marshal.dumps(value, 2))
        return live
    if isinstance(live, list) and isinstance(config, list) and place.list_kind != "atomic":
        return _merged_list(live, config, place)
    return marshal.loads(marshal.dumps(config, 2)) if isinstance(config, (dict, list)) else config


def _merged_list(live: list[Json], config: list[Json], place: Place) -> list[Json]:
    """Items in the order of what is applied; those that are only in the live list stay where they stood among them."""
    present = {place.step(item): item for item in live}
    applied = {place.step(item): item for item in config}
    left, right = list(present), list(applied)
    shared = [step for step in right if step in present]
    done: dict[str, None] = {}
    merged: list[Json] = []

    def take(step: str) -> None:
        done[step] = None
        item = applied[step]
        merged.append(_merged(present[step], item, place.item) if step in present else item)
        if shared and shared[0] == step:
            del shared[0]

    at, to = 0, 0
    while at < len(left) or to < len(right):
        if at < len(left) and to < len(right):
            if left[at] == right[to]:
                take(right[to])
                at, to = at + 1, to + 1
                continue
            if left[at] in applied and shared and shared[0] != left[at]:
                at += 1
                continue
        if at < len(left):
            if left[at] not in applied:
                merged.append(present[left[at]])
                at += 1
                continue
            if left[at] in done:
                at += 1
        if to < len(right):
            take(right[to])
            to += 1
    return merged


def _remove_unowned(
    obj: JsonObject, paths: Iterable[Path], others: list[Manager], wanted: Iterable[Path], place: Place
) -> None:
    """Take away what this manager gave up, nobody else owns, and nothing below is owned."""
    owned: FieldSet = dict.fromkeys(wanted)
    for each in others:
        owned.update(each.fields)
    kept = dict(owned)
    for path in owned:
        # An item of a list goes with all that is below it.
        kept |= {path[:depth]: None for depth in range(1, len(path)) if path[depth - 1].startswith("f:")}
    for path in sorted(paths, key=len):
        if path not in kept:
            _remove(obj, path, place)


def _remove(value: Json, path: Path, place: Place) -> None:
    step, rest = path[0], path[1:]
    if step.startswith("f:"):
        name = step[2:]
        if not isinstance(value, dict) or name not in value:
            return
        if not rest:
            del value[name]
        else:
            _remove(value[name], rest, place.field(name))
            if value[name] == [] or value[name] == {}:
                del value[name]
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            if place.step(item) == step:
                if rest:
                    _remove(item, rest, place.item)
                else:
                    del value[index]
                return
