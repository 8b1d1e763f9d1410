"""What a RayCluster asks the API server for besides pods, word for word."""

from __future__ import annotations

from base64 import b64decode
from random import Random
from typing import Any

import pytest

from rayrig_controllers.networkpolicy.policies import policies
from rayrig_controllers.raycluster import (
    auth,
    autoscaler,
    gcs_fault_tolerance,
    ingress,
    redis_cleanup,
    services,
    storage,
)
from rayrig_core.objects import JsonObject

OWNER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "name": "rc",
    "uid": "uid-rc",
    "controller": True,
    "blockOwnerDeletion": True,
}
APP_LABELS = {"app.kubernetes.io/name": "kuberay", "app.kubernetes.io/created-by": "kuberay-operator"}
HEAD_LABELS = {
    "ray.io/cluster": "rc",
    "ray.io/node-type": "head",
    "ray.io/identifier": "rc-head",
    "app.kubernetes.io/name": "kuberay",
    "app.kubernetes.io/created-by": "kuberay-operator",
}


def child(api_version: str, kind: str, name: str, labels: dict[str, str], **rest: Any) -> JsonObject:
    metadata = {"name": name, "namespace": "default", "ownerReferences": [OWNER], "labels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


# What the autoscaler needs


@pytest.mark.accepts("RC-099")
def test_account_role_and_binding_of_an_autoscaler(values: Any) -> None:
    cluster = values.cluster(enableInTreeAutoscaling=True)
    labels = {"ray.io/cluster": "rc", **APP_LABELS}
    assert autoscaler.service_account(cluster) == child("v1", "ServiceAccount", "rc", labels)
    assert autoscaler.role(cluster) == child(
        "rbac.authorization.k8s.io/v1",
        "Role",
        "rc",
        labels,
        rules=[
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
            {"apiGroups": [""], "resources": ["pods/resize"], "verbs": ["patch"]},
            {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "patch"]},
        ],
    )
    assert autoscaler.role_binding(cluster) == child(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rc",
        labels,
        subjects=[{"kind": "ServiceAccount", "name": "rc", "namespace": "default"}],
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rc"},
    )


@pytest.mark.accepts("RC-100", "RC-101")
def test_long_names_keep_their_end_and_the_users_account_its_name(values: Any) -> None:
    long = values.cluster(name="a" * 3 + "9" + "b" * 49)
    assert autoscaler.account_name(long) == "r" + "b" * 49
    assert autoscaler.role(long)["metadata"]["name"] == "r" + "b" * 49
    assert autoscaler.role_binding(long)["roleRef"]["name"] == "r" + "b" * 49
    template = {"spec": {"serviceAccountName": "mine", "containers": [values.container("h")]}}
    own = values.cluster(head={"template": template}, enableInTreeAutoscaling=True)
    assert autoscaler.service_account(own)["metadata"]["name"] == "mine"
    assert autoscaler.role_binding(own)["subjects"][0]["name"] == "mine"
    assert autoscaler.role_binding(own)["metadata"]["name"] == "rc"


# Services


@pytest.mark.accepts("RC-013", "RC-015")
def test_the_head_service_with_default_ports(values: Any) -> None:
    ports = [("client", 10001), ("dashboard", 8265), ("gcs-server", 6379), ("metrics", 8080), ("serve", 8000)]
    assert services.head_service(values.cluster(headServiceAnnotations={"k": "v"})) == {
        **(made := child("v1", "Service", "rc-head-svc", HEAD_LABELS)),
        "metadata": {**made["metadata"], "annotations": {"k": "v"}},
        "spec": {
            "selector": HEAD_LABELS,
            "ports": [{"name": name, "port": port, "appProtocol": "tcp"} for name, port in ports],
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
        },
    }


@pytest.mark.parametrize(
    ("given", "service_type", "expected"),
    [(None, "", None), (None, "NodePort", "NodePort"), ("LoadBalancer", "NodePort", "LoadBalancer")],
)
def test_a_custom_head_service_has_its_own_type_first(
    values: Any, given: str | None, service_type: str, expected: str | None
) -> None:
    custom: JsonObject = {"spec": {"type": given} if given else {}}
    head = {"headService": custom, **({"serviceType": service_type} if service_type else {})}
    made = services.head_service(values.cluster(head=head))
    assert made["metadata"] == child("v1", "Service", "rc-head-svc", HEAD_LABELS)["metadata"]
    assert made["spec"].get("type") == expected
    assert made["spec"]["selector"] == HEAD_LABELS
    assert len(made["spec"]["ports"]) == 5
    assert "clusterIP" not in made["spec"]
    assert "selector" not in custom["spec"]


