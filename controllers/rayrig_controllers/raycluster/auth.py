"""Token authentication: the Secret and the environment that refers to it (kuberay-operator 3.14)."""

from __future__ import annotations

from base64 import b64encode
from random import Random

from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import SECRET
from rayrig_core.resources import labels, names

TOKEN_KEY = "auth_token"
_TOKEN_BYTES = 32


def is_token_mode(cluster: Cluster) -> bool:
    return (cluster.spec.get("authOptions") or {}).get("mode") == "token"


def uses_kubernetes_tokens(cluster: Cluster) -> bool:
    return bool((cluster.spec.get("authOptions") or {}).get("enableK8sTokenAuth"))


def secret_name(cluster: Cluster) -> str:
    """The user's Secret or the operator's own."""
    given = (cluster.spec.get("authOptions") or {}).get("secretName")
    return str(given or names.keep_last_50(cluster.name))


def needs_secret(cluster: Cluster) -> bool:
    """The operator makes the Secret only when the user names none."""
    has_own = bool((cluster.spec.get("authOptions") or {}).get("secretName"))
    return is_token_mode(cluster) and not has_own and not uses_kubernetes_tokens(cluster)


def secret(cluster: Cluster, rng: Random) -> JsonObject:
    """A new random token."""
    token = b64encode(rng.randbytes(_TOKEN_BYTES))
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": cluster.child_metadata(secret_name(cluster), {labels.CLUSTER: cluster.name}),
        "type": "Opaque",
        "data": {TOKEN_KEY: b64encode(token).decode()},
    }


def environment(cluster: Cluster) -> list[JsonObject]:
    """What every container that talks to the cluster gets in token mode; empty otherwise."""
    if not is_token_mode(cluster):
        return []
    env: list[JsonObject] = [{"name": "RAY_AUTH_MODE", "value": "token"}]
    if uses_kubernetes_tokens(cluster):
        env.append({"name": "RAY_ENABLE_K8S_TOKEN_AUTH", "value": "true"})
    else:
        reference = {"secretKeyRef": {"name": secret_name(cluster), "key": TOKEN_KEY}}
        env.append({"name": "RAY_AUTH_TOKEN", "valueFrom": reference})
    return env
