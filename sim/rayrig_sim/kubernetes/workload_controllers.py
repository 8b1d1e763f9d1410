"""The controllers of workloads, budgets and Endpoints objects, for worlds in which somebody may make such objects.

They share caches with the rest of the controller manager. None does anything until there is an object for it.
"""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import CONTROLLER_REVISION, DEPLOYMENT, POD, REPLICA_SET
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.controller_names import ControllerName
from rayrig_sim.kubernetes.endpoints.endpoint_mirroring import MirroringController
from rayrig_sim.kubernetes.endpoints.endpoints_objects import EndpointsController
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.storage_protection import VolumeProtection
from rayrig_sim.kubernetes.workloads.daemon_sets import DaemonSetController
from rayrig_sim.kubernetes.workloads.deployments.controller import DeploymentController
from rayrig_sim.kubernetes.workloads.disruption_budgets import DisruptionController
from rayrig_sim.kubernetes.workloads.replica_sets import ReplicaSetController
from rayrig_sim.kubernetes.workloads.stateful_sets import StatefulSetController


def start_workload_controllers(
    runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, runs: Callable[[ControllerName], bool]
) -> None:
    """Those that `runs` says; all work in the handlers of their caches."""

    def recorder(component: str) -> CoreEventRecorder:
        return CoreEventRecorder(runtime, client, component=component)

    pods = ControlledObjects(caches, POD)
    sets = ControlledObjects(caches, REPLICA_SET)
    deployments = ControlledObjects(caches, DEPLOYMENT)
    if runs(ControllerName.ENDPOINTS):
        EndpointsController(runtime, client, caches, pods)
    if runs(ControllerName.ENDPOINT_SLICE_MIRRORING):
        MirroringController(runtime, client, caches)
    if runs(ControllerName.VOLUME_PROTECTION):
        VolumeProtection(runtime, client, caches)
    if runs(ControllerName.REPLICA_SETS):
        ReplicaSetController(runtime, client, caches, sets, pods, recorder("replicaset-controller"))
    if runs(ControllerName.DISRUPTION):
        DisruptionController(runtime, client, caches, pods, recorder("controllermanager"))
    revisions = ControlledObjects(caches, CONTROLLER_REVISION)
    if runs(ControllerName.DAEMON_SETS):
        DaemonSetController(runtime, client, caches, pods, revisions, recorder("daemonset-controller"))
    if runs(ControllerName.STATEFUL_SETS):
        StatefulSetController(runtime, client, caches, pods, revisions, recorder("statefulset-controller"))
    if runs(ControllerName.DEPLOYMENTS):
        DeploymentController(runtime, client, caches, deployments, sets, pods, recorder("deployment-controller"))
