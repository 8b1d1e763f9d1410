"""The calls about clusters (`kuberay-apiserver.md` section 5; AS-011 to AS-036)."""

from __future__ import annotations

from rayrig.apiserver.clusters import messages
from rayrig.apiserver.clusters.raycluster import cluster_of, raycluster_of
from rayrig.apiserver.clusters.spec import template_names
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.clusters.validation import NO_NAME, check_cluster
from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.events import events_about
from rayrig.apiserver.requests import name_and_namespace_in, namespace_in
from rayrig.apiserver.stored import KUBERNETES_FAILED, OURS, managed_object
from rayrig.apiserver.wire.errors import CallError, internal_error, invalid_input_because, plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Route
from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.ports import Clock, KubernetesClient
from rayrig_core.resource_types import RAY_CLUSTER

_COLLECTION = "/apis/v1/namespaces/{namespace}/clusters"


class Clusters:
    """Creates, tells of and deletes RayClusters made through this server, and those of Ray services made through it."""

    def __init__(self, kubernetes: KubernetesClient, templates: ComputeTemplates, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._templates = templates
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        service, item = "ClusterService", _COLLECTION + "/{name}"
        return (
            Route(
                "POST",
                _COLLECTION,
                f"{service}.CreateCluster",
                messages.CREATE_REQUEST,
                messages.CLUSTER,
                self.create,
                body="cluster",
            ),
            Route("GET", item, f"{service}.GetCluster", messages.GET_REQUEST, messages.CLUSTER, self.get),
            Route("GET", _COLLECTION, f"{service}.ListCluster", messages.LIST_REQUEST, messages.LIST_REPLY, self.list),
            Route(
                "GET",
                "/apis/v1/clusters",
                f"{service}.ListAllClusters",
                messages.LIST_ALL_REQUEST,
                messages.LIST_ALL_REPLY,
                self.list_all,
            ),
            Route("DELETE", item, f"{service}.DeleteCluster", messages.DELETE_REQUEST, EMPTY, self.delete),
        )

    async def create(self, request: JsonObject) -> JsonObject:
        cluster = request.get("cluster", {})
        try:
            check_cluster(cluster, request.get("namespace", ""))
        except CallError as error:
            raise error.wrap("Validate create cluster request failed.") from None
        try:
            stored = await self._store(cluster)
        except CallError as error:
            raise error.wrap("Create Cluster failed.") from None
        return cluster_of(stored, await self._events(stored))

    async def _store(self, cluster: JsonObject) -> JsonObject:
        namespace = cluster["namespace"]
        which = f"({namespace}/{cluster['name']})"
        try:
            templates = await self._templates.read_all(template_names(cluster["clusterSpec"]), namespace)
        except CallError as error:
            raise internal_error(f"Failed to populate compute template for {which}", error.internal) from None
        try:
            raycluster = raycluster_of(cluster, templates, self._clock.unix_ns())
        except Unconvertible as error:
            raise invalid_input_because("Failed to create a Ray cluster", error) from None
        try:
            return await self._kubernetes.create(RAY_CLUSTER, raycluster, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to create a cluster for {which}", error) from None

    async def get(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, NO_NAME)
        try:
            raycluster = await self.read(name, namespace)
        except CallError as error:
            raise error.wrap("Get cluster failed.") from None
        return cluster_of(raycluster, await self._events(raycluster))

    async def read(self, name: str, namespace: str) -> JsonObject:
        """The RayCluster of that name. Raises `CallError`: not found, or not made through this server."""
        return await managed_object(
            self._kubernetes, RAY_CLUSTER, name, namespace, noun="Cluster", failed="Get Cluster failed"
        )

    async def _events(self, raycluster: JsonObject) -> list[JsonObject]:
        """None when they can't be read: the cluster is told of all the same."""
        try:
            return await events_about(self._kubernetes, name_of(raycluster), namespace_of(raycluster))
        except KUBERNETES_FAILED:
            return []

    async def list(self, request: JsonObject) -> JsonObject:
        namespace_in(request)
        return await self._page(request, "List clusters failed.")

    async def list_all(self, request: JsonObject) -> JsonObject:
        return await self._page(request, "List clusters from all namespaces failed.")

    async def _page(self, request: JsonObject, failed: str) -> JsonObject:
        namespace = request.get("namespace", "")
        limit, token = request.get("limit", 0), request.get("continue", "")
        try:
            page = await self._kubernetes.list(
                RAY_CLUSTER, namespace, label_selector=OURS, limit=limit, continue_token=token
            )
        except KUBERNETES_FAILED as error:
            raise plain(f"{failed}: List RayCluster failed in {namespace}: {error}") from None
        # By name alone: of clusters with one name in several namespaces, each is told the last one's events.
        events: dict[str, list[JsonObject]] = {}
        for raycluster in page.items:
            if found := await self._events(raycluster):
                events[name_of(raycluster)] = found
        clusters = [cluster_of(each, events.get(name_of(each), ())) for each in page.items]
        return {"clusters": clusters, "continue": page.continue_token}

    async def delete(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, NO_NAME)
        try:
            await self.read(name, namespace)
        except CallError as error:
            raise error.wrap("Get cluster failure") from None
        try:
            await self._kubernetes.delete(RAY_CLUSTER, name, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to delete cluster {name}.", error) from None
        return {}
