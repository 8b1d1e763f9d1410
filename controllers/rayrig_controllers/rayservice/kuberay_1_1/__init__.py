"""The RayService reconciler as KubeRay 1.1 had it: one straight pass, no conditions, ended early until all applications run.

Here are the pass and its decisions (kuberay-operator 6.1). How Services, clusters and hashes look is shared with the newer
reconciler, by way of the release's table (`rayrig_controllers.releases`).
"""
