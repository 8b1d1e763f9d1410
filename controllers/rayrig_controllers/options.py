"""What an operator process is started with: profile, environment toggles and feature gates (kuberay-operator section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rayrig_controllers.releases import RELEASES, Profile, Release
from rayrig_core.errors import InputError
from rayrig_core.resources.feature_gates import FeatureGates

#: What an operator without gates is like where newer ones have a gate.
_NO_GATES = FeatureGates(
    ray_cluster_status_conditions=False,
    ray_service_incremental_upgrade=False,
    ray_multi_host_indexing=False,
    ray_job_deletion_policy=False,
)


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """Settings of one operator process. Durations in seconds; names in the comments are the environment variables."""

    #: Which release's behaviour: see `release`.
    profile: Profile = "1.7"
    #: What the operator says it is; its release's version when left out.
    kuberay_version: str = ""
    gates: FeatureGates = field(default_factory=FeatureGates)
    watch_namespace: str = ""
    reconcile_concurrency: int = 1
    use_kubernetes_proxy: bool = False
    #: On in KubeRay by default; an operator that is the only one need not ask.
    leader_election: bool = False
    leader_election_namespace: str = "default"
    cluster_domain: str = "cluster.local"  # CLUSTER_DOMAIN
    zero_downtime: bool = True  # ENABLE_ZERO_DOWNTIME
    inject_probes: bool = True  # ENABLE_PROBES_INJECTION
    inject_init_container: bool = True  # ENABLE_INIT_CONTAINER_INJECTION
    random_pod_delete: bool = False  # ENABLE_RANDOM_POD_DELETE
    redis_cleanup: bool = True  # ENABLE_GCS_FT_REDIS_CLEANUP
    head_cluster_ip_service: bool = False  # ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE
    deterministic_head_pod_name: bool = False  # ENABLE_DETERMINISTIC_HEAD_POD_NAME
    login_shell: bool = False  # ENABLE_LOGIN_SHELL
    ray_cluster_requeue_s: int = 300  # RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV
    default_container_envs: tuple[Mapping[str, object], ...] = ()
    default_pod_labels: Mapping[str, str] = field(default_factory=dict)
    default_pod_annotations: Mapping[str, str] = field(default_factory=dict)
    #: Name of the machine the operator runs on: ends up in `reportingInstance` of its events.
    host_name: str = "kuberay-operator"
    #: Treat an error in our own code as KubeRay treats a panic (back-off) instead of ending the run loudly.
    recover_panics: bool = False
    release: Release = field(init=False)

    def __post_init__(self) -> None:
        release = RELEASES[self.profile]
        object.__setattr__(self, "release", release)
        if not self.kuberay_version:
            object.__setattr__(self, "kuberay_version", release.version)
        if not release.has_feature_gates:
            object.__setattr__(self, "gates", _NO_GATES)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **settings: object) -> OperatorOptions:
        """From the operator's environment variables, plus fields given by name. Raises `InputError`."""
        values: dict[str, object] = {}
        for variable, (name, default) in _TOGGLES.items():
            text = environment.get(variable, "").lower()
            # Those that are on by default are off only for `false`, the others on only for `true`.
            values[name] = text != "false" if default else text == "true"
        if environment.get("CLUSTER_DOMAIN"):
            values["cluster_domain"] = environment["CLUSTER_DOMAIN"]
        seconds = environment.get("RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV")
        if seconds:
            try:
                values["ray_cluster_requeue_s"] = int(seconds)
            except ValueError:
                raise InputError(
                    f"{seconds!r} is not a number of seconds",
                    where="RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV",
                    remedy="give a whole number, such as 300",
                ) from None
        return cls(**{**values, **settings})  # type: ignore[arg-type]


_TOGGLES: dict[str, tuple[str, bool]] = {
    "ENABLE_ZERO_DOWNTIME": ("zero_downtime", True),
    "ENABLE_PROBES_INJECTION": ("inject_probes", True),
    "ENABLE_INIT_CONTAINER_INJECTION": ("inject_init_container", True),
    "ENABLE_RANDOM_POD_DELETE": ("random_pod_delete", False),
    "ENABLE_GCS_FT_REDIS_CLEANUP": ("redis_cleanup", True),
    "ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE": ("head_cluster_ip_service", False),
    "ENABLE_DETERMINISTIC_HEAD_POD_NAME": ("deterministic_head_pod_name", False),
    "ENABLE_LOGIN_SHELL": ("login_shell", False),
}
