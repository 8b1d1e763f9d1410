"""The operator's feature gates (kuberay-operator 5.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureGates:
    """`--feature-gates`, with the defaults of KubeRay 1.7."""

    ray_cluster_status_conditions: bool = True
    ray_service_incremental_upgrade: bool = True
    ray_multi_host_indexing: bool = True
    ray_job_deletion_policy: bool = True
    ray_cluster_network_policy: bool = False
    gcs_fault_tolerance_embedded_storage: bool = False
    ray_cluster_mtls: bool = False
    ray_cluster_history_server: bool = False


DEFAULT_GATES = FeatureGates()
