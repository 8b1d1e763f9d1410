"""Labels, environment, volumes, sidecars and probes of head and worker pods."""

from random import Random
from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster import auth, autoscaler
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.probes import has_node_health_path
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_core.objects import JsonObject

RAYLET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
GCS = "wget --tries 1 -T 10 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
PROXY = "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
FOR_RAY_SERVICE = {"labels": {"ray.io/originated-from-crd": "RayService"}}


def env(container: JsonObject) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container.get("env") or ()}


def ray(pod: JsonObject) -> JsonObject:
    return pod["spec"]["containers"][0]


def first_worker(values: Any, spec: JsonObject | None = None, **fields: Any) -> JsonObject:
    spec = spec or values.group()
    return worker_pod(values.cluster(spec, **fields), spec, Place(0))


def exec_probe(container: JsonObject, kind: str) -> str:
    command = container[kind]["exec"]["command"]
    assert command[:2] == ["bash", "-c"]
    return str(command[2])


@pytest.mark.accepts("RC-048")
def test_labels_are_the_operators_and_the_users_win_except_for_three(values: Any) -> None:
    own = {"app.kubernetes.io/name": "mine", "ray.io/cluster": "x", "ray.io/node-type": "x", "ray.io/group": "x"}
    spec = values.group(labels={"tier": "b"})
    spec["template"]["metadata"] = {"labels": {**own, "tier": "a"}}
    assert first_worker(values, spec)["metadata"]["labels"] == {
        "ray.io/cluster": "rc",
        "ray.io/node-type": "worker",
        "ray.io/group": "w",
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": "rc-worker",
        "app.kubernetes.io/name": "mine",
        "app.kubernetes.io/created-by": "kuberay-operator",
        "tier": "b",
        "ray.io/worker-group-replica-index": "0",
    }
    assert head_pod(values.cluster(), "hash")["metadata"]["labels"] == {
        "ray.io/cluster": "rc",
        "ray.io/node-type": "head",
        "ray.io/group": "headgroup",
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": "rc-head",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }


@pytest.mark.accepts("RC-056")
def test_pods_of_a_ray_service_carry_the_serve_label_and_three_more_variables(values: Any) -> None:
    cluster = values.cluster(values.group(), metadata=FOR_RAY_SERVICE)
    head, worker = head_pod(cluster, ""), worker_pod(cluster, cluster.groups[0], Place(0))
    assert head["metadata"]["labels"]["ray.io/serve"] == "false"
    assert worker["metadata"]["labels"]["ray.io/serve"] == "true"
    for pod in (head, worker):
        found = env(ray(pod))
        assert found["RAY_timeout_ms_task_wait_for_death_info"] == "0"
        assert found["RAY_gcs_server_request_timeout_seconds"] == "5"
        assert found["RAY_SERVE_KV_TIMEOUT_S"] == "5"
    assert env(ray(head))["RAY_USAGE_STATS_EXTRA_TAGS"] == "kuberay_version=v1.7.0;kuberay_crd=RayService"
    assert "RAY_SERVE_KV_TIMEOUT_S" not in env(ray(head_pod(values.cluster(), "")))
    template = {"spec": {"containers": [values.container("h", env=[{"name": "RAY_SERVE_KV_TIMEOUT_S", "value": "9"}])]}}
    own = values.cluster(head={"template": template}, metadata=FOR_RAY_SERVICE)
    assert env(ray(head_pod(own, "")))["RAY_SERVE_KV_TIMEOUT_S"] == "9"


def test_variables_come_in_the_operators_order_after_the_users(values: Any) -> None:
    spec = values.group()
    ray_container = spec["template"]["spec"]["containers"][0]
    ray_container["env"] = [{"name": "MINE", "value": "1"}, {"name": "RAY_ADDRESS", "value": "mine"}]
    assert [entry["name"] for entry in ray(first_worker(values, spec))["env"]] == [
        "MINE",
        "RAY_ADDRESS",
        "FQ_RAY_IP",
        "RAY_IP",
        "RAY_CLUSTER_NAME",
        "RAY_CLUSTER_NAMESPACE",
        "RAY_CLOUD_INSTANCE_ID",
        "RAY_NODE_TYPE_NAME",
        "KUBERAY_GEN_RAY_START_CMD",
        "RAY_PORT",
        "RAY_USAGE_STATS_KUBERAY_IN_USE",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE",
    ]


@pytest.mark.accepts("RC-058")
def test_the_last_init_container_waits_for_the_gcs(values: Any) -> None:
    spec = values.group()
    spec["template"]["spec"]["initContainers"] = [{"name": "own", "image": "x"}]
    names = [init["name"] for init in first_worker(values, spec)["spec"]["initContainers"]]
    assert names == ["own", "wait-gcs-ready"]
    off = first_worker(values, values.group(), options=OperatorOptions(inject_init_container=False))
    assert "initContainers" not in off["spec"]
    own = first_worker(values, spec)["spec"]["initContainers"][0]
    assert env(own) == {"FQ_RAY_IP": "rc-head-svc.default.svc.cluster.local", "RAY_IP": "rc-head-svc"}


@pytest.mark.accepts("RC-059")
def test_shared_memory_is_as_large_as_the_memory_limit_unless_the_store_lies_elsewhere(values: Any) -> None:
    pod = head_pod(values.cluster(), "")
    assert pod["spec"]["volumes"] == [{"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}]
    assert ray(pod)["volumeMounts"] == [{"name": "shared-mem", "mountPath": "/dev/shm"}]
    elsewhere = head_pod(values.cluster(head={"rayStartParams": {"plasma-directory": "/x"}}), "")
    assert "volumes" not in elsewhere["spec"]
    mounted = values.container("h", volumeMounts=[{"name": "mine", "mountPath": "/dev/shm"}])
    own = head_pod(values.cluster(head={"template": {"spec": {"containers": [mounted]}}}), "")
    assert "volumes" not in own["spec"]


@pytest.mark.accepts("RC-021", "RC-027")
def test_the_heads_name_is_generated_or_fixed(values: Any) -> None:
    metadata = head_pod(values.cluster(), "")["metadata"]
    assert (metadata.get("name"), metadata["generateName"]) == (None, "rc-head-")
    fixed = head_pod(values.cluster(options=OperatorOptions(deterministic_head_pod_name=True)), "")["metadata"]
    assert (fixed["name"], fixed.get("generateName")) == ("rc-head", None)


@pytest.mark.accepts("RC-040")
def test_pods_live_in_the_clusters_namespace(values: Any) -> None:
    spec = values.group()
    spec["template"]["metadata"] = {"namespace": "elsewhere", "name": "mine"}
    metadata = first_worker(values, spec)["metadata"]
    assert (metadata["namespace"], metadata.get("name")) == ("default", None)


def test_templates_are_never_changed(values: Any) -> None:
    obj = values.ray_cluster(values.group(), enableInTreeAutoscaling=True)
    before = repr(obj)
    cluster = values.cluster(values.group(), enableInTreeAutoscaling=True)
    head_pod(cluster, "")
    worker_pod(cluster, cluster.groups[0], Place(0))
    assert repr(cluster.obj) == before


@pytest.mark.accepts("RC-061")
def test_an_autoscaling_head_has_a_sidecar_with_its_own_account(values: Any) -> None:
    pod = head_pod(values.cluster(enableInTreeAutoscaling=True), "")
    head, sidecar = pod["spec"]["containers"]
    assert "--no-monitor " in head["args"][0]
    assert (sidecar["name"], sidecar["image"]) == ("autoscaler", "rayproject/ray:2.52.0")
    logs = {"name": "ray-logs", "mountPath": "/tmp/ray"}
    assert logs in head["volumeMounts"]
    assert logs in sidecar["volumeMounts"]
    assert pod["spec"]["serviceAccountName"] == "rc"
    template = {"spec": {"serviceAccountName": "mine", "containers": [values.container("h")]}}
    own = head_pod(values.cluster(head={"template": template}, enableInTreeAutoscaling=True), "")
    assert own["spec"]["serviceAccountName"] == "mine"


@pytest.mark.accepts("RC-062")
@pytest.mark.parametrize(
    ("version", "value", "policy"), [("v2", "true", "Never"), ("v1", "false", None), ("", None, None)]
)
def test_the_autoscalers_version_decides_variable_and_restart_policy(
    values: Any, version: str, value: str | None, policy: str | None
) -> None:
    options = {"version": version} if version else {}
    cluster = values.cluster(values.group(), enableInTreeAutoscaling=True, autoscalerOptions=options)
    head, worker = head_pod(cluster, ""), worker_pod(cluster, cluster.groups[0], Place(0))
    assert env(ray(head)).get("RAY_enable_autoscaler_v2") == value
    assert head["spec"].get("restartPolicy") == policy
    assert worker["spec"].get("restartPolicy") == policy


@pytest.mark.accepts("RC-063")
def test_autoscaler_options_replace_or_append(values: Any) -> None:
    options = {
        "image": "a:1",
        "imagePullPolicy": "Always",
        "resources": {"limits": {"cpu": "700m"}},
        "securityContext": {"runAsNonRoot": True},
        "command": ["sh"],
        "args": ["x"],
        "env": [{"name": "EXTRA", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    cluster = values.cluster(enableInTreeAutoscaling=True, autoscalerOptions=options)
    sidecar = head_pod(cluster, "")["spec"]["containers"][1]
    for key in ("image", "imagePullPolicy", "resources", "securityContext", "command", "args", "envFrom"):
        assert sidecar[key] == options[key]
    assert [entry["name"] for entry in sidecar["env"]][-2:] == ["KUBERAY_GEN_AUTOSCALER_START_CMD", "EXTRA"]
    assert [mount["mountPath"] for mount in sidecar["volumeMounts"]] == ["/v", "/tmp/ray"]


@pytest.mark.accepts("RC-064")
def test_token_mode_gives_every_ray_container_the_token(values: Any) -> None:
    cluster = values.cluster(values.group(), authOptions={"mode": "token"}, enableInTreeAutoscaling=True)
    head, worker = head_pod(cluster, ""), worker_pod(cluster, cluster.groups[0], Place(0))
    for container in (*head["spec"]["containers"], ray(worker), worker["spec"]["initContainers"][0]):
        token = {"secretKeyRef": {"name": "rc", "key": "auth_token"}}
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
        assert {"name": "RAY_AUTH_TOKEN", "valueFrom": token} in container["env"]
    assert auth.needs_secret(cluster)
    assert auth.secret(cluster, Random(1)) == auth.secret(cluster, Random(1))
    given = values.cluster(authOptions={"mode": "token", "secretName": "s"})
    assert not auth.needs_secret(given)
    assert auth.secret_name(given) == "s"


@pytest.mark.accepts("RC-065")
def test_the_operators_defaults_are_added_where_the_user_set_nothing(values: Any) -> None:
    options = OperatorOptions(
        default_pod_labels={"a": "operator", "b": "operator"},
        default_pod_annotations={"c": "operator", "d": "operator"},
        default_container_envs=({"name": "E", "value": "operator"}, {"name": "F", "value": "operator"}),
    )
    spec = values.group()
    spec["template"]["metadata"] = {"labels": {"a": "user"}, "annotations": {"c": "user"}}
    spec["template"]["spec"]["containers"][0]["env"] = [{"name": "E", "value": "user"}]
    pod = first_worker(values, spec, options=options)
    assert (pod["metadata"]["labels"]["a"], pod["metadata"]["labels"]["b"]) == ("user", "operator")
    assert pod["metadata"]["annotations"] == {"c": "user", "d": "operator"}
    assert (env(ray(pod))["E"], env(ray(pod))["F"]) == ("user", "operator")


# Probes


@pytest.mark.accepts("RC-066")
def test_old_ray_is_probed_by_commands(values: Any) -> None:
    head, worker = ray(head_pod(values.cluster(), "")), ray(first_worker(values))
    for kind, delay, failures in (("livenessProbe", 30, 120), ("readinessProbe", 10, 10)):
        assert exec_probe(head, kind) == f"{RAYLET} && {GCS}"
        assert exec_probe(worker, kind) == RAYLET
        for container, timeout in ((head, 5), (worker, 2)):
            numbers = {key: value for key, value in container[kind].items() if key != "exec"}
            assert numbers == {
                "initialDelaySeconds": delay,
                "timeoutSeconds": timeout,
                "periodSeconds": 5,
                "successThreshold": 1,
                "failureThreshold": failures,
            }


@pytest.mark.accepts("RC-067")
def test_new_ray_is_probed_over_http_but_for_a_ray_services_workers_readiness(values: Any) -> None:
    cluster = values.cluster(values.group(), metadata=FOR_RAY_SERVICE, rayVersion="2.53.0")
    head, worker = ray(head_pod(cluster, "")), ray(worker_pod(cluster, cluster.groups[0], Place(0)))
    http = {"path": "/api/healthz", "port": 52365}
    assert head["livenessProbe"]["httpGet"] == http
    assert head["readinessProbe"]["httpGet"] == http
    assert worker["livenessProbe"]["httpGet"] == http
    assert exec_probe(worker, "readinessProbe") == f"{RAYLET} && {PROXY}"


@pytest.mark.parametrize(
    ("version", "expected"),
    [("", False), ("nightly", False), ("2.52.9", False), ("2.53.0", True), ("v2.53.0", True), ("2.53.0-rc1", False)],
)
def test_which_versions_have_the_node_health_path(version: str, expected: bool) -> None:
    assert has_node_health_path(version) is expected
    assert has_node_health_path("3.0.0")


@pytest.mark.accepts("RC-068")
def test_a_ray_services_worker_is_ready_only_with_a_proxy(values: Any) -> None:
    spec = values.group()
    spec["template"]["spec"]["containers"][0]["ports"] = [{"name": "serve", "containerPort": 9000}]
    worker = ray(first_worker(values, spec, metadata=FOR_RAY_SERVICE))
    assert exec_probe(worker, "readinessProbe") == f"{RAYLET} && {PROXY.replace('8000', '9000')}"
    assert exec_probe(worker, "livenessProbe") == RAYLET
    assert worker["readinessProbe"]["failureThreshold"] == 1
    default = ray(first_worker(values, metadata=FOR_RAY_SERVICE))
    assert exec_probe(default, "readinessProbe") == f"{RAYLET} && {PROXY}"


@pytest.mark.accepts("RC-069")
def test_probes_follow_the_ports_given_unless_they_are_no_numbers(values: Any) -> None:
    params = {"dashboard-agent-listen-port": "1111", "dashboard-port": "2222"}
    head = ray(head_pod(values.cluster(head={"rayStartParams": params}), ""))
    expected = f"{RAYLET} && {GCS}".replace("52365", "1111").replace("8265", "2222")
    assert exec_probe(head, "livenessProbe") == expected
    odd = {"dashboard-agent-listen-port": "auto", "dashboard-port": "x"}
    assert exec_probe(ray(head_pod(values.cluster(head={"rayStartParams": odd}), "")), "livenessProbe") == (
        f"{RAYLET} && {GCS}"
    )


@pytest.mark.accepts("RC-070")
def test_the_users_probe_is_kept_and_injection_can_be_switched_off(values: Any) -> None:
    own = {"tcpSocket": {"port": 1}}
    template = {"spec": {"containers": [values.container("h", livenessProbe=own)]}}
    head = ray(head_pod(values.cluster(head={"template": template}), ""))
    assert head["livenessProbe"] == own
    assert exec_probe(head, "readinessProbe") == f"{RAYLET} && {GCS}"
    off = ray(head_pod(values.cluster(options=OperatorOptions(inject_probes=False)), ""))
    assert "livenessProbe" not in off
    assert "readinessProbe" not in off


# GCS fault tolerance


@pytest.mark.accepts("RC-071")
def test_redis_options_reach_the_head_and_the_namespace_defaults_to_the_uid(values: Any) -> None:
    options = {"redisAddress": "redis:6379", "redisUsername": {"value": "u"}, "redisPassword": {"value": "p"}}
    pod = head_pod(values.cluster(gcsFaultToleranceOptions=options), "")
    found = env(ray(pod))
    assert found["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert (found["REDIS_USERNAME"], found["REDIS_PASSWORD"]) == ("u", "p")
    assert found["RAY_external_storage_namespace"] == "uid-rc"
    assert pod["metadata"]["annotations"]["ray.io/external-storage-namespace"] == "uid-rc"
    assert pod["metadata"]["annotations"]["ray.io/ft-enabled"] == "true"
    assert "--redis-password=$REDIS_PASSWORD  --redis-username=$REDIS_USERNAME " in ray(pod)["args"][0]
    chosen = head_pod(values.cluster(gcsFaultToleranceOptions={**options, "externalStorageNamespace": "n"}), "")
    assert env(ray(chosen))["RAY_external_storage_namespace"] == "n"


@pytest.mark.accepts("RC-072")
def test_the_annotation_style_takes_namespace_and_password_from_elsewhere(values: Any) -> None:
    annotations = {"ray.io/ft-enabled": "TRUE", "ray.io/external-storage-namespace": "old"}
    metadata = {"annotations": annotations}
    pod = head_pod(values.cluster(head={"rayStartParams": {"redis-password": "pw"}}, metadata=metadata), "")
    assert env(ray(pod))["RAY_external_storage_namespace"] == "old"
    assert env(ray(pod))["REDIS_PASSWORD"] == "pw"
    assert pod["metadata"]["annotations"]["ray.io/external-storage-namespace"] == "old"


@pytest.mark.accepts("RC-073")
def test_workers_wait_longer_for_a_gcs_that_comes_back(values: Any) -> None:
    name = "RAY_gcs_rpc_server_reconnect_timeout_s"
    options = {"redisAddress": "redis:6379"}
    assert env(ray(first_worker(values, gcsFaultToleranceOptions=options)))[name] == "600"
    assert name not in env(ray(first_worker(values)))
    spec = values.group()
    spec["template"]["spec"]["containers"][0]["env"] = [{"name": name, "value": "1"}]
    assert env(ray(first_worker(values, spec, gcsFaultToleranceOptions=options)))[name] == "1"


@pytest.mark.accepts("RC-074")
def test_the_pod_templates_annotation_switches_nothing(values: Any) -> None:
    template = {
        "metadata": {"annotations": {"ray.io/ft-enabled": "true"}},
        "spec": {"containers": [values.container("h")]},
    }
    pod = head_pod(values.cluster(head={"template": template}), "")
    assert pod["metadata"]["annotations"]["ray.io/ft-enabled"] == "false"
    assert "RAY_external_storage_namespace" not in env(ray(pod))


@pytest.mark.accepts("RC-101")
def test_rbac_names_of_a_long_cluster_keep_the_end(values: Any) -> None:
    cluster = values.cluster(name="a" * 10 + "b" * 43, enableInTreeAutoscaling=True)
    name = "a" * 7 + "b" * 43
    assert autoscaler.role(cluster)["metadata"]["name"] == name
    binding = autoscaler.role_binding(cluster)
    assert (binding["metadata"]["name"], binding["roleRef"]["name"], binding["subjects"][0]["name"]) == (
        name,
        name,
        name,
    )
