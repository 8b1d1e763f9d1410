"""Endpoints and EndpointSlices: where a service's traffic goes (`kubernetes-api.md` section 11)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_label, dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules
from rayrig_fakes.kubernetes.kinds.checks import each, in_ports, ip_problems, label_without_dots
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, Looks
from rayrig_fakes.kubernetes.status import Cause

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ENDPOINTS, _MOST_PORTS, _MOST_ADDRESSES = 1000, 20_000, 100


def address_problems(address: str, field: str) -> list[Cause]:
    """Addresses that no other machine can reach are refused."""
    wrong = ip_problems(address)
    if wrong:
        return each(field, address, wrong)
    import ipaddress

    ip = ipaddress.ip_address(address)
    problem = ""
    if ip.is_unspecified:
        problem = "may not be unspecified (0.0.0.0 or ::)"
    elif ip.is_loopback:
        problem = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    elif ip.is_link_local:
        problem = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    elif ip.is_multicast and (str(ip).startswith("224.0.0.") or str(ip).startswith("ff02")):
        problem = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return [status.invalid_value(field, address, problem)] if problem else []


class EndpointsRules(KindRules):
    looks = Looks(2, 2, 2)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for index, subset in enumerate(obj.get("subsets") or ()):
            at, ports = f"subsets[{index}]", subset.get("ports") or []
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                causes.append(status.required(at, "must specify `addresses` or `notReadyAddresses`"))
            for part in ("addresses", "notReadyAddresses"):
                for position, address in enumerate(subset.get(part) or ()):
                    causes += _address(address, f"{at}.{part}[{position}]")
            for position, port in enumerate(ports):
                causes += _port(port, f"{at}.ports[{position}]", len(ports) > 1)
        return causes


def _address(address: JsonObject, field: str) -> list[Cause]:
    ip = address.get("ip") or ""
    causes = address_problems(ip, f"{field}.ip")
    if ip_problems(ip):
        # It is looked at twice.
        causes.append(status.invalid_value(f"{field}.ip", ip, "must be a valid IP address"))
    if address.get("hostname"):
        causes += each(f"{field}.hostname", address["hostname"], label_without_dots(address["hostname"]))
    if address.get("nodeName"):
        causes += each(f"{field}.nodeName", address["nodeName"], dns_subdomain(address["nodeName"]))
    return causes


def _port(port: JsonObject, field: str, needs_name: bool) -> list[Cause]:
    name, causes = port.get("name") or "", []
    if name:
        causes += each(f"{field}.name", name, label_without_dots(name))
    elif needs_name:
        causes.append(status.required(f"{field}.name"))
    causes += in_ports(f"{field}.port", port.get("port") or 0)
    return causes + _protocol(port, field)


def _protocol(port: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    protocol, application = port.get("protocol") or "", port.get("appProtocol")
    if not protocol:
        causes.append(status.required(f"{field}.protocol"))
    elif protocol not in _PROTOCOLS:
        causes.append(status.not_supported(f"{field}.protocol", protocol, _PROTOCOLS))
    if application:
        causes += each(f"{field}.appProtocol", application, qualified_name(application))
    return causes


class EndpointSliceRules(KindRules):
    has_generation = True
    looks = Looks(1, 2, 1)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        for port in obj.get("ports") or ():
            if port.get("name") is None:
                port["name"] = ""
            if port.get("protocol") is None:
                port["protocol"] = "TCP"

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        def part(slice_: JsonObject) -> tuple[object, ...]:
            meta = slice_["metadata"]
            return slice_.get("endpoints"), slice_.get("ports"), meta.get("labels"), meta.get("annotations")

        return part(obj) != part(old)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        kind, endpoints, ports = obj.get("addressType") or "", obj.get("endpoints") or [], obj.get("ports") or []
        if not kind:
            causes.append(status.required("addressType"))
        elif kind not in _TYPES:
            causes.append(status.not_supported("addressType", kind, _TYPES))
        if len(endpoints) > _MOST_ENDPOINTS:
            return [*causes, status.too_many("endpoints", len(endpoints), _MOST_ENDPOINTS)]
        for index, endpoint in enumerate(endpoints):
            causes += _endpoint(endpoint, f"endpoints[{index}]", kind)
        if len(ports) > _MOST_PORTS:
            return [*causes, status.too_many("ports", len(ports), _MOST_PORTS)]
        names: list[str] = []
        for index, port in enumerate(ports):
            at, name = f"ports[{index}]", port.get("name") or ""
            if name:
                causes += each(f"{at}.name", name, dns_label(name))
            if name in names:
                causes.append(status.duplicate(f"{at}.name", name))
            names.append(name)
            causes += _protocol(port, at)
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj.get("addressType") == old.get("addressType"):
            return ()
        return [status.invalid_value("addressType", obj.get("addressType"), IMMUTABLE)]

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if old is None and obj.get("addressType") == "FQDN":
            admission.warnings.append("spec.addressType: FQDN endpoints are deprecated")


def _endpoint(endpoint: JsonObject, field: str, kind: str) -> list[Cause]:
    causes: list[Cause] = []
    addresses = endpoint.get("addresses") or []
    if not addresses:
        causes.append(status.required(f"{field}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _MOST_ADDRESSES:
        causes.append(status.too_many(f"{field}.addresses", len(addresses), _MOST_ADDRESSES))
    for index, address in enumerate(addresses):
        causes += _slice_address(address, f"{field}.addresses", index, kind)
    name, node = endpoint.get("hostname"), endpoint.get("nodeName")
    if node is not None:
        causes += each(f"{field}.nodeName", node, dns_subdomain(node))
    if name is not None:
        causes += each(f"{field}.hostname", name, dns_label(name))
    return causes


def _slice_address(address: str, field: str, index: int, kind: str) -> list[Cause]:
    at = f"{field}[{index}]"
    if kind == "FQDN":
        return each(at, address, dns_subdomain(address.removesuffix(".")))
    if re.search(r"(^|\.)0[0-9]", address):
        return [status.invalid_value(at, address, "must not have leading 0s")]
    causes = address_problems(address, at)
    is_v6 = ":" in address
    if not ip_problems(address):
        if kind == "IPv4" and is_v6:
            causes.append(status.invalid_value(field, address, "must be an IPv4 address"))
        elif kind == "IPv6" and not is_v6:
            causes.append(status.invalid_value(field, address, "must be an IPv6 address"))
    return causes
