"""What the server has against Services, Endpoints, slices, nodes and namespaces, and what it fills in."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, NODE, SERVICE

Api = Any
PORTS = [{"port": 80}]


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": spec}


@pytest.mark.accepts("K8-076")
@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"ports": PORTS, "type": "NodePort"} | {"ports": [{"port": 80, "nodePort": 80}]}, "not in the valid range"),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        ({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.3.3"}, "may not be set for ExternalName"),
        ({"ports": PORTS, "sessionAffinity": "X"}, 'supported values: "ClientIP", "None"'),
        ({"ports": PORTS, "externalTrafficPolicy": "Local"}, "may only be set for externally-accessible services"),
        ({"ports": PORTS, "clusterIPs": ["10.96.7.7"]}, "must be empty when `clusterIP` is not specified"),
        ({"ports": PORTS, "clusterIP": "foo"}, "must be a valid IP address"),
        ({"ports": PORTS, "ipFamilies": ["IPv6"]}, "not configured on this cluster"),
        ({"ports": PORTS, "ipFamilyPolicy": "RequireDualStack"}, "not configured for dual-stack services"),
        ({"ports": PORTS, "externalIPs": ["127.0.0.1"]}, "may not be in the loopback range"),
        ({"ports": [{"port": 80, "protocol": "FOO"}]}, 'supported values: "SCTP", "TCP", "UDP"'),
    ],
)
def test_services_are_refused_with_the_reason(api: Api, spec: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(SERVICE, service(**spec))
    assert text in refused.value.message


@pytest.mark.accepts("K8-076")
def test_a_service_of_another_type_loses_what_went_with_the_old_one(api: Api) -> None:
    made = api.create(SERVICE, service(ports=PORTS, type="LoadBalancer", externalTrafficPolicy="Local"))
    assert made["spec"]["healthCheckNodePort"] != made["spec"]["ports"][0]["nodePort"]
    api.patch(SERVICE, "s", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, subresource="status")
    changed = api.patch(SERVICE, "s", {"spec": {"type": "ClusterIP"}})
    assert changed["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert "nodePort" not in changed["spec"]["ports"][0]
    assert "healthCheckNodePort" not in changed["spec"]
    assert changed["status"] == {"loadBalancer": {}}
    changed = api.patch(SERVICE, "s", {"spec": {"type": "ExternalName", "externalName": "a.b"}})
    assert "clusterIP" not in changed["spec"]
    assert "ipFamilies" not in changed["spec"]


def test_endpoints_and_slices_are_checked(api: Api) -> None:
    made = api.create(
        ENDPOINTS, {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}]}
    )
    assert made["subsets"][0]["ports"] == [{"port": 1, "protocol": "TCP"}]
    with pytest.raises(Invalid, match="must specify `addresses` or `notReadyAddresses`"):
        api.create(ENDPOINTS, {"metadata": {"name": "f"}, "subsets": [{}]})
    with pytest.raises(Invalid, match="addressType: Required value"):
        api.create(ENDPOINT_SLICE, {"metadata": {"name": "f"}, "endpoints": []})
    with pytest.raises(Invalid, match="must contain at least 1 address"):
        api.create(ENDPOINT_SLICE, {"metadata": {"name": "f"}, "addressType": "IPv4", "endpoints": [{"addresses": []}]})


def test_the_generation_of_a_slice_grows_with_what_it_says(api: Api) -> None:
    api.create(ENDPOINT_SLICE, {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []})
    changed = api.patch(ENDPOINT_SLICE, "s", {"endpoints": [{"addresses": ["1.2.3.4"]}]})
    assert changed["metadata"]["generation"] == 2


def test_taints_of_a_node_are_unique_and_its_ranges_stay(api: Api) -> None:
    made = api.create(NODE, {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"}})
    assert made["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    taint = {"key": "a", "effect": "NoSchedule"}
    with pytest.raises(Invalid, match="taints must be unique by key and effect pair"):
        api.patch(NODE, "n", {"spec": {"taints": [taint, taint]}})
    with pytest.raises(Invalid, match="may not change podCIDR"):
        api.patch(NODE, "n", {"spec": {"podCIDR": "10.0.1.0/24"}})
    with pytest.raises(Invalid, match="must be greater than or equal to 0"):
        api.patch(NODE, "n", {"status": {"capacity": {"cpu": "-1"}}}, subresource="status")


@pytest.mark.accepts("K8-062")
def test_a_namespace_keeps_finalizers_of_its_spec_and_its_phase(api: Api) -> None:
    made = api.create(NAMESPACE, {"metadata": {"name": "n"}, "spec": {"finalizers": ["example.com/f"]}})
    assert made["spec"]["finalizers"] == ["example.com/f", "kubernetes"]
    with pytest.raises(Invalid, match="may only be 'Active' if `deletionTimestamp` is empty"):
        api.patch(NAMESPACE, "n", {"status": {"phase": "Terminating"}}, subresource="status")


@pytest.mark.accepts("K8-076")
@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"ports": [{"port": 1}, {"port": 2}], "ipFamilyPolicy": "RequireDualStack"},
            (
                'Service "s" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
                "this cluster is not configured for dual-stack services"
            ),
        ),
        (
            {"ports": PORTS, "ipFamilies": ["IPv4", "IPv6"]},
            (
                'Service "s" is invalid: spec.ipFamilyPolicy: Invalid value: "SingleStack": '
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
            ),
        ),
        (
            {"ports": PORTS, "clusterIP": "10.96.3.3", "clusterIPs": ["10.96.3.3", "10.96.3.4"]},
            (
                'Service "s" is invalid: spec.clusterIPs: Invalid value: ["10.96.3.3","10.96.3.4"]: '
                "may specify no more than one IP for each IP family"
            ),
        ),
        (
            {"ports": PORTS, "clusterIP": "fd00::1"},
            (
                'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: ["fd00::1"]: '
                "IPv6 is not configured on this cluster"
            ),
        ),
        (
            {"ports": PORTS, "clusterIP": "None", "clusterIPs": ["None", "10.96.3.4"]},
            (
                'Service "s" is invalid: spec.clusterIPs: Invalid value: ["None","10.96.3.4"]: '
                "'None' must be the first and only value"
            ),
        ),
        (
            {
                "type": "NodePort",
                "ports": [{"port": 1, "nodePort": 30001, "name": "a"}, {"port": 2, "nodePort": 30001, "name": "b"}],
            },
            'Service "s" is invalid: spec.ports[1].nodePort: Invalid value: 30001: provided port is already allocated',
        ),
    ],
)
def test_addresses_are_given_before_the_rest_of_a_service_is_looked_at(
    api: Api, spec: dict[str, Any], text: str
) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(SERVICE, service(**spec))
    assert refused.value.message == text


@pytest.mark.accepts("K8-076")
def test_a_headless_service_keeps_the_policy_it_was_made_with(api: Api) -> None:
    made = api.create(SERVICE, service(ports=PORTS, clusterIP="None", selector={"a": "b"}))
    assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    without = api.update(SERVICE, service(ports=PORTS, clusterIP="None"))
    assert (without["spec"]["ipFamilies"], without["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    other = service(ports=PORTS, clusterIP="None")
    other["metadata"]["name"] = "t"
    made = api.create(SERVICE, other)
    assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")
    other["spec"]["selector"] = {"a": "b"}
    with pytest.raises(Invalid) as refused:
        api.update(SERVICE, other)
    assert refused.value.message == (
        'Service "t" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
        "this cluster is not configured for dual-stack services"
    )


@pytest.mark.accepts("K8-076")
def test_settings_of_an_affinity_go_with_it(api: Api) -> None:
    made = api.create(SERVICE, service(ports=PORTS, sessionAffinity="ClientIP"))
    assert made["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10_800}}
    changed = api.patch(SERVICE, "s", {"spec": {"sessionAffinity": "None"}})
    assert "sessionAffinityConfig" not in changed["spec"]


@pytest.mark.accepts("K8-076")
@pytest.mark.parametrize(
    ("name", "text"), [("a.b", "must not contain dots"), ("a.", "a lowercase RFC 1123 label must consist of")]
)
def test_names_with_dots(api: Api, name: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(SERVICE, {"metadata": {"name": name}, "spec": {"ports": PORTS}})
    assert f'metadata.name: Invalid value: "{name}": {text}' in refused.value.message
