"""What is wrong with a pod spec, in the server's words."""

from __future__ import annotations

import re

from rayrig_core.kubernetes_names import dns_label, dns_subdomain, qualified_name
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import each, ip_problems, label_without_dots, one_of
from rayrig_fakes.kubernetes.kinds.container_resources import (
    amount_problems_of,
    container_resource_name,
    pod_resource_problems,
)
from rayrig_fakes.kubernetes.kinds.container_resources import is_extended as is_extended
from rayrig_fakes.kubernetes.kinds.pod_containers import PodContext, container_problems, host_alias_problems
from rayrig_fakes.kubernetes.kinds.pod_scheduling import scheduling_problems
from rayrig_fakes.kubernetes.kinds.pod_volumes import volume_problems
from rayrig_fakes.kubernetes.kinds.security_contexts import pod_security_problems
from rayrig_fakes.kubernetes.status import Cause

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_SEARCH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_SEARCH_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')"
)


def validate_pod_spec(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        causes.append(status.required(f"{field}.terminationGracePeriodSeconds"))
    volumes = spec.get("volumes") or []
    if volumes:
        causes += volume_problems(volumes, f"{field}.volumes", spec)
    pod = PodContext(spec, {volume.get("name") or "": volume for volume in volumes})
    if not spec.get("containers"):
        causes.append(status.required(f"{field}.containers"))
    for index, container in enumerate(spec.get("containers") or ()):
        causes += container_problems(container, f"{field}.containers[{index}]", pod)
    # Init containers run one after the other: they may use the same ports of the host.
    for index, container in enumerate(spec.get("initContainers") or ()):
        own = PodContext(spec, pod.volumes, pod.names)
        causes += container_problems(container, f"{field}.initContainers[{index}]", own, init=True)
    policy = spec.get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        causes.append(status.not_supported(f"{field}.restartPolicy", policy, _RESTART_POLICIES))
    causes += _dns(spec, field)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 0x7FFFFFFF:
        text = "must be between 1 and 2147483647, inclusive"
        causes.append(status.invalid_value(f"{field}.activeDeadlineSeconds", deadline, text))
    causes += _names(spec, field)
    causes += _host(spec, field)
    causes += pod_security_problems(spec.get("securityContext") or {}, f"{field}.securityContext", spec)
    causes += scheduling_problems(spec, field)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        causes += each(f"{field}.readinessGates[{index}].conditionType", kind, qualified_name(kind))
    causes += host_alias_problems(spec.get("hostAliases") or [], f"{field}.hostAliases")
    for name, amount in (spec.get("overhead") or {}).items():
        # An overhead is looked at as if it were a limit.
        at = f"{field}.overhead.limits[{name}]"
        causes += container_resource_name(name, at) + amount_problems_of(name, amount, at)
    if spec.get("resources"):
        causes += pod_resource_problems(spec["resources"], f"{field}.resources")
    causes += _claims(spec.get("resourceClaims") or [], f"{field}.resourceClaims")
    return causes + _operating_system(spec, field)


def _names(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for part, rule in (
        ("serviceAccountName", dns_subdomain),
        ("nodeName", dns_subdomain),
        ("priorityClassName", dns_subdomain),
        ("runtimeClassName", dns_subdomain),
        ("hostname", label_without_dots),
        ("subdomain", label_without_dots),
        ("hostnameOverride", dns_subdomain),
    ):
        name = spec.get(part)
        if name:
            causes += each(f"{field}.{part}", name, rule(name))
    return causes


def _host(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        causes.append(status.invalid_value(f"{field}.securityContext.shareProcessNamespace", True, text))
    if spec.get("hostUsers") is False:
        for part in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(part):
                causes.append(status.forbidden_field(f"{field}.{part}", "when `hostUsers` is false"))
    contexts = [spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    options = [(each_one.get("securityContext") or {}).get("windowsOptions") or {} for each_one in contexts]
    if any(option.get("hostProcess") for option in options) and not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        causes.append(status.invalid_value(f"{field}.hostNetwork", False, text))
    return causes


def _dns(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    policy, config = spec.get("dnsPolicy"), spec.get("dnsConfig")
    if policy not in _DNS_POLICIES:
        causes.append(status.not_supported(f"{field}.dnsPolicy", policy, _DNS_POLICIES))
    at = f"{field}.dnsConfig"
    if policy == "None":
        if config is None:
            return [*causes, status.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [*causes, status.required(f"{at}.nameservers", text)]
    if config is None:
        return causes
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        causes.append(status.invalid_value(f"{at}.nameservers", servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        causes += each(f"{at}.nameservers[{index}]", server, ip_problems(server))
    if len(searches) > 32:
        causes.append(status.invalid_value(f"{at}.searches", searches, "must not have more than 32 search paths"))
    for index, search in enumerate(searches):
        if search != ".":
            causes += each(f"{at}.searches[{index}]", search, _search(search.removesuffix(".")))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            causes.append(status.required(f"{at}.options[{index}]", "must not be empty"))
    return causes


def _search(path: str) -> tuple[str, ...]:
    problems = ["must be no more than 253 characters"] if len(path) > 253 else []
    return (*problems, *(() if _SEARCH.fullmatch(path) else (_SEARCH_TEXT,)))


def _claims(claims: list[JsonObject], field: str) -> list[Cause]:
    causes: list[Cause] = []
    names: list[Json] = []
    for index, claim in enumerate(claims):
        at, name = f"{field}[{index}]", claim.get("name") or ""
        if not name:
            causes.append(status.required(f"{at}.name"))
        elif name in names:
            causes.append(status.duplicate(at, name))
        else:
            causes += each(f"{at}.name", name, dns_label(name))
        names.append(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = {"Name": name, "ResourceClaimName": direct, "ResourceClaimTemplateName": template}
        if direct is not None and template is not None:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            causes.append(status.invalid_value(at, shown, text))
        elif direct is None and template is None:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            causes.append(status.invalid_value(at, shown, text))
        for part, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", template)):
            if value is not None:
                causes += each(f"{at}.{part}", value, dns_subdomain(value))
    return causes


def _operating_system(spec: JsonObject, field: str) -> list[Cause]:
    system = spec.get("os")
    if system is None:
        return []
    name = system.get("name") or ""
    if not name:
        return [status.required(f"{field}.os.name")]
    causes = one_of(f"{field}.os", name, ("linux", "windows"))
    if name == "windows":
        context = spec.get("securityContext") or {}
        parts = [f"{field}.{part}" for part in ("hostPID", "hostIPC", "shareProcessNamespace") if spec.get(part)]
        parts += [
            f"{field}.securityContext.{part}"
            for part in (
                "appArmorProfile",
                "seLinuxOptions",
                "seccompProfile",
                "fsGroup",
                "fsGroupChangePolicy",
                "sysctls",
                "runAsUser",
                "runAsGroup",
                "supplementalGroups",
                "supplementalGroupsPolicy",
            )
            if context.get(part) is not None
        ]
        causes += [status.forbidden_field(part, "cannot be set for a windows pod") for part in parts]
    return causes
