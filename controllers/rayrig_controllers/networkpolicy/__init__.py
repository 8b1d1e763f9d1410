"""The NetworkPolicy controller (gate RayClusterNetworkPolicy): what may reach the pods of a RayCluster, and what they may reach.

Not here: whatever enforces the policies.
"""
