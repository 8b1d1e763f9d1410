"""The controller of RayClusters' certificates (gate RayClusterMTLS): what it asks cert-manager for.

How pods use the certificates is in `rayrig_controllers.raycluster.tls`.
"""
