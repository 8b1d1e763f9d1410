"""A RayCluster as the controller reads it: the object with its defaults applied, and what follows from it alone."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_controllers.options import OperatorOptions
from rayrig_core.objects import JsonObject, annotations_of, labels_of, name_of, namespace_of, uid_of
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE
from rayrig_core.resources import labels, names
from rayrig_core.resources.cluster_spec import is_autoscaling
from rayrig_core.resources.known_fields import known_ray_cluster_spec

MAX_INT32 = 2_147_483_647


@dataclass(frozen=True, slots=True)
class Cluster:
    """One RayCluster under one operator's options. `spec` is shared with the cache: read only."""

    obj: JsonObject
    name: str
    namespace: str
    uid: str
    spec: JsonObject
    head: JsonObject
    groups: tuple[JsonObject, ...]
    labels: dict[str, str]
    annotations: dict[str, str]
    options: OperatorOptions

    @classmethod
    def of(cls, obj: JsonObject, options: OperatorOptions) -> Cluster:
        spec = obj.get("spec") or {}
        if options.release.schema:
            spec = known_ray_cluster_spec(spec, options.release.schema)
        return cls(
            obj,
            name_of(obj),
            namespace_of(obj),
            uid_of(obj),
            spec,
            spec.get("headGroupSpec") or {},
            tuple(spec.get("workerGroupSpecs") or ()),
            labels_of(obj),
            annotations_of(obj),
            options,
        )

    @property
    def crd(self) -> str:
        """Kind of the resource the cluster was made for: RayService, RayJob or RayCluster."""
        return self.labels.get(labels.ORIGINATED_FROM_CRD) or RAY_CLUSTER.kind

    @property
    def is_for_ray_service(self) -> bool:
        return self.labels.get(labels.ORIGINATED_FROM_CRD) == RAY_SERVICE.kind

    @property
    def is_autoscaling(self) -> bool:
        return is_autoscaling(self.spec)

    @property
    def autoscaler_version(self) -> str:
        """`v1`, `v2`, or empty when the spec doesn't say or there is no autoscaler."""
        return str((self.spec.get("autoscalerOptions") or {}).get("version") or "") if self.is_autoscaling else ""

    @property
    def suspend(self) -> bool | None:
        """`spec.suspend`; None (unset) differs from false when a suspended cluster is resumed."""
        return self.spec.get("suspend")

    @property
    def head_service_name(self) -> str:
        service = self.head.get("headService") or {}
        own_name = self.options.release.service_name(names.head_service_name(self.name))
        return str((service.get("metadata") or {}).get("name") or own_name)

    @property
    def head_service_fqdn(self) -> str:
        return names.service_fqdn(self.head_service_name, self.namespace, self.options.cluster_domain)

    @property
    def head_port(self) -> str:
        """GCS port: rayStartParams `port` of the head group."""
        return str((self.head.get("rayStartParams") or {}).get("port") or labels.GCS_PORT)

    @property
    def overwrites_command(self) -> bool:
        return self.annotations.get(labels.OVERWRITE_CONTAINER_CMD) == "true"

    @property
    def head_app_name(self) -> str:
        """Value of `app.kubernetes.io/name` on the head template, which the head Service selects."""
        template_labels = template_metadata(self.head).get("labels") or {}
        return str(template_labels.get(labels.APP_NAME) or labels.KUBERAY)

    def owner_reference(self) -> JsonObject:
        """Controller reference for the cluster's children."""
        return {
            "apiVersion": RAY_CLUSTER.api_version,
            "kind": RAY_CLUSTER.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def child_metadata(
        self, name: str, child_labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
    ) -> JsonObject:
        """Metadata of an owned child of that name."""
        metadata: JsonObject = {"name": name, "namespace": self.namespace, "ownerReferences": [self.owner_reference()]}
        if child_labels:
            metadata["labels"] = child_labels
        if annotations:
            metadata["annotations"] = annotations
        return metadata

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def template_metadata(group: JsonObject) -> JsonObject:
    """`template.metadata` of a head or worker group."""
    return (group.get("template") or {}).get("metadata") or {}


def ray_container(group: JsonObject) -> JsonObject:
    """The Ray container of a group's template: the first one. Empty when there is none."""
    containers: list[JsonObject] = ((group.get("template") or {}).get("spec") or {}).get("containers") or []
    return containers[0] if containers else {}


def start_params(group: JsonObject) -> dict[str, str]:
    """rayStartParams of a group; null counts as empty."""
    return group.get("rayStartParams") or {}


def has_env(container: JsonObject, name: str) -> bool:
    """Whether the container's env has an entry of that name."""
    return any(entry.get("name") == name for entry in container.get("env") or ())
