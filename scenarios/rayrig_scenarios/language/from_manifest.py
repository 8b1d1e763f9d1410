"""A manifest as a scenario. A RayService: deploy it, send light traffic, change the cluster's configuration, watch the upgrade. A
RayCluster: deploy it and wait until it is ready. Plain workloads: deploy them, wait until they are ready, roll each once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rayrig_controllers.releases import Profile
from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject
from rayrig_core.resources.names import gateway_name, http_route_name, serve_service_name
from rayrig_core.resources.serve_config import parse_serve_config
from rayrig_core.resources.validation.rayservice import INCREMENTAL
from rayrig_scenarios.language.documents import Document
from rayrig_scenarios.language.manifests import WrittenObject, manifest_file, remarks
from rayrig_scenarios.language.node_sizing import nodes_for
from rayrig_scenarios.language.ray_cluster_manifests import (
    backend_expectations,
    cluster_ref,
    missing_remarks,
    ready_step,
)
from rayrig_scenarios.language.references import missing_namespaces, missing_references
from rayrig_scenarios.language.scenario import Scenario, fingerprint
from rayrig_scenarios.language.scenario_file import parse_scenario
from rayrig_scenarios.language.workload_manifests import (
    rollout_expectations,
    rollout_steps,
    silent_remarks,
    workloads_of,
)
from rayrig_scenarios.language.world_values import traffic_spec
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule

#: An annotation on the head's pod template changes the configuration's hash and nothing else.
HARMLESS_CHANGE = 'spec.rayClusterConfig.headGroupSpec.template.metadata.annotations."rayrig.dev/upgrade"'
#: Light traffic: a few clients that wait for each answer never overload an application nobody knows anything about.
_CLIENTS, _THINK_TIME, _TIMEOUT = 2, "200ms", "60s"
#: The operator's default for `rayClusterDeletionDelaySeconds` (kuberay-operator 2.13).
_DELETION_DELAY_S = 60
#: Fields of a RayService that KubeRay 1.1 does not know, of those that decide how an upgrade goes.
_LATER_FIELDS = ("upgradeStrategy", "rayClusterDeletionDelaySeconds")


def scenario_from_manifest(path: Path | str) -> Scenario:
    """The scenario for a manifest file. Raises `InputError`."""
    path = Path(path)
    return scenario_of_objects(manifest_file(path), reference=str(path))


def scenario_of_objects(
    objects: list[WrittenObject],
    *,
    reference: str,
    text: str = "",
    scripts: Sequence[ScriptRule] = (),
    profile: Profile | None = None,
) -> Scenario:
    """The scenario for manifests that hold a RayService, a RayCluster, an Ingress to one, or workloads, whose containers may play
    scripts. `profile`: whose operator it has, when that was asked for. Raises `InputError`."""
    services = [_as_known(written, profile) for written in objects if written.kind == "RayService"]
    clusters = [written for written in objects if written.kind == "RayCluster"]
    ingresses = [written for written in objects if written.kind == "Ingress"]
    workloads = [] if services or clusters else workloads_of(objects)
    if not (services or clusters or ingresses or workloads):
        raise InputError(
            "there is no RayService, no RayCluster and no workload in this manifest",
            where=objects[0].where() if objects else reference,
            remedy="name a manifest that holds one (a Deployment, a Pod ...), or a scenario with steps",
        )
    # An upgrade is tried out with what the cluster is taken to have; whether a RayCluster comes up is asked of the file as it is.
    stand_ins = missing_namespaces(objects) + (missing_references(objects) if services else [])
    traffic = [source for service in services for source in _traffic(service)]
    names = ", ".join(written.name for written in services or clusters or workloads or ingresses)
    steps, expect = _upgrades_of(services, traffic) if services else ([], [])
    if workloads:
        steps, expect = rollout_steps(workloads), rollout_expectations(objects)
    waits = [{"wait": {"for": {"ready": _ref(service)}, "timeout": "30m"}} for service in services]
    waits += [ready_step(cluster) for cluster in clusters]
    if not (services or workloads):
        steps.append({"name": "it stays so", "sleep": "20s"})
    data: JsonObject = {
        "name": f"upgrade of {names}" if services else f"deployment of {names}",
        "description": (
            f"Deploys {names}, then changes rayClusterConfig and watches the upgrade under light traffic."
            if services
            else f"Deploys {names}, waits until all of it is ready{', then rolls it once' if workloads else ''}."
        ),
        "duration": "3h",
        "traffic": traffic,
        "steps": [{"name": "deploy", "apply": "all"}, *waits, *steps],
        "expect": [
            *expect,
            *({"cluster-ready": cluster_ref(cluster)} for cluster in clusters),
            *backend_expectations(ingresses),
        ],
    }
    document = Document(data, reference, {}, 1)
    file = parse_scenario(document)
    texts = [text or json.dumps([written.object for written in objects], sort_keys=True, default=str)]
    return Scenario(
        file=file,
        reference=reference,
        document=document,
        manifests=(*stand_ins, *objects),
        nodes=nodes_for(written.object for written in objects),
        applications=(),
        traffic={source.name: traffic_spec(source) for source in file.traffic},
        fingerprint=fingerprint(texts),
        warnings=(
            *remarks(objects),
            *(f"{o.kind} {o.name} is not in {reference}: a stand-in takes its place" for o in stand_ins),
            *(() if services else missing_remarks(objects, reference)),
            *silent_remarks(workloads, scripts),
        ),
        given_kuberay=profile,
    )


def _as_known(service: WrittenObject, profile: Profile | None) -> WrittenObject:
    """Without the fields that say how KubeRay 1.7 upgrades, where the operator is one that does not know them."""
    if profile != "1.1":
        return service
    spec = {key: value for key, value in service.object["spec"].items() if key not in _LATER_FIELDS}
    return WrittenObject({**service.object, "spec": spec}, service.document, service.base)


def _upgrades_of(services: list[WrittenObject], traffic: list[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    """Steps and expectations for RayServices that have just become ready."""
    steps: list[JsonObject] = []
    expect: list[JsonObject] = []
    if traffic:
        steps.append({"name": "the Services' rules reach the nodes", "sleep": "2s"})
        for service in services:
            if _is_incremental(service):
                steps.append({"name": "the gateway has its route", "wait": {"for": _route_in_effect(service)}})
        steps.append({"start-traffic": "all"})
    steps.append({"sleep": "20s"})
    for service in services:
        change = {"manifest": f"RayService/{service.name}", "set": {HARMLESS_CHANGE: "1"}}
        steps.append({"name": "change the cluster's configuration", "apply": change})
        if _upgrades(service):
            wait = {"for": {"upgrade-complete": _ref(service)}, "timeout": "30m"}
            steps.append({"name": "the new cluster takes over", "wait": wait})
            gone = {"for": {"old-cluster-gone": _ref(service)}, "timeout": "30m"}
            steps.append({"name": "the old cluster goes", "wait": gone})
            counts: JsonObject = {"peak": "<= 2", "count": 1, "switches": 1}
        else:
            counts = {"created": 1, "switches": 0}
        expect.append({"ready": _ref(service)})
        expect.append({"clusters": {**_ref(service), **counts}})
    steps.append({"sleep": "20s"})
    if traffic:
        steps.append({"stop-traffic": "all"})
        expect.append({"requests": {"failed": 0}})
    return steps, expect


def _ref(service: WrittenObject) -> JsonObject:
    return {"service": service.name, "namespace": service.namespace}


def _upgrades(service: WrittenObject) -> bool:
    strategy = service.object["spec"].get("upgradeStrategy") or {}
    return strategy.get("type") != "None"


def _is_incremental(service: WrittenObject) -> bool:
    strategy = service.object["spec"].get("upgradeStrategy") or {}
    return strategy.get("type") == INCREMENTAL


def _route_in_effect(service: WrittenObject) -> JsonObject:
    path = "status.parents[0].conditions[ResolvedRefs].status"
    route = {"kind": "HTTPRoute", "name": http_route_name(service.name), "namespace": service.namespace}
    return {"field": {**route, "path": path, "equals": "True"}}


def _traffic(service: WrittenObject) -> list[JsonObject]:
    spec = service.object["spec"]
    text = spec.get("serveConfigV2")
    if not text:
        return []
    config = parse_serve_config(text)
    found = []
    for application in config.applications:
        prefix = application.route_prefix
        if prefix is None:
            continue
        found.append(
            {
                "name": f"{service.name}/{application.name}",
                **_way_in(service),
                "namespace": service.namespace,
                "clients": _CLIENTS,
                "think-time": _THINK_TIME,
                "timeout": _TIMEOUT,
                # Clients drain to the new cluster well before the old one is deleted.
                "connection-age": f"{max(_deletion_delay_s(spec) / 3, 0.1):g}s",
                "requests": [{"path": prefix if prefix.endswith("/") else f"{prefix}/", **_request(application)}],
            }
        )
    return found


def _way_in(service: WrittenObject) -> JsonObject:
    """The serve Service; with incremental upgrades there is none, and the Gateway is the way in (kuberay-operator 2.9.1)."""
    spec = service.object["spec"]
    if _is_incremental(service):
        return {"gateway": gateway_name(service.name)}
    custom = ((spec.get("serveService") or {}).get("metadata") or {}).get("name")
    return {"service": custom or serve_service_name(service.name), "port": _serve_port(spec)}


def _deletion_delay_s(spec: JsonObject) -> float:
    delay = spec.get("rayClusterDeletionDelaySeconds")
    return float(_DELETION_DELAY_S if delay is None else delay)


def _request(application: Any) -> JsonObject:
    """Applications that rayrig ships get a request they can answer."""
    return _KNOWN_REQUESTS.get(application.import_path.replace(":", "."), {})


_KNOWN_REQUESTS: dict[str, JsonObject] = {
    "fruit.deployment_graph": {"json": ["MANGO", 2]},
    "conditional_dag.serve_dag": {"json": ["MUL", 3]},
}


def _serve_port(spec: JsonObject) -> int:
    """Port of the serve Service: the head's container port called `serve`, else 8000."""
    template = ((spec.get("rayClusterConfig") or {}).get("headGroupSpec") or {}).get("template") or {}
    for container in (template.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == "serve":
                return int(port["containerPort"])
    return 8000
