"""What of a spec an operator's types know: fields that its release does not have are as if they had not been written.

Only what belongs to Ray's own types is looked at; embedded pod templates and Services are taken as they are.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_origin, is_typeddict

from rayrig_core.objects import JsonObject
from rayrig_core.resources.raycluster import RayClusterSpec
from rayrig_core.resources.rayservice import RayServiceSpec
from rayrig_core.resources.schema import fields_of

#: By field: None for what is taken as it is, else the fields of the object, or of each object of the list.
_Shape: TypeAlias = "dict[str, _Shape | None]"


@cache
def _shape(type_: Any, release: str) -> _Shape:
    return {name: _inner(annotation, release) for name, (annotation, _) in fields_of(type_, release).items()}


def _inner(annotation: Any, release: str) -> _Shape | None:
    while get_origin(annotation) in (Annotated, list):
        annotation = get_args(annotation)[0]
    return _shape(annotation, release) if is_typeddict(annotation) else None


def _known(value: JsonObject, shape: _Shape) -> JsonObject:
    found: JsonObject = {}
    for name, item in value.items():
        if name not in shape:
            continue
        inner = shape[name]
        if inner is not None and isinstance(item, dict):
            item = _known(item, inner)
        elif inner is not None and isinstance(item, list):
            item = [_known(each, inner) if isinstance(each, dict) else each for each in item]
        found[name] = item
    return found


def known_ray_cluster_spec(spec: JsonObject, release: str) -> JsonObject:
    """A RayClusterSpec without the fields that `release` (as schemas are called) does not have. Unchanged parts are shared."""
    return _known(spec, _shape(RayClusterSpec, release))


def known_ray_service_spec(spec: JsonObject, release: str) -> JsonObject:
    """The same of a RayServiceSpec."""
    return _known(spec, _shape(RayServiceSpec, release))
