"""What Serve does to its replicas when a new configuration reaches a running cluster (ray-serve 3.8).

Only configurations are compared: what the code of an application says by itself is not known here and is the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayrig_core.objects import JsonObject
from rayrig_core.resources.go_yaml import yaml_to_json
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode
from rayrig_sim.serve.deployment_config import DeploymentInfo, code_version, deployment_infos
from rayrig_sim.serve.deployment_update import Effect, plan_update, version_of

_EFFECTS = {
    Effect.RESTART: "all replicas are replaced, in a rolling update",
    Effect.RECONFIGURE: "replicas stay and are reconfigured",
    Effect.ADOPT: "replicas stay; only Serve's controller takes note",
    Effect.NONE: "replicas stay as they are",
}


@dataclass(frozen=True, slots=True)
class ServeEffect:
    """`subject` is an application or `application/deployment`."""

    subject: str
    what: str


def serve_effects(old_text: str, new_text: str) -> list[ServeEffect]:
    """From two values of `serveConfigV2`, both valid; empty when Serve notices nothing."""
    old, new = _applications(old_text), _applications(new_text)
    effects = [ServeEffect(name, "deployed anew") for name in new if name not in old]
    effects += [ServeEffect(name, "deleted") for name in old if name not in new]
    for name, document in new.items():
        if name in old and old[name] != document:
            effects += _of_application(name, old[name], document)
    return effects


def _applications(text: str) -> dict[str, JsonObject]:
    config = yaml_to_json(text) if text else None
    listed = config.get("applications") if isinstance(config, dict) else None
    return {str(each.get("name", "default")): each for each in listed or ()}


def _of_application(name: str, old: JsonObject, new: JsonObject) -> Iterator[ServeEffect]:
    if code_version(old) != code_version(new):
        yield ServeEffect(name, "built again; all replicas of all its deployments are replaced, in a rolling update")
        return
    before, after = _infos(old, new), _infos(new, old)
    for deployment, info in after.items():
        first = plan_update(None, before[deployment])
        assert first is not None, "a first deploy is always noticed"
        update = plan_update(first.target, info)
        if update is None:
            continue
        subject = f"{name}/{deployment}"
        effect = version_of(info).effect_on(first.target.version)
        if effect is not Effect.NONE:
            yield ServeEffect(subject, _EFFECTS[effect])
        counts = first.target.num_replicas, update.target.num_replicas
        if counts[0] != counts[1]:
            yield ServeEffect(subject, f"from {counts[0]} to {counts[1]} replicas")
        elif effect is Effect.NONE:
            yield ServeEffect(subject, "replicas stay; its scaling is decided by the new settings")
    if old.get("route_prefix", "/") != new.get("route_prefix", "/"):
        yield ServeEffect(name, f"answers at {new.get('route_prefix', '/')} instead of {old.get('route_prefix', '/')}")


def _infos(document: JsonObject, other: JsonObject) -> dict[str, DeploymentInfo]:
    """With every deployment that either side names, so that they can be compared."""
    listed = (*(document.get("deployments") or ()), *(other.get("deployments") or ()))
    names = dict.fromkeys(str(each["name"]) for each in listed)
    if not names:
        return {}
    codes = {name: DeploymentCode(name, Constant(NS)) for name in names}
    return deployment_infos(document, ApplicationCode("", next(iter(names)), codes))
