"""The controller of certificates at work, in two namespaces with clusters of one name: what it writes, awaits and tells."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rayrig_controllers.mtls.controller import controller
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resource_types import CERTIFICATE, EVENT, ISSUER, NAMESPACE, POD, RAY_CLUSTER, SECRET, ResourceType
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_sim.kernel import Kernel

GATES = FeatureGates(ray_cluster_mtls=True)
MAKE_ALL = [
    "create issuers ray-selfsigned-issuer-rc",
    "create certificates ray-ca-certificate-rc",
    "create issuers ray-ca-issuer-rc",
    "create certificates ray-head-cert-rc",
    "create certificates ray-worker-cert-rc",
]
WAITS = ("Normal", "MTLSCertsNotReady", "Reconcile", "Waiting for cert-manager to issue mTLS certificates")
READY = ("Normal", "MTLSPKIReady", "Reconcile", "mTLS PKI is ready: CA, head, and worker certificates issued")
KEYS = dict.fromkeys(("tls.crt", "tls.key", "ca.crt"), "cGVt")


def definition(resource: ResourceType) -> JsonObject:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": resource.version, "served": True, "storage": True, "subresources": {"status": {}}}
    version |= {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}}
    names = {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()}
    spec = {"group": resource.group, "scope": "Namespaced", "names": names, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**kind, "metadata": {"name": resource.group_resource}, "spec": spec}


@pytest.fixture
def make(make_rig: Any) -> Any:
    """Makes worlds with the namespaces `default` and `ml`, and cert-manager's definitions unless told otherwise."""

    class TlsRig(make_rig):  # type: ignore[misc]
        controllers: ClassVar[Any] = {**make_rig.controllers, "raycluster-mtls-controller": controller}
        certified = True

        def start(self) -> Any:
            if self.certified:
                self.server.add_definitions([definition(ISSUER), definition(CERTIFICATE)])
            self.server.call(ApiCall("create", NAMESPACE, body={"metadata": {"name": "ml"}}))
            return super().start()

        def call(self, verb: Any, resource: ResourceType, place: str, name: str = "", **rest: Any) -> JsonObject:
            return self.server.call(ApiCall(verb, resource, place, name, **rest)).own()

        def read(self, resource: ResourceType, name: str, place: str = "ml") -> JsonObject:
            return self.call("get", resource, place, name)

        def all(self, resource: ResourceType, place: str = "ml") -> list[JsonObject]:
            return [stored.copy() for stored in self.server.list(ApiCall("list", resource, place)).items]

        def secret(self, name: str, place: str = "ml", **data: str) -> None:
            self.call("create", SECRET, place, body={"metadata": {"name": name}, "data": data or KEYS})

        def status(self, name: str, place: str = "ml", ready: str = "True", **fields: Any) -> None:
            """cert-manager writes the status of a certificate."""
            obj = self.read(CERTIFICATE, name, place)
            condition = {"type": "Ready", "status": ready, "observedGeneration": obj["metadata"]["generation"]}
            obj["status"] = {"conditions": [condition], **fields}
            self.call("update", CERTIFICATE, place, name, subresource="status", body=obj)

        def issue(self, place: str = "ml") -> None:
            """cert-manager issues all three certificates."""
            for name in ("ray-ca-certificate-rc", "ray-head-cert-rc", "ray-worker-cert-rc"):
                secret = self.read(CERTIFICATE, name, place)["spec"]["secretName"]
                if secret not in map(name_of, self.all(SECRET, place)):
                    self.secret(secret, place)
                self.status(name, place)

        def certificate_writes(self, since_s: float = 0.0, place: str = "ml") -> list[str]:
            """Of objects that TLS needs, in one namespace."""
            kinds = (f"{each}/{place}/" for each in ("issuers", "certificates", "secrets"))
            starts = tuple(kinds)
            return [
                f"{event['verb']} {event['resource']} {event.subject.rpartition('/')[2]}"
                for event in self.kernel.trace.select(Kind.API_WRITE)
                if event.actor.startswith("operator") and event.t_s >= since_s and event.subject.startswith(starts)
            ]

        def says(self, since_s: float = 0.0, place: str = "ml") -> list[tuple[float, str, str, str]]:
            """When, of which type and why what was told of the cluster about certificates."""
            return [
                (event.t_s, event["type"], event["reason"], event["message"])
                for event in self.kernel.trace.select(Kind.EVENT, subject=f"rayclusters/{place}/rc")
                if event["reason"].startswith("MTLS") and event.t_s >= since_s
            ]

        def acts(self, place: str = "ml") -> set[tuple[str, str, str, str]]:
            """Reason, action, who reports and whose each stored Event about certificates is."""
            return {
                (event["reason"], event["action"], event["reportingController"], event["regarding"]["uid"])
                for event in self.all(EVENT, place)
                if event["reason"].startswith("MTLS")
            }

        def passes(self, since_s: float = 0.0, place: str = "ml") -> list[tuple[float, str, Any]]:
            """When the certificates of the cluster were looked at with another result than before, or with writes."""
            return [
                (event.t_s, event["outcome"], event["requeue_ms"])
                for event in self.kernel.trace.select(Kind.RECONCILE, subject=f"rayclusters/{place}/rc")
                if event["controller"] == "raycluster-mtls-controller" and event.t_s >= since_s
            ]

    def world(*, certified: bool = True, **options: Any) -> Any:
        TlsRig.certified = certified
        return TlsRig(gates=GATES, **options)

    return world