@pytest.mark.accepts("RC-016")
def test_a_custom_head_service_keeps_its_annotations_below_the_clusters(values: Any) -> None:
    custom = {"metadata": {"annotations": {"a": "user", "b": "user"}, "finalizers": ["x/y"], "namespace": "elsewhere"}}
    cluster = values.cluster(head={"headService": custom}, headServiceAnnotations={"b": "cluster"})
    assert services.head_service(cluster)["metadata"] == {
        "finalizers": ["x/y"],
        "name": "rc-head-svc",
        "namespace": "default",
        "ownerReferences": [OWNER],
        "labels": HEAD_LABELS,
        "annotations": {"a": "user", "b": "cluster"},
    }


@pytest.mark.accepts("RC-020")
def test_the_headless_service_of_multi_host_groups(values: Any) -> None:
    cluster = values.cluster(values.group("a"), values.group("b", numOfHosts=2))
    assert services.needs_headless_service(cluster)
    assert not services.needs_headless_service(values.cluster(values.group("a"), values.group("b", numOfHosts=1)))
    assert not services.needs_headless_service(values.cluster(values.group(numOfHosts=0)))
    assert services.headless_service(cluster) == child(
        "v1",
        "Service",
        "rc-headless",
        {"ray.io/headless-worker-svc": "rc"},
        spec={
            "clusterIP": "None",
            "selector": {"ray.io/cluster": "rc", "ray.io/node-type": "worker"},
            "type": "ClusterIP",
            "publishNotReadyAddresses": True,
        },
    )


@pytest.mark.accepts("RC-019")
@pytest.mark.parametrize("service_type", ["", "NodePort"])
def test_the_serve_service_of_a_cluster(values: Any, service_type: str) -> None:
    ports = [
        {"name": "serve", "containerPort": 9000},
        {"name": "serve-grpc", "containerPort": 9001},
        {"name": "serves", "containerPort": 9002},
        {"containerPort": 9003},
    ]
    template = {"spec": {"containers": [values.container("h", ports=ports)]}}
    head = {"template": template, **({"serviceType": service_type} if service_type else {})}
    assert services.serve_service(values.cluster(head=head)) == child(
        "v1",
        "Service",
        "rc-serve-svc",
        {
            "ray.io/originated-from-cr-name": "rc",
            "ray.io/originated-from-crd": "RayCluster",
            "ray.io/serve": "rc-serve",
        },
        spec={
            "selector": {"ray.io/cluster": "rc"},
            "ports": [{"name": "serve", "port": 9000}, {"name": "serve-grpc", "port": 9001}],
            **({"type": service_type} if service_type else {}),
        },
    )


def test_declared_ports_are_exactly_those_and_metrics(values: Any) -> None:
    def ports(*declared: JsonObject) -> dict[str, int]:
        template = {"spec": {"containers": [values.container("h", ports=list(declared))]}}
        return services.ports(values.cluster(head={"template": template}))

    assert ports({"containerPort": 7}) == {"7-port": 7, "metrics": 8080}
    assert ports({"containerPort": 7, "name": "metrics"}) == {"metrics": 7}


# Others


@pytest.mark.accepts("RC-102")
def test_the_ingress_with_all_its_options(values: Any) -> None:
    options = {"path": "/p", "pathType": "Exact", "host": "a.b", "tls": [{"hosts": ["a.b"], "secretName": "s"}]}
    ports = [{"name": "dashboard", "containerPort": 9999}]
    template = {"spec": {"containers": [values.container("h", ports=ports)]}}
    head = {"enableIngress": True, "ingressOptions": options, "template": template}
    annotations = {"kubernetes.io/ingress.class": "nginx", "other": "x"}
    made = ingress.ingress(values.cluster(head=head, metadata={"annotations": annotations}))
    labels = {"ray.io/cluster": "rc", "ray.io/identifier": "rc-head", **APP_LABELS}
    backend = {"service": {"name": "rc-head-svc", "port": {"number": 9999}}}
    rule = {"host": "a.b", "http": {"paths": [{"path": "/p", "pathType": "Exact", "backend": backend}]}}
    expected = child(
        "networking.k8s.io/v1",
        "Ingress",
        "rc-head-ingress",
        labels,
        spec={"rules": [rule], "tls": options["tls"], "ingressClassName": "nginx"},
    )
    expected["metadata"]["annotations"] = {"other": "x"}
    assert made == expected


def test_the_ingress_without_options(values: Any) -> None:
    made = ingress.ingress(values.cluster(head={"enableIngress": True}))
    backend = {"service": {"name": "rc-head-svc", "port": {"number": 8265}}}
    assert made["spec"] == {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}
    assert "annotations" not in made["metadata"]


