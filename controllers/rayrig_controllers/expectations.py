"""What a controller has done and its cache does not show yet (kuberay-operator 3.5; controller expectations).

While a group's creations or deletions have not shown up, the group is left alone, so that a stale cache leads to no double work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rayrig_core.timestamps import NS

#: A created pod that has not shown up after so long is given up on. A deletion is awaited without limit.
CREATE_TIMEOUT_NS = 30 * NS

_Group: TypeAlias = tuple[str, str, str]


class ScaleExpectations:
    """Pods created and deleted, by (namespace, cluster, group). In memory only: a restart of the operator loses them."""

    def __init__(self) -> None:
        self._created: dict[_Group, dict[str, int]] = {}
        self._deleted: dict[_Group, dict[str, None]] = {}

    def expect_create(self, namespace: str, cluster: str, group: str, pod: str, now_ns: int) -> None:
        self._created.setdefault((namespace, cluster, group), {})[pod] = now_ns

    def expect_delete(self, namespace: str, cluster: str, group: str, pod: str) -> None:
        key = (namespace, cluster, group)
        created = self._created.get(key)
        if created is not None and created.pop(pod, None) is not None and not created:
            del self._created[key]
        self._deleted.setdefault(key, {})[pod] = None

    def is_satisfied(
        self, namespace: str, cluster: str, group: str, exists: Callable[[str], bool], now_ns: int
    ) -> bool:
        """True when the cache (`exists`) shows all that was done to the group; what it shows is struck off."""
        key = (namespace, cluster, group)
        created, deleted = self._created.get(key), self._deleted.get(key)
        if created:
            created = {
                pod: at_ns for pod, at_ns in created.items() if not exists(pod) and now_ns - at_ns < CREATE_TIMEOUT_NS
            }
            if created:
                self._created[key] = created
            else:
                del self._created[key]
        if deleted:
            deleted = {pod: None for pod in deleted if exists(pod)}
            if deleted:
                self._deleted[key] = deleted
            else:
                del self._deleted[key]
        return not created and not deleted

    def awaits_any(self, namespace: str, cluster: str) -> bool:
        """Something of the cluster has not been struck off."""
        return any(
            key[0] == namespace and key[1] == cluster for table in (self._created, self._deleted) for key in table
        )

    def forget_cluster(self, namespace: str, cluster: str) -> None:
        """The cluster is gone, or all its pods were deleted on purpose."""
        for table in (self._created, self._deleted):
            for key in [key for key in table if key[0] == namespace and key[1] == cluster]:
                del table[key]
