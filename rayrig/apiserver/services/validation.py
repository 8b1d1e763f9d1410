"""What is refused before anything is read (`kuberay-apiserver.md` 8.3). Raises `CallError` for the first that is wrong."""

from __future__ import annotations

from rayrig.apiserver.clusters.validation import check_cluster_spec
from rayrig.apiserver.requests import NO_NAMESPACE
from rayrig.apiserver.wire.errors import invalid_input
from rayrig_core.objects import JsonObject

NO_SERVICE_NAME = "ray service name is empty. Please specify a valid value."
NO_SERVICE_NAMESPACE = "ray service namespace is empty. Please specify a valid value."


def check_create(request: JsonObject) -> None:
    if not request.get("namespace"):
        raise invalid_input(NO_NAMESPACE)
    _check_service(request, done="created")


def check_update(request: JsonObject) -> None:
    """The name in the path has to be there; it is the one in the body that counts."""
    if not request.get("name"):
        raise invalid_input("Name is empty. Please specify a valid value.")
    if not request.get("namespace"):
        raise invalid_input(NO_NAMESPACE)
    _check_service(request, done="updated")


def _check_service(request: JsonObject, *, done: str) -> None:
    service = request.get("service")
    if service is None:
        raise invalid_input("Service is empty, please input a valid payload.")
    if request["namespace"] != service.get("namespace", ""):
        raise invalid_input("The namespace in the request is different from the namespace in the service definition.")
    if not service.get("name"):
        raise invalid_input("Service name is empty. Please specify a valid value.")
    if not service.get("user"):
        raise invalid_input(f"User who {done} the Service is empty. Please specify a valid value.")
    check_cluster_spec(service.get("clusterSpec"))
