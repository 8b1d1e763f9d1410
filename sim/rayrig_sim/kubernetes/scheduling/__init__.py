"""The scheduler's decisions, pure: what a pod needs, which nodes can take it, which is best, what is said when none can, and when
it is tried again.

The actor that reads and writes the API with them is `rayrig_sim.kubernetes.scheduler`. Source: kubelet.md 14, kubernetes-api.md 9.
"""
