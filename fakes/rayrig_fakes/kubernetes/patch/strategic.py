"""Strategic merge patch: a merge patch that knows by which key the lists of built-in kinds merge, and a few directives."""

from __future__ import annotations

import marshal
from typing import Any

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.patch.merge_keys import merge_keys, merges_as_set

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_strategic_patch(obj: JsonObject, patch: JsonObject, kind: str) -> JsonObject:
    """`obj` after the patch; it is changed, the patch is not. Raises `ApiError` 400 for bad directives."""
    return _merge_object(obj, marshal.loads(marshal.dumps(patch, 2)), "", merge_keys(kind))


def _merge_object(target: JsonObject, patch: JsonObject, path: str, keys: dict[str, str]) -> JsonObject:
    directive = patch.pop(_DIRECTIVE, None)
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise status.bad_request(f"Unknown patch type: {directive}")
    retained = patch.pop(_RETAIN, None)
    if retained is not None:
        if not isinstance(retained, list):
            raise status.bad_request("invalid patch format of retainKeys")
        for field in [field for field in target if field not in retained]:
            del target[field]
    orders = {field.removeprefix(_ORDER): patch.pop(field) for field in list(patch) if field.startswith(_ORDER)}
    if not all(isinstance(order, list) for order in orders.values()):
        raise status.bad_request("invalid patch format of setElementOrder list")
    for field in [field for field in patch if field.startswith(_DELETE_FROM)]:
        name = field.removeprefix(_DELETE_FROM)
        unwanted = patch.pop(field)
        if not isinstance(unwanted, list):
            raise status.bad_request("invalid patch format of primitive list")
        if isinstance(target.get(name), list):
            target[name] = [value for value in target[name] if value not in unwanted]
    for field, value in patch.items():
        below = f"{path}.{field}" if path else field
        if value is None:
            target.pop(field, None)
        elif isinstance(value, dict):
            present = target.get(field)
            target[field] = _merge_object(present if isinstance(present, dict) else {}, value, below, keys)
        elif isinstance(value, list):
            present = target.get(field)
            order = orders.pop(field, None)
            target[field] = _merge_list(present if isinstance(present, list) else [], value, below, keys, order)
        else:
            target[field] = value
    for field, order in orders.items():
        present = target.get(field)
        if isinstance(present, list):
            below = f"{path}.{field}" if path else field
            target[field] = _merge_list(present, [], below, keys, order)
    return target


def _merge_list(target: list[Json], patch: list[Json], path: str, keys: dict[str, str], order: Any) -> list[Json]:
    if merges_as_set(path):
        added = [value for value in patch if value not in target]
        return _ordered(target + added, patch if order is None else order, target)
    key = keys.get(path)
    if key is None:
        return [item for item in patch if not _is_directive(item)]
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
        return [item for item in patch if not _is_directive(item)]
    by_key: dict[Json, Json] = {}
    for item in target:
        by_key[item.get(key) if isinstance(item, dict) else item] = item
    before = list(by_key)
    named: list[Json] = []
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise status.bad_request(f"map: {item} does not contain declared merge key: {key}")
        value = item[key]
        if isinstance(value, (dict, list)):
            raise status.bad_request(f"map: {item} does not contain declared merge key: {key}")
        if item.get(_DIRECTIVE) == "delete":
            by_key.pop(value, None)
            continue
        named.append(value)
        if item.get(_DIRECTIVE) == "replace":
            by_key[value] = {field: part for field, part in item.items() if field != _DIRECTIVE}
        elif value in by_key:
            by_key[value] = _merge_object(by_key[value], item, path, keys)
        else:
            by_key[value] = _merge_object({}, item, path, keys)
    wanted = named if order is None else [o[key] if isinstance(o, dict) and key in o else o for o in order]
    return [by_key[value] for value in _ordered(list(by_key), wanted, before)]


def _is_directive(item: Json) -> bool:
    return isinstance(item, dict) and _DIRECTIVE in item


def _ordered(values: list[Json], wanted: list[Json], before: list[Json]) -> list[Json]:
    """What the patch names in its order, the rest in the server's; where both were there before, the server's order counts."""
    named = [value for value in wanted if value in values]
    rest = [value for value in values if value not in named]
    merged: list[Json] = []
    while named and rest:
        both_known = rest[0] in before and named[0] in before
        if both_known and before.index(rest[0]) < before.index(named[0]):
            merged.append(rest.pop(0))
        else:
            merged.append(named.pop(0))
    return merged + rest + named
