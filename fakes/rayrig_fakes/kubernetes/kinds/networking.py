"""Ingresses, their classes and network policies: defaults, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_label, dns_subdomain
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import (
    each,
    in_ports,
    ip_problems,
    one_of,
    port_name,
    port_or_name,
    selector_problems,
)
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, Looks
from rayrig_fakes.kubernetes.status import Cause

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END = ("/..", "/.")
_WILDCARD_TEXT = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for "
    r"validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_WILDCARD = re.compile(r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


class IngressRules(KindRules):
    has_status = True
    has_generation = True
    looks = Looks(2, 2, 2)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
        if not rules and backend is None:
            text = "either `defaultBackend` or `rules` must be specified"
            causes.append(status.invalid_value("spec", None, text))
        if backend is not None:
            causes += _backend(backend, "spec.defaultBackend")
        for index, rule in enumerate(rules):
            causes += _rule(rule, f"spec.rules[{index}]")
        for index, tls in enumerate(spec.get("tls") or ()):
            at = f"spec.tls[{index}]"
            for position, host in enumerate(tls.get("hosts") or ()):
                causes += each(f"{at}.hosts[{position}]", host, _host_problems(host))
            if tls.get("secretName"):
                causes += each(f"{at}.secretName", tls["secretName"], dns_subdomain(tls["secretName"]))
        name = spec.get("ingressClassName")
        if name is not None:
            causes += each("spec.ingressClassName", name, dns_subdomain(name))
        annotated = (obj["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
        if annotated is not None and name is not None and annotated != name:
            text = "must match `ingressClassName` when both are specified"
            causes.append(status.invalid_value(f"annotations.{_CLASS_ANNOTATION}", annotated, text))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if old is None and _CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            text = f"annotation \"{_CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
            admission.warnings.append(text)


def _host_problems(host: str) -> tuple[str, ...]:
    if "*" in host:
        return () if _WILDCARD.fullmatch(host) else (_WILDCARD_TEXT,)
    return dns_subdomain(host)


def _rule(rule: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    host, http = rule.get("host") or "", rule.get("http")
    if host:
        if not ip_problems(host):
            causes.append(status.invalid_value(f"{field}.host", host, "must be a DNS name, not an IP address"))
        else:
            causes += each(f"{field}.host", host, _host_problems(host))
    if http is None:
        return causes
    if not http.get("paths"):
        return [*causes, status.required(f"{field}.http.paths")]
    for index, path in enumerate(http["paths"]):
        at = f"{field}.http.paths[{index}]"
        causes += _path(path, at)
        causes += _backend(path.get("backend") or {}, f"{at}.backend")
    return causes


def _path(path: JsonObject, field: str) -> list[Cause]:
    kind, text, at = path.get("pathType"), path.get("path") or "", f"{field}.path"
    if kind is None:
        return [status.required(f"{field}.pathType", "pathType must be specified")]
    if kind not in _PATH_TYPES:
        return [status.not_supported(f"{field}.pathType", kind, _PATH_TYPES)]
    if kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            return [status.invalid_value(at, text, "must be an absolute path")]
        return []
    causes: list[Cause] = []
    if not text.startswith("/"):
        causes.append(status.invalid_value(at, text, "must be an absolute path"))
    if text:
        causes += [
            status.invalid_value(at, text, f"must not contain '{part}'") for part in _NOT_IN_PATHS if part in text
        ]
        causes += [
            status.invalid_value(at, text, f"cannot end with '{end}'") for end in _NOT_AT_THE_END if text.endswith(end)
        ]
    return causes


def _backend(backend: JsonObject, field: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [status.invalid_value(field, "", "cannot set both resource and service backends")]
    if resource is not None:
        return [status.required(f"{field}.resource.{part}") for part in ("kind", "name") if not resource.get(part)]
    if service is None:
        return [status.invalid_value(field, "", "resource or service backend is required")]
    causes = []
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        causes.append(status.required(f"{field}.service.name"))
    else:
        causes += each(f"{field}.service.name", name, dns_label(name))
    number, word = port.get("number") or 0, port.get("name") or ""
    if number and word:
        causes.append(status.invalid_value(field, "", "cannot set both port name & port number"))
    elif word:
        causes += each(f"{field}.service.port.name", word, port_name(word))
    elif number:
        causes += in_ports(f"{field}.service.port.number", number)
    else:
        causes.append(status.required(field, "port name or number is required"))
    return causes


class IngressClassRules(KindRules):
    has_generation = True
    looks = Looks(2, 2, 2)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        parameters = obj.setdefault("spec", {}).get("parameters")
        if parameters is not None:
            setdefault(parameters, scope="Cluster")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        controller, at = obj["spec"].get("controller") or "", "spec.controller"
        if not controller:
            causes.append(status.required(at))
        elif len(controller) > 250:
            causes.append(status.too_long(at, 250))
        else:
            domain, slash, path = controller.partition("/")
            if not slash or not domain or not path:
                text = 'must be a domain-prefixed path (such as "acme.io/foo")'
                causes.append(status.invalid_value(at, controller, text))
            else:
                causes += each(at, domain, dns_subdomain(domain))
        parameters = obj["spec"].get("parameters")
        if parameters is not None:
            causes += _parameters(parameters, "spec.parameters")
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        controller = obj["spec"].get("controller")
        if controller == old["spec"].get("controller"):
            return ()
        return [status.invalid_value("spec.controller", controller, IMMUTABLE)]


def _parameters(parameters: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    group, scope = parameters.get("apiGroup"), parameters["scope"]
    if group:
        causes += each(f"{field}.apiGroup", group, dns_subdomain(group))
    causes += [status.required(f"{field}.{part}") for part in ("kind", "name") if not parameters.get(part)]
    if scope == "Namespace":
        if not parameters.get("namespace"):
            text = "`parameters.scope` is set to 'Namespace'"
            causes.append(status.required(f"{field}.namespace", text))
    elif scope == "Cluster":
        if parameters.get("namespace") is not None:
            causes.append(status.forbidden_field(f"{field}.namespace", "`parameters.scope` is set to 'Cluster'"))
    else:
        causes.append(status.not_supported(f"{field}.scope", scope, ("Cluster", "Namespace")))
    return causes


class NetworkPolicyRules(KindRules):
    has_generation = True

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", *(("Egress",) if spec.get("egress") else ())]
        for part in ("ingress", "egress"):
            for rule in spec.get(part) or ():
                for port in rule.get("ports") or ():
                    setdefault(port, protocol="TCP")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = selector_problems(spec.get("podSelector"), "spec.podSelector")
        for part, peers in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(spec.get(part) or ()):
                at = f"spec.{part}[{index}]"
                for position, port in enumerate(rule.get("ports") or ()):
                    causes += _policy_port(port, f"{at}.ports[{position}]")
                for position, peer in enumerate(rule.get(peers) or ()):
                    causes += _peer(peer, f"{at}.{peers}[{position}]")
        kinds = spec["policyTypes"]
        if len(kinds) > 2:
            text = "may not specify more than two policyTypes"
            return [*causes, status.invalid_value("spec.policyTypes", kinds, text)]
        for index, kind in enumerate(kinds):
            causes += one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))
        return causes


def _policy_port(port: JsonObject, field: str) -> list[Cause]:
    causes = one_of(f"{field}.protocol", port.get("protocol"), ("TCP", "UDP", "SCTP"))
    number, end, at = port.get("port"), port.get("endPort"), f"{field}.endPort"
    if number is None:
        if end is not None:
            text = "may not be specified when `port` is not specified"
            causes.append(status.invalid_value(at, end, text))
        return causes
    causes += port_or_name(f"{field}.port", number)
    if end is None:
        return causes
    if isinstance(number, str):
        causes.append(status.invalid_value(at, end, "may not be specified when `port` is non-numeric"))
    else:
        if end < number:
            causes.append(status.invalid_value(at, number, "must be greater than or equal to `port`"))
        causes += in_ports(at, end)
    return causes


def _peer(peer: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    given = [part for part in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(part) is not None]
    if not given:
        return [status.required(field, "must specify a peer")]
    for part in ("podSelector", "namespaceSelector"):
        causes += selector_problems(peer.get(part), f"{field}.{part}")
    block = peer.get("ipBlock")
    if block is not None:
        if len(given) > 1:
            return [*causes, status.forbidden_field(field, "may not specify both ipBlock and another peer")]
        causes += _block(block, f"{field}.ipBlock")
    return causes


def _block(block: JsonObject, field: str) -> list[Cause]:
    import ipaddress

    def network(text: str) -> Json:
        try:
            return ipaddress.ip_network(text, strict=False) if "/" in text else None
        except ValueError:
            return None

    cidr = block.get("cidr") or ""
    if not cidr:
        return [status.required(f"{field}.cidr")]
    whole = network(cidr)
    if whole is None:
        return [status.invalid_value(f"{field}.cidr", cidr, _CIDR_TEXT)]
    causes: list[Cause] = []
    for index, text in enumerate(block.get("except") or ()):
        part, at = network(text), f"{field}.except[{index}]"
        if part is None:
            causes.append(status.invalid_value(at, text, _CIDR_TEXT))
        elif part.version != whole.version or part == whole or not part.subnet_of(whole):
            causes.append(status.invalid_value(at, text, "must be a strict subset of `cidr`"))
    return causes
