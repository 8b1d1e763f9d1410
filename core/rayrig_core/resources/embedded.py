"""Other types of Kubernetes that Ray resources embed: Service, conditions, network policy rules (API reference, same names)."""

from rayrig_core.resources.pod_template import EMBEDDED_METADATA, LABEL_SELECTOR, STRINGS
from rayrig_core.resources.schema import (
    BOOL,
    INT32,
    INT64,
    INT_OR_STRING,
    STR,
    TIME,
    Schema,
    array,
    atomic,
    atomic_array,
    keyed_array,
    map_of,
    obj,
    with_default,
)

_LABEL_VALUE = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_NAME: Schema = {
    **STR,
    "maxLength": 316,
    "pattern": rf"^({_LABEL_VALUE}(\.{_LABEL_VALUE})*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
}

#: `metav1.Condition`.
CONDITION = obj(
    "lastTransitionTime message reason status type",
    lastTransitionTime=TIME,
    message={**STR, "maxLength": 32768},
    observedGeneration={**INT64, "minimum": 0},
    reason={**STR, "maxLength": 1024, "minLength": 1, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
    status={**STR, "enum": ["True", "False", "Unknown"]},
    type=_QUALIFIED_NAME,
)
CONDITIONS = keyed_array("type", CONDITION)

_SERVICE_PORT = obj(
    "port",
    appProtocol=STR,
    name=STR,
    nodePort=INT32,
    port=INT32,
    protocol=with_default(STR, "TCP"),
    targetPort=INT_OR_STRING,
)
_SERVICE_SPEC = obj(
    allocateLoadBalancerNodePorts=BOOL,
    clusterIP=STR,
    clusterIPs=STRINGS,
    externalIPs=STRINGS,
    externalName=STR,
    externalTrafficPolicy=STR,
    healthCheckNodePort=INT32,
    internalTrafficPolicy=STR,
    ipFamilies=STRINGS,
    ipFamilyPolicy=STR,
    loadBalancerClass=STR,
    loadBalancerIP=STR,
    loadBalancerSourceRanges=STRINGS,
    ports=keyed_array("port protocol", _SERVICE_PORT),
    publishNotReadyAddresses=BOOL,
    selector=atomic(map_of(STR)),
    sessionAffinity=STR,
    sessionAffinityConfig=obj(clientIP=obj(timeoutSeconds=INT32)),
    trafficDistribution=STR,
    type=STR,
)
_LOAD_BALANCER_PORT = obj("error port protocol", error=_QUALIFIED_NAME, port=INT32, protocol=STR)
_SERVICE_STATUS = obj(
    conditions=CONDITIONS,
    loadBalancer=obj(
        ingress=atomic_array(obj(hostname=STR, ip=STR, ipMode=STR, ports=atomic_array(_LOAD_BALANCER_PORT)))
    ),
)

#: core/v1 Service, whole.
SERVICE_TEMPLATE = obj(apiVersion=STR, kind=STR, metadata=EMBEDDED_METADATA, spec=_SERVICE_SPEC, status=_SERVICE_STATUS)

INGRESS_TLS = array(obj(hosts=STRINGS, secretName=STR))

_PEERS = atomic_array(
    obj(
        ipBlock=obj("cidr", **{"cidr": STR, "except": STRINGS}),
        namespaceSelector=LABEL_SELECTOR,
        podSelector=LABEL_SELECTOR,
    )
)
_POLICY_PORTS = atomic_array(obj(endPort=INT32, port=INT_OR_STRING, protocol=STR))
EGRESS_RULES = array(obj(ports=_POLICY_PORTS, to=_PEERS))
INGRESS_RULES = array(obj(**{"from": _PEERS, "ports": _POLICY_PORTS}))
