"""Which resource types an API server serves, as its discovery documents tell."""

from __future__ import annotations

import asyncio

from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_core.errors import ApiError
from rayrig_core.resource_types import CORE_EVENT, EVENT, ResourceType

#: What a controller must be able to do to follow objects and take them away.
_NEEDED = frozenset({"list", "watch", "delete"})


async def served_types(client: HttpKubernetesClient) -> list[ResourceType]:
    """Each type once, in its group's preferred version; only what can be listed, watched and deleted. Raises `ApiError`.

    A group whose server does not answer (an aggregated one) is left out, as kubectl does.
    """
    groups = (await client.raw("/apis")).get("groups") or []
    versions = [("", "v1"), *((each["name"], each["preferredVersion"]["version"]) for each in groups)]
    answers = await asyncio.gather(*(_of_version(client, group, version) for group, version in versions))
    types = dict.fromkeys(each for answer in answers for each in answer)
    if CORE_EVENT in types:
        # The same objects in another group.
        types.pop(EVENT, None)
    return list(types)


async def _of_version(client: HttpKubernetesClient, group: str, version: str) -> list[ResourceType]:
    try:
        answer = await client.raw(f"/apis/{group}/{version}" if group else f"/api/{version}")
    except ApiError:
        if not group:
            raise
        return []
    return [
        ResourceType(group, version, each["name"], each["kind"], each["namespaced"])
        for each in answer.get("resources") or []
        if "/" not in each["name"] and _NEEDED.issubset(each.get("verbs") or ())
    ]
