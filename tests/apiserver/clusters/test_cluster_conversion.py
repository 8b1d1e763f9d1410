"""Clusters as RayClusters and back: pods, variables, volumes, the autoscaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, RAY_CLUSTER

if TYPE_CHECKING:
    from tests.apiserver.conftest import Site

CLUSTERS = "/apis/v1/namespaces/default/clusters"
TEMPLATES = "/apis/v1/namespaces/default/compute_templates"
HEAD: JsonObject = {"computeTemplate": "t", "rayStartParams": {"dashboard-host": "0.0.0.0"}}
GROUP: JsonObject = {"groupName": "g", "computeTemplate": "t", "replicas": 1, "maxReplicas": 5}
PORTS = {"redis": 6379, "head": 10001, "dashboard": 8265, "metrics": 8080}
SERVE_PORTS = {"dashboard-agent": 52365, "serve": 8000}


def template(site: Site, **fields: Any) -> None:
    site.ok("POST", TEMPLATES, {"name": "t", "namespace": "default", "cpu": 2, "memory": 4} | fields)


def cluster(head: JsonObject | None = None, group: JsonObject | None = None, **fields: Any) -> JsonObject:
    spec = {"headGroupSpec": HEAD | (head or {}), "workerGroupSpec": [GROUP | (group or {})]} | fields.pop("spec", {})
    return {"name": "c", "namespace": "default", "user": "ada", "version": "2.9.0", "clusterSpec": spec, **fields}


def made(site: Site, body: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The stored spec, and the spec as it is told."""
    reply = site.ok("POST", CLUSTERS, body)
    assert site.ok("GET", f"{CLUSTERS}/c") == reply
    return site.stored(RAY_CLUSTER, "c")["spec"], reply["clusterSpec"]


def pod(spec: JsonObject, group: int | None = None) -> JsonObject:
    """Pod spec of the head or of a worker group."""
    found: JsonObject = (spec["headGroupSpec"] if group is None else spec["workerGroupSpecs"][group])["template"][
        "spec"
    ]
    return found


