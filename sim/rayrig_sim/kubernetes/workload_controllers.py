"""The controllers of workloads, budgets and Endpoints objects, for worlds in which somebody may make such objects.

They share caches with the rest of the controller manager. None does anything until there is an object for it.
"""

from __future__ import annotations

from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import CONTROLLER_REVISION, DEPLOYMENT, POD, REPLICA_SET
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.endpoints.endpoint_mirroring import MirroringController
from rayrig_sim.kubernetes.endpoints.endpoints_objects import EndpointsController
from rayrig_sim.kubernetes.event_recorder import CoreEventRecorder
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.storage_protection import VolumeProtection
from rayrig_sim.kubernetes.workloads.daemon_sets import DaemonSetController
from rayrig_sim.kubernetes.workloads.deployments.controller import DeploymentController
from rayrig_sim.kubernetes.workloads.disruption_budgets import DisruptionController
from rayrig_sim.kubernetes.workloads.replica_sets import ReplicaSetController
from rayrig_sim.kubernetes.workloads.stateful_sets import StatefulSetController


class WorkloadControllers:
    """Built at once; all work in the handlers of their caches."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        def recorder(component: str) -> CoreEventRecorder:
            return CoreEventRecorder(runtime, client, component=component)

        pods = ControlledObjects(caches, POD)
        sets = ControlledObjects(caches, REPLICA_SET)
        deployments = ControlledObjects(caches, DEPLOYMENT)
        self.endpoints = EndpointsController(runtime, client, caches, pods)
        self.mirroring = MirroringController(runtime, client, caches)
        self.volume_protection = VolumeProtection(runtime, client, caches)
        self.replica_sets = ReplicaSetController(runtime, client, caches, sets, pods, recorder("replicaset-controller"))
        self.disruption = DisruptionController(runtime, client, caches, pods, recorder("controllermanager"))
        revisions = ControlledObjects(caches, CONTROLLER_REVISION)
        self.daemon_sets = DaemonSetController(
            runtime, client, caches, pods, revisions, recorder("daemonset-controller")
        )
        self.stateful_sets = StatefulSetController(
            runtime, client, caches, pods, revisions, recorder("statefulset-controller")
        )
        self.deployments = DeploymentController(
            runtime, client, caches, deployments, sets, pods, recorder("deployment-controller")
        )
