"""Messages about compute templates."""

from __future__ import annotations

from rayrig.apiserver.wire.messages import Field, Message, Scalar

POD_TOLERATION = Message(
    "PodToleration",
    (
        Field("key", Scalar.STRING, required=True),
        Field("operator", Scalar.STRING, required=True),
        Field("value", Scalar.STRING),
        Field("effect", Scalar.STRING, required=True),
    ),
)
COMPUTE_TEMPLATE = Message(
    "ComputeTemplate",
    (
        Field("name", Scalar.STRING, required=True),
        Field("namespace", Scalar.STRING, required=True),
        Field("cpu", Scalar.UINT32, required=True),
        Field("memory", Scalar.UINT32, required=True),
        Field("gpu", Scalar.UINT32),
        Field("gpu_accelerator", Scalar.STRING),
        Field("tolerations", POD_TOLERATION, repeated=True),
        Field("extended_resources", Scalar.UINT32, mapped=True),
        Field("memory_unit", Scalar.STRING),
    ),
)

_NAME = Field("name", Scalar.STRING, required=True)
_NAMESPACE = Field("namespace", Scalar.STRING, required=True)
_TEMPLATES = Field("compute_templates", COMPUTE_TEMPLATE, repeated=True, output_only=True)

CREATE_REQUEST = Message(
    "CreateComputeTemplateRequest", (Field("compute_template", COMPUTE_TEMPLATE, required=True), _NAMESPACE)
)
GET_REQUEST = Message("GetComputeTemplateRequest", (_NAME, _NAMESPACE))
LIST_REQUEST = Message("ListComputeTemplatesRequest", (_NAMESPACE,))
LIST_REPLY = Message("ListComputeTemplatesResponse", (_TEMPLATES,))
LIST_ALL_REQUEST = Message("ListAllComputeTemplatesRequest")
LIST_ALL_REPLY = Message("ListAllComputeTemplatesResponse", (_TEMPLATES,))
DELETE_REQUEST = Message("DeleteComputeTemplateRequest", (_NAME, _NAMESPACE))
