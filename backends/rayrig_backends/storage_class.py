"""The class of volumes that claims without one get, as clusters of cloud providers and kind have one (docs/manifests.md)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject

STANDARD_CLASS: JsonObject = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "rayrig.dev/volumes",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
