"""Large answers compressed, for clients that take it."""

from __future__ import annotations

from rayrig_fakes.kubernetes.rest.handler import ApiResponse
from rayrig_fakes.kubernetes.rest.requests import JSON, PROTOBUF, YAML

#: Answers of more bytes are compressed.
_THRESHOLD = 128 * 1024
_TYPES = (JSON, YAML, PROTOBUF)
#: As much as is worth its time.
_LEVEL = 1
_HEADERS = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]


def compressed(path: str, accept_encoding: str, answer: ApiResponse) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body to send and the headers that say how it is encoded.

    As a real server does it: objects and lists of more than 128 KiB, the description in version 2 whatever its size, and only for
    clients that name `gzip` without a weight.
    """
    body = answer.body
    if not accept_encoding or (len(body) <= _THRESHOLD and path != "/openapi/v2"):
        return body, []
    if path.startswith("/openapi/v3") or answer.content_type.partition(";")[0] not in _TYPES:
        return body, []
    if not any(each.strip() == "gzip" for each in accept_encoding.split(",")):
        return body, []
    import gzip  # Rarely needed.

    return gzip.compress(body, _LEVEL, mtime=0), _HEADERS
