"""External storage of the GCS (Redis): key-value data by address and namespace, which outlives heads and clusters.

Source: kuberay-operator.md 3.12. The namespace defaults to the RayCluster's uid, so that no other cluster finds the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StorageKey:
    """Where a fault-tolerant GCS keeps its tables."""

    address: str
    namespace: str


class ExternalStorage:
    """All such stores of a world. One that is not reachable keeps its data."""

    def __init__(self) -> None:
        self._data: dict[StorageKey, dict[str, Any]] = {}
        self._unreachable: dict[str, None] = {}
        self.on_change: list[Callable[[], None]] = []

    def open(self, key: StorageKey) -> dict[str, Any]:
        """The data of that namespace, empty at first."""
        return self._data.setdefault(key, {})

    def has(self, key: StorageKey) -> bool:
        return bool(self._data.get(key))

    def is_reachable(self, key: StorageKey) -> bool:
        return key.address not in self._unreachable

    def set_reachable(self, address: str, is_reachable: bool) -> None:
        """A fault: the server at that address is lost, or back."""
        if is_reachable:
            self._unreachable.pop(address, None)
        else:
            self._unreachable[address] = None
        self.changed()

    def changed(self) -> None:
        """A server is there, or gone: who waits for one looks again."""
        for callback in list(self.on_change):
            callback()

    def erase(self, key: StorageKey) -> None:
        """KubeRay's clean-up job ran."""
        self._data.pop(key, None)