def cluster(values: Any, place: str = "ml", **fields: Any) -> JsonObject:
    metadata = {"namespace": place, "uid": f"uid-{place}", **fields.pop("metadata", {})}
    found: JsonObject = values.ray_cluster(
        *fields.pop("groups", [values.group()]), **{"tlsOptions": {"enabled": True}, **fields}, metadata=metadata
    )
    return found


def apply(rig: Any, values: Any, place: str = "ml", **fields: Any) -> None:
    rig.call("create", RAY_CLUSTER, place, body=cluster(values, place, **fields))


def edit(rig: Any, place: str = "ml", **body: Any) -> None:
    rig.call("patch", RAY_CLUSTER, place, "rc", body=body, patch_type="merge")


def address(rig: Any, name: str, ip: str, place: str = "ml", phase: str = "Running") -> None:
    """A pod has its address."""
    obj = rig.read(POD, name, place)
    obj["status"] = {"phase": phase, "podIP": ip}
    rig.call("update", POD, place, name, subresource="status", body=obj)


def pod(rig: Any, name: str, node_type: str, ip: str, place: str = "ml", owner: str = "rc") -> None:
    """A pod that somebody made, with an address."""
    labels = {"ray.io/cluster": owner, "ray.io/node-type": node_type}
    containers = [{"name": "c", "image": "ray"}]
    rig.call(
        "create", POD, place, body={"metadata": {"name": name, "labels": labels}, "spec": {"containers": containers}}
    )
    address(rig, name, ip, place)


def addresses(rig: Any, node_type: str, place: str = "ml") -> list[str]:
    found: list[str] = rig.read(CERTIFICATE, f"ray-{node_type}-cert-rc", place)["spec"]["ipAddresses"]
    return found


@pytest.fixture
def two(make: Any, values: Any) -> Any:
    """Clusters of one name in two namespaces, with everything asked for and nothing issued, 5 s after they were made."""
    rig = make()
    for place in ("default", "ml"):
        apply(rig, values, place)
    rig.run(5)
    return rig


# Asking


def test_all_is_made_in_order_and_then_waited_for(two: Any) -> None:
    for place in ("default", "ml"):
        assert two.certificate_writes(place=place) == MAKE_ALL
        assert two.passes(place=place) == [
            (0.0, 'error: Certificate.cert-manager.io "ray-head-cert-rc" not found', 5),
            (0.0, "ok", 30_000),
        ]
        assert {(t_s, *rest) for t_s, *rest in two.says(place=place)} == {(0.0, WAITS[0], WAITS[1], WAITS[3])}
        uid = two.read(RAY_CLUSTER, "rc", place)["metadata"]["uid"]
        assert two.acts(place) == {("MTLSCertsNotReady", "Reconcile", "raycluster-mtls-controller", uid)}
        for resource in (ISSUER, CERTIFICATE):
            for obj in two.all(resource, place):
                (owner,) = obj["metadata"]["ownerReferences"]
                assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
                    "RayCluster",
                    "rc",
                    uid,
                    True,
                )


