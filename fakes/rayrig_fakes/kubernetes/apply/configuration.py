"""Applying a configuration: merge, conflicts, removal of what is no longer applied (K8-030)."""

from __future__ import annotations

import marshal
from collections.abc import Iterable

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.apply.fields import FieldSet, Path, leaves, path_text
from rayrig_fakes.kubernetes.apply.managers import Manager, everything_before, one_of, read, write
from rayrig_fakes.kubernetes.apply.topology import Place


def apply_configuration(
    live: JsonObject | None,
    config: JsonObject,
    place: Place,
    manager: Manager,
    unix_ns: int,
    *,
    force: bool,
) -> JsonObject:
    """What the live object becomes, with its managedFields. `live` is not changed.

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
    others = [each for each in managers if each is not mine]
    present = leaves(live, place)
    changed = {path: None for path, value in wanted.items() if path in present and present[path] != value}
    conflicts = [(each, path) for each in others for path in each.fields if path in changed]
    if conflicts and not force:
        raise _conflict(conflicts)
    for each in others:
        each.fields = {path: None for path in each.fields if path not in changed}
    merged: JsonObject = _merged(marshal.loads(marshal.dumps(live, 2)), config, place)
    given_up = [path for path in mine.fields if path not in wanted]
    _remove_unowned(merged, given_up, others, wanted, place)
    if dict.fromkeys(wanted) != mine.fields or not mine.time:
        mine.time = rfc3339(unix_ns)
    mine.fields = dict.fromkeys(wanted)
    write(merged, managers)
    return merged


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
    text = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: "
    text += texts[0] if count == 1 else "conflicts " + "; ".join(texts)
    return status.error(409, "Conflict", text, {"causes": causes})


def _merged(live: Json, config: Json, place: Place) -> Json:
    if isinstance(live, dict) and isinstance(config, dict) and not place.is_atomic:
        for name, value in config.items():
            if name in live:
                live[name] = _merged(live[name], value, place.field(name))
            else:
                live[name] = marshal.loads(marshal.dumps(value, 2))
        return live
    if isinstance(live, list) and isinstance(config, list) and place.list_kind != "atomic":
        items = {place.step(item): item for item in live}
        for item in config:
            step = place.step(item)
            items[step] = _merged(items[step], item, place.item) if step in items else item
        return list(items.values())
    return marshal.loads(marshal.dumps(config, 2)) if isinstance(config, (dict, list)) else config


def _remove_unowned(
    obj: JsonObject, paths: Iterable[Path], others: list[Manager], wanted: Iterable[Path], place: Place
) -> None:
    """Take away what this manager gave up, nobody else owns, and nothing below is owned."""
    owned: FieldSet = dict.fromkeys(wanted)
    for each in others:
        owned.update(each.fields)
    kept = {path[:depth] for path in owned for depth in range(1, len(path) + 1)}
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
