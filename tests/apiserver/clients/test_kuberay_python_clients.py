"""What KubeRay's two Python clients ask for, and how they ask (kuberay-apiserver 15.1, 15.2); themselves where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, SERVICE_ACCOUNT
from tests.apiserver.conftest import Site
from tests.apiserver.served_site import ServedSite

V1 = "/apis/v1"
IN_DEFAULT = f"{V1}/namespaces/default"
CLUSTER = f"{IN_DEFAULT}/clusters/test-cluster"
JOBS = f"{IN_DEFAULT}/jobsubmissions/test-cluster"
CLIENTS = os.environ.get("RAYRIG_KUBERAY_CLIENTS", "")
#: As the client writes them: what the server has no field for, two spellings.
TEMPLATE: JsonObject = {
    "name": "default-template",
    "namespace": "default",
    "cpu": 2,
    "memory": 4,
    "gpu accelerator": "example.com/gpu",
    "extended resources": {"example.com/x": 3},
    "tolerations": [{"key": "blah1", "operator": "Exists", "effect": "NoExecute"}],
}
HEAD: JsonObject = {
    "computeTemplate": "default-template",
    "rayStartParams": {"metrics-export-port": "8080"},
    "image": "rayproject/ray:2.46.0-py310",
    "serviceType": "ClusterIP",
    "service_account": "head-account",
    "image_pull_secret": "secret",
    "imagePullPolicy": "Always",
    "volumes": [
        {
            "name": "code",
            "mountPath": "/home/ray/samples",
            "volumeType": 3,
            "source": "code-sample",
            "items": {"sample.py": "sample.py"},
        }
    ],
    "environment": {"values": {"key": "value"}},
}
WORKERS: JsonObject = {
    "groupName": "small",
    "computeTemplate": "default-template",
    "replicas": 1,
    "minReplicas": 1,
    "maxReplicas": 1,
    "rayStartParams": {"node-ip-address": "$MY_POD_IP"},
    "image": "rayproject/ray:2.46.0-py310",
    "service_account": "worker-account",
}
C1: JsonObject = {
    "name": "test-cluster",
    "namespace": "default",
    "user": "boris",
    "version": "2.46.0",
    "environment": 0,
    "annotations": {"ray.io/enable-serve-service": "true"},
    "clusterSpec": {
        "headGroupSpec": HEAD,
        "workerGroupSpec": [WORKERS],
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"upscalingMode": "Default"},
    },
}
CODE: JsonObject = {"metadata": {"name": "code-sample"}, "data": {"sample.py": "print()"}}


def site_at_work(new_site: type[Site]) -> Site:
    """Operator, nodes and Ray run, and nothing tolerates or needs what the node has not."""
    site = new_site().start()
    client = site.world.client("test")
    site.run(client.create(CONFIG_MAP, CODE, "default"))
    for name in ("head-account", "worker-account"):
        site.run(client.create(SERVICE_ACCOUNT, {"metadata": {"name": name}}, "default"))
    return site


@pytest.mark.accepts("AS-067")
def test_from_template_to_job_as_the_client_of_the_api_server_goes(new_site: type[Site]) -> None:
    site = site_at_work(new_site)
    site.ok("POST", f"{IN_DEFAULT}/compute_templates", TEMPLATE)
    # Keys with a space are nobody's.
    told = site.ok("GET", f"{IN_DEFAULT}/compute_templates/default-template")
    assert told.keys() == {"name", "namespace", "cpu", "memory", "memoryUnit", "tolerations"}
    for path in (f"{V1}/compute_templates", f"{IN_DEFAULT}/compute_templates"):
        assert [each["name"] for each in site.ok("GET", path)["computeTemplates"]] == ["default-template"]
    site.ok("POST", f"{IN_DEFAULT}/clusters", C1)
    for path in (f"{V1}/clusters", f"{IN_DEFAULT}/clusters"):
        assert [each["name"] for each in site.ok("GET", path)["clusters"]] == ["test-cluster"]
    # It waits for this word.
    site.until(lambda: site.ok("GET", CLUSTER).get("clusterState") == "ready")
    cluster = site.ok("GET", CLUSTER)
    assert cluster["serviceEndpoint"]["dashboard"] == "8265"
    head, (group,) = cluster["clusterSpec"]["headGroupSpec"], cluster["clusterSpec"]["workerGroupSpec"]
    assert (head["serviceAccount"], head["imagePullSecret"], head["imagePullPolicy"]) == (
        "head-account",
        "secret",
        "Always",
    )
    # The decoder takes volumes by their type, and groups by their parameters and replicas.
    assert head["volumes"][0]["volumeType"] == 3
    assert (group["minReplicas"], group["replicas"], group["maxReplicas"]) == (1, 1, 1)
    assert group["rayStartParams"] == {"node-ip-address": "$MY_POD_IP"}
    assert "submissions" not in site.ok("GET", JOBS)
    request = {
        "entrypoint": "echo done",
        "runtimeEnv": "pip: [requests==2.26.0]\nenv_vars:\n  counter_name: test_counter\n",
        "numCpus": 0.5,
        "numGpus": 1,
        "resources": {"x": 1},
    }
    submission = site.ok("POST", JOBS, request)["submissionId"]
    site.until(lambda: site.ok("GET", f"{JOBS}/{submission}")["status"] == "SUCCEEDED")
    (told,) = site.ok("GET", JOBS)["submissions"]
    assert (told["submissionId"], int(told["startTime"]) < int(told["endTime"])) == (submission, True)
    assert told["runtimeEnv"] == {"pip": "[requests==2.26.0]", "env_vars": "map[counter_name:test_counter]"}
    assert "done\n" in site.ok("GET", f"{JOBS}/log/{submission}")["log"]
    # Without a body, and without its type.
    site.ok("POST", f"{JOBS}/{submission}")
    site.ok("DELETE", f"{JOBS}/{submission}")
    site.ok("DELETE", CLUSTER)
    site.ok("DELETE", f"{IN_DEFAULT}/compute_templates/default-template")


@pytest.mark.accepts("AS-067")
def test_every_refusal_has_a_message_for_the_client(site: Site) -> None:
    site.ok("POST", f"{IN_DEFAULT}/compute_templates", TEMPLATE)
    refused: list[tuple[str, str, Any, str]] = [
        ("POST", f"{IN_DEFAULT}/compute_templates", TEMPLATE, "already exists in namespace default"),
        ("GET", f"{IN_DEFAULT}/compute_templates/none", None, "Compute template none not found"),
        ("DELETE", f"{IN_DEFAULT}/compute_templates/none", None, "Compute template none not found"),
        ("POST", f"{IN_DEFAULT}/clusters", {**C1, "user": ""}, "User who create the cluster is empty"),
        ("GET", f"{IN_DEFAULT}/clusters/none", None, "Cluster none not found"),
        ("DELETE", f"{IN_DEFAULT}/clusters/none", None, "Cluster none not found"),
        ("POST", JOBS, {"entrypoint": "x"}, "Cluster test-cluster not found"),
        ("GET", f"{JOBS}/log/x", None, "Cluster test-cluster not found"),
    ]
    for method, path, body, text in refused:
        status, reply = site.send(method, path, body)
        assert status // 100 != 2
        assert text in reply["message"]


def test_empty_lists_are_as_the_client_meets_them_everywhere(site: Site) -> None:
    """It looks for the list without asking whether it is there, and fails at the real server, too."""
    for path in ("compute_templates", "clusters"):
        assert site.ok("GET", f"{V1}/{path}") == {}


# Kubernetes directly


@pytest.fixture
def served(new_site: type[Site]) -> Iterator[ServedSite]:
    with ServedSite(site_at_work(new_site)) as served:
        yield served


def ray_cluster(name: str = "direct") -> JsonObject:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    container = {"name": "ray-head", "image": "rayproject/ray:2.46.0", "resources": resources}
    group = {
        "groupName": "small",
        "replicas": 1,
        "minReplicas": 1,
        "maxReplicas": 2,
        "rayStartParams": {},
        "template": {"spec": {"containers": [{**container, "name": "ray-worker"}]}},
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": "default", "labels": {"demo-cluster": "yes"}},
        "spec": {
            "rayVersion": "2.46.0",
            "headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}},
            "workerGroupSpecs": [group],
        },
    }


def ray_job() -> JsonObject:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "job", "namespace": "default"},
        "spec": {"entrypoint": "echo", "rayClusterSpec": ray_cluster()["spec"]},
    }


@pytest.mark.accepts("AS-068")
@pytest.mark.parametrize("face", ["kubernetes", "api"])
def test_clusters_and_jobs_as_the_client_of_kubernetes_goes(served: ServedSite, face: str) -> None:
    client = pytest.importorskip("kubernetes", reason="needs the kubernetes package").client
    with client.ApiClient(client.Configuration(host=getattr(served, face))) as connection:
        objects = client.CustomObjectsApi(connection)
        clusters = {"group": "ray.io", "version": "v1", "namespace": "default", "plural": "rayclusters"}
        jobs = {**clusters, "plural": "rayjobs"}
        assert objects.list_namespaced_custom_object(**clusters, label_selector="", async_req=False)["items"] == []
        made = objects.create_namespaced_custom_object(**clusters, body=ray_cluster())
        assert made["metadata"]["uid"]
        with pytest.raises(client.exceptions.ApiException) as taken:
            objects.create_namespaced_custom_object(**clusters, body=ray_cluster())
        assert (taken.value.status, taken.value.reason) == (409, "Conflict")
        states = (
            objects.get_namespaced_custom_object_status(**clusters, name="direct").get("status", {}).get("state")
            for _ in range(120)
        )
        assert "ready" in states
        patch = {"spec": {"workerGroupSpecs": [{**ray_cluster()["spec"]["workerGroupSpecs"][0], "maxReplicas": 3}]}}
        objects.patch_namespaced_custom_object(**clusters, name="direct", body=patch)
        found = objects.get_namespaced_custom_object(**clusters, name="direct")
        assert found["spec"]["workerGroupSpecs"][0]["maxReplicas"] == 3
        listed = objects.list_namespaced_custom_object(**clusters, label_selector="demo-cluster=yes")
        assert [each["metadata"]["name"] for each in listed["items"]] == ["direct"]
        objects.create_namespaced_custom_object(**jobs, body=ray_job())
        for suspend in (True, False):
            objects.patch_namespaced_custom_object(**jobs, name="job", body={"spec": {"suspend": suspend}})
            assert objects.get_namespaced_custom_object(**jobs, name="job")["spec"]["suspend"] is suspend
        assert len(objects.list_namespaced_custom_object(**jobs)["items"]) == 1
        assert "status" not in objects.get_namespaced_custom_object_status(**jobs, name="job")
        for which, name in ((jobs, "job"), (clusters, "direct")):
            objects.delete_namespaced_custom_object(**which, name=name)
            with pytest.raises(client.exceptions.ApiException) as gone:
                objects.get_namespaced_custom_object(**which, name=name)
            assert gone.value.status == 404


# The clients themselves

real_clients = pytest.mark.skipif(
    not CLIENTS, reason="KubeRay's Python clients are not on PyPI: RAYRIG_KUBERAY_CLIENTS is to name KubeRay's clients/"
)


def run_with(package: str, program: str, *arguments: str, **environment: str) -> str:
    """What a program that imports one of the clients prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(CLIENTS) / package), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