def test_the_ingress_leads_to_the_usual_port_when_a_head_declares_others_only(values: Any) -> None:
    template = {"spec": {"containers": [values.container("h", ports=[{"name": "client", "containerPort": 10001}])]}}
    made = ingress.ingress(values.cluster(head={"enableIngress": True, "template": template}))
    (path,) = made["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["port"] == {"number": 8265}


@pytest.mark.accepts("RC-103")
def test_what_counts_as_a_drifted_ingress(values: Any) -> None:
    metadata = {"annotations": {"kubernetes.io/ingress.class": "nginx", "a": "1"}}
    classless = ingress.ingress(values.cluster(metadata={"annotations": {"a": "1"}}))
    classed = ingress.ingress(values.cluster(metadata=metadata))

    def changed(obj: JsonObject, field: str, key: str, value: Any) -> JsonObject:
        inner = obj["metadata"] if field == "metadata" else obj["spec"]
        return {**obj, field: {**inner, key: value}}

    assert not ingress.has_drifted(classless, classless)
    assert not ingress.has_drifted(classless, changed(classless, "spec", "ingressClassName", "the-default"))
    assert not ingress.has_drifted(classless, changed(classless, "metadata", "uid", "u"))
    assert ingress.has_drifted(classed, changed(classed, "spec", "ingressClassName", "another"))
    for field, key, value in (
        ("metadata", "labels", {}),
        ("metadata", "labels", None),
        ("metadata", "annotations", {"a": "2"}),
        ("metadata", "annotations", {}),
        ("spec", "rules", []),
    ):
        assert ingress.has_drifted(classless, changed(classless, field, key, value)), (field, key, value)


@pytest.mark.accepts("RC-064")
def test_the_token_secret(values: Any) -> None:
    made = auth.secret(values.cluster(authOptions={"mode": "token"}), Random(1))
    token = made.pop("data")
    assert made == child("v1", "Secret", "rc", {"ray.io/cluster": "rc"}, type="Opaque")
    assert list(token) == ["auth_token"]
    # Base64 of the text that is base64 of 32 random bytes.
    assert len(b64decode(b64decode(token["auth_token"], validate=True), validate=True)) == 32


def test_kubernetes_tokens_need_no_secret_of_the_clusters(values: Any) -> None:
    cluster = values.cluster(authOptions={"mode": "token", "enableK8sTokenAuth": True})
    assert not auth.needs_secret(cluster)
    assert auth.environment(cluster) == [
        {"name": "RAY_AUTH_MODE", "value": "token"},
        {"name": "RAY_ENABLE_K8S_TOKEN_AUTH", "value": "true"},
    ]
    assert auth.environment(values.cluster()) == []
    assert auth.environment(values.cluster(authOptions={"mode": "disabled"})) == []
    assert not auth.needs_secret(values.cluster(authOptions={"mode": "disabled"}))


def test_the_claim_of_an_embedded_store(values: Any) -> None:
    def claim(**fields: Any) -> JsonObject | None:
        options = {"backend": "rocksdb", **({"storage": fields} if fields else {})}
        return storage.claim(values.cluster(gcsFaultToleranceOptions=options))

    plain = child(
        "v1",
        "PersistentVolumeClaim",
        "rc-gcs-pvc",
        {"ray.io/cluster": "rc"},
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    )
    assert claim() == plain
    assert claim(size="2048Mi", accessModes=["ReadWriteMany"], storageClassName="fast") == {
        **plain,
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "2Gi"}},
            "storageClassName": "fast",
        },
    }
    assert claim(claimName="mine") is None
    retained = claim(deletionPolicy="Retain")
    assert retained is not None
    assert "ownerReferences" not in retained["metadata"]
    assert claim(deletionPolicy="Delete") == plain
    bound = {**plain["spec"], "volumeName": "pv", "storageClassName": "standard"}
    assert not storage.has_drifted(plain, {"spec": bound})
    assert storage.has_drifted(plain, {"spec": {**bound, "accessModes": ["ReadOnlyMany"]}})
    assert storage.has_drifted(plain, {"spec": {**bound, "resources": {"requests": {"storage": "5Gi"}}}})
    assert storage.has_drifted(plain, {})


def test_the_network_policies(values: Any) -> None:
    labels = {"ray.io/cluster": "rc", **APP_LABELS}
    within = {"podSelector": {"matchLabels": {"ray.io/cluster": "rc"}}}
    head, workers = policies(values.cluster(values.group("a"), networkPolicy={"mode": "DenyAll"}))

    def expected(name: str, group: str, selected: dict[str, str]) -> JsonObject:
        return child(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            name,
            {**labels, "ray.io/group": group},
            spec={
                "podSelector": {"matchLabels": {"ray.io/cluster": "rc", **selected}},
                "ingress": [{"from": [within]}],
                "egress": [{"to": [within]}],
                "policyTypes": ["Ingress", "Egress"],
            },
        )

    assert head == expected("rc-head", "headgroup", {"ray.io/node-type": "head"})
    assert workers == expected("rc-workers-a", "a", {"ray.io/node-type": "worker", "ray.io/group": "a"})


