"""The calls about compute templates (`kuberay-apiserver.md` 4.1, 4.3; AS-001 to AS-010)."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig.apiserver.compute_templates import messages
from rayrig.apiserver.compute_templates.config_map import TEMPLATES, InvalidMemory, config_map_of, template_of
from rayrig.apiserver.requests import NO_NAMESPACE, name_and_namespace_in, namespace_in
from rayrig.apiserver.stored import KUBERNETES_FAILED
from rayrig.apiserver.wire.errors import CallError, already_exists, internal_error, invalid_input, not_found, plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Route
from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE

_COLLECTION = "/apis/v1/namespaces/{namespace}/compute_templates"
_NO_NAME = "Compute template name is empty. Please specify a valid value."


class ComputeTemplates:
    """Templates are looked up by name alone: any ConfigMap passes for one."""

    def __init__(self, kubernetes: KubernetesClient) -> None:
        self._kubernetes = kubernetes

    def routes(self) -> tuple[Route, ...]:
        service, item = "ComputeTemplateService", _COLLECTION + "/{name}"
        return (
            Route(
                "POST",
                _COLLECTION,
                f"{service}.CreateComputeTemplate",
                messages.CREATE_REQUEST,
                messages.COMPUTE_TEMPLATE,
                self.create,
                body="compute_template",
            ),
            Route(
                "GET",
                item,
                f"{service}.GetComputeTemplate",
                messages.GET_REQUEST,
                messages.COMPUTE_TEMPLATE,
                self.get,
            ),
            Route(
                "GET",
                _COLLECTION,
                f"{service}.ListComputeTemplates",
                messages.LIST_REQUEST,
                messages.LIST_REPLY,
                self.list,
            ),
            Route(
                "GET",
                "/apis/v1/compute_templates",
                f"{service}.ListAllComputeTemplates",
                messages.LIST_ALL_REQUEST,
                messages.LIST_ALL_REPLY,
                self.list_all,
            ),
            Route("DELETE", item, f"{service}.DeleteComputeTemplate", messages.DELETE_REQUEST, EMPTY, self.delete),
        )

    async def create(self, request: JsonObject) -> JsonObject:
        template = request.get("computeTemplate", {})
        try:
            _validate(template, request.get("namespace", ""))
        except CallError as error:
            raise error.wrap("Validate compute template runtime request failed.") from None
        try:
            return template_of(await self._store(template))
        except CallError as error:
            raise error.wrap("Create compute template failed.") from None

    async def _store(self, template: JsonObject) -> JsonObject:
        name, namespace = template["name"], template["namespace"]
        if await self._is_taken(name, namespace):
            raise already_exists(f"Compute template with name {name} already exists in namespace {namespace}")
        try:
            config_map = config_map_of(template)
        except InvalidMemory as error:
            raise internal_error(f"Failed to convert compute runtime ({namespace}/{name})", error) from None
        try:
            return await self._kubernetes.create(CONFIG_MAP, config_map, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to create a compute runtime for ({namespace}/{name})", error) from None

    async def _is_taken(self, name: str, namespace: str) -> bool:
        """A failed look counts as none found: the create will tell."""
        try:
            await self._kubernetes.get(CONFIG_MAP, name, namespace)
        except KUBERNETES_FAILED:
            return False
        return True

    async def get(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, _NO_NAME)
        try:
            return await self.read(name, namespace)
        except CallError as error:
            raise error.wrap("Get compute template failed.") from None

    async def read(self, name: str, namespace: str) -> JsonObject:
        """The template of that name. Raises `CallError`."""
        return template_of(await self._config_map(name, namespace))

    async def read_all(self, names: Iterable[str], namespace: str) -> dict[str, JsonObject]:
        """Templates by name, each read once, in order. Raises `CallError` at the first that can't be read."""
        templates: dict[str, JsonObject] = {}
        for name in names:
            if name not in templates:
                try:
                    templates[name] = await self.read(name, namespace)
                except CallError as error:
                    where = f"for name '{name}' in namespace '{namespace}'"
                    raise plain(f"Cannot get compute template {where}, error: {error.internal}") from None
        return templates

    async def _config_map(self, name: str, namespace: str) -> JsonObject:
        if not name:
            # Found by Kubernetes' client, before it asks.
            raise plain("Get compute template failed: resource name may not be empty")
        try:
            return await self._kubernetes.get(CONFIG_MAP, name, namespace)
        except NotFound as error:
            raise not_found(f"Compute template {name} not found", error) from None
        except KUBERNETES_FAILED as error:
            raise plain(f"Get compute template failed: {error}") from None

    async def list(self, request: JsonObject) -> JsonObject:
        namespace = namespace_in(request)
        try:
            found = await self._kubernetes.list(CONFIG_MAP, namespace, label_selector=TEMPLATES)
        except KUBERNETES_FAILED as error:
            text = f"List compute templates in namespace {namespace} failed.: List compute templates failed"
            raise plain(f"{text}: {error}") from None
        return {"computeTemplates": [template_of(each) for each in found.items]}

    async def list_all(self, request: JsonObject) -> JsonObject:
        """Namespace by namespace; one that has gone meanwhile has none."""
        failed = "List all compute templates from all namespaces failed."
        try:
            namespaces = await self._kubernetes.list(NAMESPACE)
        except KUBERNETES_FAILED as error:
            raise plain(f"{failed}: Failed to fetch all Kubernetes namespaces: {error}") from None
        templates: list[JsonObject] = []
        for namespace in map(name_of, namespaces.items):
            try:
                found = await self._kubernetes.list(CONFIG_MAP, namespace, label_selector=TEMPLATES)
            except NotFound:
                continue
            except KUBERNETES_FAILED as error:
                raise plain(f"{failed}: List compute templates failed in {namespace}: {error}") from None
            templates += map(template_of, found.items)
        return {"computeTemplates": templates}

    async def delete(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, _NO_NAME)
        try:
            await self._config_map(name, namespace)
        except CallError as error:
            raise error.wrap("Get compute template failure") from None
        try:
            await self._kubernetes.delete(CONFIG_MAP, name, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"failed to delete compute template {name}.", error) from None
        return {}


def _validate(template: JsonObject, namespace: str) -> None:
    if not namespace:
        raise invalid_input(NO_NAMESPACE)
    if namespace != template.get("namespace", ""):
        raise invalid_input(
            "The namespace in the request is different from the namespace defined in the compute template."
        )
    if not template.get("name"):
        raise invalid_input(_NO_NAME)
    if not template.get("cpu"):
        raise invalid_input("Cpu amount is zero. Please specify a valid value.")
    if not template.get("memory"):
        raise invalid_input("Memory amount is zero. Please specify a valid value.")
