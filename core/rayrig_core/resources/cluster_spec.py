"""What a RayClusterSpec says, read off plain JSON: autoscaling, the Ray version, the Ray containers."""

from __future__ import annotations

import re

from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels


def is_autoscaling(spec: JsonObject) -> bool:
    """`enableInTreeAutoscaling` of a RayClusterSpec."""
    return bool(spec.get("enableInTreeAutoscaling"))


def uses_autoscaler_v2(spec: JsonObject) -> bool:
    """By `autoscalerOptions.version`, else by the head container's environment."""
    version = (spec.get("autoscalerOptions") or {}).get("version")
    if version is not None:
        return bool(version == "v2")
    return container_env(head_container(spec)).get(labels.AUTOSCALER_V2_ENV) in ("1", "true")


def parse_ray_version(text: str) -> tuple[int, int, int] | None:
    """(2, 52, 0) of `2.52.0` or `v2.52`; None when the text is no version (`nightly`)."""
    found = re.fullmatch(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:[-+.].*)?", text)
    return (int(found[1]), int(found[2] or 0), int(found[3] or 0)) if found else None


def containers(group: JsonObject) -> list[JsonObject]:
    """The containers of a group's pod template."""
    return ((group.get("template") or {}).get("spec") or {}).get("containers") or []


def head_container(spec: JsonObject) -> JsonObject:
    """The Ray container of the head; empty when there is none."""
    of_head = containers(spec.get("headGroupSpec") or {})
    return of_head[0] if of_head else {}


def container_env(container: JsonObject) -> dict[str, str]:
    """Environment by name; what comes from elsewhere counts as set to the empty text."""
    return {variable["name"]: variable.get("value") or "" for variable in container.get("env") or ()}
