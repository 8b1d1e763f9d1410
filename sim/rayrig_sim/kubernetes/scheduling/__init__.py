"""The scheduler's decisions, pure: what a pod needs, which nodes can take it, which is best, what is said when none can, and when
it is tried again.

`scheduler` is the actor that reads and writes the API with them. Source: kubelet.md 14, kubernetes-api.md 9.
"""
