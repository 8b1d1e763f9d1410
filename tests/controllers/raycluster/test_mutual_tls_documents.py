"""Mutual TLS as values: what the operator asks cert-manager for, word for word, and how certificates reach the pods."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.mtls.certificates import has_drifted, wanted, with_owner
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster import autoscaler, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.redis_cleanup import cleanup_job
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resource_types import CERTIFICATE, ISSUER
from rayrig_core.resources.feature_gates import FeatureGates

GATED = OperatorOptions(gates=FeatureGates(ray_cluster_mtls=True))
MOUNT = {"name": "ray-tls", "mountPath": "/etc/ray/tls", "readOnly": True}
ENV = [
    {"name": "RAY_USE_TLS", "value": "1"},
    {"name": "RAY_TLS_SERVER_CERT", "value": "/etc/ray/tls/tls.crt"},
    {"name": "RAY_TLS_SERVER_KEY", "value": "/etc/ray/tls/tls.key"},
    {"name": "RAY_TLS_CA_CERT", "value": "/etc/ray/tls/ca.crt"},
]
SCRIPT = (
    'until openssl x509 -in "/etc/ray/tls/tls.crt" -noout -text 2>/dev/null '
    '| grep -qE "IP Address:${POD_IP}([^0-9.]|$)"; do sleep 5; done'
)
SMALL = {"cpu": "50m", "memory": "64Mi"}
HEAD_ADDRESS = [
    {"name": "FQ_RAY_IP", "value": "rc-head-svc.ml.svc.cluster.local"},
    {"name": "RAY_IP", "value": "rc-head-svc"},
]
WAIT = {
    "name": "wait-for-tls-ip-san",
    "image": "rayproject/ray:2.52.0",
    "command": ["sh", "-c"],
    "args": [SCRIPT],
    "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}, *HEAD_ADDRESS],
    "volumeMounts": [MOUNT],
    "resources": {"limits": SMALL, "requests": SMALL},
}


def made(values: Any, *groups: JsonObject, options: OperatorOptions = GATED, **fields: Any) -> Cluster:
    metadata = {"namespace": "ml", "uid": "0a1b2c3d-4e5f"}
    fields = {"tlsOptions": {"enabled": True}, "metadata": metadata, **fields}
    cluster: Cluster = values.cluster(*(groups or (values.group(),)), options=options, **fields)
    return cluster


def pod(node_type: str, ip: str | None, **status: Any) -> JsonObject:
    found = {"phase": "Running", **({"podIP": ip} if ip else {}), **status}
    return {"metadata": {"name": "p", "labels": {"ray.io/node-type": node_type}}, "status": found}


def document(kind: str, name: str, component: str, spec: JsonObject) -> JsonObject:
    owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "rc", "uid": "0a1b2c3d-4e5f"}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "ml",
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            "labels": {
                "app.kubernetes.io/name": "kuberay",
                "app.kubernetes.io/created-by": "kuberay-operator",
                "app.kubernetes.io/component": component,
                "ray.io/cluster": "rc",
            },
        },
        "spec": spec,
    }


def leaf(secret: str, names: list[str], addresses: list[str]) -> JsonObject:
    return {
        "secretName": secret,
        "duration": "2160h0m0s",
        "renewBefore": "360h0m0s",
        "dnsNames": names,
        "ipAddresses": addresses,
        "usages": ["digital signature", "key encipherment", "server auth", "client auth"],
        "issuerRef": {"name": "ray-ca-issuer-rc", "kind": "Issuer", "group": "cert-manager.io"},
    }


def certificate(cluster: Cluster, node_type: str, *pods: JsonObject) -> JsonObject:
    (found,) = (each.obj for each in wanted(cluster, pods) if each.what == f"{node_type} certificate")
    return found


def addresses(cluster: Cluster, node_type: str, *pods: JsonObject) -> list[str]:
    found: list[str] = certificate(cluster, node_type, *pods)["spec"]["ipAddresses"]
    return found


# What cert-manager is asked for


def test_an_authority_and_a_certificate_each_for_the_head_and_the_workers(values: Any) -> None:
    pods = [pod("head", "10.0.0.7"), pod("worker", "10.0.0.9"), pod("worker", "10.0.0.10")]
    root = {
        "secretName": "rc-ca-secret-0a1b2c3d",
        "isCA": True,
        "commonName": "ray-ca-rc",
        "privateKey": {"algorithm": "RSA", "size": 4096},
        "duration": "87600h0m0s",
        "renewBefore": "720h0m0s",
        "usages": ["cert sign", "crl sign"],
        "issuerRef": {"name": "ray-selfsigned-issuer-rc", "kind": "Issuer", "group": "cert-manager.io"},
    }
    head = leaf("ray-head-secret-rc", ["localhost", "rc-head-svc.ml.svc.cluster.local"], ["10.0.0.7", "127.0.0.1"])
    worker = leaf("ray-worker-secret-rc", ["localhost"], ["10.0.0.10", "10.0.0.9", "127.0.0.1"])
    authority = {"ca": {"secretName": "rc-ca-secret-0a1b2c3d"}}
    assert [tuple(each) for each in wanted(made(values), pods)] == [
        (
            "self-signed issuer",
            ISSUER,
            document("Issuer", "ray-selfsigned-issuer-rc", "selfsigned-issuer", {"selfSigned": {}}),
        ),
        ("CA certificate", CERTIFICATE, document("Certificate", "ray-ca-certificate-rc", "ca-certificate", root)),
        ("CA issuer", ISSUER, document("Issuer", "ray-ca-issuer-rc", "ca-issuer", authority)),
        ("head certificate", CERTIFICATE, document("Certificate", "ray-head-cert-rc", "head-certificate", head)),
        (
            "worker certificate",
            CERTIFICATE,
            document("Certificate", "ray-worker-cert-rc", "worker-certificate", worker),
        ),
    ]


def test_the_heads_certificate_names_the_service_that_clients_use(values: Any) -> None:
    custom = {"headService": {"metadata": {"name": "a-head"}}}
    options = OperatorOptions(gates=GATED.gates, cluster_domain="example.org")
    cluster = made(values, head=custom, options=options)
    assert certificate(cluster, "head")["spec"]["dnsNames"] == ["a-head.ml.svc.example.org", "localhost"]


@pytest.mark.parametrize("node_type", ["head", "worker"])
def test_addresses_are_those_of_its_own_pods_that_run(values: Any, node_type: str) -> None:
    other = {"head": "worker", "worker": "head"}[node_type]
    ends = pod(node_type, "10.0.0.3")
    ends["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pods = [
        pod(node_type, "10.0.0.2"),
        pod(node_type, "10.0.0.1", phase="Pending"),
        pod(node_type, "10.0.0.1"),
        pod(node_type, None),
        pod(node_type, "10.0.0.4", phase="Failed"),
        pod(node_type, "10.0.0.5", phase="Succeeded"),
        pod(other, "10.0.0.6"),
        ends,
        {"metadata": {"name": "new", "labels": {"ray.io/node-type": node_type}}},
    ]
    assert addresses(made(values), node_type, *pods) == ["10.0.0.1", "10.0.0.2", "127.0.0.1"]
    assert addresses(made(values), node_type) == ["127.0.0.1"]


def test_names_addresses_and_labels_are_drift_and_their_order_is_not(values: Any) -> None:
    desired = certificate(made(values), "head", pod("head", "10.0.0.7"))
    spec = desired["spec"]

    def drifted(**changed: Any) -> bool:
        return has_drifted(desired, {**desired, "spec": {**spec, **changed}})

    assert not drifted(
        ipAddresses=["127.0.0.1", "10.0.0.7"], dnsNames=["rc-head-svc.ml.svc.cluster.local", "localhost"]
    )
    assert not drifted(duration="1h", usages=[])
    assert drifted(ipAddresses=["127.0.0.1"])
    assert drifted(dnsNames=["localhost"])
    assert drifted(ipAddresses=None)
    bare = {key: value for key, value in spec.items() if key != "dnsNames"}
    assert has_drifted(desired, {**desired, "spec": bare})
    assert has_drifted(desired, {**desired, "metadata": {**desired["metadata"], "labels": {}}})


@pytest.mark.parametrize("place", [0, 1, 2])
def test_issuers_and_the_authority_are_left_as_they_are(values: Any, place: int) -> None:
    desired = wanted(made(values), ())[place].obj
    changed = {**desired, "metadata": {"name": name_of(desired)}, "spec": {"by": "hand"}}
    assert not has_drifted(desired, changed)


def test_a_secret_goes_with_its_certificate(values: Any) -> None:
    own = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "c", "uid": "u1"}
    secret = {"metadata": {"name": "s", "labels": {"a": "b"}}, "data": {"tls.crt": "x"}}
    cert = {"metadata": {"name": "c", "uid": "u1"}}
    owned = with_owner(secret, cert)
    assert owned == {**secret, "metadata": {"name": "s", "labels": {"a": "b"}, "ownerReferences": [own]}}
    assert with_owner(owned, cert) == owned
    again = with_owner(owned, {"metadata": {"name": "c", "uid": "u2"}})
    assert again["metadata"]["ownerReferences"] == [{**own, "uid": "u2"}], "a certificate that was made anew"
    others = [{**own, "name": "d"}, {**own, "kind": "Pod"}, {**own, "apiVersion": "v1"}]
    shared = with_owner({"metadata": {"name": "s", "ownerReferences": others}}, cert)
    assert shared["metadata"]["ownerReferences"] == [*others, own]


@pytest.mark.parametrize(
    ("conditions", "is_ready"),
    [
        ([{"type": "Ready", "status": "True", "observedGeneration": 3}], True),
        ([{"type": "Ready", "status": "True", "observedGeneration": 2}], False),
        ([{"type": "Ready", "status": "True"}], False),
        ([{"type": "Ready", "status": "False", "observedGeneration": 3}], False),
        ([{"type": "Issuing", "status": "True", "observedGeneration": 3}], False),
        ([], False),
    ],
)
def test_a_certificate_is_ready_when_it_is_issued_as_it_is_now(conditions: list[JsonObject], is_ready: bool) -> None:
    assert tls.is_ready({"metadata": {"generation": 3}, "status": {"conditions": conditions}}) is is_ready


# What pods get


@pytest.mark.parametrize(
    ("options", "spec"),
    [(OperatorOptions(), {"enabled": True}), (GATED, {"enabled": False}), (GATED, {}), (GATED, None)],
)
def test_pods_are_left_alone_without_the_gate_or_the_option(
    values: Any, options: OperatorOptions, spec: JsonObject | None
) -> None:
    cluster = made(values, options=options, tlsOptions=spec)
    assert not tls.is_enabled(cluster)
    for each in (head_pod(cluster, ""), worker_pod(cluster, cluster.groups[0], Place(0))):
        assert "tls" not in str(each)


def spec_of(values: Any, node_type: str, **container: Any) -> JsonObject:
    template = {"spec": {"containers": [values.container(f"ray-{node_type}", **container)]}}
    if node_type == "head":
        return head_pod(made(values, head={"template": template}), "")["spec"]
    cluster = made(values, values.group(template=template))
    return worker_pod(cluster, cluster.groups[0], Place(0))["spec"]


def test_a_head_waits_for_its_address_and_mounts_its_certificate(values: Any) -> None:
    spec = spec_of(values, "head")
    assert spec["initContainers"] == [WAIT]
    assert spec["volumes"][0] == {"name": "ray-tls", "secret": {"secretName": "ray-head-secret-rc"}}
    (ray,) = spec["containers"]
    assert ray["env"][:4] == ENV
    assert ray["volumeMounts"][0] == MOUNT


def test_a_worker_waits_for_its_address_and_then_for_the_gcs(values: Any) -> None:
    spec = spec_of(values, "worker")
    wait, gcs = spec["initContainers"]
    assert wait == WAIT
    assert gcs["name"] == "wait-gcs-ready"
    assert gcs["env"] == [*ENV, *HEAD_ADDRESS]
    assert gcs["volumeMounts"] == [MOUNT]
    assert spec["volumes"][0] == {"name": "ray-tls", "secret": {"secretName": "ray-worker-secret-rc"}}
    assert spec["containers"][0]["env"][:4] == ENV
    assert spec["containers"][0]["volumeMounts"][0] == MOUNT


def test_a_users_own_environment_volumes_and_mounts_come_first(values: Any) -> None:
    data = {"name": "data", "mountPath": "/data"}
    own = [{"name": "A", "value": "1"}]
    ray = values.container("ray-head", env=own, volumeMounts=[data])
    template = {"spec": {"containers": [ray], "volumes": [{"name": "data", "emptyDir": {}}]}}
    spec = head_pod(made(values, head={"template": template}), "")["spec"]
    assert spec["containers"][0]["env"][:5] == [*own, *ENV]
    assert spec["containers"][0]["volumeMounts"][:2] == [data, MOUNT]
    assert [volume["name"] for volume in spec["volumes"]] == ["data", "ray-tls", "shared-mem"]


def test_the_waiting_container_is_pulled_and_confined_like_rays(values: Any) -> None:
    own = {"imagePullPolicy": "Always", "securityContext": {"runAsUser": 1000}}
    (wait,) = spec_of(values, "head", image="mine:1", **own)["initContainers"]
    assert wait == {**WAIT, "image": "mine:1", **own}


def test_an_image_that_is_not_given_is_not_asked_for(values: Any) -> None:
    ray = {key: value for key, value in values.container("ray-head").items() if key != "image"}
    (wait,) = head_pod(made(values, head={"template": {"spec": {"containers": [ray]}}}))["spec"]["initContainers"]
    assert "image" not in wait


def test_other_init_containers_follow_and_get_no_certificate(values: Any) -> None:
    first = {"name": "first", "image": "busybox"}
    template = {"spec": {"containers": [values.container("ray-head")], "initContainers": [first]}}
    spec = head_pod(made(values, head={"template": template}), "")["spec"]
    assert spec["initContainers"] == [WAIT, {**first, "env": HEAD_ADDRESS}]


def test_what_a_template_has_of_that_name_is_not_added_again(values: Any) -> None:
    volume = {"name": "ray-tls", "secret": {"secretName": "mine"}}
    mine = {"name": "wait-for-tls-ip-san", "image": "busybox"}
    template = {"spec": {"containers": [values.container("r")], "volumes": [volume], "initContainers": [mine]}}
    spec = head_pod(made(values, head={"template": template}), "")["spec"]
    assert [each["name"] for each in spec["initContainers"]] == ["wait-for-tls-ip-san"]
    assert spec["initContainers"][0]["image"] == "busybox"
    assert [each for each in spec["volumes"] if each["name"] == "ray-tls"] == [volume]


@pytest.mark.parametrize(
    "mount", [{"name": "ray-tls", "mountPath": "/elsewhere"}, {"name": "mine", "mountPath": "/etc/ray/tls"}]
)
def test_a_containers_own_settings_are_kept(mount: JsonObject) -> None:
    container = {"name": "c", "env": [{"name": "RAY_USE_TLS", "value": "0"}], "volumeMounts": [mount]}
    tls.equip(container)
    assert container["env"] == [{"name": "RAY_USE_TLS", "value": "0"}, *ENV[1:]]
    assert container["volumeMounts"] == [mount]


def test_a_bare_container_is_equipped() -> None:
    container: JsonObject = {"name": "c"}
    tls.equip(container)
    assert container == {"name": "c", "env": ENV, "volumeMounts": [MOUNT]}


def test_the_autoscaler_has_the_certificate_before_a_users_settings(values: Any) -> None:
    given = {"env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    cluster = made(
        values,
        enableInTreeAutoscaling=True,
        autoscalerOptions=given,
        authOptions={"mode": "token"},
        rayVersion="2.52.0",
    )
    sidecar = autoscaler.container(cluster, "ray")
    names = ["RAY_AUTH_MODE", "RAY_AUTH_TOKEN", *(entry["name"] for entry in ENV), "A"]
    assert [entry["name"] for entry in sidecar["env"][-7:]] == names
    assert sidecar["volumeMounts"] == [MOUNT, *given["volumeMounts"]]


def test_the_clean_up_of_redis_waits_for_no_address(values: Any) -> None:
    options = {"redisAddress": "redis:6379"}
    job = cleanup_job(made(values, gcsFaultToleranceOptions=options))
    spec = job["spec"]["template"]["spec"]
    assert "initContainers" not in spec
    assert spec["containers"][0]["volumeMounts"][0] == MOUNT
    first = {"name": "first", "image": "busybox"}
    template = {"spec": {"containers": [values.container("ray-head")], "initContainers": [first]}}
    job = cleanup_job(made(values, gcsFaultToleranceOptions=options, head={"template": template}))
    assert [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]] == ["first"]


def test_objects_carry_the_labels_of_their_cluster_only(values: Any) -> None:
    two = [labels_of(each.obj)["ray.io/cluster"] for each in wanted(made(values, name="other"), ())]
    assert two == ["other"] * 5
    assert [name_of(each.obj) for each in wanted(made(values, name="other"), ())] == [
        "ray-selfsigned-issuer-other",
        "ray-ca-certificate-other",
        "ray-ca-issuer-other",
        "ray-head-cert-other",
        "ray-worker-cert-other",
    ]
