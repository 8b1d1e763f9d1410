"""What is allowed but doubtful in pods and pod templates (K8-018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes.kinds.checks import label_without_dots
from rayrig_fakes.kubernetes.kinds.claims import claim_warnings

_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
#: Volume sources of other days, and the name they are spoken of by.
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_SELECTS_NOTHING = "a null labelSelector results in matching no pod"


def pod_name_warnings(name: str) -> list[str]:
    problems = label_without_dots(name) if "." in name else dns_label(name)
    if not problems:
        return []
    text = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: {text}: [{' '.join(problems)}]"]


def template_warnings(template: JsonObject, field: str) -> list[str]:
    """Of a pod template."""
    return pod_warnings(template.get("metadata") or {}, template.get("spec") or {}, f"{field}.")


def has_doubtful_annotations(meta: JsonObject) -> bool:
    return not _ANNOTATIONS.keys().isdisjoint(meta.get("annotations") or ())


def pod_warnings(meta: JsonObject, spec: JsonObject, prefix: str = "") -> list[str]:
    """`prefix`: path of what holds the metadata and the spec, with its dot."""
    field = f"{prefix}spec"
    found = list(_label_warnings(spec, field))
    annotations = meta.get("annotations") or {}
    found += [
        f"{prefix}metadata.annotations[{key}]: {text}" for key, text in _ANNOTATIONS.items() if key in annotations
    ]
    found += _volume_warnings(spec.get("volumes") or (), field)
    found += _repeated(spec, field)
    found += _fractions(spec.get("overhead") or {}, f"{field}.overhead", ("memory", "ephemeral-storage"))
    containers = [
        (f"{field}.{part}[{index}]", container)
        for part in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(part) or ())
    ]
    for at, container in containers:
        resources = container.get("resources") or {}
        for name in ("memory", "ephemeral-storage"):
            for part in ("limits", "requests"):
                found += _fractions(resources.get(part) or {}, f"{at}.resources.{part}", (name,))
        found += _environment_warnings(container.get("env") or (), f"{at}.env")
    found += _port_warnings(containers)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{field}.terminationGracePeriodSeconds: {text}")
    for part in ("podAffinity", "podAntiAffinity"):
        terms = (spec.get("affinity") or {}).get(part) or {}
        for index, term in enumerate(terms.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                found.append(f"{field}.affinity.{part}.{_REQUIRED}[{index}].labelSelector: {_SELECTS_NOTHING}")
        for index, weighted in enumerate(terms.get(_PREFERRED) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                at = f"{field}.affinity.{part}.{_PREFERRED}[{index}].podAffinityTerm.labelSelector"
                found.append(f"{at}: {_SELECTS_NOTHING}")
    return found


def _label_warnings(spec: JsonObject, field: str) -> Iterator[str]:
    for label in spec.get("nodeSelector") or ():
        if label in _DEPRECATED_LABELS:
            yield f"{field}.nodeSelector[{label}]: {_DEPRECATED_LABELS[label]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    at = f"{field}.affinity.nodeAffinity"
    for index, term in enumerate((affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from node_term_warnings(term, f"{at}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        yield from node_term_warnings(term.get("preference") or {}, f"{at}.{_PREFERRED}[{index}].preference")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        at, key = f"{field}.topologySpreadConstraints[{index}]", constraint.get("topologyKey")
        if key in _DEPRECATED_LABELS:
            yield f"{at}.topologyKey: {key} is {_DEPRECATED_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{at}.labelSelector: {_SELECTS_NOTHING}"


def node_term_warnings(term: JsonObject, field: str) -> Iterator[str]:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        key = requirement.get("key")
        if key in _DEPRECATED_LABELS:
            yield f"{field}.matchExpressions[{index}].key: {key} is {_DEPRECATED_LABELS[key]}"


def _volume_warnings(volumes: Sequence[JsonObject], field: str) -> list[str]:
    found = []
    for index, volume in enumerate(volumes):
        at = f"{field}.volumes[{index}]"
        for source, text in _VOLUMES.items():
            if volume.get(source) is not None:
                found.append(f"{at}.{'storageOS' if source == 'storageos' else source}: {text}")
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template:
            found += claim_warnings(template.get("spec") or {}, f"{at}.ephemeral.volumeClaimTemplate.spec")
        projected = volume.get("projected")
        if projected is not None and any(not source for source in projected.get("sources") or ()):
            found.append(f'volume "{volume.get("name", "")}" (Projected) has no sources provided')
    return found


def _repeated(spec: JsonObject, field: str) -> list[str]:
    found = []
    for part, name in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: list[str] = []
        for index, item in enumerate(spec.get(part) or ()):
            value = item.get(name) or ""
            if value in seen:
                found.append(f'{field}.{part}[{index}].{name}: duplicate {name} "{value}"')
            seen.append(value)
    for index, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            found.append(f'{field}.imagePullSecrets[{index}].name: invalid empty name ""')
    return found


def _fractions(amounts: JsonObject, field: str, names: tuple[str, ...]) -> list[str]:
    return [
        f'{field}[{name}]: fractional byte value "{amounts[name]}" is invalid, must be an integer'
        for name in names
        if name in amounts and parse_quantity(amounts[name]).denominator != 1
    ]


def _environment_warnings(variables: Sequence[JsonObject], field: str) -> list[str]:
    found: list[str] = []
    if len({variable.get("name") or "" for variable in variables}) == len(variables):
        return found
    names: dict[str, None] = {}
    for index, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        # A value that is made of the one before does not hide it.
        extends = variable.get("valueFrom") is None and value != reference and reference in value
        if name in names and not extends:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            found.append(f"{field}[{index}]: {text}")
        names[name] = None
    return found


def _port_warnings(containers: list[tuple[str, JsonObject]]) -> list[str]:
    found = []
    by_number: dict[tuple[int, str], list[tuple[str, JsonObject]]] = {}
    by_name: dict[str, str] = {}
    repeated_names = []
    for at, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            here = f"{at}.ports[{index}]"
            number, protocol = port.get("containerPort") or 0, port.get("protocol") or ""
            host, address, name = port.get("hostPort") or 0, port.get("hostIP") or "", port.get("name") or ""
            if address and not host:
                shown = f"{{Name:{name} HostPort:{host} ContainerPort:{number} Protocol:{protocol} HostIP:{address}}}"
                found.append(f"{here}: hostIP set without hostPort: {shown}")
            others = by_number.setdefault((number, protocol), [])
            for there, other in others:
                other_host, other_address = other.get("hostPort") or 0, other.get("hostIP") or ""
                if (host, address) == (other_host, other_address):
                    found.append(f"{here}: duplicate port definition with {there}")
                elif not host or not other_host:
                    found.append(f"{here}: overlapping port definition with {there}")
                elif host == other_host and bool(address) != bool(other_address):
                    found.append(f"{here}: dangerously ambiguous port definition with {there}")
            others.append((here, port))
            if name in by_name:
                first = by_name[name]
                text = f"services and probes that select ports by name will use {first}"
                repeated_names.append(f'{here}: duplicate port name "{name}" with {first}, {text}')
            elif name:
                by_name[name] = here
    return found + repeated_names
