"""What the operator refuses, or warns of, in the settings of the Ray autoscaler."""

from __future__ import annotations

from collections.abc import Iterator

from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels
from rayrig_core.resources.cluster_spec import container_env, head_container, is_autoscaling, uses_autoscaler_v2
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.resources.validation.problems import Problem

_AUTOSCALER_CMD_ENV = "KUBERAY_GEN_AUTOSCALER_START_CMD"


def autoscaler_problems(spec: JsonObject, gates: FeatureGates, path: str) -> Iterator[Problem]:
    """Problems of the autoscaler's options, and of what it does not bear."""
    autoscaling = is_autoscaling(spec)
    options = spec.get("autoscalerOptions") or {}
    groups = spec.get("workerGroupSpecs") or []
    suspended = [(i, group.get("groupName")) for i, group in enumerate(groups) if group.get("suspend")]
    if not gates.ray_job_deletion_policy:
        for index, name in suspended:
            yield Problem(
                f"{path}.workerGroupSpecs[{index}].suspend",
                f"worker group {name} can be suspended only when the RayJobDeletionPolicy feature gate is enabled",
                "enable the gate",
            )
    env = container_env(head_container(spec))
    switch = env.get(labels.AUTOSCALER_V2_ENV)
    env_path = f"{path}.headGroupSpec.template.spec.containers[0].env[{labels.AUTOSCALER_V2_ENV}]"
    if not autoscaling:
        if switch in ("1", "true"):
            yield Problem(
                env_path,
                f"environment variable {labels.AUTOSCALER_V2_ENV} cannot be set to '{switch}' when enableInTreeAutoscaling is "
                "false. Please set enableInTreeAutoscaling: true to use autoscaler v2",
                "set enableInTreeAutoscaling: true",
            )
        return
    for index, name in suspended:
        yield Problem(
            f"{path}.workerGroupSpecs[{index}].suspend",
            f"worker group {name} cannot be suspended with Autoscaler enabled",
            "remove suspend or turn the autoscaler off",
        )
    if options.get("version") is not None and switch is not None:
        yield Problem(
            env_path,
            f"both .spec.autoscalerOptions.version and head Pod env var {labels.AUTOSCALER_V2_ENV} are set, please only use "
            "the former",
            "remove the environment variable",
        )
    if uses_autoscaler_v2(spec):
        yield from _restart_policy_problems(spec, path)
    idle = options.get("idleTimeoutSeconds")
    if idle is not None and idle < 0:
        yield Problem(
            f"{path}.autoscalerOptions.idleTimeoutSeconds",
            f"autoscalerOptions.idleTimeoutSeconds must be non-negative, got {idle}",
            "give 0 or more",
        )
    if any(variable.get("name") == _AUTOSCALER_CMD_ENV for variable in options.get("env") or ()):
        yield Problem(
            f"{path}.autoscalerOptions.env",
            f"autoscalerOptions.env must not contain {_AUTOSCALER_CMD_ENV}",
            "remove it: the operator sets it",
        )


def _restart_policy(group: JsonObject) -> str:
    return ((group.get("template") or {}).get("spec") or {}).get("restartPolicy") or ""


def _restart_policy_problems(spec: JsonObject, path: str) -> Iterator[Problem]:
    remedy = "remove restartPolicy"
    if _restart_policy(spec.get("headGroupSpec") or {}) not in ("", "Never"):
        yield Problem(
            f"{path}.headGroupSpec.template.spec.restartPolicy",
            "restartPolicy for head Pod should be Never or unset when using autoscaler V2",
            remedy,
        )
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        if _restart_policy(group) not in ("", "Never"):
            yield Problem(
                f"{path}.workerGroupSpecs[{index}].template.spec.restartPolicy",
                f"restartPolicy for worker group {group.get('groupName')} should be Never or unset when using autoscaler V2",
                remedy,
            )


def ray_cluster_warnings(spec: JsonObject) -> Iterator[Problem]:
    """What the operator only warns of: restart policies that autoscaler v1 does not like (recorded)."""
    if not is_autoscaling(spec) or uses_autoscaler_v2(spec):
        return
    odd = [
        str(group.get("groupName"))
        for group in spec.get("workerGroupSpecs") or ()
        if _restart_policy(group) not in ("", "Never")
    ]
    if odd:
        yield Problem(
            "spec.workerGroupSpecs",
            f"restartPolicy for worker groups [{', '.join(odd)}] should be Never or unset when using autoscaler V1",
            "remove restartPolicy",
        )
