"""PersistentVolumes, their claims and classes: defaults, what is wrong with them, what may not change."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resources.quantities import parse_quantity
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import backsteps, each, one_of
from rayrig_fakes.kubernetes.kinds.claims import access_mode_problems, claim_spec_problems, claim_warnings
from rayrig_fakes.kubernetes.kinds.pod_scheduling import node_selector_problems
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, Looks
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.inside import spec_changes

_RECLAIM = ("Delete", "Recycle", "Retain")
_VOLUME_MODES = ("Block", "Filesystem")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
#: Fields of a volume's spec that are not the volume itself.
_OF_ALL_VOLUMES = (
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeMode",
    "volumeAttributesClassName",
)
_NEEDED = {"hostPath": ("path",), "nfs": ("server", "path"), "csi": ("driver", "volumeHandle"), "local": ("path",)}
_CLAIM_IMMUTABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


class ClaimRules(KindRules):
    has_status = True
    looks = Looks(2, 2, 2)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        obj["status"] = {"phase": "Pending"}
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if "kubernetes.io/pvc-protection" not in finalizers:
            finalizers.append("kubernetes.io/pvc-protection")
        self._default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self._default(obj)

    def _default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        setdefault(spec, volumeMode="Filesystem")
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if source is not None and not _is_known_source(source):
            del spec["dataSource"]
            source = None
        if source is not None and reference is None:
            spec["dataSourceRef"] = dict(source)
        elif (
            source is None and reference is not None and not reference.get("namespace") and _is_known_source(reference)
        ):
            spec["dataSource"] = dict(reference)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = claim_spec_problems(spec, "spec")
        for part in ("storageClassName", "volumeAttributesClassName"):
            if spec.get(part):
                causes += each(f"spec.{part}", spec[part], dns_subdomain(spec[part]))
        for part in ("dataSource", "dataSourceRef"):
            source = spec.get(part)
            if source is not None:
                causes += [
                    status.required(f"spec.{part}.{field}") for field in ("name", "kind") if not source.get(field)
                ]
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec, had = copy_json(obj["spec"]), copy_json(old["spec"])
        causes: list[Cause] = []
        if not had.get("volumeName") and spec.get("volumeName"):
            # Binding.
            had["volumeName"] = spec["volumeName"]
        bound = (old.get("status") or {}).get("phase") == "Bound"
        new_size, size = (
            parse_quantity(((each_one.get("resources") or {}).get("requests") or {}).get("storage", "0"))
            for each_one in (spec, had)
        )
        if bound:
            for each_one in (spec, had):
                each_one.get("resources", {}).pop("requests", None)
                each_one.pop("volumeAttributesClassName", None)
        if not had.get("storageClassName") and spec.get("storageClassName"):
            had["storageClassName"] = spec["storageClassName"]
        if spec != had:
            changes = spec_changes(old["spec"], obj["spec"], "PersistentVolumeClaimSpec")
            causes.append(status.forbidden_field("spec", f"{_CLAIM_IMMUTABLE}\n{changes}"))
        elif bound and new_size < size:
            text = "field can not be less than status.capacity"
            causes.append(status.forbidden_field("spec.resources.requests.storage", text))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if not admission.looks_for_unknown:
            return
        if _CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            text = 'deprecated since v1.8; use "storageClassName" attribute instead'
            admission.warnings.append(f"metadata.annotations[{_CLASS_ANNOTATION}]: {text}")
        admission.warnings += claim_warnings(obj["spec"], "spec")


def _is_known_source(source: JsonObject) -> bool:
    """Other claims and snapshots can be copied from."""
    group, kind = source.get("apiGroup") or "", source.get("kind")
    return (group, kind) in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


class VolumeRules(KindRules):
    has_status = True
    looks = Looks(1, 3, 2)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": rfc3339(admission.unix_ns)}
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if "kubernetes.io/pv-protection" not in finalizers:
            finalizers.append("kubernetes.io/pv-protection")
        self._default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self._default(obj)

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        new, had = obj.setdefault("status", {}), old.get("status") or {}
        setdefault(new, phase="Pending")
        if new["phase"] != had.get("phase") and new.get("lastPhaseTransitionTime") == had.get(
            "lastPhaseTransitionTime"
        ):
            new["lastPhaseTransitionTime"] = rfc3339(admission.unix_ns)

    def _default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        setdefault(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
        host = spec.get("hostPath")
        if host is not None and host.get("type") is None:
            host["type"] = ""

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        modes, capacity = spec.get("accessModes") or [], spec.get("capacity")
        if not modes:
            causes.append(status.required("spec.accessModes"))
        causes += access_mode_problems(modes, "spec.accessModes")
        if not capacity:
            causes.append(status.required("spec.capacity"))
        if not capacity or list(capacity) != ["storage"]:
            shown = capacity and dict(sorted(capacity.items()))
            causes.append(status.not_supported("spec.capacity", shown, ["storage"]))
        for name, value in (capacity or {}).items():
            if parse_quantity(value) <= 0:
                causes.append(status.invalid_value(f"spec.capacity[{name}]", value, "must be greater than zero"))
        causes += self._source_problems(spec)
        causes += one_of("spec.persistentVolumeReclaimPolicy", spec["persistentVolumeReclaimPolicy"], _RECLAIM)
        name = spec.get("storageClassName")
        if name:
            causes += each("spec.storageClassName", name, dns_subdomain(name))
        causes += one_of("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)
        affinity = spec.get("nodeAffinity")
        if affinity is not None:
            at = "spec.nodeAffinity.required"
            if affinity.get("required") is None:
                causes.append(status.required(at, "must specify required node constraints"))
            else:
                causes += node_selector_problems(affinity["required"], at)
        elif spec.get("local") is not None:
            causes.append(status.required("spec.nodeAffinity", "Local volume requires node affinity"))
        return causes

    def _source_problems(self, spec: JsonObject) -> list[Cause]:
        sources = [field for field in sorted(spec) if field not in _OF_ALL_VOLUMES and spec[field] is not None]
        # The one that is checked first keeps its place, all others are too many.
        sources.sort(key=lambda field: field != "hostPath")
        if not sources:
            return [status.required("spec", "must specify a volume type")]
        causes = [
            status.forbidden_field(f"spec.{field}", "may not specify more than 1 volume type") for field in sources[1:]
        ]
        kind = sources[0]
        found, at = spec[kind], f"spec.{kind}"
        causes += [status.required(f"{at}.{field}") for field in _NEEDED.get(kind, ()) if not found.get(field)]
        path = found.get("path") or ""
        if kind == "hostPath":
            causes += each(f"{at}.path", path, backsteps(path))
        elif kind == "nfs" and not path.startswith("/"):
            causes.append(status.invalid_value(f"{at}.path", path, "must be an absolute path"))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec, had = obj["spec"], old["spec"]
        causes: list[Cause] = []
        source, before = (
            {field: value for field, value in each_one.items() if field not in _OF_ALL_VOLUMES}
            for each_one in (spec, had)
        )
        if source != before:
            changes = spec_changes(before, source, "PersistentVolumeSource")
            text = f"spec.persistentvolumesource is immutable after creation\n{changes}"
            causes.append(status.forbidden_field("spec.persistentvolumesource", text))
        if spec.get("volumeMode") != had.get("volumeMode"):
            causes.append(status.invalid_value("spec.volumeMode", spec.get("volumeMode"), IMMUTABLE))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if not admission.looks_for_unknown:
            return
        spec = obj["spec"]
        if _CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            text = 'deprecated since v1.8; use "storageClassName" attribute instead'
            admission.warnings.append(f"metadata.annotations[{_CLASS_ANNOTATION}]: {text}")
        if spec["persistentVolumeReclaimPolicy"] == "Recycle":
            text = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
            admission.warnings.append(f"spec.persistentVolumeReclaimPolicy: {text}")


class StorageClassRules(KindRules):
    looks = Looks(2, 2, 2)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        setdefault(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        provisioner = obj.get("provisioner") or ""
        if not provisioner:
            causes.append(status.required("provisioner"))
        causes += each("provisioner", provisioner.lower(), qualified_name(provisioner.lower())) if provisioner else []
        for key in obj.get("parameters") or ():
            if not key:
                causes.append(status.invalid_value("parameters", key, "field can not be empty."))
        if sum(len(key) + len(value) for key, value in (obj.get("parameters") or {}).items()) > 256 * 1024:
            causes.append(status.too_long("parameters", 256 * 1024))
        causes += one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
        causes += one_of("volumeBindingMode", obj["volumeBindingMode"], ("Immediate", "WaitForFirstConsumer"))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        if obj.get("parameters") != old.get("parameters"):
            text = "updates to parameters are forbidden."
            causes.append(status.forbidden_field("parameters", text))
        for field in ("provisioner", "reclaimPolicy"):
            if obj.get(field) != old.get(field):
                causes.append(status.forbidden_field(field, f"updates to {field} are forbidden."))
        if obj.get("volumeBindingMode") != old.get("volumeBindingMode"):
            causes.append(status.invalid_value("volumeBindingMode", obj.get("volumeBindingMode"), IMMUTABLE))
        return causes
