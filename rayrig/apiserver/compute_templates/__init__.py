"""Compute templates: how large a pod is to be, kept as ConfigMaps under a name (`kuberay-apiserver.md` section 4).

What doesn't live here: the pods made from them (`clusters/`).
"""