@pytest.mark.accepts("RC-076")
def test_the_clean_up_job_is_the_heads_container_with_another_command(values: Any) -> None:
    options = {"redisAddress": "redis:6379", "redisPassword": {"value": "pw"}, "externalStorageNamespace": "mine"}
    probes = {key: {"tcpSocket": {"port": 1}} for key in ("livenessProbe", "readinessProbe", "startupProbe")}
    containers = [values.container("h", **probes), values.container("sidecar")]
    cluster = values.cluster(head={"template": {"spec": {"containers": containers}}}, gcsFaultToleranceOptions=options)
    job = redis_cleanup.cleanup_job(cluster)
    labels = {
        "ray.io/cluster": "rc",
        "ray.io/node-type": "redis-cleanup",
        "ray.io/group": "headgroup",
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": "rc-head",
        **APP_LABELS,
    }
    annotations = {"ray.io/ft-enabled": "true", "ray.io/external-storage-namespace": "mine"}
    template = job["spec"].pop("template")
    expected = child(
        "batch/v1", "Job", "rc-redis-cleanup", labels, spec={"backoffLimit": 0, "activeDeadlineSeconds": 300}
    )
    expected["metadata"]["annotations"] = annotations
    assert job == expected
    assert template["metadata"]["labels"] == labels
    assert template["metadata"]["annotations"] == annotations
    assert template["spec"]["restartPolicy"] == "Never"
    (container,) = template["spec"]["containers"]
    assert container["name"] == "h"
    assert not [key for key in container if key.endswith("Probe")]
    small = {"cpu": "200m", "memory": "256Mi"}
    assert container["resources"] == {"limits": small, "requests": small}
    assert container["command"] == ["/bin/bash", "-c", "--"]
    env = [(entry["name"], entry.get("value")) for entry in container["env"]]
    assert ("RAY_REDIS_ADDRESS", "redis:6379") in env
    assert ("REDIS_PASSWORD", "pw") in env
    assert ("RAY_external_storage_namespace", "mine") in env
    assert env[-2:] == [
        ("RAY_redis_db_connect_retries", "120"),
        ("RAY_redis_db_connect_wait_milliseconds", "500"),
    ]
    (script,) = container["args"]
    assert script == (
        'echo "To get more information about manually deleting the storage namespace in Redis and removing the '
        "RayCluster's finalizer, please check "
        'https://docs.ray.io/en/master/cluster/kubernetes/user-guides/kuberay-gcs-ft.html for more details." && '
        'python -c "from ray._private.gcs_utils import cleanup_redis_storage; from urllib.parse import urlparse; '
        "import os; import sys; redis_address = os.getenv('RAY_REDIS_ADDRESS', '').split(',')[0]; "
        "redis_address = redis_address if '://' in redis_address else 'redis://' + redis_address; "
        "parsed = urlparse(redis_address); sys.exit(1) if not cleanup_redis_storage(host=parsed.hostname, "
        "port=parsed.port, password=os.getenv('REDIS_PASSWORD', parsed.password or ''), "
        "use_ssl=parsed.scheme=='rediss', storage_namespace=os.getenv('RAY_external_storage_namespace')) else None\""
    )


@pytest.mark.accepts("RC-077")
@pytest.mark.parametrize(
    ("text", "seconds"), [("", 300), ("20", 20), ("1", 1), ("0", 300), ("-5", 300), ("soon", 300), ("2.5", 300)]
)
def test_the_time_a_clean_up_may_take(values: Any, text: str, seconds: int) -> None:
    annotations = {"ray.io/gcs-ft-deletion-timeout": text} if text else {}
    assert redis_cleanup.timeout_s(values.cluster(metadata={"annotations": annotations})) == seconds


@pytest.mark.parametrize(
    ("annotations", "options", "enabled", "redis"),
    [
        ({}, None, False, False),
        ({"ray.io/ft-enabled": "true"}, None, True, True),
        ({"ray.io/ft-enabled": "TRUE"}, None, True, True),
        ({"ray.io/ft-enabled": "false"}, None, False, False),
        ({}, {}, True, True),
        ({}, {"redisAddress": "r"}, True, True),
        ({}, {"backend": "redis"}, True, True),
        ({}, {"backend": "rocksdb"}, True, False),
    ],
)
def test_who_has_fault_tolerance_and_whose_is_redis(
    values: Any, annotations: dict[str, str], options: JsonObject | None, enabled: bool, redis: bool
) -> None:
    fields = {} if options is None else {"gcsFaultToleranceOptions": options}
    cluster = values.cluster(metadata={"annotations": annotations}, **fields)
    assert gcs_fault_tolerance.is_enabled(cluster) is enabled
    assert gcs_fault_tolerance.uses_redis(cluster) is redis
