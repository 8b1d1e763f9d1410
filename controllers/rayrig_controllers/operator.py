"""The KubeRay operator: a manager with the RayService and RayCluster controllers, and those whose feature gates are on."""

from __future__ import annotations

from random import Random

from rayrig_controllers.manager import Manager
from rayrig_controllers.mtls.controller import controller as mtls_controller
from rayrig_controllers.networkpolicy.controller import controller as networkpolicy_controller
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.controller import controller as raycluster_controller
from rayrig_controllers.rayservice.controller import controller as rayservice_controller
from rayrig_core.ports import HttpClient, KubernetesClient, Runtime


def operator(
    runtime: Runtime,
    client: KubernetesClient,
    *,
    http: HttpClient,
    rng: Random,
    options: OperatorOptions | None = None,
    name: str = "operator",
) -> Manager:
    """A manager with KubeRay's controllers: of RayServices, RayClusters and, behind their gates, NetworkPolicies and
    certificates."""
    manager = Manager(runtime, client, http=http, rng=rng, options=options, name=name)
    manager.add(rayservice_controller(manager.context("rayservice-controller")))
    manager.add(raycluster_controller(manager.context("raycluster-controller")))
    if manager.options.gates.ray_cluster_network_policy:
        manager.add(networkpolicy_controller(manager.context("networkpolicy-controller")))
    if manager.options.gates.ray_cluster_mtls:
        manager.add(mtls_controller(manager.context("raycluster-mtls-controller")))
    return manager
