"""The pod template as Ray resources embed it: core/v1 PodTemplateSpec of Kubernetes 1.35, as a structural schema.

Field names, types, list keys and defaults are Kubernetes' (API reference, "Pod", "Volume"). All of it is typed, because a
CRD with an embedded template refuses and drops by its schema; pods themselves are validated by the API server, not from here.
"""

from rayrig_core.resources.schema import (
    BOOL,
    INT32,
    INT64,
    INT_OR_STRING,
    QUANTITY,
    STR,
    Schema,
    array,
    atomic,
    atomic_array,
    keyed_array,
    map_of,
    obj,
    set_array,
    with_default,
)

STRINGS = atomic_array(STR)
NAME = with_default(STR, "")
REFERENCE = atomic(obj(name=NAME))
QUANTITIES = map_of(QUANTITY)

#: metadata as far as an embedded object may carry it.
EMBEDDED_METADATA = obj(annotations=map_of(STR), finalizers=array(STR), labels=map_of(STR), name=STR, namespace=STR)

RESOURCES = obj(
    claims=keyed_array("name", obj("name", name=STR, request=STR)),
    limits=QUANTITIES,
    requests=QUANTITIES,
)

LABEL_SELECTOR = atomic(
    obj(
        matchExpressions=atomic_array(obj("key operator", key=STR, operator=STR, values=STRINGS)),
        matchLabels=map_of(STR),
    )
)

# Environment

_FIELD_REF = atomic(obj("fieldPath", apiVersion=STR, fieldPath=STR))
_RESOURCE_FIELD_REF = atomic(obj("resource", containerName=STR, divisor=QUANTITY, resource=STR))
_KEY_REF = atomic(obj("key", key=STR, name=NAME, optional=BOOL))
ENV_VAR_SOURCE = obj(
    configMapKeyRef=_KEY_REF,
    fieldRef=_FIELD_REF,
    fileKeyRef=atomic(
        obj("key path volumeName", key=STR, optional=with_default(BOOL, False), path=STR, volumeName=STR)
    ),
    resourceFieldRef=_RESOURCE_FIELD_REF,
    secretKeyRef=_KEY_REF,
)
ENV_VAR = obj("name", name=STR, value=STR, valueFrom=ENV_VAR_SOURCE)
_ENV_SOURCE = atomic(obj(name=NAME, optional=BOOL))
ENV_FROM = obj(configMapRef=_ENV_SOURCE, prefix=STR, secretRef=_ENV_SOURCE)

# Probes and hooks

_EXEC = obj(command=STRINGS)
_HTTP_GET = obj(
    "port",
    host=STR,
    httpHeaders=atomic_array(obj("name value", name=STR, value=STR)),
    path=STR,
    port=INT_OR_STRING,
    scheme=STR,
)
_TCP_SOCKET = obj("port", host=STR, port=INT_OR_STRING)
PROBE = obj(
    exec=_EXEC,
    failureThreshold=INT32,
    grpc=obj("port", port=INT32, service=with_default(STR, "")),
    httpGet=_HTTP_GET,
    initialDelaySeconds=INT32,
    periodSeconds=INT32,
    successThreshold=INT32,
    tcpSocket=_TCP_SOCKET,
    terminationGracePeriodSeconds=INT64,
    timeoutSeconds=INT32,
)
_HOOK = obj(exec=_EXEC, httpGet=_HTTP_GET, sleep=obj("seconds", seconds=INT64), tcpSocket=_TCP_SOCKET)

# Security

_PROFILE = obj("type", localhostProfile=STR, type=STR)
_SE_LINUX = obj(level=STR, role=STR, type=STR, user=STR)
_WINDOWS = obj(gmsaCredentialSpec=STR, gmsaCredentialSpecName=STR, hostProcess=BOOL, runAsUserName=STR)
SECURITY_CONTEXT = obj(
    allowPrivilegeEscalation=BOOL,
    appArmorProfile=_PROFILE,
    capabilities=obj(add=STRINGS, drop=STRINGS),
    privileged=BOOL,
    procMount=STR,
    readOnlyRootFilesystem=BOOL,
    runAsGroup=INT64,
    runAsNonRoot=BOOL,
    runAsUser=INT64,
    seLinuxOptions=_SE_LINUX,
    seccompProfile=_PROFILE,
    windowsOptions=_WINDOWS,
)
_POD_SECURITY_CONTEXT = obj(
    appArmorProfile=_PROFILE,
    fsGroup=INT64,
    fsGroupChangePolicy=STR,
    runAsGroup=INT64,
    runAsNonRoot=BOOL,
    runAsUser=INT64,
    seLinuxChangePolicy=STR,
    seLinuxOptions=_SE_LINUX,
    seccompProfile=_PROFILE,
    supplementalGroups=atomic_array(INT64),
    supplementalGroupsPolicy=STR,
    sysctls=atomic_array(obj("name value", name=STR, value=STR)),
    windowsOptions=_WINDOWS,
)

