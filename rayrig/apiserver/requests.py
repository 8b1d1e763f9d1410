"""What many requests have to name, asked for in the same order."""

from __future__ import annotations

from rayrig.apiserver.wire.errors import invalid_input
from rayrig_core.objects import JsonObject

NO_NAMESPACE = "Namespace is empty. Please specify a valid value."


def namespace_in(request: JsonObject, refusal: str = NO_NAMESPACE) -> str:
    """Raises `CallError` with the refusal when there is none."""
    namespace: str = request.get("namespace", "")
    if not namespace:
        raise invalid_input(refusal)
    return namespace


def name_and_namespace_in(request: JsonObject, no_name: str, no_namespace: str = NO_NAMESPACE) -> tuple[str, str]:
    """Raises `CallError` for the first that isn't there."""
    name: str = request.get("name", "")
    if not name:
        raise invalid_input(no_name)
    return name, namespace_in(request, no_namespace)
