"""Reads of the API that an idle actor can repeat without making them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rayrig_backends.api_rules import ApiRules
from rayrig_core.faultpoints import Faults
from rayrig_core.objects import JsonObject
from rayrig_core.ports import ObjectList, Runtime
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.store import Collection


class ForeseenClient(InProcessClient):
    """A client of an actor that rests between looks: its gets and lists are noted in the actor's turn (`rayrig_core.idle.Turn`)."""

    def __init__(
        self,
        server: ApiServer,
        runtime: Runtime,
        *,
        actor: str,
        draw_ns: Callable[[], int],
        most_ns: int,
        faults: Faults,
        rules: ApiRules,
    ) -> None:
        """`draw_ns` draws the latency of a call, which is never longer than `most_ns`; `rules` say what strikes calls."""
        super().__init__(server, runtime, actor=actor, latency=lambda verb: draw_ns() / NS, faults=faults)
        self._draw_ns = draw_ns
        self._most_ns = most_ns
        self._rules = rules

    async def get(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject:
        began_ns = self._runtime.monotonic_ns()
        found = await super().get(resource, name, namespace)
        self._note(began_ns, "get", resource, self._target(resource, namespace, name))
        return found

    async def list(self, resource: ResourceType, namespace: str = "", **options: Any) -> ObjectList:
        began_ns = self._runtime.monotonic_ns()
        found = await super().list(resource, namespace, **options)
        self._note(began_ns, "list", resource, self._target(resource, namespace, ""))
        return found

    def _note(self, began_ns: int, verb: str, resource: ResourceType, target: str) -> None:
        turn, runtime = self._runtime.turn, self._runtime
        if turn is None:
            return
        collection = self.server.state.store.collection(resource.group_resource)

        def again() -> int:
            # As the call does: a passing is counted, and each half of the latency is rounded.
            assert self._faults is not None
            self._faults.pass_through(self.actor, verb, target)
            return 2 * round(self._draw_ns() / NS / 2 * NS)

        read = _Read((again,), self._most_ns + 2, self._rules, collection, _changes(collection))
        turn.add(began_ns, runtime.monotonic_ns(), read)


def _changes(collection: Collection) -> int:
    """How many there have been."""
    return collection.log.begin + len(collection.log.entries)


@dataclass(frozen=True, slots=True)
class _Read:
    """A read that was answered (port `Repetition`): the same answer while nothing of that resource changes, and nothing strikes."""

    draws: tuple[Callable[[], int], ...]
    most_ns: int
    rules: ApiRules
    collection: Collection
    changes: int

    def holds(self) -> bool:
        return not self.rules.are_any and _changes(self.collection) == self.changes
