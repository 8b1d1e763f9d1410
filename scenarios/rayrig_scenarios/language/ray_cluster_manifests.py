"""A RayCluster manifest as steps: apply what is in the file, wait until the cluster is ready, see that it stays so.

The objects are applied as they are. What they refer to and what neither the file nor the operator makes is missing, as it
would be in a cluster in which nobody made it, and the run fails for that reason; a warning names it beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rayrig_core.objects import JsonObject
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.language.references import missing_references

#: A head may wait ten minutes for its Redis before it gives up (`rayrig_sim.ray_pods.redis`).
READY_TIMEOUT = "15m"
_TPU = "google.com/tpu"


def cluster_ref(cluster: WrittenObject) -> JsonObject:
    return {"cluster": cluster.name, "namespace": cluster.namespace}


def ready_step(cluster: WrittenObject) -> JsonObject:
    return {"wait": {"for": {"cluster-ready": cluster_ref(cluster)}, "timeout": READY_TIMEOUT}}


def backend_expectations(ingresses: Iterable[WrittenObject]) -> list[JsonObject]:
    """Each Service an Ingress sends requests to is there, with the port when it is called by name."""
    wanted: dict[tuple[str, str], JsonObject] = {}
    for ingress in ingresses:
        for service in _backends(ingress.object.get("spec") or {}):
            name, port = str(service.get("name") or ""), service.get("port") or {}
            path = f"spec.ports[{port['name']}]" if port.get("name") else "spec.ports"
            field = {"kind": "Service", "name": name, "namespace": ingress.namespace, "path": path, "exists": True}
            wanted[name, path] = {"name": f"Ingress {ingress.name} has its backend, Service {name}", "field": field}
    return list(wanted.values())


def _backends(spec: JsonObject) -> Iterator[JsonObject]:
    places = [spec.get("defaultBackend") or {}]
    for rule in spec.get("rules") or ():
        places += [path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or ()]
    for place in places:
        if place.get("service"):
            yield place["service"]


def missing_remarks(objects: Sequence[WrittenObject], reference: str) -> list[str]:
    """What the objects refer to and what must have been made by somebody else."""
    found = [
        f"{missing.kind} {missing.name} is not in {reference}, and nothing else makes it: add it, as a cluster would have it"
        for missing in missing_references(objects)
    ]
    if any(_TPU in str(cluster.object.get("spec")) for cluster in objects if cluster.kind == "RayCluster"):
        found.append(
            "TPU pods get TPU_WORKER_ID and TPU_WORKER_HOSTNAMES from GKE's webhook, which is not simulated: "
            "Ray starts without them"
        )
    return found
