"""Ray clusters as the KubeRay API server tells of them (`kuberay-apiserver.md` sections 5 to 7).

`spec` and what it is made of also serve Ray services and jobs, which have a cluster inside. What doesn't live here: what the
operator makes of a RayCluster.
"""
