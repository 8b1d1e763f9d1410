"""The object of a BOOKMARK event: nothing of its kind but a version, and what the kind's type writes out although it is empty."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType

INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_POD_SPEC: JsonObject = {"containers": None}
_TEMPLATE: JsonObject = {"metadata": {}, "spec": _POD_SPEC}
_ROLE_REF: JsonObject = {"roleRef": {"apiGroup": "", "kind": "", "name": ""}}
_SCALED: JsonObject = {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0}
_NAMES: JsonObject = {"plural": "", "kind": ""}
_NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
    "kubeProxyVersion", "operatingSystem", "architecture",
)  # fmt: skip
_EMPTY: JsonObject = {"spec": {}, "status": {}}

#: By `apiVersion/plural`; a kind that is not here writes out nothing.
_FORMS: Mapping[str, JsonObject] = {
    "v1/pods": {"spec": _POD_SPEC, "status": {}},
    "v1/services": {"spec": {}, "status": {"loadBalancer": {}}},
    "v1/nodes": {
        "spec": {},
        "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": dict.fromkeys(_NODE_INFO, "")},
    },
    "v1/namespaces": _EMPTY,
    "v1/events": {
        "involvedObject": {},
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    },
    "v1/persistentvolumeclaims": {"spec": {"resources": {}}, "status": {}},
    "v1/persistentvolumes": _EMPTY,
    "v1/limitranges": {"spec": {"limits": None}},
    "v1/resourcequotas": _EMPTY,
    "v1/replicationcontrollers": {"spec": {}, "status": {"replicas": 0}},
    "v1/podtemplates": {"template": _TEMPLATE},
    "apps/v1/deployments": {
        "spec": {"replicas": 0, "selector": None, "template": _TEMPLATE, "strategy": {}},
        "status": {},
    },
    "apps/v1/replicasets": {
        "spec": {"replicas": 0, "selector": None, "template": _TEMPLATE},
        "status": {"replicas": 0},
    },
    "apps/v1/statefulsets": {
        "spec": {"replicas": 0, "selector": None, "template": _TEMPLATE, "serviceName": "", "updateStrategy": {}},
        "status": {"replicas": 0, "availableReplicas": 0},
    },
    "apps/v1/daemonsets": {
        "spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}},
        "status": {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
    },
    "apps/v1/controllerrevisions": {"data": None, "revision": 0},
    "batch/v1/jobs": {"spec": {"template": _TEMPLATE}, "status": {}},
    "batch/v1/cronjobs": {
        "spec": {"schedule": "", "jobTemplate": {"metadata": {}, "spec": {"template": _TEMPLATE}}},
        "status": {},
    },
    "coordination.k8s.io/v1/leases": {"spec": {}},
    "discovery.k8s.io/v1/endpointslices": {"addressType": "", "endpoints": None, "ports": None},
    "rbac.authorization.k8s.io/v1/roles": {"rules": None},
    "rbac.authorization.k8s.io/v1/clusterroles": {"rules": None},
    "rbac.authorization.k8s.io/v1/rolebindings": _ROLE_REF,
    "rbac.authorization.k8s.io/v1/clusterrolebindings": _ROLE_REF,
    "networking.k8s.io/v1/networkpolicies": {"spec": {"podSelector": {}}},
    "networking.k8s.io/v1/ingresses": {"spec": {}, "status": {"loadBalancer": {}}},
    "networking.k8s.io/v1/ingressclasses": {"spec": {}},
    "policy/v1/poddisruptionbudgets": {
        "spec": {},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    },
    "scheduling.k8s.io/v1/priorityclasses": {"value": 0},
    "storage.k8s.io/v1/storageclasses": {"provisioner": ""},
    "storage.k8s.io/v1/csidrivers": {"spec": {}},
    "storage.k8s.io/v1/csinodes": {"spec": {"drivers": None}},
    "storage.k8s.io/v1/csistoragecapacities": {"storageClassName": ""},
    "storage.k8s.io/v1/volumeattachments": {
        "spec": {"attacher": "", "source": {}, "nodeName": ""},
        "status": {"attached": False},
    },
    "autoscaling/v1/horizontalpodautoscalers": {
        "spec": _SCALED,
        "status": {"currentReplicas": 0, "desiredReplicas": 0},
    },
    "autoscaling/v2/horizontalpodautoscalers": {
        "spec": _SCALED,
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    },
    "events.k8s.io/v1/events": {
        "eventTime": None,
        "regarding": {},
        "deprecatedSource": {},
        "deprecatedFirstTimestamp": None,
        "deprecatedLastTimestamp": None,
    },
    "certificates.k8s.io/v1/certificatesigningrequests": {"spec": {"request": None, "signerName": ""}, "status": {}},
    "apiextensions.k8s.io/v1/customresourcedefinitions": {
        "spec": {"group": "", "names": _NAMES, "scope": "", "versions": None},
        "status": {"conditions": None, "acceptedNames": _NAMES, "storedVersions": None},
    },
    "apiregistration.k8s.io/v1/apiservices": {
        "spec": {"groupPriorityMinimum": 0, "versionPriority": 0},
        "status": {},
    },
    "node.k8s.io/v1/runtimeclasses": {"handler": ""},
}


def bookmark(kind: ResourceType, version: str, *, closes_initial: bool = False) -> JsonObject:
    """`closes_initial`: it says that everything that was there at the beginning has been sent. Its parts are shared."""
    meta: JsonObject = {"resourceVersion": version}
    if closes_initial:
        meta["annotations"] = {INITIAL_EVENTS_END: "true"}
    form = _FORMS.get(f"{kind.api_version}/{kind.plural}", {})
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, **form}
