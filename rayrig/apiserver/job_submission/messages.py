"""Messages about submissions."""

from __future__ import annotations

from rayrig.apiserver.wire.messages import Field, Message, Scalar

RAY_JOB_SUBMISSION = Message(
    "RayJobSubmission",
    (
        Field("entrypoint", Scalar.STRING, required=True),
        Field("submission_id", Scalar.STRING),
        Field("metadata", Scalar.STRING, mapped=True),
        Field("runtime_env", Scalar.STRING),
        Field("entrypoint_num_cpus", Scalar.FLOAT),
        Field("entrypoint_num_gpus", Scalar.FLOAT),
        Field("entrypoint_resources", Scalar.STRING, mapped=True),
    ),
)
JOB_SUBMISSION_INFO = Message(
    "JobSubmissionInfo",
    (
        Field("entrypoint", Scalar.STRING),
        Field("job_id", Scalar.STRING),
        Field("submission_id", Scalar.STRING),
        Field("status", Scalar.STRING),
        Field("message", Scalar.STRING),
        Field("error_type", Scalar.STRING),
        Field("start_time", Scalar.UINT64),
        Field("end_time", Scalar.UINT64),
        Field("metadata", Scalar.STRING, mapped=True),
        Field("runtime_env", Scalar.STRING, mapped=True),
    ),
)

_NAMESPACE = Field("namespace", Scalar.STRING, required=True)
_CLUSTER = Field("clustername", Scalar.STRING, required=True)
_OF_JOB = (_NAMESPACE, _CLUSTER, Field("submissionid", Scalar.STRING, required=True))

SUBMIT_REQUEST = Message(
    "SubmitRayJobRequest", (_NAMESPACE, _CLUSTER, Field("jobsubmission", RAY_JOB_SUBMISSION, required=True))
)
SUBMIT_REPLY = Message("SubmitRayJobReply", (Field("submission_id", Scalar.STRING),))
GET_REQUEST = Message("GetJobDetailsRequest", _OF_JOB)
GET_LOG_REQUEST = Message("GetJobLogRequest", _OF_JOB)
GET_LOG_REPLY = Message("GetJobLogReply", (Field("log", Scalar.STRING),))
LIST_REQUEST = Message("ListJobDetailsRequest", (_NAMESPACE, _CLUSTER))
LIST_REPLY = Message("ListJobSubmissionInfo", (Field("submissions", JOB_SUBMISSION_INFO, repeated=True),))
STOP_REQUEST = Message("StopRayJobSubmissionRequest", _OF_JOB)
DELETE_REQUEST = Message("DeleteRayJobSubmissionRequest", _OF_JOB)
