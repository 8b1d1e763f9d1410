"""Nodes as the control plane knows them: their objects and heartbeats, loss, eviction by taints, pods left on none.

What runs on a node is in `kubelet`.
"""
