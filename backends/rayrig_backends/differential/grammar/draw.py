"""Choices of a seed, and the requests that stories are made of."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from rayrig_backends.differential.grammar.kinds import Kind
from rayrig_backends.differential.steps import Step
from rayrig_core.objects import Json

_T = TypeVar("_T")
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
Query = Sequence[tuple[str, str]]


class Draw:
    """One story's choices."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._made = 0

    def one(self, choices: Sequence[_T]) -> _T:
        return self.rng.choice(choices)

    def some(self, choices: Sequence[_T], most: int = 3) -> list[_T]:
        return self.rng.sample(list(choices), self.rng.randint(0, min(most, len(choices))))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def maybe(self, probability: float, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
        """The parameters, or none."""
        return list(pairs) if self.chance(probability) else []

    def number(self) -> int:
        """1, 2, 3 …: for prefixes that must not be alike."""
        self._made += 1
        return self._made


def create(kind: Kind, body: Json, query: Query = (), **more: Any) -> Step:
    return Step("POST", kind.collection, tuple(query), body=body, **more)


def get(kind: Kind, name: str, query: Query = (), sub: str = "", **more: Any) -> Step:
    return Step("GET", kind.at(name, sub), tuple(query), **more)


def listed(kind: Kind, query: Query = (), **more: Any) -> Step:
    return Step("GET", kind.collection, tuple(query), **more)


def put(kind: Kind, name: str, body: Json, query: Query = (), sub: str = "", **more: Any) -> Step:
    return Step("PUT", kind.at(name, sub), tuple(query), body=body, **more)


def patch(
    kind: Kind, name: str, media: str, body: Json, query: Query = (), sub: str = "", text: str | None = None
) -> Step:
    headers = (("Content-Type", media),)
    return Step("PATCH", kind.at(name, sub), tuple(query), headers, body, text)


def delete(kind: Kind, name: str, query: Query = (), body: Json = None) -> Step:
    return Step("DELETE", kind.at(name), tuple(query), body=body)


def watch(kind: Kind, query: Query = (), **more: Any) -> Step:
    return Step("GET", kind.collection, (("watch", "true"), *query), watch=True, **more)
