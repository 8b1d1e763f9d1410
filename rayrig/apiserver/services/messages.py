"""Messages about Ray services (`reference/kuberay-apiserver.md` 8.2)."""

from __future__ import annotations

from rayrig.apiserver.clusters.messages import CLUSTER_EVENT, CLUSTER_SPEC
from rayrig.apiserver.wire.messages import Field, Message, Scalar

EVENT = Message("RayServiceEvent", CLUSTER_EVENT.fields)
DEPLOYMENT_STATUS = Message(
    "ServeDeploymentStatus",
    (
        Field("deployment_name", Scalar.STRING),
        Field("status", Scalar.STRING),
        Field("message", Scalar.STRING),
    ),
)
APPLICATION_STATUS = Message(
    "ServeApplicationStatus",
    (
        Field("name", Scalar.STRING),
        Field("status", Scalar.STRING),
        Field("message", Scalar.STRING),
        Field("serve_deployment_status", DEPLOYMENT_STATUS, repeated=True),
    ),
)
#: The first three are deprecated and never filled.
STATUS = Message(
    "RayServiceStatus",
    (
        Field("application_status", Scalar.STRING),
        Field("application_message", Scalar.STRING),
        Field("serve_deployment_status", DEPLOYMENT_STATUS, repeated=True),
        Field("ray_service_events", EVENT, repeated=True),
        Field("ray_cluster_name", Scalar.STRING),
        Field("ray_cluster_state", Scalar.STRING),
        Field("service_endpoint", Scalar.STRING, mapped=True),
        Field("serve_application_status", APPLICATION_STATUS, repeated=True),
    ),
)
SERVICE = Message(
    "RayService",
    (
        Field("name", Scalar.STRING, required=True),
        Field("namespace", Scalar.STRING, required=True),
        Field("user", Scalar.STRING, required=True),
        Field("version", Scalar.STRING, required=True),
        Field("serve_config_V2", Scalar.STRING),
        Field("service_unhealthy_second_threshold", Scalar.INT32),
        Field("deployment_unhealthy_second_threshold", Scalar.INT32),
        Field("cluster_spec", CLUSTER_SPEC, required=True),
        Field("ray_service_status", STATUS, output_only=True),
        Field("created_at", Scalar.TIMESTAMP, output_only=True),
        Field("delete_at", Scalar.TIMESTAMP, output_only=True),
    ),
)

_NAME = Field("name", Scalar.STRING, required=True)
_NAMESPACE = Field("namespace", Scalar.STRING, required=True)
_SERVICE = Field("service", SERVICE, required=True)
_PAGE = (Field("page_token", Scalar.STRING), Field("page_size", Scalar.INT32))
#: The total is declared and never filled.
_SERVICES = (
    Field("services", SERVICE, repeated=True, output_only=True),
    Field("total_size", Scalar.INT32, output_only=True),
    Field("next_page_token", Scalar.STRING, output_only=True),
)

CREATE_REQUEST = Message("CreateRayServiceRequest", (_SERVICE, _NAMESPACE))
UPDATE_REQUEST = Message("UpdateRayServiceRequest", (_SERVICE, _NAMESPACE, _NAME))
GET_REQUEST = Message("GetRayServiceRequest", (_NAME, _NAMESPACE))
LIST_REQUEST = Message("ListRayServicesRequest", (_NAMESPACE, *_PAGE))
LIST_REPLY = Message("ListRayServicesResponse", _SERVICES)
LIST_ALL_REQUEST = Message("ListAllRayServicesRequest", _PAGE)
LIST_ALL_REPLY = Message("ListAllRayServicesResponse", _SERVICES)
DELETE_REQUEST = Message("DeleteRayServiceRequest", (_NAME, _NAMESPACE))