# Containers

VOLUME_MOUNT = obj(
    "mountPath name",
    mountPath=STR,
    mountPropagation=STR,
    name=STR,
    readOnly=BOOL,
    recursiveReadOnly=STR,
    subPath=STR,
    subPathExpr=STR,
)
_PORT = obj(
    "containerPort", containerPort=INT32, hostIP=STR, hostPort=INT32, name=STR, protocol=with_default(STR, "TCP")
)
_CONTAINER_FIELDS: dict[str, Schema] = {
    "args": STRINGS,
    "command": STRINGS,
    "env": keyed_array("name", ENV_VAR),
    "envFrom": atomic_array(ENV_FROM),
    "image": STR,
    "imagePullPolicy": STR,
    "lifecycle": obj(postStart=_HOOK, preStop=_HOOK, stopSignal=STR),
    "livenessProbe": PROBE,
    "name": STR,
    "ports": keyed_array("containerPort protocol", _PORT),
    "readinessProbe": PROBE,
    "resizePolicy": atomic_array(obj("resourceName restartPolicy", resourceName=STR, restartPolicy=STR)),
    "resources": RESOURCES,
    "restartPolicy": STR,
    "restartPolicyRules": atomic_array(
        obj("action", action=STR, exitCodes=obj("operator", operator=STR, values=set_array(INT32)))
    ),
    "securityContext": SECURITY_CONTEXT,
    "startupProbe": PROBE,
    "stdin": BOOL,
    "stdinOnce": BOOL,
    "terminationMessagePath": STR,
    "terminationMessagePolicy": STR,
    "tty": BOOL,
    "volumeDevices": keyed_array("devicePath", obj("devicePath name", devicePath=STR, name=STR)),
    "volumeMounts": keyed_array("mountPath", VOLUME_MOUNT),
    "workingDir": STR,
}
CONTAINER = obj("name", **_CONTAINER_FIELDS)
_EPHEMERAL_CONTAINER = obj("name", **_CONTAINER_FIELDS, targetContainerName=STR)

# Affinity

_NODE_REQUIREMENTS = atomic_array(obj("key operator", key=STR, operator=STR, values=STRINGS))
_NODE_SELECTOR_TERM = atomic(obj(matchExpressions=_NODE_REQUIREMENTS, matchFields=_NODE_REQUIREMENTS))
_POD_AFFINITY_TERM = obj(
    "topologyKey",
    labelSelector=LABEL_SELECTOR,
    matchLabelKeys=STRINGS,
    mismatchLabelKeys=STRINGS,
    namespaceSelector=LABEL_SELECTOR,
    namespaces=STRINGS,
    topologyKey=STR,
)
_POD_AFFINITY = obj(
    preferredDuringSchedulingIgnoredDuringExecution=atomic_array(
        obj("podAffinityTerm weight", podAffinityTerm=_POD_AFFINITY_TERM, weight=INT32)
    ),
    requiredDuringSchedulingIgnoredDuringExecution=atomic_array(_POD_AFFINITY_TERM),
)
_AFFINITY = obj(
    nodeAffinity=obj(
        preferredDuringSchedulingIgnoredDuringExecution=atomic_array(
            obj("preference weight", preference=_NODE_SELECTOR_TERM, weight=INT32)
        ),
        requiredDuringSchedulingIgnoredDuringExecution=atomic(
            obj("nodeSelectorTerms", nodeSelectorTerms=atomic_array(_NODE_SELECTOR_TERM))
        ),
    ),
    podAffinity=_POD_AFFINITY,
    podAntiAffinity=_POD_AFFINITY,
)
_TOPOLOGY_SPREAD = obj(
    "maxSkew topologyKey whenUnsatisfiable",
    labelSelector=LABEL_SELECTOR,
    matchLabelKeys=STRINGS,
    maxSkew=INT32,
    minDomains=INT32,
    nodeAffinityPolicy=STR,
    nodeTaintsPolicy=STR,
    topologyKey=STR,
    whenUnsatisfiable=STR,
)
_TOLERATION = obj(effect=STR, key=STR, operator=STR, tolerationSeconds=INT64, value=STR)

