"""A Ray cluster without Kubernetes, and drivers: scripts that connect to it, start Serve and deploy their code.

`LocalRay` is the cluster, `driver()` a script's connection; the calls are those of Ray 1.9 to 1.12 (`serve.start`,
`@serve.deployment`, `.deploy()`). Serve itself, its replicas and its network are the simulation's, and so is time. What a KubeRay
cluster does is in `memory`; the API of Ray 0.8 in `rayrig_sim.legacy`.
"""

from rayrig_backends.local_ray.cluster import LocalRay
from rayrig_backends.local_ray.deployment import Deployment
from rayrig_backends.local_ray.driver import Driver
from rayrig_backends.local_ray.instance import RayServeException
from rayrig_backends.local_ray.kv_store import KVStoreBase

__all__ = ["Deployment", "Driver", "KVStoreBase", "LocalRay", "RayServeException"]
