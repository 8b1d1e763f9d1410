"""What a Deployment writes on its ReplicaSets: revision and history, the sizes asked for, a copy of its own annotations."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, annotations_of

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
)
_HISTORY_LIMIT = 2000


def number_of(obj: JsonObject, annotation: str) -> int:
    """0 when it is missing or no number."""
    try:
        return int(annotations_of(obj).get(annotation, "0"))
    except ValueError:
        return 0


def with_sizes(annotations: dict[str, str], desired: int, maximum: int) -> dict[str, str]:
    return {**annotations, DESIRED: str(desired), MAXIMUM: str(maximum)}


def with_revision(deployment: JsonObject, replica_set: JsonObject, revision: int) -> dict[str, str]:
    """The ReplicaSet's annotations with those of the Deployment and, when it grows, the new revision."""
    annotations = dict(annotations_of(replica_set))
    for name, value in annotations_of(deployment).items():
        if name not in _NOT_COPIED:
            annotations[name] = value
    had = annotations.get(REVISION, "")
    before = number_of(replica_set, REVISION)
    if before < revision:
        annotations[REVISION] = str(revision)
        if had:
            earlier = annotations.get(HISTORY, "")
            history = [entry for entry in earlier.split(",") if entry]
            while history and len(",".join([*history, had])) >= _HISTORY_LIMIT:
                history.pop(0)
            annotations[HISTORY] = ",".join([*history, had])
    return annotations
