"""Evidence of a real cluster: what its API server shows now. It keeps no history: probes are known as far as Events tell."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.errors import ApiError, InputError
from rayrig_core.objects import JsonObject, key_of, name_of, namespace_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import CORE_EVENT, NODE, PERSISTENT_VOLUME_CLAIM, POD, RAY_SERVICE, ResourceType
from rayrig_scenarios.why.chain import Chain, Clock
from rayrig_scenarios.why.evidence import Evidence, Version, key_text, time_of
from rayrig_scenarios.why.explain import explain
from rayrig_scenarios.why.names import chosen_pod

#: Answers to a request for objects that one may not see, or of a kind that is not served there.
_NOT_FOR_US = (401, 403, 404)


async def evidence_of(client: KubernetesClient, namespace: str, now_unix_ns: int) -> Evidence:
    """Of one namespace, with the nodes and what else runs on them as far as the user may see that.

    Raises `ApiError` when the pods of the namespace may not be listed, `HttpFailure` when nobody answers.
    """
    pods = (await client.list(POD, namespace)).items
    others = [pod for pod in await _if_allowed(client, POD, "") if key_of(pod)[0] != namespace]
    found = {
        "pods": [*pods, *others],
        "nodes": await _if_allowed(client, NODE, ""),
        "events": await _if_allowed(client, CORE_EVENT, namespace),
        "persistentvolumeclaims": await _if_allowed(client, PERSISTENT_VOLUME_CLAIM, namespace),
        "rayservices": await _if_allowed(client, RAY_SERVICE, namespace),
    }
    histories = {plural: {_key(obj): [_version(obj)] for obj in objects} for plural, objects in found.items()}
    return Evidence(now_unix_ns, histories, Clock(is_live=True))


async def _if_allowed(client: KubernetesClient, resource: ResourceType, namespace: str) -> Sequence[JsonObject]:
    try:
        return (await client.list(resource, namespace)).items
    except ApiError as refused:
        if refused.code in _NOT_FOR_US:
            return ()
        raise


def _key(obj: JsonObject) -> str:
    namespace = obj["metadata"].get("namespace")
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def _version(obj: JsonObject) -> Version:
    return Version(time_of(obj["metadata"].get("creationTimestamp")) or 0, obj)


def why_each(evidence: Evidence, namespace: str) -> list[Chain]:
    """Why each pod of the namespace is as it is, by name."""
    chains = [explain(key_text(pod), evidence) for pod in evidence.pods if namespace_of(pod) == namespace]
    return [chain for chain in chains if chain is not None]


def why(evidence: Evidence, pod: str, namespace: str) -> Chain:
    """Why a pod of the namespace is as it is. Raises `InputError` when none or several can be meant."""
    keys = ["/".join(key_of(each)) for each in evidence.pods]
    chain = explain(chosen_pod(pod, keys, namespace), evidence)
    if chain is None:
        raise InputError(f'there is no pod "{pod}"', where="POD")
    return chain
