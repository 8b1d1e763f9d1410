"""Mutual TLS: what the operator asks cert-manager for, what pods wait for, and how the certificates reach them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import World, WorldSpec
from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resource_types import CERTIFICATE, ISSUER, ResourceType
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.trace import Kind
from rayrig_scenarios.api import Rig

_ENV = {
    "RAY_USE_TLS": "1",
    "RAY_TLS_SERVER_CERT": "/etc/ray/tls/tls.crt",
    "RAY_TLS_SERVER_KEY": "/etc/ray/tls/tls.key",
    "RAY_TLS_CA_CERT": "/etc/ray/tls/ca.crt",
}
_MOUNT = {"name": "ray-tls", "mountPath": "/etc/ray/tls", "readOnly": True}


def gated(spec: WorldSpec) -> MemoryWorld:
    return MemoryWorld(replace(spec, gates=FeatureGates(ray_cluster_mtls=True)))


def certified(spec: WorldSpec) -> World:
    world = gated(spec)
    world.api.add_definitions([definition(ISSUER), definition(CERTIFICATE)])
    return world


@pytest.fixture
def bare() -> Rig:
    """A world without cert-manager."""
    made = Rig(world_factory=gated)
    made.node("node", cpu=16)
    return made


@pytest.fixture
def rig() -> Rig:
    """A world with what cert-manager serves, though nobody is at work there."""
    made = Rig(world_factory=certified)
    made.node("node", cpu=16)
    return made


def definition(resource: ResourceType) -> JsonObject:
    """As much of cert-manager's as its objects need."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": resource.version, "served": True, "storage": True, "subresources": {"status": {}}}
    version |= {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}}
    names = {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()}
    spec = {"group": resource.group, "scope": "Namespaced", "names": names, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**kind, "metadata": {"name": resource.group_resource}, "spec": spec}


def cluster(**spec: Any) -> JsonObject:
    def group(name: str) -> JsonObject:
        return {"rayStartParams": {}, "template": {"spec": {"containers": [{"name": name, "image": "ray:2.55.1"}]}}}

    workers = {"groupName": "w", "replicas": 1, "minReplicas": 1, "maxReplicas": 2, **group("ray-worker")}
    whole = {"tlsOptions": {"enabled": True}, "headGroupSpec": group("ray-head"), "workerGroupSpecs": [workers], **spec}
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "rc"}, "spec": whole}


def events(rig: Rig) -> list[tuple[str, str]]:
    """(reason, note) of those about the cluster."""
    found = rig.trace.select(Kind.EVENT, subject="rayclusters/default/rc")
    return [(str(event["reason"]), str(event["message"])) for event in found]


def issue(rig: Rig, node_type: str) -> None:
    """cert-manager has made the certificate of the head, or of the workers."""
    keys = dict.fromkeys(("tls.crt", "tls.key", "ca.crt"), "pem")
    name = f"ray-{node_type}-secret-rc"
    rig.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys})
    certificate = rig.get("Certificate", f"ray-{node_type}-cert-rc")
    assert certificate is not None
    ready = {"type": "Ready", "status": "True", "observedGeneration": certificate["metadata"]["generation"]}
    client = rig.world.client("cert-manager")
    patch = {"status": {"conditions": [ready]}}
    write = client.patch(CERTIFICATE, f"ray-{node_type}-cert-rc", patch, "default", subresource="status")
    rig.world.run_until(rig.world.spawn("cert-manager", write))


def test_without_cert_manager_a_cluster_is_refused(bare: Rig) -> None:
    bare.apply(cluster())
    bare.sleep("60s")
    assert bare.objects("Pod") == []
    ((reason, note),) = events(bare)
    assert reason == "InvalidRayClusterSpec"
    assert note.endswith(" default/rc: tlsOptions requires cert-manager, but cert-manager is not installed")


def test_pods_wait_for_their_certificates(rig: Rig) -> None:
    rig.apply(cluster())
    rig.sleep("20s")
    assert [name_of(issuer) for issuer in rig.objects("Issuer")] == ["ray-ca-issuer-rc", "ray-selfsigned-issuer-rc"]
    names = ["ray-ca-certificate-rc", "ray-head-cert-rc", "ray-worker-cert-rc"]
    assert [name_of(certificate) for certificate in rig.objects("Certificate")] == names
    assert rig.objects("Pod") == []
    assert ("MTLSCertsNotReady", "Waiting for cert-manager to issue mTLS certificates") in events(rig)
    issue(rig, "head")
    rig.sleep("20s")
    assert rig.objects("Pod") == [], "that of the workers is missing"
    issue(rig, "worker")
    rig.wait({"cluster-ready": "rc"})
    certificate = rig.get("Certificate", "ray-head-cert-rc")
    assert certificate is not None
    (head,) = (pod for pod in rig.objects("Pod") if labels_of(pod)["ray.io/node-type"] == "head")
    assert certificate["spec"]["ipAddresses"] == sorted([head["status"]["podIP"], "127.0.0.1"])
    assert certificate["spec"]["dnsNames"] == ["localhost", "rc-head-svc.default.svc.cluster.local"]


def test_certificates_are_mounted_wherever_ray_is_spoken_to(rig: Rig) -> None:
    rig.apply(cluster(enableInTreeAutoscaling=True))
    rig.sleep("5s")
    issue(rig, "head")
    issue(rig, "worker")
    rig.wait({"cluster-ready": "rc"})
    for pod in rig.objects("Pod"):
        spec, node_type = pod["spec"], labels_of(pod)["ray.io/node-type"]
        (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "ray-tls")
        assert volume["secret"]["secretName"] == f"ray-{node_type}-secret-rc"
        waits, *others = spec["initContainers"]
        assert waits["name"] == "wait-for-tls-ip-san"
        assert _MOUNT in waits["volumeMounts"]
        assert [each["name"] for each in others] == ([] if node_type == "head" else ["wait-gcs-ready"])
        for container in (*others, *spec["containers"]):
            env = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert {name: env.get(name) for name in _ENV} == _ENV
            assert _MOUNT in container["volumeMounts"]


def test_a_cluster_without_tls_is_left_alone(rig: Rig) -> None:
    rig.apply(cluster(tlsOptions={"enabled": False}))
    rig.wait({"cluster-ready": "rc"})
    assert all("ray-tls" not in str(pod["spec"]) for pod in rig.objects("Pod"))