def test_it_looks_again_after_30_s_while_it_waits_and_each_minute_when_all_is_issued(two: Any) -> None:
    two.run(56)
    assert sorted({t_s for t_s, *_ in two.says()}) == [0.0, 30.0, 60.0]
    two.issue()
    two.run(100)
    told = {t_s: tuple(rest) for t_s, *rest in two.says(61.0)}
    ready = (READY[0], READY[1], READY[3])
    assert set(told.values()) == {ready}
    # Once more when the pods have been made, which the cluster's status says.
    assert [round(t_s, 3) for t_s in sorted(told)] == [61.0, 81.91, 141.91]
    assert ("MTLSPKIReady", "Reconcile") in {each[:2] for each in two.acts()}
    assert {t_s: reason for t_s, _, reason, _ in two.says(61.0, "default")} == {
        90.0: "MTLSCertsNotReady",
        120.0: "MTLSCertsNotReady",
        150.0: "MTLSCertsNotReady",
    }


@pytest.mark.parametrize("late", ["head", "worker"])
def test_both_certificates_must_be_issued(two: Any, late: str) -> None:
    two.issue()
    two.status(f"ray-{late}-cert-rc", ready="False")
    two.run(1)
    assert {reason for _, _, reason, _ in two.says(5.0)} == {"MTLSCertsNotReady"}
    two.status(f"ray-{late}-cert-rc")
    two.run(0.1)
    assert two.says(6.0)[-1] == (6.0, READY[0], READY[1], READY[3])


def test_what_was_deleted_is_made_again(two: Any) -> None:
    for resource, name in ((ISSUER, "ray-ca-issuer-rc"), (CERTIFICATE, "ray-worker-cert-rc")):
        two.call("delete", resource, "ml", name)
    two.run(1)
    assert sorted(two.certificate_writes(5.0)) == [
        "create certificates ray-worker-cert-rc",
        "create issuers ray-ca-issuer-rc",
    ]
    assert two.certificate_writes(5.0, "default") == []


def test_a_secret_goes_with_its_certificate_as_soon_as_it_is_there(two: Any) -> None:
    two.issue()
    two.secret("ray-head-secret-rc", "default")
    two.run(60)
    uid = two.read(RAY_CLUSTER, "rc")["metadata"]["uid"]
    secrets = {
        "ray-ca-certificate-rc": f"rc-ca-secret-{uid[:8]}",
        "ray-head-cert-rc": "ray-head-secret-rc",
        "ray-worker-cert-rc": "ray-worker-secret-rc",
    }
    assert two.certificate_writes(5.0) == [f"update secrets {name}" for name in secrets.values()]
    for certificate, secret in secrets.items():
        owner = two.read(CERTIFICATE, certificate)["metadata"]["uid"]
        assert two.read(SECRET, secret)["metadata"]["ownerReferences"] == [
            {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": certificate, "uid": owner}
        ]
        assert two.read(SECRET, secret)["data"] == KEYS
    assert two.certificate_writes(5.0, "default") == ["update secrets ray-head-secret-rc"]


# Addresses


def test_a_certificate_follows_the_addresses_of_its_own_pods(two: Any) -> None:
    pod(two, "h", "head", "10.0.0.2")
    pod(two, "w", "worker", "10.0.0.3")
    pod(two, "else", "head", "10.0.0.4", "default")
    pod(two, "stranger", "head", "10.0.0.5", owner="other")
    edit(two, metadata={"labels": {"look": "now"}})
    two.run(0.5)
    assert addresses(two, "head") == ["10.0.0.2", "127.0.0.1"]
    assert addresses(two, "worker") == ["10.0.0.3", "127.0.0.1"]
    assert two.certificate_writes(5.0) == [
        "update certificates ray-head-cert-rc",
        "update certificates ray-worker-cert-rc",
    ]
    assert two.says(5.0)[:2] == [
        (5.0, "Normal", "MTLSCertificatesUpdated", "Updated head certificate SANs (IPs: [10.0.0.2 127.0.0.1])"),
        (5.0, "Normal", "MTLSCertificatesUpdated", "Updated worker certificate SANs (IPs: [10.0.0.3 127.0.0.1])"),
    ]
    assert ("MTLSCertificatesUpdated", "Update") in {each[:2] for each in two.acts()}
    assert addresses(two, "head", "default") == ["10.0.0.4", "127.0.0.1"]
    assert two.certificate_writes(5.0, "default") == ["update certificates ray-head-cert-rc"]


def test_a_change_of_addresses_must_be_issued_before_more_pods_are_made(two: Any) -> None:
    two.issue()
    two.run(1)
    (head,) = (each for each in two.all(POD) if labels_of(each)["ray.io/node-type"] == "head")
    address(two, name_of(head), "10.0.0.2")
    two.run(10)
    assert two.read(CERTIFICATE, "ray-head-cert-rc")["metadata"]["generation"] == 2
    group = two.read(RAY_CLUSTER, "rc")["spec"]["workerGroupSpecs"][0]
    edit(two, spec={"workerGroupSpecs": [{**group, "replicas": 2}]})
    two.run(1)
    assert len(two.all(POD)) == 2
    (error,) = {
        event["outcome"]
        for event in two.kernel.trace.select(Kind.RECONCILE, subject="rayclusters/ml/rc")
        if event["controller"] == "raycluster-controller" and event.t_s >= 16
    }
    assert error == "error: mTLS secrets not ready: certificate ray-head-cert-rc is not ready at current generation 2"
    two.issue()
    two.run(2)
    assert len(two.all(POD)) == 3


def test_labels_and_names_that_were_changed_by_hand_are_put_right(two: Any) -> None:
    before = two.read(CERTIFICATE, "ray-head-cert-rc")
    changed = {"metadata": {"labels": {"ray.io/cluster": "x"}, "annotations": {"a": "b"}}, "spec": {"dnsNames": ["x"]}}
    two.call("patch", CERTIFICATE, "ml", "ray-head-cert-rc", body=changed, patch_type="merge")
    two.run(1)
    after = two.read(CERTIFICATE, "ray-head-cert-rc")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["metadata"]["annotations"] == {"a": "b"}
    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]


