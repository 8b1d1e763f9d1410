"""Defaults of a pod spec, wherever one occurs: in a pod or in a template (`kubelet.md` section 4; K8-065)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.kind_rules import setdefault
from rayrig_fakes.kubernetes.kinds.pod_volumes import default_volume
from rayrig_fakes.kubernetes.kinds.quantities import in_thousandths, normalise_amounts

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS: dict[str, Any] = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


def default_pod_spec(spec: JsonObject, kind: str = "Pod") -> None:
    """Fill in, in place, what the API server fills in. Raises `ApiError` 400 for a bad quantity."""
    host_network = kind == "Pod" and bool(spec.get("hostNetwork"))
    for container in spec.get("initContainers") or ():
        default_container(container, kind, host_network)
    for container in spec.get("containers") or ():
        default_container(container, kind, host_network)
    for volume in spec.get("volumes") or ():
        default_volume(volume, pull_policy)
    setdefault(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
    )
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    normalise_amounts(spec.get("overhead"), kind)
    if spec.get("resources"):
        _default_resources(spec["resources"], kind)


def default_container(container: JsonObject, kind: str, host_network: bool = False) -> None:
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
    resources = container.get("resources")
    if not resources:
        container["resources"] = {}
    else:
        _default_resources(resources, kind)
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        if source and source.get("fieldRef") and not source["fieldRef"].get("apiVersion"):
            source["fieldRef"]["apiVersion"] = "v1"
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            _default_probe(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        # Not taken as long as the feature is off.
        lifecycle.pop("stopSignal", None)
        if not lifecycle:
            del container["lifecycle"]
        for hook in ("postStart", "preStop"):
            if lifecycle.get(hook):
                _default_http(lifecycle[hook].get("httpGet"))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")


def _default_resources(resources: JsonObject, kind: str) -> None:
    """What is limited is asked for."""
    limits, requests = resources.get("limits"), resources.get("requests")
    for amounts in (limits, requests):
        if amounts:
            normalise_amounts(amounts, kind)
            for name, value in amounts.items():
                if value.endswith(("u", "n")):
                    amounts[name] = in_thousandths(value)
    # In a template nothing is asked for yet.
    if limits and kind == "Pod":
        if requests is None:
            requests = resources["requests"] = {}
        for name, value in limits.items():
            if name not in requests:
                requests[name] = value


def _default_probe(probe: JsonObject) -> None:
    _default_http(probe.get("httpGet"))
    grpc = probe.get("grpc")
    if grpc is not None and grpc.get("service") is None:
        grpc["service"] = ""
    for field, value in _PROBE_DEFAULTS.items():
        if not probe.get(field):
            probe[field] = value


def _default_http(action: JsonObject | None) -> None:
    if action is not None:
        if not action.get("path"):
            action["path"] = "/"
        if not action.get("scheme"):
            action["scheme"] = "HTTP"


def pull_policy(image: str) -> str:
    """Always for `latest` and for no tag at all, unless a digest fixes the image or there is none."""
    if "@" in image or not image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition(":")
    if not colon or "/" in tag or tag == "latest":
        return "Always"
    return "IfNotPresent"


def qos_class(spec: JsonObject) -> str:
    """Guaranteed, Burstable or BestEffort (KL-009)."""
    any_amount, guaranteed = False, True
    whole = spec.get("resources") or {}
    if whole.get("limits") or whole.get("requests"):
        # Amounts of the whole pod count alone.
        parts: tuple[Sequence[JsonObject], ...] = ([{"resources": whole}],)
    else:
        parts = (spec.get("initContainers") or (), spec.get("containers") or ())
    for containers in parts:
        for container in containers:
            resources = container.get("resources") or {}
            limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
            for name in ("cpu", "memory"):
                limit, request = limits.get(name), requests.get(name)
                if limit is not None or request is not None:
                    any_amount = True
                if limit is None or limit != request:
                    guaranteed = False
    if not any_amount:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