THROUGH_THE_API_SERVER = """
import sys
from python_apiserver_client import KubeRayAPIs
from python_apiserver_client.params import *

apis = KubeRayAPIs(server_url=sys.argv[1], wait_interval=0)

def done(answer):
    assert answer[0] == 200, answer
    return answer[-1]

toleration = Toleration(key="blah1", operator=TolerationOperation.Exists, effect=TolerationEffect.NoExecute)
template = Template(name="default-template", namespace="default", cpu=2, memory=4, tolerations=[toleration])
done(apis.create_compute_template(template))
status, message = apis.create_compute_template(template)
assert status == 409 and "already exists in namespace default" in message, (status, message)
assert done(apis.get_compute_template(ns="default", name="default-template")).to_string() == template.to_string()
assert [each.name for each in done(apis.list_compute_templates())] == ["default-template"]
assert [each.name for each in done(apis.list_compute_templates_namespace(ns="default"))] == ["default-template"]

volume = ConfigMapVolume(name="code", mount_path="/home/ray/samples", source="code-sample", items={"sample.py": "s.py"})
environment = EnvironmentVariables(key_value={"key": "value"})
head = HeadNodeSpec(compute_template="default-template", ray_start_params={"metrics-export-port": "8080"},
    image="rayproject/ray:2.46.0-py310", service_type=ServiceType.ClusterIP, volumes=[volume], environment=environment,
    image_pull_policy="Always", service_account="head-account")
worker = WorkerNodeSpec(group_name="small", compute_template="default-template", replicas=1, min_replicas=1,
    max_replicas=1, ray_start_params=DEFAULT_WORKER_START_PARAMS, image="rayproject/ray:2.46.0-py310",
    volumes=[volume], environment=environment)
cluster = Cluster(name="test-cluster", namespace="default", user="boris", version="2.46.0",
    annotations={"ray.io/enable-serve-service": "true"},
    cluster_spec=ClusterSpec(head_node=head, worker_groups=[worker],
        autoscaling_options=AutoscalerOptions(upscaling_mode=UpscalingMode.Default)))
done(apis.create_cluster(cluster))
status, message = apis.create_cluster(cluster)
assert status == 500 and "Failed to create a cluster for (default/test-cluster)" in message, (status, message)
assert done(apis.get_cluster_status(ns="default", name="test-cluster")) != "ready"
status, message, _ = apis.submit_job(ns="default", name="test-cluster", job_request=RayJobRequest(entrypoint="x"))
assert (status, message) == (500, "cluster is not ready")
done(apis.wait_cluster_ready(ns="default", name="test-cluster")[:1])
assert done(apis.get_cluster_endpoints(ns="default", name="test-cluster")) == (
    "test-cluster-head-svc.default.svc.cluster.local:8265")
print(done(apis.get_cluster(ns="default", name="test-cluster")).to_string())
assert [each.name for each in done(apis.list_clusters())] == ["test-cluster"]
assert [each.name for each in done(apis.list_clusters_namespace(ns="default"))] == ["test-cluster"]

assert done(apis.list_job_info(ns="default", name="test-cluster")) == []
request = RayJobRequest(entrypoint="echo done", runtime_env="pip: [requests]", num_cpu=0.5)
sid = done(apis.submit_job(ns="default", name="test-cluster", job_request=request))
while done(apis.get_job_info(ns="default", name="test-cluster", sid=sid)).status != "SUCCEEDED":
    pass
print(done(apis.list_job_info(ns="default", name="test-cluster"))[0].to_string())
assert "done" in done(apis.get_job_log(ns="default", name="test-cluster", sid=sid))
done(apis.stop_ray_job(ns="default", name="test-cluster", sid=sid)[:1])
done(apis.delete_ray_job(ns="default", name="test-cluster", sid=sid)[:1])
done(apis.delete_cluster(ns="default", name="test-cluster")[:1])
done(apis.delete_compute_template(ns="default", name="default-template")[:1])
status, message = apis.delete_compute_template(ns="default", name="default-template")
assert status == 404 and "Compute template default-template not found" in message, (status, message)
"""