def test_issuers_and_the_authority_are_not_put_right(two: Any) -> None:
    for resource, name in ((ISSUER, "ray-ca-issuer-rc"), (CERTIFICATE, "ray-ca-certificate-rc")):
        two.call("patch", resource, "ml", name, body={"spec": {"by": "hand"}}, patch_type="merge")
    two.run(1)
    assert two.certificate_writes(5.0) == []


# What is awaited before pods are made


def errors(rig: Any, since_s: float, place: str = "ml") -> list[str]:
    """What the RayCluster controller says, each once."""
    told = [
        str(event["outcome"])
        for event in rig.kernel.trace.select(Kind.RECONCILE, subject=f"rayclusters/{place}/rc")
        if event["controller"] == "raycluster-controller" and event.t_s >= since_s
    ]
    return list(dict.fromkeys(told))


def test_pods_wait_for_each_certificate_and_each_secret_with_its_keys(two: Any) -> None:
    waits = "error: mTLS secrets not ready: "
    steps = [
        (lambda: two.status("ray-head-cert-rc"), "certificate ray-worker-cert-rc is not ready at current generation 1"),
        (
            lambda: two.status("ray-worker-cert-rc"),
            'secret ray-head-secret-rc not found: Secret "ray-head-secret-rc" not found',
        ),
        (
            lambda: two.secret("ray-head-secret-rc", **{"tls.key": "eA==", "ca.crt": "eA=="}),
            "secret ray-head-secret-rc missing required key tls.crt",
        ),
    ]
    for act, expected in steps:
        act()
        two.run(20 if two.now < 30 else 100)
        assert errors(two, two.now - 10.3 if two.now < 30 else two.now - 90)[-1] == waits + expected
        assert two.all(POD) == []


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("node_type", ["head", "worker"])
def test_a_secret_without_one_of_its_keys_is_not_enough(two: Any, node_type: str, key: str) -> None:
    two.secret(f"ray-{node_type}-secret-rc", **{name: text for name, text in KEYS.items() if name != key})
    two.issue()
    two.issue("default")
    two.run(1)
    expected = f"error: mTLS secrets not ready: secret ray-{node_type}-secret-rc missing required key {key}"
    assert errors(two, 5.0) == [expected]
    assert two.all(POD) == []
    assert len(two.all(POD, "default")) == 2