# Volumes

_ITEMS = atomic_array(obj("key path", key=STR, mode=INT32, path=STR))
_DOWNWARD_ITEMS = atomic_array(
    obj("path", fieldRef=_FIELD_REF, mode=INT32, path=STR, resourceFieldRef=_RESOURCE_FIELD_REF)
)
_PROJECTION = atomic(obj(items=_ITEMS, name=NAME, optional=BOOL))
_CLAIM_SPEC = obj(
    accessModes=STRINGS,
    dataSource=atomic(obj("kind name", apiGroup=STR, kind=STR, name=STR)),
    dataSourceRef=obj("kind name", apiGroup=STR, kind=STR, name=STR, namespace=STR),
    resources=obj(limits=QUANTITIES, requests=QUANTITIES),
    selector=LABEL_SELECTOR,
    storageClassName=STR,
    volumeAttributesClassName=STR,
    volumeMode=STR,
    volumeName=STR,
)
_PROJECTED_SOURCE = obj(
    clusterTrustBundle=obj("path", labelSelector=LABEL_SELECTOR, name=STR, optional=BOOL, path=STR, signerName=STR),
    configMap=_PROJECTION,
    downwardAPI=obj(items=_DOWNWARD_ITEMS),
    podCertificate=obj(
        "keyType signerName",
        certificateChainPath=STR,
        credentialBundlePath=STR,
        keyPath=STR,
        keyType=STR,
        maxExpirationSeconds=INT32,
        signerName=STR,
        userAnnotations=map_of(STR),
    ),
    secret=_PROJECTION,
    serviceAccountToken=obj("path", audience=STR, expirationSeconds=INT64, path=STR),
)
_VOLUME = obj(
    "name",
    awsElasticBlockStore=obj("volumeID", fsType=STR, partition=INT32, readOnly=BOOL, volumeID=STR),
    azureDisk=obj(
        "diskName diskURI",
        cachingMode=STR,
        diskName=STR,
        diskURI=STR,
        fsType=with_default(STR, "ext4"),
        kind=STR,
        readOnly=with_default(BOOL, False),
    ),
    azureFile=obj("secretName shareName", readOnly=BOOL, secretName=STR, shareName=STR),
    cephfs=obj("monitors", monitors=STRINGS, path=STR, readOnly=BOOL, secretFile=STR, secretRef=REFERENCE, user=STR),
    cinder=obj("volumeID", fsType=STR, readOnly=BOOL, secretRef=REFERENCE, volumeID=STR),
    configMap=atomic(obj(defaultMode=INT32, items=_ITEMS, name=NAME, optional=BOOL)),
    csi=obj(
        "driver",
        driver=STR,
        fsType=STR,
        nodePublishSecretRef=REFERENCE,
        readOnly=BOOL,
        volumeAttributes=map_of(STR),
    ),
    downwardAPI=obj(defaultMode=INT32, items=_DOWNWARD_ITEMS),
    emptyDir=obj(medium=STR, sizeLimit=QUANTITY),
    ephemeral=obj(volumeClaimTemplate=obj("spec", metadata=EMBEDDED_METADATA, spec=_CLAIM_SPEC)),
    fc=obj(fsType=STR, lun=INT32, readOnly=BOOL, targetWWNs=STRINGS, wwids=STRINGS),
    flexVolume=obj("driver", driver=STR, fsType=STR, options=map_of(STR), readOnly=BOOL, secretRef=REFERENCE),
    flocker=obj(datasetName=STR, datasetUUID=STR),
    gcePersistentDisk=obj("pdName", fsType=STR, partition=INT32, pdName=STR, readOnly=BOOL),
    gitRepo=obj("repository", directory=STR, repository=STR, revision=STR),
    glusterfs=obj("endpoints path", endpoints=STR, path=STR, readOnly=BOOL),
    hostPath=obj("path", path=STR, type=STR),
    image=obj(pullPolicy=STR, reference=STR),
    iscsi=obj(
        "iqn lun targetPortal",
        chapAuthDiscovery=BOOL,
        chapAuthSession=BOOL,
        fsType=STR,
        initiatorName=STR,
        iqn=STR,
        iscsiInterface=with_default(STR, "default"),
        lun=INT32,
        portals=STRINGS,
        readOnly=BOOL,
        secretRef=REFERENCE,
        targetPortal=STR,
    ),
    name=STR,
    nfs=obj("path server", path=STR, readOnly=BOOL, server=STR),
    persistentVolumeClaim=obj("claimName", claimName=STR, readOnly=BOOL),
    photonPersistentDisk=obj("pdID", fsType=STR, pdID=STR),
    portworxVolume=obj("volumeID", fsType=STR, readOnly=BOOL, volumeID=STR),
    projected=obj(defaultMode=INT32, sources=atomic_array(_PROJECTED_SOURCE)),
    quobyte=obj("registry volume", group=STR, readOnly=BOOL, registry=STR, tenant=STR, user=STR, volume=STR),
    rbd=obj(
        "image monitors",
        fsType=STR,
        image=STR,
        keyring=with_default(STR, "/etc/ceph/keyring"),
        monitors=STRINGS,
        pool=with_default(STR, "rbd"),
        readOnly=BOOL,
        secretRef=REFERENCE,
        user=with_default(STR, "admin"),
    ),
    scaleIO=obj(
        "gateway secretRef system",
        fsType=with_default(STR, "xfs"),
        gateway=STR,
        protectionDomain=STR,
        readOnly=BOOL,
        secretRef=REFERENCE,
        sslEnabled=BOOL,
        storageMode=with_default(STR, "ThinProvisioned"),
        storagePool=STR,
        system=STR,
        volumeName=STR,
    ),
    secret=obj(defaultMode=INT32, items=_ITEMS, optional=BOOL, secretName=STR),
    storageos=obj(fsType=STR, readOnly=BOOL, secretRef=REFERENCE, volumeName=STR, volumeNamespace=STR),
    vsphereVolume=obj("volumePath", fsType=STR, storagePolicyID=STR, storagePolicyName=STR, volumePath=STR),
)

