"""The calls about Ray services (`reference/kuberay-apiserver.md` section 8; AS-041 to AS-049)."""

from __future__ import annotations

from rayrig.apiserver.clusters.service import Clusters
from rayrig.apiserver.clusters.spec import template_names
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.events import events_about
from rayrig.apiserver.requests import name_and_namespace_in, namespace_in
from rayrig.apiserver.services import messages
from rayrig.apiserver.services.rayservice import active_cluster, rayservice_of, service_of
from rayrig.apiserver.services.validation import NO_SERVICE_NAME, NO_SERVICE_NAMESPACE, check_create, check_update
from rayrig.apiserver.stored import CREATED, KUBERNETES_FAILED, OURS, managed_object, time_text
from rayrig.apiserver.wire.errors import CallError, internal_error, invalid_input_because, plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Route
from rayrig_core.objects import JsonObject, metadata, name_of, namespace_of
from rayrig_core.ports import Clock, KubernetesClient
from rayrig_core.resource_types import RAY_SERVICE

_COLLECTION = "/apis/v1/namespaces/{namespace}/services"
_UPDATED = "ray.io/update-timestamp"


class Services:
    """Creates, replaces, tells of and deletes RayServices made through this server."""

    def __init__(
        self, kubernetes: KubernetesClient, templates: ComputeTemplates, clusters: Clusters, clock: Clock
    ) -> None:
        self._kubernetes = kubernetes
        self._templates = templates
        self._clusters = clusters
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        service, item = "RayServeService", _COLLECTION + "/{name}"
        return (
            Route(
                "POST",
                _COLLECTION,
                f"{service}.CreateRayService",
                messages.CREATE_REQUEST,
                messages.SERVICE,
                self.create,
                body="service",
            ),
            Route(
                "PUT",
                item,
                f"{service}.UpdateRayService",
                messages.UPDATE_REQUEST,
                messages.SERVICE,
                self.update,
                body="service",
            ),
            Route("GET", item, f"{service}.GetRayService", messages.GET_REQUEST, messages.SERVICE, self.get),
            Route(
                "GET", _COLLECTION, f"{service}.ListRayServices", messages.LIST_REQUEST, messages.LIST_REPLY, self.list
            ),
            Route(
                "GET",
                "/apis/v1/services",
                f"{service}.ListAllRayServices",
                messages.LIST_ALL_REQUEST,
                messages.LIST_ALL_REPLY,
                self.list_all,
            ),
            Route("DELETE", item, f"{service}.DeleteRayService", messages.DELETE_REQUEST, EMPTY, self.delete),
        )

    async def create(self, request: JsonObject) -> JsonObject:
        try:
            check_create(request)
        except CallError as error:
            raise error.wrap("Validate create service request failed.") from None
        try:
            return await self._told(await self._store(request["service"]))
        except CallError as error:
            raise error.wrap("Create ray service failed.") from None

    async def _store(self, service: JsonObject) -> JsonObject:
        namespace = service["namespace"]
        templates = await self._templates_for(service)
        annotations = {CREATED: time_text(self._clock.unix_ns())}
        try:
            rayservice = rayservice_of(service, templates, annotations)
        except Unconvertible as error:
            raise invalid_input_because("Failed to create a Ray Service", error) from None
        try:
            return await self._kubernetes.create(RAY_SERVICE, rayservice, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to create service for ({namespace}/{service['name']})", error) from None

    async def update(self, request: JsonObject) -> JsonObject:
        """The service named in the body becomes what the body says, in all its spec, labels, annotations and finalizers."""
        try:
            check_update(request)
        except CallError as error:
            raise error.wrap("Validate update service request failed.") from None
        try:
            return await self._told(await self._replace(request["service"]))
        except CallError as error:
            raise error.wrap("Update ray service failed.") from None

    async def _replace(self, service: JsonObject) -> JsonObject:
        name, namespace = service["name"], service["namespace"]
        try:
            present = await self._read(name, namespace)
        except CallError as error:
            raise error.wrap(f"Update service fail, no service named: {name} ") from None
        templates = await self._templates_for(service)
        annotations = {_UPDATED: time_text(self._clock.unix_ns())}
        try:
            rayservice = rayservice_of(service, templates, annotations)
        except Unconvertible as error:
            raise plain(str(error)) from None
        # Whoever wrote since the read wins.
        rayservice["metadata"]["resourceVersion"] = metadata(present)["resourceVersion"]
        try:
            return await self._kubernetes.update(RAY_SERVICE, rayservice)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to update service for ({namespace}/{name})", error) from None

    async def _templates_for(self, service: JsonObject) -> dict[str, JsonObject]:
        namespace = service["namespace"]
        try:
            return await self._templates.read_all(template_names(service["clusterSpec"]), namespace)
        except CallError as error:
            which = f"({namespace}/{service['name']})"
            raise internal_error(f"Failed to populate compute template for {which}", error.internal) from None

    async def get(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, NO_SERVICE_NAME, NO_SERVICE_NAMESPACE)
        try:
            rayservice = await self._read(name, namespace)
        except CallError as error:
            raise error.wrap("get ray service failed") from None
        return await self._told(rayservice)

    async def _read(self, name: str, namespace: str) -> JsonObject:
        return await managed_object(
            self._kubernetes,
            RAY_SERVICE,
            name,
            namespace,
            noun="Service",
            failed="get service failed",
            kind="RayService",
        )

    async def _told(self, rayservice: JsonObject) -> JsonObject:
        return service_of(rayservice, await self._events(rayservice) or ())

    async def _events(self, rayservice: JsonObject) -> list[JsonObject] | None:
        """About the service, then about its active cluster as far as that can be read. None when they can't be listed."""
        namespace, cluster = namespace_of(rayservice), active_cluster(rayservice)
        try:
            events = await events_about(self._kubernetes, name_of(rayservice), namespace)
        except KUBERNETES_FAILED:
            return None
        if cluster:
            try:
                await self._clusters.read(cluster, namespace)
                events += await events_about(self._kubernetes, cluster, namespace)
            except (CallError, *KUBERNETES_FAILED):
                pass
        return events

    async def list(self, request: JsonObject) -> JsonObject:
        return await self._page(namespace_in(request, NO_SERVICE_NAMESPACE), request, "failed to list rayservice.")

    async def list_all(self, request: JsonObject) -> JsonObject:
        return await self._page("", request, "list all services failed.")

    async def _page(self, namespace: str, request: JsonObject, failed: str) -> JsonObject:
        size, token = request.get("pageSize", 0), request.get("pageToken", "")
        try:
            page = await self._kubernetes.list(
                RAY_SERVICE, namespace, label_selector=OURS, limit=size, continue_token=token
            )
        except KUBERNETES_FAILED as error:
            where = f"in {namespace} with next page token {token} and page limit {size}"
            raise plain(f"{failed}: List RayService failed {where}: {error}") from None
        # By name alone: of services with one name in several namespaces, each is told the last one's events.
        events: dict[str, list[JsonObject]] = {}
        for rayservice in page.items:
            found = await self._events(rayservice)
            if found is not None:
                events[name_of(rayservice)] = found
        services = [service_of(each, events.get(name_of(each), ())) for each in page.items]
        return {"services": services, "nextPageToken": page.continue_token}

    async def delete(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, NO_SERVICE_NAME, NO_SERVICE_NAMESPACE)
        try:
            await self._read(name, namespace)
        except CallError as error:
            raise error.wrap("delete ray service failure") from None
        try:
            await self._kubernetes.delete(RAY_SERVICE, name, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"failed to delete ray service {name}.", error) from None
        return {}
