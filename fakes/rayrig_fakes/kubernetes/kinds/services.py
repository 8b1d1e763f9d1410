"""Services: defaults, cluster IPs and node ports (`kubernetes-api.md` section 11; K8-076)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_label, dns_subdomain
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.service_validation import (
    FIRST_NODE_PORT,
    LAST_NODE_PORT,
    WITH_NODE_PORTS,
    address_problems,
    family_problems,
    is_selectorless_headless,
    service_problems,
)
from rayrig_fakes.kubernetes.status import Cause

_RANGE = "10.96."
_HINTS = "service.kubernetes.io/topology-aware-hints"
#: Fields that go when a Service that had them by its type becomes an ExternalName.
_OF_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


def service_name(name: str) -> tuple[str, ...]:
    return ("must not contain dots",) if "." in name and not dns_subdomain(name) else dns_label(name)


class ServiceRules(KindRules):
    """Knows which addresses and ports are taken."""

    has_status = True
    create_on_update = True
    returns_deleted = True
    name_rule = staticmethod(service_name)

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._ports: dict[int, str] = {}

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        obj["status"] = {"loadBalancer": {}}
        spec = obj.setdefault("spec", {})
        self._default(spec)
        self._allocate(obj, spec, admission)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        keep(obj, old, "status")
        spec, old_spec = obj.setdefault("spec", {}), old["spec"]
        kind = spec.get("type") or "ClusterIP"
        if kind == "ExternalName" and old_spec.get("type") != "ExternalName":
            for field in _OF_ADDRESSES:
                # What is given anew is left there, to be refused.
                if field == "internalTrafficPolicy" or spec.get(field) in (None, old_spec.get(field)):
                    spec.pop(field, None)
        if old_spec.get("type") == "LoadBalancer" and kind != "LoadBalancer":
            obj["status"] = {**(obj.get("status") or {}), "loadBalancer": {}}
        if kind != "ExternalName":
            if old_spec.get("ipFamilyPolicy"):
                setdefault(spec, ipFamilyPolicy=old_spec["ipFamilyPolicy"])
            had = [address for address in old_spec.get("clusterIPs") or () if address]
            if not spec.get("clusterIP") and had:
                spec["clusterIP"], spec["clusterIPs"] = old_spec["clusterIP"], list(had)
            elif spec.get("clusterIP") != old_spec.get("clusterIP") and spec.get("clusterIPs") == had:
                spec["clusterIPs"] = [spec["clusterIP"]]
        if kind in WITH_NODE_PORTS:
            known = {_port_key(port): port.get("nodePort") for port in old_spec.get("ports") or ()}
            for port in spec.get("ports") or ():
                if not port.get("nodePort") and known.get(_port_key(port)):
                    port["nodePort"] = known[_port_key(port)]
        elif old_spec.get("type") in WITH_NODE_PORTS:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
            for field in ("externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort"):
                spec.pop(field, None)
        self._default(spec)
        if old_spec.get("clusterIP") in (None, "", spec.get("clusterIP")):
            self._allocate(obj, spec, admission)

    def _default(self, spec: JsonObject) -> None:
        for port in spec.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"
            if not port.get("targetPort"):
                port["targetPort"] = port.get("port")
        setdefault(spec, type="ClusterIP", sessionAffinity="None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        if spec["sessionAffinity"] == "ClientIP":
            config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            setdefault(config, timeoutSeconds=10_800)
        if spec["type"] == "ExternalName":
            return
        setdefault(spec, internalTrafficPolicy="Cluster")
        if not is_selectorless_headless(spec):
            setdefault(spec, ipFamilyPolicy="SingleStack")
        if spec["type"] in WITH_NODE_PORTS or spec.get("externalIPs"):
            setdefault(spec, externalTrafficPolicy="Cluster")
        if spec["type"] == "LoadBalancer":
            setdefault(spec, allocateLoadBalancerNodePorts=True)

    def _allocate(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        if spec["type"] == "ExternalName":
            return
        owner = _owner(obj)
        problems = address_problems(spec)
        if not problems:
            _default_families(spec)
            problems = family_problems(spec)
        if problems:
            raise status.invalid("Service", "", str(obj["metadata"].get("name", "")), problems)
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if not wanted:
            wanted = self._free_address(admission)
        spec["clusterIP"] = wanted
        if not spec.get("clusterIPs"):
            spec["clusterIPs"] = [wanted]
        if wanted != "None":
            self._check_address(obj, wanted, owner)
        if spec["type"] in WITH_NODE_PORTS and spec.get("allocateLoadBalancerNodePorts") is not False:
            self._allocate_node_ports(obj, spec, admission)
        is_local = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        if is_local and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._free_port(admission, _node_ports(obj))

    def _allocate_node_ports(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        """One number may serve several protocols. Raises `ApiError` 422 for one that is asked for twice."""
        taken: list[int] = []
        asked: list[tuple[int, str]] = []
        for index, port in enumerate(spec.get("ports") or ()):
            if not port.get("nodePort"):
                port["nodePort"] = self._free_port(admission, taken)
            number = port["nodePort"]
            if (number, port["protocol"]) in asked:
                text = "provided port is already allocated"
                cause = status.invalid_value(f"spec.ports[{index}].nodePort", number, text)
                raise status.invalid("Service", "", str(obj["metadata"].get("name", "")), [cause])
            taken.append(number)
            asked.append((number, port["protocol"]))

    def _free_address(self, admission: Admission) -> str:
        while True:
            host = admission.rng.randrange(1, 0xFFFF)
            address = f"{_RANGE}{host >> 8}.{host & 0xFF}"
            if address not in self._addresses:
                return address

    def _free_port(self, admission: Admission, taken: list[int]) -> int:
        while True:
            port = admission.rng.randrange(FIRST_NODE_PORT, LAST_NODE_PORT + 1)
            if port not in self._ports and port not in taken:
                return port

    def _check_address(self, obj: JsonObject, address: str, owner: str) -> None:
        problem = ""
        if not address.startswith(_RANGE):
            problem = "the provided network does not match the current range"
        elif self._addresses.get(address, owner) != owner:
            problem = "provided IP is already allocated"
        if problem:
            text = f"failed to allocate IP {address}: {problem}"
            cause = status.invalid_value("spec.clusterIPs", [address], text)
            raise status.invalid("Service", "", str(obj["metadata"].get("name", "")), [cause])

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        owner = _owner(obj)
        return service_problems(obj["spec"], lambda port: self._ports.get(port, owner) != owner)

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if not admission.looks_for_unknown:
            return
        spec, annotations = obj["spec"], obj["metadata"].get("annotations") or {}
        if _HINTS in annotations:
            text = f"annotation {_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
            admission.warnings.append(text)
        if spec.get("clusterIP") == "None":
            for field, is_set in (
                ("loadBalancerIP", bool(spec.get("loadBalancerIP"))),
                ("externalIPs", bool(spec.get("externalIPs"))),
                ("SessionAffinity", spec["sessionAffinity"] != "None"),
            ):
                if is_set:
                    admission.warnings.append(f"spec.{field} is ignored for headless services")
        if spec.get("externalName") and spec["type"] != "ExternalName":
            admission.warnings.append('spec.externalName is ignored when spec.type is not "ExternalName"')
        if spec.get("trafficDistribution") == "PreferClose":
            text = 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
            admission.warnings.append(text)

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec, had = obj["spec"], old["spec"].get("clusterIP")
        if spec["type"] == "ExternalName" or not had or spec.get("clusterIP") == had:
            return ()
        return [status.invalid_value("spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set")]

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        owner = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        if old is not None:
            self._release(old)
        for address in obj["spec"].get("clusterIPs") or ():
            if address != "None":
                self._addresses[address] = owner
        for number in _node_ports(obj):
            self._ports[number] = owner

    def after_removal(self, obj: JsonObject) -> None:
        self._release(obj)

    def _release(self, obj: JsonObject) -> None:
        for address in obj["spec"].get("clusterIPs") or ():
            self._addresses.pop(address, None)
        for number in _node_ports(obj):
            self._ports.pop(number, None)


def _default_families(spec: JsonObject) -> None:
    """The cluster has IPv4 addresses only. Whoever writes the endpoints of a headless Service may use both families."""
    if is_selectorless_headless(spec):
        families = spec.get("ipFamilies") or ["IPv4"]
        if len(families) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
            families = [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]
        spec["ipFamilies"] = families
        setdefault(spec, ipFamilyPolicy="RequireDualStack")
    elif not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4"]


def _owner(obj: JsonObject) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata'].get('name', '')}"


def _node_ports(obj: JsonObject) -> list[int]:
    spec = obj["spec"]
    found = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    return [*found, spec["healthCheckNodePort"]] if spec.get("healthCheckNodePort") else found


def _port_key(port: JsonObject) -> tuple[object, object]:
    return port.get("port"), port.get("protocol") or "TCP"
