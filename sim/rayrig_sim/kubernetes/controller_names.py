"""The controllers of the controller manager by the names of `kube-controller-manager --controllers`, and how that list is read."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class ControllerName(StrEnum):
    """Those of kube-controller-manager's that rayrig has."""

    DAEMON_SETS = "daemonset-controller"
    DEPLOYMENTS = "deployment-controller"
    DISRUPTION = "disruption-controller"
    ENDPOINTS = "endpoints-controller"
    ENDPOINT_SLICES = "endpointslice-controller"
    ENDPOINT_SLICE_MIRRORING = "endpointslice-mirroring-controller"
    GARBAGE_COLLECTOR = "garbage-collector-controller"
    JOBS = "job-controller"
    NAMESPACES = "namespace-controller"
    NODE_LIFECYCLE = "node-lifecycle-controller"
    CLAIM_PROTECTION = "persistentvolumeclaim-protection-controller"
    VOLUME_PROTECTION = "persistentvolume-protection-controller"
    VOLUMES = "persistentvolume-binder-controller"
    POD_GARBAGE_COLLECTOR = "pod-garbage-collector-controller"
    REPLICA_SETS = "replicaset-controller"
    SERVICE_ACCOUNTS = "serviceaccount-controller"
    STATEFUL_SETS = "statefulset-controller"
    TAINT_EVICTION = "taint-eviction-controller"


def left_out(asked: Sequence[str]) -> tuple[ControllerName, ...]:
    """Which controllers are not to run. `*` asks for all, `name` for one, `-name` leaves one out; the first word about it counts.

    Raises `ValueError` with the first name that no controller has.
    """
    known = {"*", *ControllerName}
    for word in asked:
        name = word.removeprefix("-")
        if name not in known:
            raise ValueError(name)
    return tuple(name for name in ControllerName if not _runs(name, asked))


def _runs(name: ControllerName, asked: Sequence[str]) -> bool:
    for word in asked:
        if word == name:
            return True
        if word == f"-{name}":
            return False
    return "*" in asked
