"""Issuers and Certificates of a RayCluster, and when one has drifted (kuberay-operator 3.14). Pure.

A self-signed issuer, a certificate authority made by it, an issuer that signs with that, and one certificate each for the head
and for all workers, with the addresses of the pods.
"""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_controllers.raycluster import tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CERTIFICATE, ISSUER, ResourceType
from rayrig_core.resources import labels

_LOOPBACK = "127.0.0.1"
_USAGES = ["digital signature", "key encipherment", "server auth", "client auth"]


def wanted(cluster: Cluster, pods: Iterable[JsonObject]) -> list[tuple[ResourceType, JsonObject]]:
    """In the order in which they are made."""
    name = cluster.name
    self_signed, authority = f"ray-selfsigned-issuer-{name}", f"ray-ca-issuer-{name}"
    ca_secret = f"ray-ca-secret-{name}"
    addresses = _addresses(pods)
    return [
        (ISSUER, _object(cluster, ISSUER, self_signed, "selfsigned-issuer", {"selfSigned": {}})),
        (
            CERTIFICATE,
            _object(
                cluster,
                CERTIFICATE,
                f"ray-ca-certificate-{name}",
                "ca-certificate",
                {
                    "secretName": ca_secret,
                    "isCA": True,
                    "commonName": f"ray-ca-{name}",
                    "privateKey": {"algorithm": "RSA", "size": 4096},
                    "duration": "87600h0m0s",
                    "renewBefore": "720h0m0s",
                    "usages": ["cert sign", "crl sign"],
                    "issuerRef": _issuer(self_signed),
                },
            ),
        ),
        (ISSUER, _object(cluster, ISSUER, authority, "ca-issuer", {"ca": {"secretName": ca_secret}})),
        *((CERTIFICATE, _leaf(cluster, node_type, addresses, authority)) for node_type in (labels.HEAD, labels.WORKER)),
    ]


def has_drifted(desired: JsonObject, present: JsonObject) -> bool:
    """Of a certificate only names and addresses count, whatever their order."""
    if present["metadata"].get("labels") != desired["metadata"]["labels"]:
        return True
    if "dnsNames" not in desired["spec"]:
        return bool(present.get("spec") != desired["spec"])
    return any(
        sorted(present["spec"].get(field) or ()) != desired["spec"][field] for field in ("dnsNames", "ipAddresses")
    )


def _addresses(pods: Iterable[JsonObject]) -> list[str]:
    found = {_LOOPBACK: None} | {str((pod.get("status") or {}).get("podIP") or _LOOPBACK): None for pod in pods}
    return sorted(found)


def _leaf(cluster: Cluster, node_type: str, addresses: list[str], issuer: str) -> JsonObject:
    spec = {
        "secretName": tls.secret_name(cluster, node_type),
        "duration": "2160h0m0s",
        "renewBefore": "360h0m0s",
        "dnsNames": sorted(dict.fromkeys(_names(cluster, node_type))),
        "ipAddresses": addresses,
        "usages": list(_USAGES),
        "issuerRef": _issuer(issuer),
    }
    name = tls.certificate_name(cluster, node_type)
    return _object(cluster, CERTIFICATE, name, f"{node_type}-certificate", spec)


def _names(cluster: Cluster, node_type: str) -> list[str]:
    namespace = cluster.namespace

    def forms(service: str) -> list[str]:
        return [service, f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]

    if node_type == labels.HEAD:
        return ["localhost", *forms(cluster.head_service_fqdn.partition(".")[0])]
    workers = f"{cluster.name}-headless"
    groups = [name for group in cluster.groups for name in forms(f"{cluster.name}-{group['groupName']}")]
    any_worker = [*forms(f"*.{workers}")[1:], *forms("*-worker-*")[1:]]
    return ["localhost", *forms(workers), *groups, *any_worker]


def _issuer(name: str) -> JsonObject:
    return {"name": name, "kind": ISSUER.kind, "group": ISSUER.group}


def _object(cluster: Cluster, resource: ResourceType, name: str, component: str, spec: JsonObject) -> JsonObject:
    own = {
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
        "app.kubernetes.io/component": component,
        labels.CLUSTER: cluster.name,
    }
    metadata = cluster.child_metadata(name, own)
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