# The pod

_POD_SPEC = obj(
    "containers",
    activeDeadlineSeconds=INT64,
    affinity=_AFFINITY,
    automountServiceAccountToken=BOOL,
    containers=keyed_array("name", CONTAINER),
    dnsConfig=obj(nameservers=STRINGS, options=atomic_array(obj(name=STR, value=STR)), searches=STRINGS),
    dnsPolicy=STR,
    enableServiceLinks=BOOL,
    ephemeralContainers=keyed_array("name", _EPHEMERAL_CONTAINER),
    hostAliases=keyed_array("ip", obj("ip", hostnames=STRINGS, ip=STR)),
    hostIPC=BOOL,
    hostNetwork=BOOL,
    hostPID=BOOL,
    hostUsers=BOOL,
    hostname=STR,
    hostnameOverride=STR,
    imagePullSecrets=keyed_array("name", REFERENCE),
    initContainers=keyed_array("name", CONTAINER),
    nodeName=STR,
    nodeSelector=atomic(map_of(STR)),
    os=obj("name", name=STR),
    overhead=QUANTITIES,
    preemptionPolicy=STR,
    priority=INT32,
    priorityClassName=STR,
    readinessGates=atomic_array(obj("conditionType", conditionType=STR)),
    resourceClaims=keyed_array("name", obj("name", name=STR, resourceClaimName=STR, resourceClaimTemplateName=STR)),
    resources=RESOURCES,
    restartPolicy=STR,
    runtimeClassName=STR,
    schedulerName=STR,
    schedulingGates=keyed_array("name", obj("name", name=STR)),
    schedulingGroup=obj(podGroupName=STR),
    securityContext=_POD_SECURITY_CONTEXT,
    serviceAccount=STR,
    serviceAccountName=STR,
    setHostnameAsFQDN=BOOL,
    shareProcessNamespace=BOOL,
    subdomain=STR,
    terminationGracePeriodSeconds=INT64,
    tolerations=atomic_array(_TOLERATION),
    topologySpreadConstraints=keyed_array("topologyKey whenUnsatisfiable", _TOPOLOGY_SPREAD),
    volumes=keyed_array("name", _VOLUME),
)

POD_TEMPLATE = obj(metadata=EMBEDDED_METADATA, spec=_POD_SPEC)
