"""Ray services as the KubeRay API server tells of them (`reference/kuberay-apiserver.md` section 8).

What lives here: their messages, the conversion to and from RayService objects, and the calls. What doesn't: the cluster inside
(`clusters`), and what the operator makes of a RayService.
"""
