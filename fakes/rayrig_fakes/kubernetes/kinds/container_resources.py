"""What is wrong with the amounts a container asks for."""

from __future__ import annotations

from functools import lru_cache

from rayrig_core.kubernetes_names import qualified_name
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import NOT_NEGATIVE, each
from rayrig_fakes.kubernetes.status import Cause

_STANDARD = ("cpu", "memory", "ephemeral-storage")
#: Names without a prefix that mean something somewhere.
KNOWN_RESOURCES = (
    *_STANDARD,
    "storage",
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
)
_NOT_EXTENDED = "doesn't follow extended resource name standard"


def is_extended(resource: str) -> bool:
    """Counted in whole units and never overcommitted: `nvidia.com/gpu`, `google.com/tpu`."""
    prefix, slash, _ = resource.partition("/")
    if not slash or prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io") or resource.startswith("requests."):
        return False
    return not qualified_name(f"requests.{resource}")


def _is_native(resource: str) -> bool:
    return "/" not in resource or "kubernetes.io/" in resource


def _is_huge(resource: str) -> bool:
    return resource.startswith("hugepages-")


def resource_problems(resources: JsonObject, field: str, pod_spec: JsonObject | None = None) -> list[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    causes: list[Cause] = []
    if limits or requests:
        key = tuple(limits.items()), tuple(requests.items())
        if not _are_plain(*key):
            causes = _amounts(limits, requests, field)
    names = [each_claim.get("name") for each_claim in (pod_spec or {}).get("resourceClaims") or ()]
    for index, claim in enumerate(resources.get("claims") or ()):
        at, name = f"{field}.claims[{index}]", claim.get("name") or ""
        if not name:
            causes.append(status.required(f"{at}.name"))
        elif name not in names:
            known = "which is empty" if not names else f"[{', '.join(str(each_name) for each_name in names)}]"
            text = f": must be one of the names in pod.spec.resourceClaims {known}"
            found = status.missing_reference(at, name)
            causes.append(Cause(found.field, found.reason, found.message + text))
    return causes


@lru_cache(maxsize=1024)
def _are_plain(limits: tuple[tuple[str, str], ...], requests: tuple[tuple[str, str], ...]) -> bool:
    """Whether nothing is wrong with these amounts."""
    return not _amounts(dict(limits), dict(requests), "")


def container_resource_name(name: str, field: str) -> list[Cause]:
    """Problems of the name of something containers ask for."""
    causes = each(field, name, qualified_name(name))
    if causes and "/" not in name:
        return [*causes, status.invalid_value(field, name, "must be a standard resource for containers")]
    if "/" not in name:
        if name not in KNOWN_RESOURCES and not _is_huge(name):
            text = "must be a standard resource type or fully qualified"
            causes.append(status.invalid_value(field, name, text))
        if name not in _STANDARD and not _is_huge(name):
            causes.append(status.invalid_value(field, name, "must be a standard resource for containers"))
    elif not _is_native(name) and not is_extended(name):
        causes.append(status.invalid_value(field, name, _NOT_EXTENDED))
    return causes


def amount_problems_of(name: str, value: str, field: str) -> list[Cause]:
    """Problems of an amount as such: negative, or a fraction of what comes whole."""
    amount = parse_quantity(value)
    causes = []
    if amount < 0:
        causes.append(status.invalid_value(field, value, NOT_NEGATIVE))
    if (name in ("pods", "services", "replicationcontrollers") or is_extended(name)) and amount.denominator != 1:
        causes.append(status.invalid_value(field, value, "must be an integer"))
    return causes


def _amounts(limits: JsonObject, requests: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, value in limits.items():
        at = f"{field}.limits[{name}]"
        causes += container_resource_name(name, at)
        causes += amount_problems_of(name, value, at)
    for name, value in requests.items():
        at = f"{field}.requests[{name}]"
        causes += container_resource_name(name, at)
        causes += amount_problems_of(name, value, at)
        limit = limits.get(name)
        committed = is_extended(name) or _is_huge(name)
        if limit is None:
            if committed:
                text = "Limit must be set for non overcommitable resources"
                causes.append(status.required(f"{field}.limits", text))
        elif committed:
            if parse_quantity(limit) != parse_quantity(value):
                text = f"must be equal to {name} limit of {limit}"
                causes.append(status.invalid_value(f"{field}.requests", value, text))
        elif parse_quantity(value) > parse_quantity(limit):
            text = f"must be less than or equal to {name} limit of {limit}"
            causes.append(status.invalid_value(f"{field}.requests", value, text))
    names = (*limits, *requests)
    if any(_is_huge(name) for name in names) and not any(name in ("cpu", "memory") for name in names):
        causes.append(status.forbidden_field(field, "HugePages require cpu or memory"))
    return causes


def pod_resource_problems(resources: JsonObject, field: str) -> list[Cause]:
    """Amounts of a whole pod."""
    causes: list[Cause] = []
    supported = ("cpu", "hugepages-", "memory")
    for part in ("limits", "requests"):
        for name in resources.get(part) or ():
            if name not in supported and not _is_huge(name):
                causes.append(status.not_supported(f"{field}.{part}[{name}]", name, supported))
        if causes:
            break
    return causes or resource_problems(resources, field)