def test_pods_that_are_there_are_looked_after_while_certificates_are_missing(two: Any) -> None:
    two.issue()
    two.run(10)
    assert len(two.all(POD)) == 2
    two.status("ray-worker-cert-rc", ready="False")
    passes = two.manager.controllers["raycluster-controller"].reconciles
    edit(two, metadata={"labels": {"look": "now"}})
    two.run(0.01)
    assert two.manager.controllers["raycluster-controller"].reconciles == passes + 1
    assert errors(two, 15.0) == []


def test_several_hosts_of_a_replica_wait_as_well(make: Any, values: Any) -> None:
    rig = make()
    apply(rig, values, groups=[values.group(replicas=0, numOfHosts=2)])
    rig.run(1)
    rig.issue()
    rig.run(5)
    rig.status("ray-head-cert-rc", ready="False")
    group = rig.read(RAY_CLUSTER, "rc")["spec"]["workerGroupSpecs"][0]
    edit(rig, spec={"workerGroupSpecs": [{**group, "replicas": 1}]})
    rig.run(1)
    assert errors(rig, 6.0) == [
        "error: mTLS secrets not ready: certificate ray-head-cert-rc is not ready at current generation 1"
    ]
    assert len(rig.all(POD)) == 1


# The end of certificates


@pytest.mark.parametrize("name", ["ray-head-cert-rc", "ray-worker-cert-rc", "ray-ca-certificate-rc"])
@pytest.mark.parametrize(("seconds", "hours"), [(86_399, "24.0"), (9_000, "2.5"), (-3600, "-1.0")])
def test_a_certificate_that_ends_within_a_day_is_warned_about(two: Any, name: str, seconds: int, hours: str) -> None:
    two.issue()
    two.status(name, notAfter=rfc3339(two.kernel.unix_ns() + seconds * NS))
    two.run(0.01)
    note = (
        f"TLS certificate {name} expires in {hours} hours; "
        "Ray does not hot-reload certs so a pod restart will be needed after renewal"
    )
    assert two.says(5.0)[1] == (5.0, "Warning", "MTLSCertificateExpiringSoon", note)
    assert ("MTLSCertificateExpiringSoon", "Reconcile") in {each[:2] for each in two.acts()}
    assert not [each for each in two.says(5.0, "default") if each[2] == "MTLSCertificateExpiringSoon"]


def test_one_that_lasts_a_day_is_not(two: Any) -> None:
    two.issue()
    two.status("ray-head-cert-rc", notAfter=rfc3339(two.kernel.unix_ns() + 86_400 * NS))
    two.run(0.01)
    assert {reason for _, _, reason, _ in two.says(5.0)} == {"MTLSPKIReady"}


# Refusals


REFUSED = [
    ("create", "issuers/ml/ray-selfsigned-issuer-rc", "self-signed issuer"),
    ("create", "certificates/ml/ray-ca-certificate-rc", "CA certificate"),
    ("create", "issuers/ml/ray-ca-issuer-rc", "CA issuer"),
    ("create", "certificates/ml/ray-head-cert-rc", "head certificate"),
    ("create", "certificates/ml/ray-worker-cert-rc", "worker certificate"),
]


@pytest.mark.parametrize(("verb", "target", "what"), REFUSED)
def test_a_refusal_is_told_and_tried_again_and_nothing_further_is_made(
    make: Any, values: Any, verb: str, target: str, what: str
) -> None:
    rig = make()
    rig.refuse(verb, target)
    apply(rig, values)
    rig.run(0.004)
    note = f"Failed to reconcile mTLS {what}: not today"
    assert {(t_s, *rest) for t_s, *rest in rig.says()} == {(0.0, "Warning", "MTLSFailedToReconcile", note)}
    assert rig.passes()[0] == (0.0, "error: not today", 5)
    assert len(rig.certificate_writes()) == [each[2] for each in REFUSED].index(what)
    rig.refusals.clear()
    rig.run(1)
    assert rig.certificate_writes() == MAKE_ALL
    assert ("MTLSFailedToReconcile", "Reconcile") in {each[:2] for each in rig.acts()}


def test_an_update_that_is_refused_is_told_after_what_was_meant_to_change(two: Any) -> None:
    two.refuse("update", "certificates/ml/ray-head-cert-rc")
    pod(two, "h", "head", "10.0.0.2")
    edit(two, metadata={"labels": {"look": "now"}})
    two.run(0.004)
    assert [reason for _, _, reason, _ in two.says(5.0)][:2] == ["MTLSCertificatesUpdated", "MTLSFailedToReconcile"]
    two.refusals.clear()
    two.run(1)
    assert addresses(two, "head") == ["10.0.0.2", "127.0.0.1"]


