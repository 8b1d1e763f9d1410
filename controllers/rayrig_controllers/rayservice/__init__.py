"""The RayService controller: clusters behind two Services, Serve configuration, upgrades, status (kuberay-operator section 2).

`controller` holds the tick in its order; each other module one concern of it. Pods and a cluster's own Services are the RayCluster
controller's affair; how those Services look is read from there.
"""
