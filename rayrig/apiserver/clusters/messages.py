"""Messages about clusters. Ray services and jobs have a `CLUSTER_SPEC` inside, Ray services events of the same fields."""

from __future__ import annotations

from rayrig.apiserver.wire.messages import EnumType, Field, Message, Scalar

ENV_SOURCE = EnumType("EnvValueFrom.Source", ("CONFIGMAP", "SECRET", "RESOURCEFIELD", "FIELD"))
ENV_VALUE_FROM = Message(
    "EnvValueFrom",
    (Field("source", ENV_SOURCE), Field("name", Scalar.STRING), Field("key", Scalar.STRING)),
)
ENVIRONMENT_VARIABLES = Message(
    "EnvironmentVariables",
    (Field("values", Scalar.STRING, mapped=True), Field("valuesFrom", ENV_VALUE_FROM, mapped=True)),
)

VOLUME_TYPE = EnumType(
    "Volume.VolumeType",
    ("PERSISTENT_VOLUME_CLAIM", "HOST_PATH", "EPHEMERAL", "CONFIGMAP", "SECRET", "EMPTY_DIR"),
)
HOST_PATH_TYPE = EnumType("Volume.HostPathType", ("DIRECTORY", "FILE"))
MOUNT_PROPAGATION = EnumType("Volume.MountPropagationMode", ("NONE", "HOSTTOCONTAINER", "BIDIRECTIONAL"))
ACCESS_MODE = EnumType("Volume.AccessMode", ("RWO", "ROX", "RWX"))
VOLUME = Message(
    "Volume",
    (
        Field("mount_path", Scalar.STRING),
        Field("volume_type", VOLUME_TYPE),
        Field("name", Scalar.STRING),
        Field("source", Scalar.STRING),
        Field("read_only", Scalar.BOOL),
        Field("host_path_type", HOST_PATH_TYPE),
        Field("mount_propagation_mode", MOUNT_PROPAGATION),
        Field("storageClassName", Scalar.STRING),
        Field("accessMode", ACCESS_MODE),
        Field("storage", Scalar.STRING),
        Field("items", Scalar.STRING, mapped=True),
    ),
)

AUTOSCALER_OPTIONS = Message(
    "AutoscalerOptions",
    (
        Field("idleTimeoutSeconds", Scalar.INT32),
        Field("upscalingMode", Scalar.STRING),
        Field("image", Scalar.STRING),
        Field("imagePullPolicy", Scalar.STRING),
        Field("cpu", Scalar.STRING),
        Field("memory", Scalar.STRING),
        Field("envs", ENVIRONMENT_VARIABLES),
        Field("volumes", VOLUME, repeated=True),
    ),
)

CAPABILITIES = Message(
    "Capabilities", (Field("add", Scalar.STRING, repeated=True), Field("drop", Scalar.STRING, repeated=True))
)
SECURITY_CONTEXT = Message(
    "SecurityContext", (Field("capabilities", CAPABILITIES), Field("privileged", Scalar.BOOL, optional=True))
)

_IMAGE = Field("image", Scalar.STRING)
_COMPUTE_TEMPLATE = Field("compute_template", Scalar.STRING, required=True)
#: From the start parameters on, both kinds of group have the same fields.
_OF_PODS = (
    Field("ray_start_params", Scalar.STRING, mapped=True, required=True),
    Field("volumes", VOLUME, repeated=True),
    Field("service_account", Scalar.STRING),
    Field("image_pull_secret", Scalar.STRING),
    Field("environment", ENVIRONMENT_VARIABLES),
    Field("annotations", Scalar.STRING, mapped=True),
    Field("labels", Scalar.STRING, mapped=True),
    Field("imagePullPolicy", Scalar.STRING),
    Field("security_context", SECURITY_CONTEXT),
)
HEAD_GROUP_SPEC = Message(
    "HeadGroupSpec",
    (
        _COMPUTE_TEMPLATE,
        _IMAGE,
        Field("service_type", Scalar.STRING),
        Field("enableIngress", Scalar.BOOL),
        *_OF_PODS,
    ),
)
WORKER_GROUP_SPEC = Message(
    "WorkerGroupSpec",
    (
        Field("group_name", Scalar.STRING, required=True),
        _COMPUTE_TEMPLATE,
        _IMAGE,
        Field("replicas", Scalar.INT32, required=True),
        Field("min_replicas", Scalar.INT32),
        Field("max_replicas", Scalar.INT32, required=True),
        *_OF_PODS,
    ),
)
CLUSTER_SPEC = Message(
    "ClusterSpec",
    (
        Field("head_group_spec", HEAD_GROUP_SPEC, required=True),
        Field("worker_group_spec", WORKER_GROUP_SPEC, repeated=True),
        Field("enableInTreeAutoscaling", Scalar.BOOL),
        Field("autoscalerOptions", AUTOSCALER_OPTIONS),
        Field("headServiceAnnotations", Scalar.STRING, mapped=True),
    ),
)

CLUSTER_EVENT = Message(
    "ClusterEvent",
    (
        Field("id", Scalar.STRING),
        Field("name", Scalar.STRING),
        Field("created_at", Scalar.TIMESTAMP),
        Field("first_timestamp", Scalar.TIMESTAMP),
        Field("last_timestamp", Scalar.TIMESTAMP),
        Field("reason", Scalar.STRING),
        Field("message", Scalar.STRING),
        Field("type", Scalar.STRING),
        Field("count", Scalar.INT32),
    ),
)
ENVIRONMENT = EnumType("Cluster.Environment", ("DEV", "TESTING", "STAGING", "PRODUCTION"))
CLUSTER = Message(
    "Cluster",
    (
        Field("name", Scalar.STRING, required=True),
        Field("namespace", Scalar.STRING, required=True),
        Field("user", Scalar.STRING, required=True),
        Field("version", Scalar.STRING),
        Field("environment", ENVIRONMENT),
        Field("cluster_spec", CLUSTER_SPEC, required=True),
        Field("annotations", Scalar.STRING, mapped=True),
        Field("envs", ENVIRONMENT_VARIABLES),
        Field("created_at", Scalar.TIMESTAMP, output_only=True),
        Field("deleted_at", Scalar.TIMESTAMP, output_only=True),
        Field("cluster_state", Scalar.STRING, output_only=True),
        Field("events", CLUSTER_EVENT, repeated=True, output_only=True),
        Field("service_endpoint", Scalar.STRING, mapped=True, output_only=True),
    ),
)

_NAME = Field("name", Scalar.STRING, required=True)
_NAMESPACE = Field("namespace", Scalar.STRING, required=True)
_PAGE = (Field("continue", Scalar.STRING), Field("limit", Scalar.INT64))
_CLUSTERS = (
    Field("clusters", CLUSTER, repeated=True, output_only=True),
    Field("continue", Scalar.STRING, output_only=True),
)

CREATE_REQUEST = Message("CreateClusterRequest", (Field("cluster", CLUSTER, required=True), _NAMESPACE))
GET_REQUEST = Message("GetClusterRequest", (_NAME, _NAMESPACE))
LIST_REQUEST = Message("ListClustersRequest", (_NAMESPACE, *_PAGE))
LIST_REPLY = Message("ListClustersResponse", _CLUSTERS)
LIST_ALL_REQUEST = Message("ListAllClustersRequest", _PAGE)
LIST_ALL_REPLY = Message("ListAllClustersResponse", _CLUSTERS)
DELETE_REQUEST = Message("DeleteClusterRequest", (_NAME, _NAMESPACE))