DIRECTLY = """
import json, sys
from python_client.kuberay_cluster_api import RayClusterApi
from python_client.kuberay_job_api import RayjobApi
from python_client.utils import kuberay_cluster_builder, kuberay_cluster_utils

clusters, jobs = RayClusterApi(), RayjobApi()
built = kuberay_cluster_builder.Director().build_small_cluster(name="built", k8s_namespace="default")
assert clusters.create_ray_cluster(body=built)["metadata"]["name"] == "built"
assert clusters.create_ray_cluster(body=built) is None
utils = kuberay_cluster_utils.ClusterUtils()
built, _ = utils.update_worker_group_replicas(built, "built-workers", max_replicas=4, min_replicas=1, replicas=2)
assert clusters.patch_ray_cluster(name="built", ray_patch=built)
assert len(clusters.list_ray_clusters(k8s_namespace="default")["items"]) == 1
assert clusters.get_ray_cluster("none") is None

body = json.loads(sys.argv[1])
clusters.create_ray_cluster(body=body)
assert clusters.wait_until_ray_cluster_running(body["metadata"]["name"], delay_between_attempts=0.1)
assert clusters.get_ray_cluster(body["metadata"]["name"])["status"]["state"] == "ready"

job = json.loads(sys.argv[2])
assert jobs.submit_job(job=job)["kind"] == "RayJob"
assert jobs.suspend_job("job") and jobs.get_job("job")["spec"]["suspend"] is True
assert jobs.resubmit_job("job") and jobs.get_job("job")["spec"]["suspend"] is False
assert len(jobs.list_jobs()["items"]) == 1
assert jobs.get_job_status("job", timeout=1, delay_between_attempts=1) is None
assert jobs.delete_job("job") and not jobs.delete_job("job")
for name in ("built", body["metadata"]["name"]):
    assert clusters.delete_ray_cluster(name)
    assert clusters.delete_ray_cluster(name) is None
"""


@real_clients
def test_the_client_of_the_api_server_itself(served: ServedSite) -> None:
    printed = run_with("python-apiserver-client/src", THROUGH_THE_API_SERVER, served.api)
    assert "test-cluster" in printed


@real_clients
@pytest.mark.parametrize("face", ["kubernetes", "api"])
def test_the_client_of_kubernetes_itself(served: ServedSite, face: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    named = {"name": "site"}
    document = {
        "clusters": [{**named, "cluster": {"server": getattr(served, face)}}],
        "contexts": [{**named, "context": {"cluster": "site", "user": "site"}}],
        "users": [{**named, "user": {}}],
        "current-context": "site",
    }
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **document}))
    bodies = (json.dumps(ray_cluster()), json.dumps(ray_job()))
    run_with("python-client", DIRECTLY, *bodies, KUBECONFIG=str(kubeconfig))
