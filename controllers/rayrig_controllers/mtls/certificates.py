"""Issuers and Certificates of a RayCluster, and when one has drifted (KubeRay 1.7.0; kuberay-operator 3.14). Pure.

A self-signed issuer, a certificate authority made by it, an issuer that signs with that, and one certificate each for the head
and for all workers, with the addresses of their pods.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rayrig_controllers.raycluster import tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject, is_being_deleted, labels_of, name_of, uid_of
from rayrig_core.resource_types import CERTIFICATE, ISSUER, ResourceType
from rayrig_core.resources import labels

_LOOPBACK = "127.0.0.1"
_ENDED = ("Succeeded", "Failed")


class Wanted(NamedTuple):
    """One object, and what events call it."""

    what: str
    resource: ResourceType
    obj: JsonObject


def authority_name(cluster: Cluster) -> str:
    """Of the certificate that signs the others."""
    return f"ray-ca-certificate-{cluster.name}"


def wanted(cluster: Cluster, pods: Iterable[JsonObject]) -> list[Wanted]:
    """In the order in which they are made."""
    self_signed, authority = f"ray-selfsigned-issuer-{cluster.name}", f"ray-ca-issuer-{cluster.name}"
    # A cluster of the same name that is made later does not find this one's.
    secret = f"{cluster.name}-ca-secret-{cluster.uid[:8]}"
    root = {
        "secretName": secret,
        "isCA": True,
        "commonName": f"ray-ca-{cluster.name}",
        "privateKey": {"algorithm": "RSA", "size": 4096},
        "duration": "87600h0m0s",
        "renewBefore": "720h0m0s",
        "usages": ["cert sign", "crl sign"],
        "issuerRef": _issuer(self_signed),
    }
    alive = [pod for pod in pods if not is_being_deleted(pod) and (pod.get("status") or {}).get("phase") not in _ENDED]
    return [
        _wanted(cluster, ISSUER, self_signed, "self-signed issuer", "selfsigned-issuer", {"selfSigned": {}}),
        _wanted(cluster, CERTIFICATE, authority_name(cluster), "CA certificate", "ca-certificate", root),
        _wanted(cluster, ISSUER, authority, "CA issuer", "ca-issuer", {"ca": {"secretName": secret}}),
        _leaf(cluster, labels.HEAD, ["localhost", cluster.head_service_fqdn], alive, authority),
        _leaf(cluster, labels.WORKER, ["localhost"], alive, authority),
    ]


def has_drifted(desired: JsonObject, present: JsonObject) -> bool:
    """Of the head's and the workers' certificates labels, names and addresses count, whatever their order; of others nothing."""
    spec = desired["spec"]
    if "ipAddresses" not in spec:
        return False
    return labels_of(present) != labels_of(desired) or any(
        sorted(present["spec"].get(field) or ()) != spec[field] for field in ("dnsNames", "ipAddresses")
    )


def with_owner(secret: JsonObject, certificate: JsonObject) -> JsonObject:
    """The Secret of a certificate, that goes with it."""
    own = {"apiVersion": CERTIFICATE.api_version, "kind": CERTIFICATE.kind, "name": name_of(certificate)}
    references = secret["metadata"].get("ownerReferences") or []
    others = [each for each in references if any(each.get(key) != value for key, value in own.items())]
    metadata = {**secret["metadata"], "ownerReferences": [*others, {**own, "uid": uid_of(certificate)}]}
    return {**secret, "metadata": metadata}


def _leaf(cluster: Cluster, node_type: str, names: list[str], pods: list[JsonObject], issuer: str) -> Wanted:
    addresses = {pod["status"]["podIP"] for pod in pods if _is_reachable(pod, node_type)} | {_LOOPBACK}
    spec = {
        "secretName": tls.secret_name(cluster, node_type),
        "duration": "2160h0m0s",
        "renewBefore": "360h0m0s",
        "dnsNames": sorted(names),
        "ipAddresses": sorted(addresses),
        "usages": ["digital signature", "key encipherment", "server auth", "client auth"],
        "issuerRef": _issuer(issuer),
    }
    name = tls.certificate_name(cluster, node_type)
    return _wanted(cluster, CERTIFICATE, name, f"{node_type} certificate", f"{node_type}-certificate", spec)


def _is_reachable(pod: JsonObject, node_type: str) -> bool:
    return labels_of(pod).get(labels.NODE_TYPE) == node_type and bool((pod.get("status") or {}).get("podIP"))


def _issuer(name: str) -> JsonObject:
    return {"name": name, "kind": ISSUER.kind, "group": ISSUER.group}


def _wanted(cluster: Cluster, resource: ResourceType, name: str, what: str, component: str, spec: JsonObject) -> Wanted:
    own = {
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
        "app.kubernetes.io/component": component,
        labels.CLUSTER: cluster.name,
    }
    metadata = cluster.child_metadata(name, own)
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
    return Wanted(what, resource, obj)
