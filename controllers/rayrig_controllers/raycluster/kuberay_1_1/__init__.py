"""The RayCluster reconciler as KubeRay 1.1 had it: no validation, expectations or conditions, but a state `failed` (6.2).

Pods, Services and roles are built by the same code as for newer releases, by way of the release's table
(`rayrig_controllers.releases`).
"""
