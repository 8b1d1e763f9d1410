"""The operator's feature gates (kuberay-operator 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rayrig_core.errors import InputError


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

    @classmethod
    def parse(cls, text: str, others: FeatureGates | None = None) -> FeatureGates:
        """From `Name=true,Other=false`; gates that are not named are as in `others`, or as by default. Raises `InputError`."""
        values: dict[str, bool] = {}
        for word in filter(None, (each.strip() for each in text.split(","))):
            name, _, value = word.partition("=")
            if name not in _FIELDS:
                raise InputError(
                    f"there is no feature gate {name!r}", where="--feature-gates", remedy=f"one of {', '.join(_FIELDS)}"
                )
            if value.lower() not in ("true", "false"):
                raise InputError(f"{word!r} is neither on nor off", where="--feature-gates", remedy=f"{name}=true")
            values[_FIELDS[name]] = value.lower() == "true"
        return replace(others or cls(), **values)

    def with_(self, gates: Mapping[str, bool]) -> FeatureGates:
        """These gates, by KubeRay's names, switched. Raises `KeyError` for a name that no gate has."""
        return replace(self, **{_FIELDS[name]: value for name, value in gates.items()})


_FIELDS = {
    "RayClusterStatusConditions": "ray_cluster_status_conditions",
    "RayServiceIncrementalUpgrade": "ray_service_incremental_upgrade",
    "RayMultiHostIndexing": "ray_multi_host_indexing",
    "RayJobDeletionPolicy": "ray_job_deletion_policy",
    "RayClusterNetworkPolicy": "ray_cluster_network_policy",
    "GCSFaultToleranceEmbeddedStorage": "gcs_fault_tolerance_embedded_storage",
    "RayClusterMTLS": "ray_cluster_mtls",
    "RayClusterHistoryServer": "ray_cluster_history_server",
}

#: KubeRay's names of the gates.
GATE_NAMES = tuple(_FIELDS)

DEFAULT_GATES = FeatureGates()
