"""What a RayService wants its clusters to be, and how a cluster that exists compares with it (kuberay-operator 2.5)."""

from __future__ import annotations

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.releases import KUBERAY_1_7, Release
from rayrig_core.objects import JsonObject, annotations_of, labels_of, name_of, namespace_of, uid_of
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE
from rayrig_core.resources import labels
from rayrig_core.resources.hashing import spec_hash
from rayrig_core.resources.known_fields import known_ray_cluster_spec
from rayrig_core.resources.typed_round_trip import typed_ray_cluster_spec
from rayrig_core.resources.validation import INCREMENTAL


class Goal:
    """`rayClusterConfig` of one generation of a RayService. Hashes are computed once."""

    __slots__ = ("_partial", "_rules", "hash", "num_groups", "spec")

    def __init__(self, cluster_config: JsonObject, release: Release = KUBERAY_1_7) -> None:
        if release.schema:
            cluster_config = known_ray_cluster_spec(cluster_config, release.schema)
        self.spec = typed_ray_cluster_spec(cluster_config)
        self.num_groups = len(self.spec.get("workerGroupSpecs") or ())
        self._rules = release.hash_rules
        self.hash = spec_hash(self.spec, rules=self._rules)
        self._partial: dict[int, str] = {self.num_groups: self.hash}

    def is_met_by(self, cluster: JsonObject) -> bool:
        """By the hash the cluster was built with. Its live spec doesn't count."""
        return annotations_of(cluster).get(labels.SPEC_HASH) == self.hash

    def is_partially_met_by(self, cluster: JsonObject) -> bool:
        """Whether only appended worker groups are missing. True when the cluster doesn't tell its number of groups."""
        annotations = annotations_of(cluster)
        try:
            groups = int(annotations.get(labels.NUM_WORKER_GROUPS) or "")
        except ValueError:
            return True
        return self.num_groups >= groups and annotations.get(labels.SPEC_HASH) == self.partial_hash(groups)

    def partial_hash(self, groups: int) -> str:
        """Hash of the goal as if it had its first so many worker groups only."""
        if groups not in self._partial:
            self._partial[groups] = spec_hash(self.spec, groups, self._rules)
        return self._partial[groups]


class Goals:
    """Goals by RayService, kept while the generation stays."""

    def __init__(self, release: Release = KUBERAY_1_7) -> None:
        self._release = release
        self._known: dict[tuple[str, str], tuple[str, int, Goal]] = {}

    def of(self, service: JsonObject) -> Goal:
        metadata = service["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        uid, generation = metadata.get("uid"), metadata.get("generation")
        known = self._known.get(key)
        if known is not None and known[0] == uid and known[1] == generation:
            return known[2]
        goal = Goal((service.get("spec") or {}).get("rayClusterConfig") or {}, self._release)
        self._known[key] = uid, generation, goal
        return goal

    def forget(self, namespace: str, name: str) -> None:
        self._known.pop((namespace, name), None)


def build_cluster(
    service: JsonObject, name: str, goal: Goal, options: OperatorOptions, *, starts_at_minimum: bool = False
) -> JsonObject:
    """The RayCluster of that name. With `starts_at_minimum`, every worker group's `replicas` is left to the API server."""
    spec = goal.spec
    if starts_at_minimum and spec.get("workerGroupSpecs"):
        groups = [
            {key: value for key, value in group.items() if key != "replicas"} for group in spec["workerGroupSpecs"]
        ]
        spec = {**spec, "workerGroupSpecs": groups}
    annotations = {
        **annotations_of(service),
        labels.SPEC_HASH: goal.hash,
        labels.NUM_WORKER_GROUPS: str(goal.num_groups),
    }
    if options.release.stamps_version:
        annotations[labels.KUBERAY_VERSION] = options.kuberay_version
    return {
        "apiVersion": RAY_CLUSTER.api_version,
        "kind": RAY_CLUSTER.kind,
        "metadata": {
            "name": name,
            "namespace": namespace_of(service),
            "labels": {**labels_of(service), **origin_labels(name_of(service))},
            "annotations": annotations,
            "ownerReferences": [owner_reference(service)],
        },
        "spec": spec,
    }


def origin_labels(service: str) -> dict[str, str]:
    """Labels on everything made for a RayService."""
    return {labels.ORIGINATED_FROM_CR_NAME: service, labels.ORIGINATED_FROM_CRD: RAY_SERVICE.kind}


def owner_reference(service: JsonObject) -> JsonObject:
    """Controller reference to a RayService."""
    return {
        "apiVersion": RAY_SERVICE.api_version,
        "kind": RAY_SERVICE.kind,
        "name": name_of(service),
        "uid": uid_of(service),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def upgrade_type(spec: JsonObject) -> str | None:
    """`upgradeStrategy.type` of a RayService spec; None when it isn't set."""
    kind = (spec.get("upgradeStrategy") or {}).get("type")
    return None if kind is None else str(kind)


def is_incremental(spec: JsonObject, options: OperatorOptions) -> bool:
    return upgrade_type(spec) == INCREMENTAL and options.gates.ray_service_incremental_upgrade


def upgrades_enabled(spec: JsonObject, options: OperatorOptions) -> bool:
    """Whether a changed spec may bring about a new cluster; the spec's type beats the environment (2.3)."""
    kind = upgrade_type(spec)
    if kind is None:
        return options.zero_downtime
    return kind == "NewCluster" or is_incremental(spec, options)


def needs_new_cluster(
    goal: Goal,
    active: JsonObject | None,
    pending: JsonObject | None,
    *,
    was_promoted: bool,
    is_rolling_back: bool,
    may_upgrade: bool,
) -> bool:
    """Whether the pending slot is to get a new name (2.3). `was_promoted`: the Services point at the pending cluster by now."""
    if was_promoted or is_rolling_back:
        return False
    candidate = pending if pending is not None else active
    if candidate is None:
        return True
    if goal.is_met_by(candidate) or goal.is_partially_met_by(candidate):
        return False
    return may_upgrade


def updates_in_place(
    goal: Goal, cluster: JsonObject, options: OperatorOptions, *, is_active: bool, upgrade_in_progress: bool
) -> bool:
    """Whether a cluster's spec is overwritten by the goal's (2.4)."""
    if is_active:
        if upgrade_in_progress:
            return False
        if annotations_of(cluster).get(labels.KUBERAY_VERSION) != options.kuberay_version:
            return True
    return not goal.is_met_by(cluster) and goal.is_partially_met_by(cluster)
