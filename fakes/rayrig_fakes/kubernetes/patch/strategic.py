"""Strategic merge patch: a merge patch that knows by which key the lists of built-in kinds merge, and a few directives (K8-029).

What is wrong with a patch is said in the server's words; most of it is a plain error with code 500.
"""

from __future__ import annotations

import marshal
from typing import Any

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.patch.merge_keys import ListMerge, field_of, item_of

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_strategic_patch(obj: JsonObject, patch: JsonObject, type_name: str) -> JsonObject:
    """`obj` after the patch; it is changed, the patch is not. `type_name`: in the catalogue of types; "" when it is not there.

    Raises `ApiError` 400, 500 for bad directives.
    """
    return _merge_object(obj, marshal.loads(marshal.dumps(patch, 2)), type_name)


def _failure(text: str) -> ApiError:
    return status.error(500, "", text)


def _merge_object(target: JsonObject, patch: JsonObject, type_name: str) -> JsonObject:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        del patch[_DIRECTIVE]
        return patch
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _failure(f"unknown patch type: {status.go_map(directive)} in map: {status.go_map(patch)}")
    patch.pop(_DIRECTIVE, None)
    _retain(target, patch)
    orders = {field.removeprefix(_ORDER): patch.pop(field) for field in list(patch) if field.startswith(_ORDER)}
    for order in orders.values():
        if not isinstance(order, list):
            raise _failure(f"expected a []interface {{}}, but received a {_go_type(order)}")
    for field in [field for field in patch if field.startswith(_DELETE_FROM)]:
        name, unwanted = field.removeprefix(_DELETE_FROM), patch.pop(field)
        if isinstance(unwanted, list) and isinstance(target.get(name), list):
            target[name] = [value for value in target[name] if value not in unwanted]
    for field, value in patch.items():
        merge = field_of(type_name, field)
        present, order = target.get(field), orders.pop(field, None)
        if value is None:
            target.pop(field, None)
        elif present is None and isinstance(value, dict) and value.get(_DIRECTIVE) in ("replace", "delete"):
            # There is nothing it could be done to.
            target.pop(field, None)
        elif isinstance(value, dict) and (present is None or isinstance(present, dict)):
            target[field] = _merge_object(present or {}, value, merge.type)
        elif isinstance(value, list) and (present is None or isinstance(present, list)):
            target[field] = _merge_list(present or [], value, merge, order)
        else:
            target[field] = value
    for field, order in orders.items():
        present = target.get(field)
        if isinstance(present, list):
            target[field] = _merge_list(present, [], field_of(type_name, field), order)
    return target


def _retain(target: JsonObject, patch: JsonObject) -> None:
    """Take away what the patch does not list as kept; all that the patch brings must be listed."""
    retained = patch.pop(_RETAIN, None)
    if retained is None:
        return
    given = [field for field, value in patch.items() if value is not None and not field.startswith("$")]
    if not isinstance(retained, list) or any(field not in retained for field in given):
        raise status.bad_request("invalid patch format of retainKeys")
    for field in [field for field in target if field not in retained]:
        del target[field]


def _merge_list(target: list[Json], patch: list[Json], merge: ListMerge, order: Any) -> list[Json]:
    if merge.key is None:
        return [item for item in patch if not _is_directive(item)]
    kinds = dict.fromkeys(type(item) for item in (*target, *patch))
    if len(kinds) > 1:
        raise _failure(f"list element types are not identical: [{status.go_map(target)} {status.go_map(patch)}]")
    if not merge.key:
        _check_order(patch, order, "")
        added = list(dict.fromkeys(value for value in patch if value not in target))
        return _ordered(target + added, patch if order is None else order, target)
    if not all(isinstance(item, dict) for item in patch):
        # Nothing to merge by: whoever takes the object in will say that these are no objects.
        return patch
    return _merge_items(target, patch, merge, order)


def _merge_items(target: list[Json], patch: list[Json], merge: ListMerge, order: Any) -> list[Json]:
    key = str(merge.key)
    for item in patch:
        directive = item.get(_DIRECTIVE)
        if directive not in (None, "merge", "replace", "delete"):
            raise _failure(f"unknown patch type: {status.go_map(directive)} in map: {status.go_map(item)}")
    if any(item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if not _is_directive(item)]
    by_key: dict[Json, Json] = {}
    for item in target:
        by_key[_identity(item, key)] = item
    before = list(by_key)
    named: list[Json] = []
    for item in patch:
        value = _identity(item, key)
        if item.get(_DIRECTIVE) == "delete":
            by_key.pop(value, None)
            continue
        named.append(value)
        by_key[value] = _merge_object(by_key.get(value) or {}, item, item_of(merge.type))
    _check_order([item for item in patch if item.get(_DIRECTIVE) != "delete"], order, key)
    wanted = named if order is None else [o[key] if isinstance(o, dict) and key in o else o for o in order]
    return [by_key[value] for value in _ordered(list(by_key), wanted, before)]


def _identity(item: Json, key: str) -> Json:
    value = item.get(key)
    if value is None or isinstance(value, (dict, list)):
        raise _failure(f"map: {status.go_map(item)} does not contain declared merge key: {key}")
    return value


def _check_order(patch: list[Json], order: Any, key: str) -> None:
    """What a patch brings must stand in its order, in that order."""
    if order is None:
        return
    listed = [item.get(key) if key and isinstance(item, dict) else item for item in order]
    place = 0
    for item in patch:
        value = item.get(key) if key and isinstance(item, dict) else item
        if value not in listed[place:]:
            raise _failure(
                f"The order in patch list:\n{status.go_map(patch)}\n doesn't match $setElementOrder list:\n"
                f"{status.go_map(order)}\n"
            )
        place = listed.index(value, place)


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


def _go_type(value: Json) -> str:
    kinds = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map[string]interface {}"}
    return kinds.get(type(value), "<nil>")
