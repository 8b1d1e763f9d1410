"""In which form an answer is wanted: JSON or YAML, as it is, as a table or as its metadata only (K8-009 to K8-012)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rayrig_core.errors import ApiError
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.rest.requests import JSON, PROTOBUF, YAML

_KINDS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_VERSIONS = ("v1", "v1beta1")
_STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")


@dataclass(frozen=True, slots=True)
class Form:
    """Representation asked for: plain, or `Table`, `PartialObjectMetadata`, `PartialObjectMetadataList`."""

    kind: str = ""
    yaml: bool = False
    version: str = "v1"

    @property
    def api_version(self) -> str:
        return f"meta.k8s.io/{self.version}"


_PLAIN = Form()


@lru_cache(maxsize=256)
def accepted(header: str, custom: bool, verb: str) -> Form:
    """The first type that can be served. Raises `ApiError` 406."""
    if not header.strip():
        return _PLAIN
    ranges = []
    for position, part in enumerate(header.split(",")):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        values = dict(piece.partition("=")[::2] for piece in parameters)
        try:
            quality = float(values.pop("q", "1"))
        except ValueError:
            quality = 1.0
        ranges.append((-quality, position, media, values))
    is_known = is_shaped = False
    for _, _, media, values in sorted(ranges, key=lambda each: each[:2]):
        if media == "application/*" and custom:
            media = JSON
        if media not in (JSON, YAML, "*/*"):
            is_known = is_known or media == PROTOBUF
            continue
        is_known = True
        if media == YAML and verb == "watch":
            continue
        kind, version = values.get("as", ""), values.get("v", "")
        is_shaped = True
        if not kind:
            return Form(yaml=True) if media == YAML else _PLAIN
        if kind in _KINDS and version in _VERSIONS and values.get("g") == "meta.k8s.io":
            return Form(kind, media == YAML, version)
    raise _refusal(custom, verb, is_known, is_shaped)


def _refusal(custom: bool, verb: str, is_known: bool, is_shaped: bool) -> ApiError:
    """`is_known`: a type is one of those served; `is_shaped`: and what is to be made of it is not."""
    plain = (JSON, YAML, PROTOBUF)
    if custom and not is_known:
        return not_acceptable(f"only the following media types are accepted: {', '.join(plain)}")
    if is_known:
        types: tuple[str, ...] = _STREAMS if verb == "watch" and not is_shaped else plain
        return not_acceptable(f"only the following media types are accepted: {', '.join(types)}")
    types = (*plain, *_STREAMS) if verb in ("list", "watch") else plain
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(types)}"
    return status.error(406, "NotAcceptable", text, {})


def not_acceptable(text: str) -> ApiError:
    return status.error(406, "NotAcceptable", text)
