"""Head and worker pods word for word, as the operator asks the API server for them (kuberay-operator 3.16, 3.17)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_core.objects import JsonObject
from rayrig_core.resources.feature_gates import FeatureGates

OWNER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "name": "rc",
    "uid": "uid-rc",
    "controller": True,
    "blockOwnerDeletion": True,
}
HEAD_START = (
    "ray start --head  --block  --dashboard-agent-listen-port=52365  --dashboard-host=0.0.0.0  --memory=2147483648  "
    "--metrics-export-port=8080  --no-monitor  --num-cpus=1 "
)
WORKER_START = (
    "ray start  --address=rc-head-svc.default.svc.cluster.local:6379  --block  --dashboard-agent-listen-port=52365  "
    "--memory=2147483648  --metrics-export-port=8080  --num-cpus=1 "
)
ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; "
AUTOSCALER = "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME) --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
RAYLET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
GCS = "wget --tries 1 -T 10 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
WAIT = """
					SECONDS=0
					while true; do
						if (( SECONDS <= 120 )); then
							if ray health-check --address rc-head-svc.default.svc.cluster.local:6379 > /dev/null 2>&1; then
								echo "GCS is ready."
								break
							fi
							echo "$SECONDS seconds elapsed: Waiting for GCS to be ready."
						else
							if ray health-check --address rc-head-svc.default.svc.cluster.local:6379; then
								echo "GCS is ready. Any error messages above can be safely ignored."
								break
							fi
							echo "$SECONDS seconds elapsed: Still waiting for GCS to be ready. For troubleshooting, refer to the FAQ at https://docs.ray.io/en/master/cluster/kubernetes/troubleshooting.html."
						fi
						sleep 5
					done
				"""  # noqa: E501
SHELL = ["/bin/bash", "-c", "--"]
SIZE = {"cpu": "1", "memory": "2Gi"}


def field(name: str, path: str) -> JsonObject:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def value(name: str, text: str) -> JsonObject:
    return {"name": name, "value": text}


def labels(node_type: str, group: str) -> dict[str, str]:
    return {
        "ray.io/cluster": "rc",
        "ray.io/node-type": node_type,
        "ray.io/group": group,
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": f"rc-{node_type}",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }


def probe(script: str, delay: int, timeout: int, failures: int) -> JsonObject:
    return {
        "exec": {"command": ["bash", "-c", script]},
        "initialDelaySeconds": delay,
        "timeoutSeconds": timeout,
        "periodSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


IDENTITY = [
    field("RAY_CLUSTER_NAME", "metadata.labels['ray.io/cluster']"),
    field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
    field("RAY_CLOUD_INSTANCE_ID", "metadata.name"),
    field("RAY_NODE_TYPE_NAME", "metadata.labels['ray.io/group']"),
]
SHARED_MEMORY = {"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
SHARED_MEMORY_MOUNT = {"name": "shared-mem", "mountPath": "/dev/shm"}
LOGS_MOUNT = {"name": "ray-logs", "mountPath": "/tmp/ray"}
HEAD_ADDRESS = [value("FQ_RAY_IP", "rc-head-svc.default.svc.cluster.local"), value("RAY_IP", "rc-head-svc")]


@pytest.mark.accepts("RC-048", "RC-049", "RC-059", "RC-061", "RC-066")
def test_the_head_pod_of_an_autoscaling_cluster(values: Any) -> None:
    ray = {
        "name": "ray-head",
        "image": "rayproject/ray:2.52.0",
        "resources": {"limits": SIZE, "requests": SIZE},
        "env": [
            *IDENTITY,
            value("KUBERAY_GEN_RAY_START_CMD", HEAD_START),
            value("RAY_PORT", "6379"),
            value("RAY_ADDRESS", "127.0.0.1:6379"),
            value("RAY_USAGE_STATS_KUBERAY_IN_USE", "1"),
            value("RAY_USAGE_STATS_EXTRA_TAGS", "kuberay_version=v1.7.0;kuberay_crd=RayCluster"),
            value("RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1"),
        ],
        "volumeMounts": [SHARED_MEMORY_MOUNT, LOGS_MOUNT],
        "command": SHELL,
        "args": [ULIMIT + HEAD_START],
        "ports": [{"name": "metrics", "containerPort": 8080}],
        "livenessProbe": probe(f"{RAYLET} && {GCS}", 30, 5, 120),
        "readinessProbe": probe(f"{RAYLET} && {GCS}", 10, 5, 10),
    }
    small = {"cpu": "500m", "memory": "512Mi"}
    sidecar = {
        "name": "autoscaler",
        "image": "rayproject/ray:2.52.0",
        "imagePullPolicy": "IfNotPresent",
        "env": [
            field("RAY_CLUSTER_NAME", "metadata.labels['ray.io/cluster']"),
            field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
            field("RAY_HEAD_POD_NAME", "metadata.name"),
            value("KUBERAY_CRD_VER", "v1"),
            value("KUBERAY_GEN_AUTOSCALER_START_CMD", AUTOSCALER),
        ],
        "command": SHELL,
        "args": [AUTOSCALER],
        "resources": {"limits": small, "requests": small},
        "volumeMounts": [LOGS_MOUNT],
    }
    annotations = {
        "ray.io/upgrade-strategy-recreate-hash": "HASH",
        "ray.io/kuberay-version": "v1.7.0",
        "ray.io/ft-enabled": "false",
    }
    assert head_pod(values.cluster(enableInTreeAutoscaling=True), "HASH") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": labels("head", "headgroup"),
            "namespace": "default",
            "ownerReferences": [OWNER],
            "generateName": "rc-head-",
            "annotations": annotations,
        },
        "spec": {
            "containers": [ray, sidecar],
            "serviceAccountName": "rc",
            "volumes": [SHARED_MEMORY, {"name": "ray-logs", "emptyDir": {}}],
        },
    }


@pytest.mark.accepts("RC-048", "RC-057", "RC-058", "RC-059", "RC-066")
def test_the_worker_pod_of_a_multi_host_group(values: Any) -> None:
    ray = {
        "name": "ray-worker",
        "image": "rayproject/ray:2.52.0",
        "resources": {"limits": SIZE, "requests": SIZE},
        "env": [
            *HEAD_ADDRESS,
            *IDENTITY,
            value("KUBERAY_GEN_RAY_START_CMD", WORKER_START),
            value("RAY_PORT", "6379"),
            value("RAY_ADDRESS", "rc-head-svc.default.svc.cluster.local:6379"),
            value("RAY_USAGE_STATS_KUBERAY_IN_USE", "1"),
            value("RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1"),
        ],
        "volumeMounts": [SHARED_MEMORY_MOUNT],
        "command": SHELL,
        "args": [ULIMIT + WORKER_START],
        "ports": [{"name": "metrics", "containerPort": 8080}],
        "livenessProbe": probe(RAYLET, 30, 2, 120),
        "readinessProbe": probe(RAYLET, 10, 2, 10),
    }
    small = {"cpu": "200m", "memory": "256Mi"}
    init = {
        "name": "wait-gcs-ready",
        "image": "rayproject/ray:2.52.0",
        "command": SHELL,
        "args": [WAIT],
        "resources": {"limits": small, "requests": small},
        "env": HEAD_ADDRESS,
    }
    cluster = values.cluster(values.group())
    place_labels = {
        "ray.io/worker-group-replica-index": "1",
        "ray.io/worker-group-replica-name": "w-abcde",
        "ray.io/replica-host-index": "2",
    }
    assert worker_pod(cluster, cluster.groups[0], Place(1, "w-abcde", 2)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {**labels("worker", "w"), **place_labels},
            "namespace": "default",
            "ownerReferences": [OWNER],
            "generateName": "rc-w-worker-",
        },
        "spec": {"containers": [ray], "initContainers": [init], "volumes": [SHARED_MEMORY]},
    }


def test_without_multi_host_indexing_workers_have_no_place(values: Any) -> None:
    options = OperatorOptions(gates=FeatureGates(ray_multi_host_indexing=False))
    cluster = values.cluster(values.group(), options=options)
    pod = worker_pod(cluster, cluster.groups[0], Place(1, "w-abcde", 2))
    assert pod["metadata"]["labels"] == labels("worker", "w")


@pytest.mark.accepts("RC-058", "RC-064")
def test_the_init_container_takes_after_the_users_ray_container(values: Any) -> None:
    own = {
        "env": [value("MINE", "1")],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
        "securityContext": {"runAsUser": 1000},
        "imagePullPolicy": "Always",
        "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
    }
    group = values.group()
    group["template"]["spec"]["containers"] = [values.container("ray-worker", **own)]
    group["template"]["spec"]["initContainers"] = [{"name": "first", "env": [value("A", "b")]}]
    cluster = values.cluster(group, authOptions={"mode": "token"})
    first, init = worker_pod(cluster, group, Place(0))["spec"]["initContainers"]
    assert first["env"] == [value("A", "b"), *HEAD_ADDRESS]
    assert {key: init[key] for key in ("volumeMounts", "securityContext", "imagePullPolicy")} == {
        key: own[key] for key in ("volumeMounts", "securityContext", "imagePullPolicy")
    }
    token = {"secretKeyRef": {"name": "rc", "key": "auth_token"}}
    assert init["env"] == [
        value("MINE", "1"),
        value("RAY_AUTH_MODE", "token"),
        {"name": "RAY_AUTH_TOKEN", "valueFrom": token},
        *HEAD_ADDRESS,
    ]
    assert "lifecycle" not in init


@pytest.mark.accepts("RC-071")
def test_the_heads_environment_with_redis_comes_first(values: Any) -> None:
    secret = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    options = {"redisAddress": "redis:6379", "redisUsername": {"value": "u"}, "redisPassword": secret}
    pod = head_pod(values.cluster(gcsFaultToleranceOptions=options), "")
    assert pod["spec"]["containers"][0]["env"][:4] == [
        value("RAY_external_storage_namespace", "uid-rc"),
        value("RAY_REDIS_ADDRESS", "redis:6379"),
        value("REDIS_USERNAME", "u"),
        {"name": "REDIS_PASSWORD", **secret},
    ]
    bare = head_pod(values.cluster(gcsFaultToleranceOptions={"redisAddress": "redis:6379"}), "")
    command = bare["spec"]["containers"][0]["args"][0]
    assert "redis" not in command
    names = [entry["name"] for entry in bare["spec"]["containers"][0]["env"]]
    assert names[:3] == ["RAY_external_storage_namespace", "RAY_REDIS_ADDRESS", "RAY_CLUSTER_NAME"]


@pytest.mark.accepts("RC-072")
def test_in_the_annotation_style_what_the_user_set_stays(values: Any) -> None:
    def env(*given: JsonObject, **params: str) -> list[JsonObject]:
        template = {"spec": {"containers": [values.container("h", env=list(given))]}}
        params = {key.replace("_", "-"): text for key, text in params.items()}
        head = {"template": template, "rayStartParams": params}
        metadata = {"annotations": {"ray.io/ft-enabled": "true"}}
        found: list[JsonObject] = head_pod(values.cluster(head=head, metadata=metadata), "")["spec"]["containers"][0][
            "env"
        ]
        return found[: next(place for place, entry in enumerate(found) if entry["name"] == "RAY_CLUSTER_NAME")]

    assert env() == [value("RAY_external_storage_namespace", "uid-rc")]
    assert env(redis_password="pw") == [
        value("RAY_external_storage_namespace", "uid-rc"),
        value("REDIS_PASSWORD", "pw"),
    ]
    own = [value("RAY_external_storage_namespace", "mine"), value("REDIS_PASSWORD", "own")]
    assert env(*own, redis_password="pw") == own


@pytest.mark.parametrize("sub_path", ["", "deep"])
def test_an_embedded_store_lies_on_a_claim(values: Any, sub_path: str) -> None:
    storage = {"subPath": sub_path} if sub_path else {}
    options = {"backend": "rocksdb", "storage": storage, "redisPassword": {"value": "ignored"}}
    pod = head_pod(values.cluster(gcsFaultToleranceOptions=options), "")
    ray = pod["spec"]["containers"][0]
    assert ray["env"][:2] == [value("RAY_gcs_storage", "rocksdb"), value("RAY_gcs_storage_path", "/data/gcs")]
    assert ray["env"][2]["name"] == "RAY_CLUSTER_NAME"
    mount = {"name": "gcs-storage", "mountPath": "/data/gcs", **storage}
    assert ray["volumeMounts"] == [mount, SHARED_MEMORY_MOUNT]
    claim = {"name": "gcs-storage", "persistentVolumeClaim": {"claimName": "rc-gcs-pvc"}}
    assert pod["spec"]["volumes"] == [claim, SHARED_MEMORY]
    assert "ray.io/external-storage-namespace" not in pod["metadata"]["annotations"]
    assert pod["metadata"]["annotations"]["ray.io/ft-enabled"] == "true"
    assert "redis-password" not in ray["args"][0]
    named = head_pod(values.cluster(gcsFaultToleranceOptions={**options, "storage": {"claimName": "mine"}}), "")
    assert named["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "mine"}


@pytest.mark.parametrize(
    ("resources", "limit"),
    [
        ({"limits": {"memory": "3Gi"}, "requests": {"memory": "1Gi"}}, "3Gi"),
        ({"requests": {"memory": "1024Mi"}}, "1Gi"),
        ({"limits": {"cpu": "1"}}, None),
        (None, None),
    ],
)
def test_shared_memory_is_limited_by_the_memory_limit_else_the_request(
    values: Any, resources: JsonObject | None, limit: str | None
) -> None:
    ray = {"name": "h", "image": "x", **({"resources": resources} if resources else {})}
    pod = head_pod(values.cluster(head={"template": {"spec": {"containers": [ray]}}}), "")
    (volume,) = pod["spec"]["volumes"]
    assert volume["emptyDir"] == {"medium": "Memory", **({"sizeLimit": limit} if limit else {})}


def test_volumes_of_the_user_stay_and_are_not_doubled(values: Any) -> None:
    spec = {
        "containers": [values.container("h", volumeMounts=[{"name": "mine", "mountPath": "/mine"}])],
        "volumes": [{"name": "mine", "emptyDir": {}}, {"name": "shared-mem", "emptyDir": {"sizeLimit": "1Gi"}}],
    }
    pod = head_pod(values.cluster(head={"template": {"spec": spec}}), "")
    assert pod["spec"]["volumes"] == spec["volumes"]
    mounts = [{"name": "mine", "mountPath": "/mine"}, SHARED_MEMORY_MOUNT]
    assert pod["spec"]["containers"][0]["volumeMounts"] == mounts


def test_quantities_are_written_in_canonical_form_and_a_metrics_port_only_where_none_is(values: Any) -> None:
    container = values.container("h", "1000m", "2048Mi", ports=[{"name": "metrics", "containerPort": 9}])
    init = {"name": "i", "resources": {"requests": {"cpu": "0.5"}}}
    template = {"spec": {"containers": [container], "initContainers": [init]}}
    pod = head_pod(values.cluster(head={"template": template}), "")
    ray = pod["spec"]["containers"][0]
    assert ray["resources"] == {"limits": SIZE, "requests": SIZE}
    assert pod["spec"]["initContainers"][0]["resources"] == {"requests": {"cpu": "500m"}}
    assert ray["ports"] == [{"name": "metrics", "containerPort": 9}]


@pytest.mark.accepts("RC-063")
def test_of_an_autoscalers_resources_the_users_take_the_place(values: Any) -> None:
    resources = {"limits": {"memory": "1024Mi"}, "claims": [{"name": "c"}]}
    cluster = values.cluster(enableInTreeAutoscaling=True, autoscalerOptions={"resources": resources})
    sidecar = head_pod(cluster, "")["spec"]["containers"][1]
    assert sidecar["resources"] == {"limits": {"memory": "1Gi"}, "claims": [{"name": "c"}]}
