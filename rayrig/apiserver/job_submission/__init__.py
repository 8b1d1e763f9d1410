"""Jobs handed to the dashboard of a running cluster (`reference/kuberay-apiserver.md` 10; AS-059).

What doesn't live here: RayJobs, which Kubernetes keeps (`jobs/`).
"""
