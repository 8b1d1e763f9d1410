"""The model's side of each table: given a case's `input`, what would be its `output`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from rayrig_core.objects import JsonObject
from rayrig_core.resources.serve_schema import ScaleDeploymentRequest, set_fields, validate_serve_config
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode
from rayrig_sim.serve.autoscaling import (
    AutoscalingConfig,
    LoadWindow,
    Wish,
    bounds,
    clamp,
    decide,
    merge,
    registered_target,
)
from rayrig_sim.serve.deployment_config import (
    DeploymentInfo,
    check_route_prefix,
    code_version,
    deployment_infos,
    merge_runtime_envs,
)
from rayrig_sim.serve.deployment_transitions import DeploymentEvent, DeploymentStatus, DeploymentStatusInfo, Trigger
from rayrig_sim.serve.deployment_update import Effect, plan_update, version_of
from rayrig_sim.serve.proxies import ready_timeout_s
from rayrig_sim.serve.rolling_update import failure_threshold, rollout_size, surge_size
from rayrig_sim.serve.router import backoff_s, probe_deadline_s
from rayrig_sim.serve.routes import match_route
from rayrig_sim.serve.status import application_status
from rayrig_sim.serve.target_capacity import Direction, adjusted, next_direction
from tests.conformance.serve_decisions.trajectories import play

Decider = Callable[[Any], JsonObject]
_SCALING_FIELDS = (
    "min_replicas",
    "initial_replicas",
    "max_replicas",
    "target_ongoing_requests",
    "metrics_interval_s",
    "look_back_period_s",
    "upscaling_factor",
    "downscaling_factor",
    "downscale_delay_s",
    "downscale_to_zero_delay_s",
    "upscale_delay_s",
    "aggregation_function",
)
_PRINTED_SET = re.compile(r"\{('[A-Z_]+'(?:, '[A-Z_]+')+)\}")
_LINK = re.compile(r"\n +For further information visit \S+")


def _transition(given: Any) -> JsonObject:
    before = DeploymentStatusInfo(DeploymentStatus(given["status"]), Trigger(given["trigger"]), "old")
    after = before.after(DeploymentEvent(given["event"]), "new")
    is_changed = after is not before
    return {
        "status": after.status,
        "trigger": after.trigger,
        "message_replaced": is_changed and after.message == "new",
        "changed": is_changed,
    }


def _application_status(given: Any) -> JsonObject:
    status, message = application_status(
        (item["name"], DeploymentStatusInfo(DeploymentStatus(item["status"]), Trigger(item["trigger"])))
        for item in given
    )
    return {"status": status, "message": message}


# Capacity and autoscaling


def _direction(text: str | None) -> Direction | None:
    return Direction(text) if text else None


def _capacity_direction(given: Any) -> JsonObject:
    return {
        "direction": next_direction(
            given["old_apps"],
            given["old_capacity"],
            given["new_apps"],
            given["new_capacity"],
            _direction(given["current_direction"]),
        )
    }


def _autoscaling_single(given: Any) -> JsonObject:
    now_ns = 1_000_000 * NS
    wish = Wish()
    if given["pending_direction"]:
        wish.sign = 1 if given["pending_direction"] == "up" else -1
        wish.since_ns = now_ns - round(given["pending_for_s"] * NS)
    config = AutoscalingConfig(**given["autoscaling_config"])
    decision = decide(
        config,
        running=given["running"],
        target=given["target"],
        total_requests=given["total_requests"],
        now_ns=now_ns,
        wish=wish,
        gang_size=given["gang_size"],
    )
    limits = bounds(config, given["target_capacity"], _direction(given["target_capacity_direction"]))
    since_ns = wish.since_ns
    return {
        "policy_decision": decision,
        "bounded": clamp(decision, limits),
        "lower_bound": limits[0],
        "upper_bound": limits[1],
        "counter_sign": wish.sign,
        "waiting_since_s_ago": None if since_ns is None else round((now_ns - since_ns) / NS, 6),
    }


def _autoscaling_sequence(given: Any) -> JsonObject:
    config, capacity = AutoscalingConfig(**given["autoscaling_config"]), given["target_capacity"]
    direction = _direction(given["target_capacity_direction"])
    target = registered_target(
        config, given["initial_target"], is_changed=True, target_capacity=capacity, direction=direction
    )
    step_ns, ready_ns = round(given["step_s"] * NS), round(given["replica_ready_after_s"] * NS)
    running, starting = target, list[tuple[int, int]]()
    wish, changes, now_ns, registered = Wish(), [[0.0, target]], 0, target
    while now_ns <= round(given["until_s"] * NS):
        ready = sum(count for at_ns, count in starting if at_ns <= now_ns)
        starting = [(at_ns, count) for at_ns, count in starting if at_ns > now_ns]
        running = min(running + ready, target)
        total = [value for at_s, value in given["load"] if round(at_s * NS) <= now_ns][-1]
        wanted = clamp(
            decide(config, running=running, target=target, total_requests=total, now_ns=now_ns, wish=wish),
            bounds(config, capacity, direction),
        )
        if wanted > target:
            starting.append((now_ns + ready_ns, wanted - target))
        running = min(running, wanted)
        if wanted != target:
            target = wanted
            changes.append([round(now_ns / NS, 3), target])
        now_ns += step_ns
    return {"registered_target": registered, "target_changes": changes}


def _autoscaling_register(given: Any) -> JsonObject:
    capacity, direction = given["target_capacity"], _direction(given["target_capacity_direction"])
    options = given["autoscaling_config"]

    def register(config: AutoscalingConfig, current: int, *, is_changed: bool) -> int:
        return registered_target(config, current, is_changed=is_changed, target_capacity=capacity, direction=direction)

    config = AutoscalingConfig(**options)
    wider = AutoscalingConfig(**{**options, "max_replicas": options["max_replicas"] + 1})
    first = register(config, given["current_target"], is_changed=True)
    return {
        "first_registration": first,
        "same_config_again": register(config, first, is_changed=False),
        "after_max_replicas_plus_1_with_same_current": register(wider, given["current_target"], is_changed=True),
        "bounds": list(bounds(wider, capacity, direction)),
    }


def _aggregated(given: Any) -> JsonObject:
    window = LoadWindow(given["series"], given["aggregation_function"])
    return {"total_requests": round(window.total(given["now_s"]), 9)}


# Documents


def _validated(document: Any) -> JsonObject:
    return _judged(lambda: validate_serve_config(document))


def _dumped(document: Any) -> JsonObject:
    return {"accepted": True, "set_fields": set_fields(validate_serve_config(document))}


def _scale_request(document: Any) -> JsonObject:
    return _judged(lambda: ScaleDeploymentRequest.model_validate(document))


def _judged(validate: Callable[[], object]) -> JsonObject:
    try:
        validate()
    except ValidationError as error:
        found = [{"loc": list(e["loc"]), "type": e["type"], "msg": e["msg"]} for e in error.errors(include_url=False)]
        return {"accepted": False, "http_status": 400, "errors": found}
    except (ModuleNotFoundError, NotImplementedError, AttributeError, TypeError) as error:
        return {"accepted": False, "http_status": 500, "exception": type(error).__name__, "msg": str(error)}
    return {"accepted": True}


def _route_prefix(given: Any) -> JsonObject:
    try:
        check_route_prefix(given["route_prefix"])
    except (ValueError, AttributeError) as error:
        return {"valid": False, "exception": type(error).__name__, "msg": str(error)}
    return {"valid": True}


def _built(code_defaults: Any, app: Any) -> tuple[JsonObject, DeploymentInfo]:
    """The document as the PUT keeps it (what was given, converted), and what it means for deployment D."""
    document = {"name": "a", "import_path": "m:a", **app}
    kept = set_fields(validate_serve_config({"applications": [document]}, importable=lambda _: True))["applications"][0]
    code = ApplicationCode("m:a", "D", {"D": DeploymentCode("D", Constant(0.0), options=dict(code_defaults or {}))})
    return kept, deployment_infos(kept, code)["D"]


def _late(given: Any) -> JsonObject:
    try:
        _, info = _built(given["code_defaults"], given["app"])
    except ValueError as error:
        text = _PRINTED_SET.sub(
            lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", _LINK.sub("", str(error))
        )
        return {
            "accepted": False,
            "application_status": "DEPLOY_FAILED",
            "exception": type(error).__name__,
            "msg": text,
        }
    scaling = info.config.autoscaling
    return {
        "accepted": True,
        "num_replicas": info.config.num_replicas,
        "max_ongoing_requests": info.config.max_ongoing_requests,
        "autoscaling": {name: getattr(scaling, name) for name in _SCALING_FIELDS} if scaling else None,
        "target_ongoing_requests_effective": scaling.target_ongoing_requests if scaling else None,
        "factors_effective": [scaling.up_factor, scaling.down_factor] if scaling else None,
        "max_replicas_per_node": info.actor.max_replicas_per_node,
        "actor_options": info.actor.options,
    }


def _update(given: Any) -> JsonObject:
    old_document, old_info = _built(given["code_defaults"], given["old_app"])
    try:
        new_document, new_info = _built(given["new_code_defaults"] or given["code_defaults"], given["new_app"])
    except ValueError as error:
        return {"error": type(error).__name__, "msg": str(error)}
    if "name" in given["new_app"]:
        new_info = replace(new_info, app=old_info.app)
    first = plan_update(None, old_info, target_capacity=given["old_target_capacity"])
    assert first is not None, "a first deploy is always noticed"
    status = DeploymentStatusInfo(DeploymentStatus.HEALTHY, Trigger.CONFIG_UPDATE_COMPLETED)
    update = plan_update(first.target, new_info, target_capacity=given["new_target_capacity"])
    target, is_rolling = first.target, False
    effect = version_of(new_info).effect_on(first.target.version)
    if update is not None:
        target, is_rolling = update.target, update.is_new_version
        if update.event is not None:
            status = status.after(update.event, update.message)
    return {
        "code_version_changed": code_version(old_document) != code_version(new_document),
        "noticed": update is not None,
        "replica_effect_if_noticed": effect,
        "replica_effect": effect if update is not None else Effect.NONE,
        "max_ongoing_broadcast": update is not None
        and old_info.config.max_ongoing_requests != new_info.config.max_ongoing_requests,
        "old_target": first.target.num_replicas,
        "new_target": target.num_replicas,
        "status": status.status,
        "status_trigger": status.trigger,
        "message": status.message,
        "rolling_update": is_rolling,
    }


def _backoff(given: Any) -> JsonObject:
    pause_s = backoff_s(
        given["attempt"], initial_s=given["initial_s"], multiplier=given["multiplier"], max_s=given["max_s"]
    )
    return {"seconds": pause_s}


#: (file, group): how the model decides; a file's empty group stands for all groups that have no entry.
DECIDERS: dict[tuple[str, str], Decider] = {
    ("app_status", ""): _application_status,
    ("autoscaling_metrics", ""): _aggregated,
    ("autoscaling_metrics", "merge"): lambda g: {"merged": [list(point) for point in merge(g["series"])]},
    ("autoscaling_register", ""): _autoscaling_register,
    ("autoscaling_sequences", ""): _autoscaling_sequence,
    ("autoscaling_single", ""): _autoscaling_single,
    ("autoscaling_trajectories", ""): play,
    ("config_updates", ""): _update,
    ("config_validation", ""): _validated,
    ("config_validation", "dump"): _dumped,
    ("config_validation", "route_prefix_late"): _route_prefix,
    ("config_validation", "scale_request"): _scale_request,
    ("config_validation_late", ""): _late,
    ("deployment_transitions", ""): _transition,
    ("limits", "constructor_failures_until_deploy_failed"): lambda g: {
        "failures": failure_threshold(g["target_replicas"], g["max_constructor_retry_count"])
    },
    ("limits", "proxy_ready_timeout"): lambda g: {"seconds": ready_timeout_s(g["restarts"])},
    ("limits", "queue_probe_deadline"): lambda g: {"seconds": probe_deadline_s(g["attempt"])},
    ("limits", "rollout_size"): lambda g: {
        "replicas_at_once": rollout_size(g["target"], g["rolling_update_percentage"])
    },
    ("limits", "router_backoff"): _backoff,
    ("limits", "surge_size"): lambda g: {"extra": surge_size(g["target"], g["max_surge_percent"])},
    ("route_match", ""): lambda g: {"prefix": match_route(g["routes"], g["path"])},
    ("runtime_env_merge", ""): lambda g: merge_runtime_envs(g["app"], g["deployment"]),
    ("target_capacity", "adjust"): lambda g: {"target": adjusted(g["num_replicas"], g["target_capacity"])},
    ("target_capacity", "direction"): _capacity_direction,
}
