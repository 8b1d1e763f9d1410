"""Names of what the operator makes, and how over-long ones are cut (kuberay-operator sections 4.1 to 4.3).

Two directions of cutting: pods keep the front 50 characters, RBAC objects, Ingress and Secret the back 50, label values and Jobs
the back 63.
"""

from __future__ import annotations

import re
from random import Random

from rayrig_core.identifiers import SUFFIX_ALPHABET

MAX_RAY_CLUSTER_NAME = 53
MAX_RAY_SERVICE_NAME = 47

SUFFIX_LENGTH = 5

_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PUNCTUATION = frozenset("!\"#%&'()*,-./:;?@[\\]_{}")


def is_dns1035_label(name: str) -> bool:
    """Lower-case letters, digits and `-`; begins with a letter, ends with a letter or digit; at most 63 characters."""
    return len(name) <= 63 and _DNS1035.fullmatch(name) is not None


def random_suffix(rng: Random) -> str:
    """Five characters of the suffix alphabet."""
    return "".join(rng.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))


def keep_last_50(name: str) -> str:
    """RBAC objects, Ingress, auth Secret: the last 50 characters; a leading digit or punctuation becomes `r`."""
    name = name[-50:]
    if name[:1].isdigit():
        name = "r" + name[1:]
    if name[:1] in _PUNCTUATION:
        name = "r" + name[1:]
    return name


def keep_last_63(value: str) -> str:
    """Label values and the clean-up Job: the last 63 characters, beginning with `r` when they begin with punctuation."""
    value = value[-63:]
    return "r" + value[1:] if value[:1] in _PUNCTUATION else value


# RayService's own


def generated_cluster_name(service: str, rng: Random) -> str:
    return f"{service}-{random_suffix(rng)}"


def head_service_name(owner: str) -> str:
    """`<name>-head-svc`, of a RayService as of a RayCluster."""
    return f"{owner}-head-svc"


def serve_service_name(owner: str) -> str:
    """`<name>-serve-svc`, of a RayService as of a RayCluster."""
    return f"{owner}-serve-svc"


def gateway_name(service: str) -> str:
    return f"{service}-gateway"


def http_route_name(service: str) -> str:
    return f"{service}-httproute"


# RayCluster's own


def head_pod_prefix(cluster: str) -> str:
    """`generateName` of the head pod."""
    return f"{cluster[:50]}-head-".lower()


def head_pod_fixed_name(cluster: str) -> str:
    """Name of the head pod when the operator is told to give it a deterministic one."""
    return f"{cluster[:50]}-head".lower()


def worker_pod_prefix(cluster: str, group: str) -> str:
    """`generateName` of a group's worker pods."""
    return f"{f'{cluster}-{group}'[:50]}-worker-".lower()


def head_identifier(cluster: str) -> str:
    """Value of label `ray.io/identifier` on the head pod and its Service."""
    return keep_last_63(f"{cluster}-head")


def worker_identifier(cluster: str) -> str:
    return keep_last_63(f"{cluster}-worker")


def replica_group_name(group: str, rng: Random) -> str:
    """Value of label `ray.io/worker-group-replica-name` of one replica of a multi-host group."""
    return f"{group}-{random_suffix(rng)}"


def ingress_name(cluster: str) -> str:
    return keep_last_50(f"{cluster}-head-ingress")


def redis_cleanup_job_name(cluster: str) -> str:
    return keep_last_63(f"{cluster}-redis-cleanup")


def gcs_claim_name(cluster: str) -> str:
    return f"{cluster}-gcs-pvc"


def service_fqdn(service: str, namespace: str, domain: str = "cluster.local") -> str:
    """Fully qualified name of a Service."""
    return f"{service}.{namespace}.svc.{domain}"
