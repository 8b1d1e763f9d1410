"""Owned fields as `FieldsV1` trees: those of an object, what differs between two objects, and what is left of them.

A step with nothing below it is owned; one with steps below it is owned itself only with a `.` beside them. Trees are shared and
never changed; those of objects of one shape are mostly the same.
"""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.apply.topology import ABSENT, LEAF, Place


def owned(value: Json, place: Place) -> JsonObject:
    """Everything in a value, and the value itself."""
    if value.__class__ is dict:
        if not value or place.is_atomic:
            return LEAF
        template, below, _ = place.plan(value)
        if not below:
            return template
        tree = template
        for step, name, inner in below:
            part = value[name]
            if part and part.__class__ in _CONTAINERS:
                found = owned(part, inner)
                if found is not LEAF:
                    if tree is template:
                        tree = template.copy()
                    tree[step] = found
        return tree
    if value.__class__ is list and value and place.list_kind != "atomic":
        return {".": LEAF, **_items(value, place)}
    return LEAF


_CONTAINERS = frozenset((dict, list))


def _items(items: list[Json], place: Place) -> JsonObject:
    step_of = place.step
    if place.list_kind == "set":
        return dict.fromkeys(sorted([step_of(item) for item in items]), LEAF)
    inner = place.item
    plans = inner.plans
    trees: JsonObject = {}
    for item in items:
        step = step_of(item)
        # As `owned` does it, for the many that are of a known shape with nothing below.
        plan = plans.get(tuple(item)) if item.__class__ is dict and item else None
        tree = plan.template if plan is not None and not plan.below else owned(item, inner)
        # Twice the same key: the item owns what either has.
        trees[step] = plus(trees[step], tree) if step in trees else tree
    steps = list(trees)
    ordered = sorted(steps)
    return trees if ordered == steps else {step: trees[step] for step in ordered}


def created(value: Json, place: Place) -> JsonObject | None:
    """What a value owns at a place where an empty object of the kind has something, too; None when that is nothing."""
    empty = place.empty
    if empty is ABSENT:
        return owned(value, place)
    if value.__class__ is dict and value and not place.is_atomic:
        template, below, present = place.plan(value)
        tree = template.copy()
        for step, name, inner in below:
            part = value[name]
            if part and part.__class__ in _CONTAINERS:
                tree[step] = owned(part, inner)
        for step, name, inner in present:
            found = created(value[name], inner)
            if found is None:
                del tree[step]
            else:
                tree[step] = found
        return tree or None
    if value.__class__ is list and value and place.list_kind != "atomic":
        return _items(value, place)
    if value == empty or (value.__class__ is empty.__class__ is dict and not place.is_atomic):
        return None
    return LEAF


def differences(old: Json, new: Json, place: Place) -> tuple[JsonObject | None, JsonObject | None]:
    """What is new or other in `new`, and what is gone. None stands for nothing."""
    if old is new or old == new:
        return None, None
    if new.__class__ is dict and not place.is_atomic and (old.__class__ is dict or old is None) and (new or old):
        return _in_maps(old or {}, new, place)
    if (
        new.__class__ is list
        and place.list_kind != "atomic"
        and (old.__class__ is list or old is None)
        and (new or old)
    ):
        return _in_lists(old or [], new, place)
    changed, gone = owned(new, place), owned(old, place)
    below = {step: tree for step, tree in gone.items() if step != "." and step not in changed}
    return changed, below or None


def _in_maps(old: JsonObject, new: JsonObject, place: Place) -> tuple[JsonObject | None, JsonObject | None]:
    changed: JsonObject = {}
    gone: JsonObject = {}
    unowned = place.unowned
    for name in sorted(new):
        if name in unowned:
            continue
        value = new[name]
        before = old.get(name, ABSENT)
        if before is value:
            continue
        inner = place.field(name)
        if before is ABSENT:
            changed[f"f:{name}"] = owned(value, inner)
            continue
        more, less = differences(before, value, inner)
        if more is not None:
            changed[f"f:{name}"] = more
        if less is not None:
            gone[f"f:{name}"] = less
    for name, before in old.items():
        if name not in new and name not in unowned:
            gone[f"f:{name}"] = owned(before, place.field(name))
    return changed or None, gone or None


def _in_lists(old: list[Json], new: list[Json], place: Place) -> tuple[JsonObject | None, JsonObject | None]:
    changed: JsonObject = {}
    gone: JsonObject = {}
    had, has = _by_step(old, place), _by_step(new, place)
    inner = place.item
    for step in sorted(has):
        before = had.get(step, ABSENT)
        if before is ABSENT:
            changed[step] = LEAF if place.list_kind == "set" else owned(has[step], inner)
        elif place.list_kind == "map":
            more, less = differences(before, has[step], inner)
            if more is not None:
                changed[step] = more
            if less is not None:
                gone[step] = less
    for step, before in had.items():
        if step not in has:
            gone[step] = LEAF if place.list_kind == "set" else owned(before, inner)
    return changed or None, gone or None


def _by_step(items: list[Json], place: Place) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for item in items:
        step = place.step(item)
        before = found.get(step)
        found[step] = {**before, **item} if before.__class__ is dict and item.__class__ is dict else item
    return found


# Trees with trees


def _is_owned(tree: JsonObject) -> bool:
    return not tree or "." in tree


def minus(tree: JsonObject, gone: JsonObject) -> JsonObject | None:
    """What is left of `tree` without what `gone` owns: the same tree when they share nothing, None when nothing is left."""
    left: dict[str, Any] | None = None
    for step, taken in gone.items():
        inner = tree.get(step)
        if inner is None or step == ".":
            continue
        rest = minus(inner, taken)
        if rest is inner:
            continue
        if left is None:
            left = dict(tree)
        if rest is None:
            del left[step]
        else:
            left[step] = rest
    is_owned = _is_owned(tree)
    if is_owned and _is_owned(gone):
        left = dict(tree) if left is None else left
        left.pop(".", None)
        return left or None
    if left is None:
        return tree
    if is_owned and len(left) == 1:
        return LEAF
    return left or None


def plus(tree: JsonObject, more: JsonObject) -> JsonObject:
    """Everything that either owns."""
    if tree is more or (not more and _is_owned(tree)):
        return tree
    if not tree and _is_owned(more):
        return more
    both = dict(tree)
    for step, below in more.items():
        inner = both.get(step)
        both[step] = below if inner is None else plus(inner, below)
    if _is_owned(tree) or _is_owned(more):
        both["."] = LEAF
    return dict(sorted(both.items()))
