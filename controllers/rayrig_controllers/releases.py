"""KubeRay releases whose behaviour the controllers have, each as one value: 1.7, and 1.1 with what differed (kuberay-operator 6).

Here is what differs as a name, number or text. Where a release went about its work in another way there is another reconciler:
packages `rayservice.kuberay_1_1` and `raycluster.kuberay_1_1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rayrig_core.errors import InputError
from rayrig_core.resources import labels, names
from rayrig_core.resources.hashing import HASH_RULES, HASH_RULES_1_1, HashRules
from rayrig_core.resources.raycluster import RELEASE_1_1

#: How a release is called on the command line and in options.
Profile: TypeAlias = Literal["1.7", "1.1"]


@dataclass(frozen=True, slots=True)
class ProbeRules:
    """How the operator probes Ray containers. Timeouts in seconds; `retries` are flags of wget."""

    retries: str = "--tries 1 "
    raylet_timeout_s: int = 2
    gcs_timeout_s: int = 10
    proxy_timeout_s: int = 10
    head_timeout_s: int = 5
    worker_timeout_s: int = 2
    #: Whether Ray versions that can be are asked by HTTP.
    may_be_http: bool = True


@dataclass(frozen=True, slots=True)
class Release:
    """One release of KubeRay."""

    version: str
    #: What the schema of its types is called; empty when its types have every field.
    schema: str = ""
    has_feature_gates: bool = True
    #: Events are events.k8s.io/v1 with series; else core/v1 with counts.
    events_have_series: bool = True

    # RayService
    hash_rules: HashRules = HASH_RULES
    #: Clusters and head pods carry the operator's version, and are taken over by another one.
    stamps_version: bool = True
    #: What the random suffix is appended to, by name of the RayService.
    cluster_name_base: Callable[[str], str] = str

    # Names and Services of a RayCluster
    head_pod_prefix: Callable[[str], str] = names.head_pod_prefix
    worker_pod_prefix: Callable[[str, str], str] = names.worker_pod_prefix
    #: The name a Service gets, by the name it would have.
    service_name: Callable[[str], str] = str
    headless_suffix: str = "headless"
    gcs_port_name: str = labels.GCS_PORT_NAME
    #: Ports named `serve-...` belong to the serve Service too.
    has_prefixed_serve_ports: bool = True
    #: Ports of the user's serve Service stay as the user wrote them; else only name and number of one of them do.
    keeps_own_serve_ports: bool = True
    #: Head Services have no address of their own; not even unready heads are left out of headless ones.
    is_headless: bool = True
    ingress_path: str = "/"
    ingress_path_type: str = "Prefix"

    # Pods
    probes: ProbeRules = ProbeRules()
    shell: tuple[str, ...] = ("/bin/bash", "-c", "--")
    open_files: str = "${RAY_START_ULIMIT_OPEN_FILES:-65536}"
    counts_requested_cpus: bool = True
    faq: str = "https://docs.ray.io/en/master/cluster/kubernetes/troubleshooting.html"
    #: Pods know their namespace from the environment.
    tells_namespace: bool = True
    #: Annotations, password and namespace of the GCS's store are on every Ray pod, whether there is such a store or not.
    marks_fault_tolerance_everywhere: bool = False

    # Autoscaler
    autoscaler_runs_in_shell: bool = True
    autoscaler_resizes_pods: bool = True

    # Redis
    #: The clean-up is told of in events, and given up after a time; without fault tolerance the finalizer goes.
    redis_cleanup_gives_up: bool = True


KUBERAY_1_7 = Release("v1.7.0")

KUBERAY_1_1 = Release(
    "v1.1.0",
    schema=RELEASE_1_1,
    has_feature_gates=False,
    events_have_series=False,
    hash_rules=HASH_RULES_1_1,
    stamps_version=False,
    cluster_name_base=lambda service: f"{service}-raycluster",
    head_pod_prefix=lambda cluster: names.keep_last_50(f"{cluster}-head-".lower()),
    worker_pod_prefix=lambda cluster, group: names.keep_last_50(f"{cluster}-worker-{group}-".lower()),
    service_name=names.keep_last_50,
    headless_suffix="headless-worker-svc",
    gcs_port_name="redis",
    has_prefixed_serve_ports=False,
    keeps_own_serve_ports=False,
    is_headless=False,
    ingress_path="/{cluster}/(.*)",
    ingress_path_type="Exact",
    probes=ProbeRules("", 2, 2, 2, head_timeout_s=1, worker_timeout_s=1, may_be_http=False),
    shell=("/bin/bash", "-lc", "--"),
    open_files="65536",
    counts_requested_cpus=False,
    faq="https://github.com/ray-project/kuberay/blob/master/docs/guidance/FAQ.md",
    tells_namespace=False,
    marks_fault_tolerance_everywhere=True,
    autoscaler_runs_in_shell=False,
    autoscaler_resizes_pods=False,
    redis_cleanup_gives_up=False,
)

RELEASES: dict[Profile, Release] = {"1.7": KUBERAY_1_7, "1.1": KUBERAY_1_1}


def profile_of(version: str, where: str = "") -> Profile:
    """The profile called `1.1` or `v1.1.0`. Raises `InputError`; `where` says what gave the name."""
    for profile, release in RELEASES.items():
        if version in (profile, release.version):
            return profile
    raise InputError(f"there is no profile {version!r}", where=where, remedy=f"one of {', '.join(RELEASES)}")
