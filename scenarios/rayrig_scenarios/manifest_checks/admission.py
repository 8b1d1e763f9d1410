"""An API server that knows RayService and RayCluster: what it stores, and what it refuses."""

from __future__ import annotations

from functools import cache
from random import Random

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, RAY_CLUSTER, RAY_SERVICE
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

TYPES = {each.kind: each for each in (RAY_SERVICE, RAY_CLUSTER)}


def api_server() -> ApiServer:
    """A new one, with our definitions and nothing else."""
    server = ApiServer(lambda: 0, Random(0))
    for definition in custom_resource_definitions():
        server.call(ApiCall("create", CUSTOM_RESOURCE_DEFINITION, body=definition, trusted=True))
    return server


@cache
def _trial_server() -> ApiServer:
    return api_server()


def admitted(kind: str, body: JsonObject, namespace: str) -> JsonObject:
    """The object as it would be stored, defaults included. Raises `ApiError`."""
    return _trial_server().call(ApiCall("create", TYPES[kind], namespace, body=body, dry_run=True)).own()
