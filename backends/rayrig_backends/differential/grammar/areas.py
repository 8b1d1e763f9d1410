"""The areas stories are drawn from, and the endless row of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from random import Random

from rayrig_backends.differential.grammar.changes import apply, json_patch, merge_patch, strategic_patch
from rayrig_backends.differential.grammar.custom import custom, definitions
from rayrig_backends.differential.grammar.draw import Draw
from rayrig_backends.differential.grammar.faces import bodies, identity, negotiation, paths
from rayrig_backends.differential.grammar.lives import cluster, crud, deletion, dry_runs, names, values
from rayrig_backends.differential.grammar.parts import subresources
from rayrig_backends.differential.grammar.views import lists, shapes, watches
from rayrig_backends.differential.steps import Step, Story
from rayrig_core.errors import InputError

AREAS: Mapping[str, Callable[[Draw], list[Step]]] = {
    "crud": crud,
    "names": names,
    "values": values,
    "json-patch": json_patch,
    "merge-patch": merge_patch,
    "strategic-patch": strategic_patch,
    "apply": apply,
    "delete": deletion,
    "dry-run": dry_runs,
    "lists": lists,
    "watch": watches,
    "shapes": shapes,
    "subresources": subresources,
    "negotiation": negotiation,
    "paths": paths,
    "bodies": bodies,
    "identity": identity,
    "cluster": cluster,
    "custom": custom,
    "definitions": definitions,
}


def stories(seed: int, areas: Sequence[str] = ()) -> Iterator[Story]:
    """Without end: one of each area (all when none is named) after the other. Raises `InputError` at once for unknown areas."""
    chosen = list(dict.fromkeys(areas)) or list(AREAS)
    for area in chosen:
        if area not in AREAS:
            raise InputError(f"no area {area}", remedy=f"there are {', '.join(AREAS)}")
    return (story(seed, area, number) for number in count() for area in chosen)


def story(seed: int, area: str, number: int) -> Story:
    """That one, whatever else is drawn."""
    return Story(area, number, tuple(AREAS[area](Draw(Random(f"{seed}/{area}/{number}")))))
