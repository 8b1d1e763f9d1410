"""Defaults and rules of pods, nodes and services."""

from __future__ import annotations

import pytest

from rayrig_core.errors import ApiError, Conflict, Invalid, NotFound
from rayrig_core.resource_types import NODE, POD, PRIORITY_CLASS, SERVICE
from tests.fakes.kubernetes.conftest import Api

TOLERATIONS = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
]


@pytest.mark.accepts("K8-065")
def test_what_a_pod_gets_when_it_is_created(api: Api) -> None:
    made = api.create(
        POD,
        {
            "metadata": {"name": "p"},
            "spec": {
                "containers": [
                    {
                        "name": "c",
                        "image": "i",
                        "ports": [{"containerPort": 80}],
                        "readinessProbe": {"httpGet": {"port": 80}},
                        "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 3},
                        "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
                    }
                ],
            },
            "status": {"phase": "Running"},
        },
    )
    spec = dict(made["spec"])
    (container,) = spec.pop("containers")
    assert spec == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": TOLERATIONS,
    }
    defaults = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    assert container == {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **defaults},
        "livenessProbe": {"tcpSocket": {"port": 80}, **defaults, "periodSeconds": 3},
        "resources": {
            "limits": {"cpu": "500m", "memory": "1Gi"},
            "requests": {"cpu": "500m", "memory": "1Gi"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}


@pytest.mark.accepts("K8-065")
@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("i", "Always"),
        ("i:latest", "Always"),
        ("i:1", "IfNotPresent"),
        ("registry:5000/i", "Always"),
        ("registry:5000/i:1", "IfNotPresent"),
        ("i@sha256:abc", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(api: Api, image: str, policy: str) -> None:
    made = api.pod("p", containers=[{"name": "c", "image": image}])
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.accepts("K8-065")
def test_quality_of_service_and_tolerations(api: Api) -> None:
    assert api.pod("none")["status"]["qosClass"] == "BestEffort"
    burstable = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]
    assert api.pod("some", containers=burstable)["status"]["qosClass"] == "Burstable"
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    assert api.pod("own", tolerations=[own])["spec"]["tolerations"] == [own, TOLERATIONS[1]]
    everything = [{"operator": "Exists"}]
    assert api.pod("all", tolerations=everything)["spec"]["tolerations"] == everything


def test_pods_of_one_template_are_each_whole_and_their_own(api: Api) -> None:
    first, second = api.pod("a"), api.pod("b")
    assert first["spec"] == second["spec"]
    api.patch(POD, "a", {"spec": {"activeDeadlineSeconds": 9}})
    assert "activeDeadlineSeconds" not in api.get(POD, "b")["spec"]
    assert "activeDeadlineSeconds" not in api.pod("c")["spec"]


def test_priority_comes_from_the_class(api: Api) -> None:
    api.create(PRIORITY_CLASS, {"metadata": {"name": "high"}, "value": 1000})
    assert api.pod("p", priorityClassName="high")["spec"]["priority"] == 1000
    with pytest.raises(ApiError, match="no PriorityClass with name low was found") as refused:
        api.pod("q", priorityClassName="low")
    assert refused.value.code == 403


@pytest.mark.accepts("K8-068")
def test_extended_resources_are_whole_and_requests_equal_limits(api: Api) -> None:
    def gpu(name: str, **resources: dict[str, str]) -> dict[str, object]:
        return api.pod(name, containers=[{"name": "c", "image": "i", "resources": resources}])

    made = gpu("limit-alone", limits={"nvidia.com/gpu": "2"})
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"nvidia.com/gpu": "2"}
    for name, resources, says in (
        ("request-alone", {"requests": {"nvidia.com/gpu": "1"}}, "Limit must be set for non overcommitable resources"),
        ("part", {"limits": {"nvidia.com/gpu": "500m"}}, "must be an integer"),
        (
            "unequal",
            {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}},
            "must be equal to nvidia.com/gpu limit of 2",
        ),
        ("above", {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}, "must be less than or equal to cpu limit of 1"),
    ):
        with pytest.raises(Invalid, match=says):
            gpu(name, **resources)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        ({"containers": [{"name": "c"}]}, r"spec.containers\[0\].image: Required value"),
        ({"containers": [{"name": "c", "image": "i"}] * 2}, 'Duplicate value: "c"'),
        ({"restartPolicy": "Sometimes"}, 'Unsupported value: "Sometimes"'),
        (
            {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'Not found: "v"',
        ),
        (
            {
                "containers": [
                    {"name": "c", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}}
                ]
            },
            "must be 1",
        ),
    ],
)
def test_bad_pods_are_refused(api: Api, spec: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        api.pod("p", **spec)


@pytest.mark.accepts("K8-066")
def test_a_pod_is_bound_once(api: Api) -> None:
    api.pod("p", bound=False)

    def bind(node: str) -> dict[str, object]:
        body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}}
        return api.call("create", POD, "p", subresource="binding", body=body)

    assert bind("n1")["status"] == "Success"
    pod = api.get(POD, "p")
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["generation"] == 1
    assert pod["status"]["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
    with pytest.raises(Conflict, match='pod p is already assigned to node "n1"'):
        bind("n2")
    other = {"metadata": {"name": "nope"}, "target": {"name": "n1"}}
    with pytest.raises(NotFound):
        api.call("create", POD, "nope", subresource="binding", body=other)
    with pytest.raises(ApiError, match="name in URL does not match name in Binding object"):
        api.call("create", POD, "p", subresource="binding", body={"target": {"name": "n1"}})


def test_an_eviction_marks_and_deletes(api: Api) -> None:
    api.pod("p")
    answer = api.call("create", POD, "p", subresource="eviction", body={"metadata": {"name": "p"}})
    assert (answer["status"], answer["code"]) == ("Success", 201)
    pod = api.get(POD, "p")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    assert pod["status"]["conditions"][0]["reason"] == "EvictionByEvictionAPI"
    api.pod("pending", bound=False)
    api.call("create", POD, "pending", subresource="eviction", body={"metadata": {"name": "pending"}})
    assert api.names(POD) == ["p"]


def test_the_status_of_a_pod_takes_labels_along(api: Api) -> None:
    api.pod("p")
    patch = {"status": {"podIP": "10.1.2.3"}, "metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "n2"}}
    written = api.patch(POD, "p", patch, subresource="status")
    assert written["metadata"]["labels"] == {"a": "b"}
    assert written["spec"]["nodeName"] == "n1"
    assert written["status"]["qosClass"] == "BestEffort"


@pytest.mark.accepts("K8-076")
def test_services_get_addresses_and_ports(api: Api) -> None:
    def service(name: str, **spec: object) -> dict[str, object]:
        made = api.create(SERVICE, {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}})
        return made["spec"]

    plain = service("plain")
    assert plain["clusterIP"].startswith("10.96.")
    assert plain == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "clusterIP": plain["clusterIP"],
        "clusterIPs": [plain["clusterIP"]],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    assert service("headless", clusterIP="None")["clusterIPs"] == ["None"]
    node_port = service("ports", type="NodePort")
    assert 30_000 <= node_port["ports"][0]["nodePort"] <= 32_767
    balanced = service("balanced", type="LoadBalancer")
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["externalTrafficPolicy"] == "Cluster"
    taken = plain["clusterIP"]
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        service("same", clusterIP=taken)
    with pytest.raises(Invalid, match="does not match the current range"):
        service("outside", clusterIP="10.1.1.1")
    with pytest.raises(Invalid, match="provided port is already allocated"):
        service("same-port", type="NodePort", ports=[{"port": 1, "nodePort": node_port["ports"][0]["nodePort"]}])
    api.delete(SERVICE, "plain")
    assert service("again", clusterIP=taken)["clusterIP"] == taken


def test_an_update_keeps_what_a_service_was_given(api: Api) -> None:
    made = api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "type": "NodePort"}})
    again = api.update(
        SERVICE,
        {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "type": "NodePort", "selector": {"a": "b"}}},
    )
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert again["spec"]["ports"] == made["spec"]["ports"]
    plain = api.patch(SERVICE, "s", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]


def test_a_new_node_is_tainted_and_counts_in_canonical_amounts(api: Api) -> None:
    made = api.create(NODE, {"metadata": {"name": "n1"}, "status": {"capacity": {"cpu": "8000m", "nvidia.com/gpu": 4}}})
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert made["status"]["capacity"] == made["status"]["allocatable"] == {"cpu": "8", "nvidia.com/gpu": "4"}
