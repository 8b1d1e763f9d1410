"""Messages about jobs."""

from __future__ import annotations

from rayrig.apiserver.clusters.messages import CLUSTER_SPEC
from rayrig.apiserver.wire.messages import Field, Message, Scalar

RAY_JOB_SUBMITTER = Message(
    "RayJobSubmitter",
    (
        Field("image", Scalar.STRING, required=True),
        Field("cpu", Scalar.STRING),
        Field("memory", Scalar.STRING),
    ),
)
RAY_JOB = Message(
    "RayJob",
    (
        Field("name", Scalar.STRING, required=True),
        Field("namespace", Scalar.STRING, required=True),
        Field("user", Scalar.STRING, required=True),
        Field("version", Scalar.STRING, required=True),
        Field("entrypoint", Scalar.STRING, required=True),
        Field("metadata", Scalar.STRING, mapped=True),
        Field("runtime_env", Scalar.STRING),
        Field("job_id", Scalar.STRING),
        Field("shutdown_after_job_finishes", Scalar.BOOL),
        Field("cluster_selector", Scalar.STRING, mapped=True),
        Field("cluster_spec", CLUSTER_SPEC),
        Field("ttl_seconds_after_finished", Scalar.INT32),
        Field("jobSubmitter", RAY_JOB_SUBMITTER),
        Field("entrypointNumCpus", Scalar.FLOAT),
        Field("entrypointNumGpus", Scalar.FLOAT),
        Field("entrypointResources", Scalar.STRING),
        Field("activeDeadlineSeconds", Scalar.INT32),
        Field("created_at", Scalar.TIMESTAMP, output_only=True),
        Field("delete_at", Scalar.TIMESTAMP, output_only=True),
        Field("job_status", Scalar.STRING, output_only=True),
        Field("job_deployment_status", Scalar.STRING, output_only=True),
        Field("message", Scalar.STRING, output_only=True),
        Field("start_time", Scalar.TIMESTAMP, output_only=True),
        Field("end_time", Scalar.TIMESTAMP, output_only=True),
        Field("ray_cluster_name", Scalar.STRING, output_only=True),
    ),
)

_NAME = Field("name", Scalar.STRING, required=True)
_NAMESPACE = Field("namespace", Scalar.STRING, required=True)
_PAGE = (Field("continue", Scalar.STRING), Field("limit", Scalar.INT64))
_JOBS = (
    Field("jobs", RAY_JOB, repeated=True, output_only=True),
    Field("continue", Scalar.STRING, output_only=True),
)

CREATE_REQUEST = Message("CreateRayJobRequest", (Field("job", RAY_JOB, required=True), _NAMESPACE))
GET_REQUEST = Message("GetRayJobRequest", (_NAME, _NAMESPACE))
LIST_REQUEST = Message("ListRayJobsRequest", (_NAMESPACE, *_PAGE))
LIST_REPLY = Message("ListRayJobsResponse", _JOBS)
LIST_ALL_REQUEST = Message("ListAllRayJobsRequest", _PAGE)
LIST_ALL_REPLY = Message("ListAllRayJobsResponse", _JOBS)
DELETE_REQUEST = Message("DeleteRayJobRequest", (_NAME, _NAMESPACE))
