"""Messages of Serve submission. The reply's fields are named as in Serve's own JSON (`reference/kuberay-apiserver.md` 11.5)."""

from __future__ import annotations

from rayrig.apiserver.wire.messages import Field, Message, Scalar


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, Scalar.STRING) for name in names)


_ACTOR = _texts("node_id", "node_ip", "actor_id", "actor_name", "worker_id")

SUBMISSION = Message("RayServeSubmission", (Field("configyaml", Scalar.STRING, required=True),))

SUBMIT_REQUEST = Message(
    "SubmitRayServeApplicationsRequest",
    (
        Field("namespace", Scalar.STRING, required=True),
        Field("clustername", Scalar.STRING, required=True),
        Field("submissionyaml", SUBMISSION, required=True),
    ),
)
GET_REQUEST = Message(
    "GetRayServeApplicationsRequest",
    (Field("namespace", Scalar.STRING, required=True), Field("clustername", Scalar.STRING, required=True)),
)
DELETE_REQUEST = Message("DeleteRayServeApplicationsRequest", GET_REQUEST.fields)

ACTOR_OPTIONS = Message(
    "RayActorOptionSpec",
    (
        Field("runtime_env", Scalar.STRING, mapped=True),
        Field("num_cpus", Scalar.FLOAT),
        Field("num_gpus", Scalar.FLOAT),
        Field("memory", Scalar.UINT64),
        Field("object_store_memory", Scalar.UINT64),
        Field("resources", Scalar.STRING, mapped=True),
        Field("accelerator_type", Scalar.STRING),
    ),
)
BUNDLE = Message("PlacementGroupBundle", (Field("bundle", Scalar.FLOAT, mapped=True),))
DEPLOYMENT_CONFIG = Message(
    "DeploymentSchema",
    (
        Field("name", Scalar.STRING),
        Field("placement_group_strategy", Scalar.STRING),
        Field("placement_group_bundles", BUNDLE, repeated=True),
        Field("num_replicas", Scalar.INT32),
        Field("max_replicas_per_node", Scalar.INT32),
        Field("max_concurrent_queries", Scalar.INT32),
        Field("user_config", Scalar.STRING, mapped=True),
        Field("autoscaling_config", Scalar.STRING, mapped=True),
        Field("graceful_shutdown_wait_loop_s", Scalar.FLOAT),
        Field("graceful_shutdown_timeout_s", Scalar.FLOAT),
        Field("health_check_period_s", Scalar.FLOAT),
        Field("health_check_timeout_s", Scalar.FLOAT),
        Field("ray_actor_options", ACTOR_OPTIONS),
    ),
)
REPLICA = Message(
    "Replica",
    (
        *_ACTOR,
        *_texts("state", "log_file_path", "replica_id"),
        Field("pid", Scalar.INT32),
        Field("start_time_s", Scalar.FLOAT),
    ),
)
DEPLOYMENT = Message(
    "DeploymentApplicationDetails",
    (
        *_texts("name", "status", "message"),
        Field("deployment_config", DEPLOYMENT_CONFIG),
        Field("replicas", REPLICA, repeated=True),
    ),
)
APPLICATION_CONFIG = Message(
    "ServeDeploymentDetails",
    (
        *_texts("name", "host"),
        Field("port", Scalar.INT32),
        *_texts("route_prefix", "import_path"),
        Field("args", Scalar.STRING, mapped=True),
        Field("runtime_env", Scalar.STRING, mapped=True),
        Field("deployments", DEPLOYMENT_CONFIG, repeated=True),
    ),
)
APPLICATION = Message(
    "ServeApplicationDetails",
    (
        *_texts("name", "status", "message", "route_prefix", "docs_path"),
        Field("last_deployed_time_s", Scalar.FLOAT),
        Field("deployed_app_config", APPLICATION_CONFIG),
        Field("deployments", DEPLOYMENT, mapped=True),
    ),
)
CONTROLLER = Message("ControllerInfo", (*_ACTOR, *_texts("log_file_path")))
HTTP_OPTIONS = Message(
    "HTTPOptions",
    (
        Field("host", Scalar.STRING),
        Field("port", Scalar.INT32),
        Field("root_path", Scalar.STRING),
        Field("request_timeout_s", Scalar.FLOAT),
        Field("keep_alive_timeout_s", Scalar.INT32),
    ),
)
GRPC_OPTIONS = Message(
    "GRPCOptions", (Field("port", Scalar.INT32), Field("grpc_servicer_functions", Scalar.STRING, repeated=True))
)
PROXY = Message("Proxy", (*_ACTOR, *_texts("status", "log_file_path")))
GET_REPLY = Message(
    "GetRayServeApplicationReply",
    (
        *_texts("deploy_mode", "proxy_location"),
        Field("controller_info", CONTROLLER),
        Field("http_options", HTTP_OPTIONS),
        Field("grpc_options", GRPC_OPTIONS),
        Field("proxies", PROXY, mapped=True),
        Field("applications", APPLICATION, mapped=True),
    ),
)
