"""API server v2: Kubernetes' own API for Ray's resources, their events and head Services (`kuberay-apiserver.md` 13).

What doesn't live here: what Kubernetes answers.
"""