# Clusters that are none of its business


@pytest.mark.parametrize(
    "fields",
    [
        {"tlsOptions": {"enabled": False}},
        {"tlsOptions": {}},
        {"managedBy": "kueue.x-k8s.io/multikueue"},
    ],
)
def test_nothing_is_asked_for_clusters_without_tls_or_of_others(make: Any, values: Any, fields: JsonObject) -> None:
    rig = make()
    apply(rig, values, **fields)
    rig.run(5)
    assert rig.certificate_writes() == []
    assert rig.says() == []
    assert rig.passes() == [(0.0, "ok", 0)]


def test_one_that_says_who_manages_it_is_served(make: Any, values: Any) -> None:
    rig = make()
    apply(rig, values, managedBy="ray.io/kuberay-operator")
    rig.run(5)
    assert rig.certificate_writes() == MAKE_ALL


def test_a_cluster_that_is_being_deleted_gets_nothing_more(make: Any, values: Any) -> None:
    rig = make()
    apply(rig, values, metadata={"finalizers": ["x.org/hold"]})
    rig.run(1)
    rig.call("delete", RAY_CLUSTER, "ml", "rc")
    rig.call("delete", CERTIFICATE, "ml", "ray-head-cert-rc")
    rig.run(60)
    assert rig.certificate_writes(1.0) == []
    assert rig.passes(1.0) == [(1.0, "ok", 0)]


def test_a_cluster_that_is_gone_is_no_matter(make: Any, values: Any) -> None:
    rig = make()
    apply(rig, values)
    rig.run(1)
    rig.call("delete", RAY_CLUSTER, "ml", "rc")
    rig.run(60)
    assert rig.certificate_writes(1.0) == []
    assert rig.passes(1.0) == [(1.0, "ok", 0)]


# Without cert-manager


def test_without_cert_manager_nothing_is_asked_for_until_the_operator_starts_again(make: Any, values: Any) -> None:
    rig = make(certified=False)
    apply(rig, values)
    rig.run(1)
    refusal = (
        "The RayCluster spec is invalid ml/rc: tlsOptions requires cert-manager, but cert-manager is not installed"
    )
    told = [
        (event["type"], event["reason"], event["message"])
        for event in rig.kernel.trace.select(Kind.EVENT, subject="rayclusters/ml/rc")
    ]
    assert told == [("Warning", "InvalidRayClusterSpec", refusal)]
    assert rig.passes() == [(0.0, "ok", 0)]
    rig.server.add_definitions([definition(ISSUER), definition(CERTIFICATE)])
    edit(rig, metadata={"labels": {"look": "now"}})
    rig.run(1)
    assert rig.certificate_writes() == []
    rig.manager.crash()
    rig.manager = super(type(rig), rig).start()
    rig.run(1)
    assert rig.certificate_writes() == MAKE_ALL


def test_the_cluster_is_refused_whether_or_not_anybody_asks_for_certificates(make_rig: Any, values: Any) -> None:
    rig = make_rig(gates=GATES)
    rig.create(cluster(values, "default"))
    rig.run(1)
    refusal = (
        "The RayCluster spec is invalid default/rc: tlsOptions requires cert-manager, but cert-manager is not installed"
    )
    assert rig.told("InvalidRayClusterSpec") == [("Warning", "Validate", refusal)]


def test_the_gate_decides_whether_the_controller_runs() -> None:
    def names(options: OperatorOptions) -> list[str]:
        kernel = Kernel(seed=1)
        rng = kernel.streams.stream("operator")
        return list(operator(kernel, None, http=None, rng=rng, options=options).controllers)  # type: ignore[arg-type]

    both = ["rayservice-controller", "raycluster-controller"]
    assert names(OperatorOptions()) == both
    assert names(OperatorOptions(gates=GATES)) == [*both, "raycluster-mtls-controller"]


def test_one_worker_whatever_the_options_say(make: Any) -> None:
    rig = make(reconcile_concurrency=4)
    rig.run()
    found = rig.manager.controllers["raycluster-mtls-controller"]
    assert (found.name, found.concurrency, found.resource) == ("raycluster-mtls-controller", 1, RAY_CLUSTER)
