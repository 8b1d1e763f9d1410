"""The KubeRay API server's REST surface as KubeRay 1.7 has it (`reference/kuberay-apiserver.md`).

What lives here: the wire rules of gRPC's HTTP gateway (`wire/`), one module or folder per service (compute templates,
clusters, Ray services, jobs, job and Serve submission), the filtering proxy (`v2/`) and the server that puts them
together. Everything awaits ports only, so that the same server works on virtual time in front of the in-memory
Kubernetes and on wall time in front of a real one.
What doesn't: the operator, which acts on what this server stores, and the sockets (`serving.py` alone knows them).
"""