def container(spec: JsonObject, group: int | None = None) -> JsonObject:
    (found,) = pod(spec, group)["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.accepts("AS-022")
def test_labels_ports_resources_and_the_end_of_workers(site: Site) -> None:
    template(site)
    spec, _ = made(site, cluster(annotations={"ray.io/enable-serve-service": "true"}, environment="TESTING"))

    assert site.stored(RAY_CLUSTER, "c")["metadata"]["labels"] == {
        "ray.io/cluster-name": "c",
        "ray.io/user": "ada",
        "ray.io/version": "2.9.0",
        "ray.io/environment": "TESTING",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/managed-by": "kuberay-apiserver",
    }
    head, worker = container(spec), container(spec, 0)
    assert (head["name"], worker["name"]) == ("ray-head", "ray-worker")
    amount = {"containerName": "ray-worker", "divisor": "0"}
    assert worker["env"] == [
        {"name": "RAY_DISABLE_DOCKER_CPU_WARNING", "value": "1"},
        {"name": "TYPE", "value": "worker"},
        {"name": "CPU_REQUEST", "valueFrom": {"resourceFieldRef": amount | {"resource": "requests.cpu"}}},
        {"name": "CPU_LIMITS", "valueFrom": {"resourceFieldRef": amount | {"resource": "limits.cpu"}}},
        {"name": "MEMORY_REQUESTS", "valueFrom": {"resourceFieldRef": amount | {"resource": "requests.memory"}}},
        {"name": "MEMORY_LIMITS", "valueFrom": {"resourceFieldRef": amount | {"resource": "limits.memory"}}},
        {"name": "MY_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "MY_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    assert {port["name"]: port["containerPort"] for port in head["ports"]} == PORTS | SERVE_PORTS
    assert [port["containerPort"] for port in worker["ports"]] == [80]
    amounts = {"cpu": "2", "memory": "4Gi"}
    assert head["resources"] == worker["resources"] == {"limits": amounts, "requests": amounts}
    assert worker["lifecycle"] == {"preStop": {"exec": {"command": ["/bin/sh", "-c", "ray stop"]}}}
    assert "lifecycle" not in head


@pytest.mark.accepts("AS-023")
@pytest.mark.parametrize("annotations", [{}, {"ray.io/enable-serve-service": "True"}])
def test_without_the_exact_annotation_there_are_no_ports_of_serve(site: Site, annotations: dict[str, str]) -> None:
    template(site)
    spec, _ = made(site, cluster(annotations=annotations))
    assert {port["name"]: port["containerPort"] for port in container(spec)["ports"]} == PORTS


@pytest.mark.accepts("AS-024")
def test_an_image_follows_from_the_version_and_is_not_told(site: Site) -> None:
    template(site)
    spec, told = made(site, cluster(group={"image": "mine:1"}))
    assert (container(spec)["image"], container(spec, 0)["image"]) == ("rayproject/ray:2.9.0", "mine:1")
    assert "image" not in told["headGroupSpec"]
    assert told["workerGroupSpec"][0]["image"] == "mine:1"


@pytest.mark.accepts("AS-025")
def test_variables_of_the_cluster_come_before_those_of_a_group(site: Site) -> None:
    template(site)
    secret = {"source": "SECRET", "name": "s", "key": "k"}
    body = cluster({"environment": {"valuesFrom": {"B": secret}}}, envs={"values": {"A": "1"}})
    spec, told = made(site, body)

    assert container(spec)["env"] == [
        {"name": "MY_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    assert told["headGroupSpec"]["environment"] == {"values": {"A": "1"}, "valuesFrom": {"B": secret | {"source": 1}}}
    assert told["workerGroupSpec"][0]["environment"] == {"values": {"A": "1"}}
    assert "envs" not in site.ok("GET", f"{CLUSTERS}/c")


def test_variables_from_every_source(site: Site) -> None:
    template(site)
    sources = {
        "M": {"name": "m", "key": "k"},
        "S": {"source": 1, "name": "s", "key": "k"},
        "R": {"source": 2, "name": "ray-head", "key": "limits.cpu"},
        "F": {"source": 3, "key": "metadata.name"},
    }
    spec, told = made(site, cluster({"environment": {"values": {"E": ""}, "valuesFrom": sources}}))
    assert container(spec)["env"][1:] == [
        {"name": "E"},
        {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {
            "name": "R",
            "valueFrom": {"resourceFieldRef": {"containerName": "ray-head", "resource": "limits.cpu", "divisor": "0"}},
        },
        {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    assert told["headGroupSpec"]["environment"] == {"values": {"E": ""}, "valuesFrom": sources}


VOLUMES: list[JsonObject] = [
    {"name": "pvc", "volumeType": 0, "source": "claim", "mountPath": "/pvc", "readOnly": True},
    {"name": "host", "volumeType": 1, "source": "/var/x", "mountPath": "/host", "hostPathType": 1},
    {"name": "eph", "volumeType": 2, "mountPath": "/eph", "storage": "1024Mi", "accessMode": 1},
    {"name": "map", "volumeType": 3, "source": "code", "mountPath": "/map", "items": {"a": "b"}, "readOnly": True},
    {"name": "sec", "volumeType": 4, "source": "secret", "mountPath": "/sec", "items": {"c": "d"}},
    {"name": "dir", "volumeType": 5, "mountPath": "/dir", "storage": "1.5Gi", "mountPropagationMode": 2},
]


@pytest.mark.accepts("AS-026")
def test_every_kind_of_volume_comes_back(site: Site) -> None:
    template(site)
    propagated = [VOLUMES[0], VOLUMES[1] | {"mountPropagationMode": 1}, *VOLUMES[2:]]
    spec, told = made(site, cluster({"volumes": propagated}))

    claim = {
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "kuberay-apiserver"}},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert pod(spec)["volumes"] == [
        {"name": "pvc", "persistentVolumeClaim": {"claimName": "claim", "readOnly": True}},
        {"name": "host", "hostPath": {"path": "/var/x", "type": "File"}},
        {"name": "eph", "ephemeral": {"volumeClaimTemplate": claim}},
        {"name": "map", "configMap": {"name": "code", "items": [{"key": "a", "path": "b"}]}},
        {"name": "sec", "secret": {"secretName": "secret", "items": [{"key": "c", "path": "d"}]}},
        {"name": "dir", "emptyDir": {"sizeLimit": "1536Mi"}},
    ]
    assert container(spec)["volumeMounts"] == [
        {"name": "pvc", "mountPath": "/pvc", "readOnly": True},
        {"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer"},
        {"name": "eph", "mountPath": "/eph"},
        {"name": "map", "mountPath": "/map", "readOnly": True},
        {"name": "sec", "mountPath": "/sec"},
        {"name": "dir", "mountPath": "/dir", "mountPropagation": "Bidirectional"},
    ]
    # Read-only is told of claims alone, propagation of claims, host paths and ephemeral volumes.
    assert told["headGroupSpec"]["volumes"] == [
        {"name": "pvc", "source": "claim", "mountPath": "/pvc", "readOnly": True},
        {
            "name": "host",
            "volumeType": 1,
            "source": "/var/x",
            "mountPath": "/host",
            "hostPathType": 1,
            "mountPropagationMode": 1,
        },
        {"name": "eph", "volumeType": 2, "mountPath": "/eph", "storage": "1Gi", "accessMode": 1},
        {"name": "map", "volumeType": 3, "source": "code", "mountPath": "/map", "items": {"a": "b"}},
        VOLUMES[4],
        {"name": "dir", "volumeType": 5, "mountPath": "/dir", "storage": "1536Mi"},
    ]


@pytest.mark.accepts("AS-027")
@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"volumeType": 2}, "storage for ephemeral volume is empty"),
        ({"volumeType": 2, "storage": "1Zz"}, "storage for ephemeral volume is not specified correctly"),
        ({"volumeType": 5, "storage": "1Zz"}, "storage for empty dir volume is not specified correctly"),
    ],
)
def test_sizes_that_are_none(site: Site, volume: JsonObject, why: str) -> None:
    template(site)
    body = cluster(group={"volumes": [{"name": "v", "mountPath": "/v", **volume}]})
    message = f"Failed to create a Ray cluster: Create Cluster failed.: InvalidInputError: Failed to create a Ray cluster: {why}"
    assert site.send("POST", CLUSTERS, body) == (400, {"code": 3, "message": message})


@pytest.mark.accepts("AS-028")
def test_unknown_operators_and_effects_of_tolerations(site: Site) -> None:
    template(site, tolerations=[{"key": "k", "operator": "Foo", "value": "v", "effect": "Bar"}, {"operator": "Exists"}])
    spec, _ = made(site, cluster())
    assert pod(spec)["tolerations"] == [
        {"key": "k", "operator": "Equal", "value": "v", "effect": "PreferNoSchedule"},
        {"operator": "Exists", "effect": "PreferNoSchedule"},
    ]
    assert pod(spec, 0)["tolerations"] == pod(spec)["tolerations"]


@pytest.mark.accepts("AS-029")
def test_amounts_of_the_autoscaler_complete_each_other(site: Site) -> None:
    template(site)
    spec, told = made(site, cluster(spec={"enableInTreeAutoscaling": True, "autoscalerOptions": {"cpu": "1"}}))
    amounts = {"cpu": "1", "memory": "512Mi"}
    assert spec["autoscalerOptions"] == {"resources": {"limits": amounts, "requests": amounts}}
    assert told["autoscalerOptions"] == amounts


@pytest.mark.accepts("AS-029")
def test_options_of_an_autoscaler_that_is_not_wanted_are_dropped(site: Site) -> None:
    template(site)
    spec, told = made(site, cluster(spec={"autoscalerOptions": {"cpu": "1"}}))
    assert "autoscalerOptions" not in spec
    assert "enableInTreeAutoscaling" not in spec
    assert "autoscalerOptions" not in told


def test_options_of_the_autoscaler_and_what_is_told_of_them(site: Site) -> None:
    template(site)
    sources = {"A": {"name": "m", "key": "k"}, "B": {"source": 1, "name": "s"}, "C": {"source": 3, "key": "x"}}
    options = {
        "idleTimeoutSeconds": 30,
        "upscalingMode": "Conservative",
        "imagePullPolicy": "ALWAYS",
        "envs": {"values": {"X": "1"}, "valuesFrom": sources},
        "volumes": [{"name": "v", "volumeType": 5, "mountPath": "/v"}],
    }
    spec, told = made(site, cluster(spec={"enableInTreeAutoscaling": True, "autoscalerOptions": options}))
    assert spec["autoscalerOptions"] == {
        "idleTimeoutSeconds": 30,
        "upscalingMode": "Conservative",
        "imagePullPolicy": "Always",
        "env": [{"name": "X", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    assert told["autoscalerOptions"] == {
        "idleTimeoutSeconds": 30,
        "upscalingMode": "Conservative",
        "imagePullPolicy": "Always",
        "envs": {"values": {"X": "1"}, "valuesFrom": {"0": {"name": "m"}, "1": {"source": 1, "name": "s"}}},
        "volumes": [{"name": "v", "mountPath": "/v"}],
    }


@pytest.mark.accepts("AS-030")
def test_names_of_one_letter_are_no_service_accounts(site: Site) -> None:
    template(site)
    spec, told = made(
        site,
        cluster(
            {"serviceAccount": "x", "imagePullSecret": "y"}, {"serviceAccount": "sa", "imagePullSecret": "regcred"}
        ),
    )
    assert not {"serviceAccountName", "imagePullSecrets"} & pod(spec).keys()
    assert pod(spec, 0)["serviceAccountName"] == "sa"
    assert pod(spec, 0)["imagePullSecrets"] == [{"name": "regcred"}]
    assert "serviceAccount" not in told["headGroupSpec"]
    assert told["workerGroupSpec"][0]["serviceAccount"] == "sa"


def test_accelerators_have_the_name_the_template_gives(site: Site) -> None:
    template(site, gpu=4, gpuAccelerator="google.com/tpu", extendedResources={"a.b/c": 0, "a.b/d": 2}, memoryUnit="M")
    spec, _ = made(site, cluster())
    assert container(spec)["resources"]["limits"] == {
        "cpu": "2",
        "memory": "4M",
        "google.com/tpu": "4",
        "a.b/d": "2",
    }


def test_accelerators_are_gpus_unless_the_template_says_otherwise(site: Site) -> None:
    template(site, gpu=1)
    spec, _ = made(site, cluster())
    amounts = {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert container(spec, 0)["resources"] == {"limits": amounts, "requests": amounts}


def test_privileges_are_told_as_given(site: Site) -> None:
    template(site)
    head, group = {"securityContext": {"privileged": False}}, {"securityContext": {"capabilities": {"add": ["ALL"]}}}
    spec, told = made(site, cluster(head, group))
    assert container(spec)["securityContext"] == {"capabilities": {}, "privileged": False}
    assert container(spec, 0)["securityContext"] == {"capabilities": {"add": ["ALL"]}}
    assert told["headGroupSpec"]["securityContext"] == {"capabilities": {}, "privileged": False}
    assert told["workerGroupSpec"][0]["securityContext"] == {"capabilities": {"add": ["ALL"]}}


def test_callers_annotations_may_replace_those_of_the_server(site: Site) -> None:
    template(site)
    annotations = {"ray.io/compute-image": "other", "a": "b"}
    spec, told = made(site, cluster({"annotations": annotations, "labels": {"ray.io/group": "x", "c": "d"}}))
    assert spec["headGroupSpec"]["template"]["metadata"]["annotations"] == {
        "ray.io/compute-template": "t",
        **annotations,
    }
    assert told["headGroupSpec"]["image"] == "other"
    assert told["headGroupSpec"]["annotations"] == {"a": "b"}
    assert told["headGroupSpec"]["labels"] == {"c": "d"}


def test_a_template_written_before_units_counts_bytes(site: Site) -> None:
    body = {"metadata": {"name": "t"}, "data": {"cpu": "1", "memory": "2048"}}
    site.run(site.world.client("test").create(CONFIG_MAP, body, "default"))
    spec, _ = made(site, cluster())
    assert container(spec)["resources"]["limits"] == {"cpu": "1", "memory": "2048"}


def test_what_is_passed_on_comes_back(site: Site) -> None:
    template(site)
    head = {"enableIngress": True, "serviceType": "LoadBalancer", "imagePullPolicy": "Always"}
    volume = {"name": "v", "volumeType": 2, "mountPath": "/v", "storage": "1Gi", "storageClassName": "fast"}
    group = {
        "imagePullPolicy": "IfNotPresent",
        "rayStartParams": {"num-cpus": "1"},
        "volumes": [volume],
        "minReplicas": 2,
    }
    spec, told = made(site, cluster(head, group, spec={"headServiceAnnotations": {"a": "b"}}))

    stored = spec["headGroupSpec"]
    assert (stored["enableIngress"], stored["serviceType"]) == (True, "LoadBalancer")
    assert [container(spec)["imagePullPolicy"], container(spec, 0)["imagePullPolicy"]] == ["Always", "IfNotPresent"]
    assert spec["headServiceAnnotations"] == {"a": "b"}
    assert pod(spec, 0)["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "fast"
    del group["imagePullPolicy"]
    assert told == {
        "headGroupSpec": HEAD | head | {"environment": {}},
        "workerGroupSpec": [GROUP | group | {"environment": {}}],
        "headServiceAnnotations": {"a": "b"},
    }


def test_without_a_version_the_image_has_none(site: Site) -> None:
    template(site)
    spec, _ = made(site, cluster(version=""))
    assert container(spec)["image"] == "rayproject/ray:"
    assert "rayVersion" not in spec
