"""The API server called from outside of virtual time: an answer is a code and a body, as a recording tells it."""

from __future__ import annotations

from typing import Any

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import PatchType, Preconditions, PropagationPolicy
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer


class Api:
    """Calls take no time. Refusals are answers."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    def _call(self, call: ApiCall) -> tuple[int, Any]:
        try:
            answer = self.server.call(call)
        except ApiError as refused:
            return refused.code, refused.status
        return answer.code, answer.own()

    def get(self, resource: ResourceType, name: str, namespace: str) -> tuple[int, Any]:
        return self._call(ApiCall("get", resource, namespace, name))

    def create(
        self, resource: ResourceType, obj: JsonObject, namespace: str = "", *, name: str = "", subresource: str = ""
    ) -> tuple[int, Any]:
        return self._call(ApiCall("create", resource, namespace, name, subresource, body=obj))

    def patch(
        self, resource: ResourceType, name: str, patch: Json, namespace: str, *, subresource: str = ""
    ) -> tuple[int, Any]:
        """A list is a JSON patch, an object a merge patch."""
        kind: PatchType = "json" if isinstance(patch, list) else "merge"
        return self._call(ApiCall("patch", resource, namespace, name, subresource, body=patch, patch_type=kind))

    def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str,
        *,
        propagation_policy: PropagationPolicy | None = None,
        grace_period_seconds: int | None = None,
        preconditions: Preconditions | None = None,
    ) -> tuple[int, Any]:
        return self._call(
            ApiCall(
                "delete",
                resource,
                namespace,
                name,
                propagation_policy=propagation_policy,
                grace_period_seconds=grace_period_seconds,
                preconditions=preconditions,
            )
        )
