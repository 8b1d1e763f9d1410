"""What the controller keeps in memory between ticks, and loses with the process (kuberay-operator 2.1)."""

from __future__ import annotations

from collections import OrderedDict

from rayrig_controllers.dashboard_client import application_statuses
from rayrig_controllers.reconciler import Request
from rayrig_core.objects import JsonObject

#: RayServices whose submitted configurations are remembered.
CACHED_SERVICES = 1000


class SubmittedConfigs:
    """The `serveConfigV2` last submitted with success, by RayService and RayCluster; the least recently used service goes first.

    Without a `limit` none goes.
    """

    def __init__(self, limit: int | None = CACHED_SERVICES) -> None:
        self._limit = limit
        self._services: OrderedDict[Request, dict[str, str]] = OrderedDict()

    def get(self, service: Request, cluster: str) -> str | None:
        texts = self._services.get(service)
        if texts is None:
            return None
        self._services.move_to_end(service)
        return texts.get(cluster)

    def put(self, service: Request, cluster: str, text: str) -> None:
        self._services.setdefault(service, {})[cluster] = text
        self._services.move_to_end(service)
        while self._limit is not None and len(self._services) > self._limit:
            self._services.popitem(last=False)

    def keep_only(self, service: Request, clusters: tuple[str, ...]) -> None:
        """Forget clusters that are neither active nor pending."""
        texts = self._services.get(service)
        if texts:
            for cluster in [cluster for cluster in texts if cluster not in clusters]:
                del texts[cluster]

    def forget(self, service: Request) -> None:
        self._services.pop(service, None)


class DeletionSchedule:
    """Earliest deletion times (Unix, ns) by RayCluster name, without namespace. Never purged."""

    def __init__(self) -> None:
        self._due_ns: dict[str, int] = {}

    def due_ns(self, cluster: str) -> int | None:
        return self._due_ns.get(cluster)

    def schedule(self, cluster: str, due_ns: int) -> None:
        self._due_ns[cluster] = due_ns


class ParsedAnswers:
    """The last answer of each dashboard and what it meant: most answers are like the one before."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[bytes, dict[str, JsonObject]]] = {}

    def statuses(self, cluster: str, body: bytes) -> dict[str, JsonObject]:
        """Application statuses of a body, shared between calls. Raises `DashboardError`."""
        last = self._last.get(cluster)
        if last is not None and last[0] == body:
            return last[1]
        statuses = application_statuses(body)
        self._last[cluster] = body, statuses
        return statuses

    def forget(self, cluster: str) -> None:
        self._last.pop(cluster, None)
