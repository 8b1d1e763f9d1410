"""What is wrong with a Service, in the server's words (`kubernetes-api.md` section 11; K8-076)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from rayrig_core.kubernetes_names import dns_label, dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import each, ip_problems, labels_problems, one_of, port_name, validate_port
from rayrig_fakes.kubernetes.status import Cause

FIRST_NODE_PORT, LAST_NODE_PORT = 30_000, 32_767
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TRAFFIC = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_LONGEST_AFFINITY_S = 86_400


def service_problems(spec: JsonObject, is_taken: Callable[[int], bool]) -> list[Cause]:
    """`is_taken` says of a node port whether another Service has it."""
    causes: list[Cause] = []
    kind = spec["type"]
    if not spec.get("ports") and kind != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(status.required("spec.ports"))
    if kind in WITH_NODE_PORTS and spec.get("clusterIP") == "None":
        causes.append(
            status.invalid_value("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
        )
    if kind == "ExternalName":
        causes += _external_name(spec)
    causes += _ports(spec, is_taken)
    causes += labels_problems(spec.get("selector") or {}, "spec.selector")
    causes += _affinity(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        causes += _reachable(address, f"spec.externalIPs[{index}]")
    causes += one_of("spec.type", kind, _TYPES)
    causes += _load_balancer(spec)
    causes += _traffic(spec)
    return causes


def _external_name(spec: JsonObject) -> list[Cause]:
    causes = []
    if spec.get("clusterIPs") or spec.get("clusterIP"):
        causes.append(status.forbidden_field("spec.clusterIPs", "may not be set for ExternalName services"))
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            causes.append(status.forbidden_field(f"spec.{field}", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        causes.append(status.required("spec.externalName"))
    else:
        causes += each("spec.externalName", name, dns_subdomain(name))
    return causes


def _ports(spec: JsonObject, is_taken: Callable[[int], bool]) -> list[Cause]:
    causes: list[Cause] = []
    ports, kind = spec.get("ports") or [], spec["type"]
    seen: list[tuple[object, object]] = []
    names: list[str] = []
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        name, protocol, number = port.get("name") or "", port["protocol"], port.get("port")
        if not name and len(ports) > 1:
            causes.append(status.required(f"{field}.name"))
        elif name:
            causes += each(f"{field}.name", name, dns_label(name))
            if name in names:
                causes.append(status.duplicate(f"{field}.name", name))
            names.append(name)
        causes += validate_port(number, f"{field}.port")
        causes += one_of(f"{field}.protocol", protocol, _PROTOCOLS)
        target = port.get("targetPort")
        if isinstance(target, int):
            causes += validate_port(target, f"{field}.targetPort")
        elif isinstance(target, str):
            causes += each(f"{field}.targetPort", target, port_name(target))
        application = port.get("appProtocol")
        if application is not None:
            causes += each(f"{field}.appProtocol", application, qualified_name(application))
        node_port = port.get("nodePort")
        if node_port and kind not in WITH_NODE_PORTS:
            text = "may not be used when `type` is '" + kind + "'"
            causes.append(status.forbidden_field(f"{field}.nodePort", text))
        elif node_port:
            causes += _node_port(node_port, f"{field}.nodePort", is_taken)
        if (number, protocol) in seen:
            shown = {"Name": "", "Protocol": protocol, "AppProtocol": None, "Port": number}
            causes.append(status.duplicate(field, {**shown, "TargetPort": 0, "NodePort": 0}))
        seen.append((number, protocol))
    return causes


def _node_port(number: int, field: str, is_taken: Callable[[int], bool]) -> list[Cause]:
    if not FIRST_NODE_PORT <= number <= LAST_NODE_PORT:
        text = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        return [status.invalid_value(field, number, text)]
    return [status.invalid_value(field, number, "provided port is already allocated")] if is_taken(number) else []


def _affinity(spec: JsonObject) -> list[Cause]:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    causes = one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "ClientIP":
        timeout = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if timeout is not None and not 0 < timeout <= _LONGEST_AFFINITY_S:
            field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            causes.append(status.invalid_value(field, timeout, "must be greater than 0 and less than 86400"))
    return causes


def _reachable(address: str, field: str) -> list[Cause]:
    problems = ip_problems(address)
    if problems:
        return each(field, address, problems)
    parsed = ipaddress.ip_address(address)
    for is_such, text in (
        (parsed.is_unspecified, f"may not be unspecified ({address})"),
        (parsed.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (parsed.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    ):
        if is_such:
            return [status.invalid_value(field, address, text)]
    return []


def _load_balancer(spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    is_one = spec["type"] == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges")
    if ranges and not is_one:
        text = "may only be used when `type` is 'LoadBalancer'"
        causes.append(status.forbidden_field("spec.LoadBalancerSourceRanges", text))
    elif ranges:
        for index, value in enumerate(ranges):
            if not _is_range(value):
                text = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                causes.append(status.invalid_value(f"spec.LoadBalancerSourceRanges[{index}]", value, text))
    text = "may only be used when `type` is 'LoadBalancer'"
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(field) is not None and not is_one:
            causes.append(status.forbidden_field(f"spec.{field}", text))
    name, check = spec.get("loadBalancerClass"), spec.get("healthCheckNodePort")
    if is_one and name is not None:
        causes += each("spec.loadBalancerClass", name, qualified_name(name))
    if check and not (is_one and spec.get("externalTrafficPolicy") == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(status.invalid_value("spec.healthCheckNodePort", check, text))
    return causes


def _is_range(value: str) -> bool:
    try:
        ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        return False
    return "/" in value


def _traffic(spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    external = spec.get("externalTrafficPolicy")
    is_external = spec["type"] in WITH_NODE_PORTS or bool(spec.get("externalIPs"))
    if external is not None and not is_external:
        text = "may only be set for externally-accessible services"
        causes.append(status.invalid_value("spec.externalTrafficPolicy", external, text))
    else:
        causes += one_of("spec.externalTrafficPolicy", external, _TRAFFIC)
    causes += one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), _TRAFFIC)
    causes += one_of("spec.trafficDistribution", spec.get("trafficDistribution"), _DISTRIBUTIONS)
    return causes


def is_selectorless_headless(spec: JsonObject) -> bool:
    """Somebody else writes its endpoints."""
    return spec.get("clusterIP") == "None" and not spec.get("selector")


def family_problems(spec: JsonObject) -> list[Cause]:
    """The cluster knows IPv4 only; a Service without addresses of its own may ask for more."""
    if spec["type"] == "ExternalName" or is_selectorless_headless(spec):
        return []
    causes: list[Cause] = []
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        causes.append(status.invalid_value("spec.ipFamilyPolicy", "RequireDualStack", text))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family == "IPv6":
            causes.append(status.invalid_value(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    return causes


def _stated_families(spec: JsonObject) -> list[Cause]:
    families = spec.get("ipFamilies") or []
    causes: list[Cause] = []
    for index, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            causes.append(status.not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6")))
        elif family in families[:index]:
            causes.append(status.duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    causes += one_of("spec.ipFamilyPolicy", policy, _POLICIES)
    if len(families) > 1 and policy == "SingleStack":
        text = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
        causes.append(status.invalid_value("spec.ipFamilyPolicy", policy, text))
    return causes


def address_problems(spec: JsonObject) -> list[Cause]:
    """Of the cluster addresses as they were asked for, before any is given."""
    if spec["type"] == "ExternalName":
        return []
    address, several = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    causes: list[Cause] = []
    if several and not address:
        text = "must be empty when `clusterIP` is not specified"
        return [status.invalid_value("spec.clusterIPs", several, text)]
    if several and several[0] != address:
        return [status.invalid_value("spec.clusterIPs", several, "first value must match `clusterIP`")]
    stated = several or ([address] if address else [])
    if len(stated) > 1 and "None" in stated:
        text = "'None' must be the first and only value"
        return [*_stated_families(spec), status.invalid_value("spec.clusterIPs", stated, text)]
    causes += _stated_families(spec)
    families = spec.get("ipFamilies") or []
    found: list[str] = []
    for index, each_address in enumerate(stated):
        if each_address == "None":
            continue
        if problems := ip_problems(each_address):
            causes += each(f"spec.clusterIPs[{index}]", each_address, problems)
            continue
        family = "IPv6" if ":" in each_address else "IPv4"
        found.append(family)
        if index < len(families) and families[index] in ("IPv4", "IPv6") and families[index] != family:
            article = f"an {families[index]} value as indicated by `ipFamilies[{index}]`"
            causes.append(status.invalid_value(f"spec.clusterIPs[{index}]", each_address, f"expected {article}"))
    if len(found) == 2 and found[0] == found[1]:
        text = "may specify no more than one IP for each IP family"
        causes.append(status.invalid_value("spec.clusterIPs", stated, text))
    if not causes and "IPv6" in found:
        at = f"spec.clusterIPs[{found.index('IPv6')}]"
        causes.append(status.invalid_value(at, stated, "IPv6 is not configured on this cluster"))
    return causes
