"""Rules of `metadata` that hold for every kind (`kubernetes-api.md` section 3)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rayrig_core.kubernetes_names import NameRule, dns_label, label_value, qualified_name
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_ANNOTATIONS_LIMIT = 256 * 1024
#: What only the server sets; a client's values are dropped on create.
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")

IMMUTABLE = "field is immutable"


def validate(meta: JsonObject, name_rule: NameRule, namespaced: bool, standard_finalizers: bool) -> list[Cause]:
    """Causes against the metadata of an object that is about to be written.

    `standard_finalizers`: finalizers without a `/` must be among the standard ones.
    """
    causes: list[Cause] = []
    prefix = meta.get("generateName")
    if prefix:
        # What ends in a dash goes on with something else.
        begun = f"{prefix[:-1]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
        causes += [status.invalid_value("metadata.generateName", prefix, text) for text in name_rule(begun)]
    name = meta.get("name")
    if not name:
        causes.append(status.required("metadata.name", "name or generateName is required"))
    else:
        causes += [status.invalid_value("metadata.name", name, text) for text in name_rule(name)]
    if namespaced:
        namespace = meta.get("namespace", "")
        causes += [status.invalid_value("metadata.namespace", namespace, text) for text in dns_label(namespace)]
    elif meta.get("namespace"):
        causes.append(status.forbidden_field("metadata.namespace", "not allowed on this type"))
    labels = meta.get("labels")
    if labels:
        causes += validate_labels(labels, "metadata.labels")
    annotations = meta.get("annotations")
    if annotations:
        causes += annotation_problems(annotations, "metadata.annotations")
    references = meta.get("ownerReferences")
    if references:
        causes += _validate_owners(references)
    finalizers = meta.get("finalizers")
    if finalizers:
        causes += _finalizer_forms(finalizers)
        if standard_finalizers:
            causes += _unknown_finalizers(finalizers)
    return causes


def validate_labels(labels: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for pair in labels.items():
        problems = _label_causes(pair, field)
        if problems:
            causes += problems
    return causes


@lru_cache(maxsize=8192)
def _label_causes(pair: tuple[str, str], field: str) -> list[Cause]:
    key, value = pair
    causes = [status.invalid_value(field, key, text) for text in qualified_name(key)]
    return causes + [status.invalid_value(field, value, text) for text in label_value(value)]


def annotation_problems(annotations: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    size = 0
    for key, value in annotations.items():
        # Letter case of annotation keys is free, unlike that of label keys' prefixes.
        problems = qualified_name(key.lower())
        if problems:
            causes += [status.invalid_value(field, key, text) for text in problems]
        size += len(key) + len(value)
    if size > _ANNOTATIONS_LIMIT:
        causes.append(status.too_long(field, _ANNOTATIONS_LIMIT))
    return causes


#: (apiVersion, kind) of what nothing can belong to.
_NEVER_OWNERS = (("v1", "Event"),)


def _validate_owners(references: list[JsonObject]) -> list[Cause]:
    causes: list[Cause] = []
    controllers: list[JsonObject] = []
    for reference in references:
        version = reference.get("apiVersion") or ""
        if not version or version.count("/") > 1:
            field = "metadata.ownerReferences.apiVersion"
            causes.append(status.invalid_value(field, version, "version must not be empty"))
        elif (version, reference.get("kind")) in _NEVER_OWNERS:
            group, _, version = version.rpartition("/")
            text = f"{group}/{version}, Kind={reference['kind']} is disallowed from being an owner"
            causes.append(status.invalid_value("metadata.ownerReferences", reference, text))
        for part in ("kind", "name", "uid"):
            if not reference.get(part):
                causes.append(status.invalid_value(f"metadata.ownerReferences.{part}", "", "must not be empty"))
        if reference.get("controller"):
            controllers.append(reference)
    if len(controllers) > 1:
        first, second = (f"{c.get('kind')}/{c.get('name')}" for c in controllers[:2])
        text = (
            f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        )
        causes.append(status.invalid_value("metadata.ownerReferences", references, text))
    return causes


def _finalizer_forms(finalizers: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    for finalizer in finalizers:
        causes += [status.invalid_value("metadata.finalizers", finalizer, text) for text in qualified_name(finalizer)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(status.invalid_value("metadata.finalizers", finalizers, text))
    return causes


def _unknown_finalizers(finalizers: list[str]) -> list[Cause]:
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        status.invalid_value(f"metadata.finalizers[{index}]", finalizer, text)
        for index, finalizer in enumerate(finalizers)
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS
    ]


STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")


class Looks(NamedTuple):
    """How often an update looks at metadata: each time says again what is wrong."""

    #: As at something that changes: what may not change, labels, annotations, owners.
    as_change: int = 2
    #: As at an object on its own: labels, annotations, owners, the form of finalizers.
    as_object: int = 1
    #: Whether finalizers without a `/` are standard ones.
    finalizers: int = 1


def immutable_problems(new: JsonObject, old: JsonObject) -> list[Cause]:
    """Causes against a change of what never changes. A changed time of creation is passed over."""
    causes: list[Cause] = []
    if old.get("deletionTimestamp"):
        had = old.get("finalizers") or ()
        added = [finalizer for finalizer in new.get("finalizers") or () if finalizer not in had]
        if added:
            quoted = ", ".join(f'"{finalizer}"' for finalizer in added)
            text = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{quoted}}}"
            )
            causes.append(status.forbidden_field("metadata.finalizers", text))
    for field in ("name", "namespace", "uid"):
        sent = new.get(field)
        if sent and sent != old.get(field):
            causes.append(status.invalid_value(f"metadata.{field}", sent, IMMUTABLE))
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        sent = new.get(field)
        if sent is not None and sent != old.get(field):
            causes.append(status.invalid_value(f"metadata.{field}", sent, IMMUTABLE))
    return causes


def change_problems(new: JsonObject, old: JsonObject, looks: Looks) -> list[Cause]:
    """Causes against those parts of metadata that changed."""
    causes: list[Cause] = []
    labels, annotations, references = new.get("labels"), new.get("annotations"), new.get("ownerReferences")
    times = looks.as_change + looks.as_object
    if labels and labels != old.get("labels"):
        causes += validate_labels(labels, "metadata.labels") * times
    if annotations and annotations != old.get("annotations"):
        causes += annotation_problems(annotations, "metadata.annotations") * times
    if references and references != old.get("ownerReferences"):
        causes += _validate_owners(references) * times
    finalizers = new.get("finalizers")
    if finalizers and finalizers != old.get("finalizers"):
        causes += _finalizer_forms(finalizers) * looks.as_object
        causes += _unknown_finalizers(finalizers) * looks.finalizers
    return causes


def normalise(meta: JsonObject) -> None:
    """Drop what is empty, as typed metadata does when it is written out."""
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        if field in meta and not meta[field]:
            del meta[field]


def mapping(value: Json) -> JsonObject:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
