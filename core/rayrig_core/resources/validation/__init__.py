"""What the operator refuses in a RayService or a RayCluster that the schema admits (kuberay-operator 1.6).

Each check yields problems in the operator's order; the operator reports the first and stops, `rayrig validate` shows all.
`rayservice` and `raycluster` begin a check; `groups`, `gcs_fault_tolerance` and `autoscaling` are concerns of a cluster's spec.
What the schema itself refuses is found by whoever applies it (`rayrig_core.resources.schema`).
"""

from rayrig_core.resources.validation.autoscaling import ray_cluster_warnings
from rayrig_core.resources.validation.problems import Problem, first_problem
from rayrig_core.resources.validation.raycluster import (
    ray_cluster_metadata_problems,
    ray_cluster_problems,
    ray_cluster_spec_problems,
    ray_cluster_status_problems,
    ray_cluster_upgrade_problems,
)
from rayrig_core.resources.validation.rayservice import (
    INCREMENTAL,
    UPGRADE_TYPES,
    ray_service_metadata_problems,
    ray_service_problems,
    ray_service_spec_problems,
)

__all__ = [
    "INCREMENTAL",
    "UPGRADE_TYPES",
    "Problem",
    "first_problem",
    "ray_cluster_metadata_problems",
    "ray_cluster_problems",
    "ray_cluster_spec_problems",
    "ray_cluster_status_problems",
    "ray_cluster_upgrade_problems",
    "ray_cluster_warnings",
    "ray_service_metadata_problems",
    "ray_service_problems",
    "ray_service_spec_problems",
]
