"""The service account controller: a ServiceAccount `default` in each namespace, made again when somebody deletes it.

Source: Kubernetes, "Managing Service Accounts" (ServiceAccount controller).
"""

from __future__ import annotations

from rayrig_core.errors import AlreadyExists
from rayrig_core.objects import JsonObject, is_being_deleted, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import NAMESPACE, SERVICE_ACCOUNT
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches

_NAME = "default"


class ServiceAccountController:
    """Works in the handlers of its caches; there is an actor for a namespace while it lacks its account."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        self._client = client
        self._namespaces = caches.of(NAMESPACE)
        self._accounts = caches.of(SERVICE_ACCOUNT)
        self._work = KeyedWork(runtime, caches, "serviceaccount-controller", self._sync)
        self._namespaces.on_change(self._on_namespace)
        self._accounts.on_change(self._on_account)

    def _on_namespace(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is not WatchType.DELETED and not is_being_deleted(new):
            self._work.touch((name_of(new), _NAME), cause)

    def _on_account(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED and name_of(new) == _NAME:
            self._work.touch((namespace_of(new), _NAME), cause)

    async def _sync(self, key: Key) -> None:
        namespace = self._namespaces.get(key[0])
        if namespace is None or is_being_deleted(namespace) or self._accounts.get(_NAME, key[0]) is not None:
            return
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _NAME, "namespace": key[0]}}
        try:
            await self._client.create(SERVICE_ACCOUNT, body, key[0])
        except AlreadyExists:
            return
