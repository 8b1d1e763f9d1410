"""The pure decisions of the modelled Serve against tables computed with the real functions."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.resources.serve_config import set_fields, validate_serve_config
from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode
from rayrig_sim.serve.autoscaling import (
    AutoscalingConfig,
    Wish,
    aggregate,
    bounds,
    clamp,
    decide,
    merge,
    registered_target,
)
from rayrig_sim.serve.deployment_config import code_version, deployment_infos, merge_runtime_envs
from rayrig_sim.serve.deployment_transitions import DeploymentEvent, DeploymentStatus, DeploymentStatusInfo, Trigger
from rayrig_sim.serve.deployment_update import Effect, plan_update, version_of
from rayrig_sim.serve.rolling_update import failure_threshold, rollout_size, surge_size
from rayrig_sim.serve.status import application_status
from rayrig_sim.serve.target_capacity import Direction, adjusted, next_direction

_TABLES = Path(__file__).parents[4] / "shared" / "golden" / "serve-decisions"
_NS = 1_000_000_000


def table(name: str, *groups: str) -> list[Any]:
    path = _TABLES / f"{name}.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded tables are not here"))]
    cases = json.loads(path.read_text())["cases"]
    return [case for case in cases if not groups or case["group"] in groups]


def check(cases: list[Any], decide_one: Any) -> None:
    """All cases of a table, with every difference in one message."""
    wrong = []
    for case in cases:
        got = decide_one(case["input"])
        if got != case["output"]:
            wrong.append(f"{case['id']}: {case['input']} gave {got}, should be {case['output']}")
    assert not wrong, "\n".join(wrong)


def test_deployment_status_follows_the_table() -> None:
    def one(given: Any) -> Any:
        before = DeploymentStatusInfo(DeploymentStatus(given["status"]), Trigger(given["trigger"]), "old")
        after = before.after(DeploymentEvent(given["event"]), "new")
        changed = after is not before
        return {
            "status": after.status,
            "trigger": after.trigger,
            "message_replaced": changed and after.message == "new",
            "changed": changed,
        }

    check(table("deployment_transitions"), one)


@pytest.mark.accepts("SV-053", "SV-054", "SV-055")
def test_application_status_follows_from_deployments() -> None:
    def one(given: Any) -> Any:
        infos = [
            (item["name"], DeploymentStatusInfo(DeploymentStatus(item["status"]), Trigger(item["trigger"])))
            for item in given
        ]
        status, message = application_status(infos)
        return {"status": status, "message": message}

    check(table("app_status"), one)


@pytest.mark.accepts("SV-083")
def test_target_capacity_rounds_half_up_and_keeps_one() -> None:
    check(table("target_capacity", "adjust"), lambda g: {"target": adjusted(g["num_replicas"], g["target_capacity"])})


def test_target_capacity_direction() -> None:
    def one(given: Any) -> Any:
        current = given["current_direction"]
        return {
            "direction": next_direction(
                given["old_apps"],
                given["old_capacity"],
                given["new_apps"],
                given["new_capacity"],
                Direction(current) if current else None,
            )
        }

    check(table("target_capacity", "direction"), one)


def test_failure_thresholds_rollout_and_surge_sizes() -> None:
    check(
        table("limits", "constructor_failures_until_deploy_failed"),
        lambda g: {"failures": failure_threshold(g["target_replicas"], g["max_constructor_retry_count"])},
    )
    check(
        table("limits", "rollout_size"),
        lambda g: {"replicas_at_once": rollout_size(g["target"], g["rolling_update_percentage"])},
    )
    check(
        table("limits", "surge_size"),
        lambda g: {"extra": surge_size(g["target"], g["max_surge_percent"])},
    )


def _config(given: Any) -> AutoscalingConfig:
    return AutoscalingConfig(**given["autoscaling_config"])


def _direction(given: Any) -> Direction | None:
    text = given["target_capacity_direction"]
    return Direction(text) if text else None


@pytest.mark.accepts("SV-130", "SV-132")
def test_one_autoscaling_decision() -> None:
    def one(given: Any) -> Any:
        now_ns = 1_000_000 * _NS
        wish = Wish()
        if given["pending_direction"]:
            wish.sign = 1 if given["pending_direction"] == "up" else -1
            wish.since_ns = now_ns - round(given["pending_for_s"] * _NS)
        config = _config(given)
        decision = decide(
            config,
            running=given["running"],
            target=given["target"],
            total_requests=given["total_requests"],
            now_ns=now_ns,
            wish=wish,
            gang_size=given["gang_size"],
        )
        limits = bounds(config, given["target_capacity"], _direction(given))
        since = wish.since_ns
        return {
            "policy_decision": decision,
            "bounded": clamp(decision, limits),
            "lower_bound": limits[0],
            "upper_bound": limits[1],
            "counter_sign": wish.sign,
            "waiting_since_s_ago": None if since is None else round((now_ns - since) / _NS, 6),
        }

    check(table("autoscaling_single"), one)


@pytest.mark.accepts("SV-126", "SV-127", "SV-128", "SV-131", "SV-133")
def test_autoscaling_over_time() -> None:
    def one(given: Any) -> Any:
        config, direction, capacity = _config(given), _direction(given), given["target_capacity"]
        target = registered_target(
            config, given["initial_target"], is_changed=True, target_capacity=capacity, direction=direction
        )
        step_ns = round(given["step_s"] * _NS)
        ready_ns = round(given["replica_ready_after_s"] * _NS)
        running, starting = target, list[tuple[int, int]]()
        wish, changes, now_ns = Wish(), [[0.0, target]], 0
        registered = target
        while now_ns <= round(given["until_s"] * _NS):
            ready = sum(count for at, count in starting if at <= now_ns)
            starting = [(at, count) for at, count in starting if at > now_ns]
            running = min(running + ready, target)
            total = [value for at, value in given["load"] if round(at * _NS) <= now_ns][-1]
            wanted = clamp(
                decide(config, running=running, target=target, total_requests=total, now_ns=now_ns, wish=wish),
                bounds(config, capacity, direction),
            )
            if wanted > target:
                starting.append((now_ns + ready_ns, wanted - target))
            running = min(running, wanted)
            if wanted != target:
                target = wanted
                changes.append([round(now_ns / _NS, 3), target])
            now_ns += step_ns
        return {"registered_target": registered, "target_changes": changes}

    check(table("autoscaling_sequences"), one)


@pytest.mark.accepts("SV-134")
def test_target_at_registration() -> None:
    def one(given: Any) -> Any:
        config, direction, capacity = _config(given), _direction(given), given["target_capacity"]

        def register(config: AutoscalingConfig, current: int, *, is_changed: bool) -> int:
            return registered_target(
                config, current, is_changed=is_changed, target_capacity=capacity, direction=direction
            )

        wider = AutoscalingConfig(
            **{**given["autoscaling_config"], "max_replicas": given["autoscaling_config"]["max_replicas"] + 1}
        )
        first = register(config, given["current_target"], is_changed=True)
        return {
            "first_registration": first,
            "same_config_again": register(config, first, is_changed=False),
            "after_max_replicas_plus_1_with_same_current": register(wider, given["current_target"], is_changed=True),
            "bounds": list(bounds(wider, capacity, direction)),
        }

    check(table("autoscaling_register"), one)


def test_metrics_are_merged_and_averaged_over_time() -> None:
    check(table("autoscaling_metrics", "merge"), lambda g: {"merged": [list(point) for point in merge(g["series"])]})
    check(
        table("autoscaling_metrics", "total-mean", "total-max", "total-min"),
        lambda g: {"total_requests": round(aggregate(g["series"], g["now_s"], g["aggregation_function"]), 9)},
    )


def _built(code_defaults: Any, app: Any) -> Any:
    document = {"name": "a", "import_path": "m:a", **app}
    # the document as the PUT keeps it: only what was given, converted
    kept = set_fields(validate_serve_config({"applications": [document]}, importable=lambda _: True))["applications"][0]
    code = ApplicationCode("m:a", "D", {"D": DeploymentCode("D", Constant(0.0), options=dict(code_defaults or {}))})
    return kept, deployment_infos(kept, code)["D"]


@pytest.mark.accepts("SV-063", "SV-065", "SV-067", "SV-068", "SV-048", "SV-046", "SV-047")
def test_what_an_update_does() -> None:
    def one(given: Any) -> Any:
        old_document, old_info = _built(given["code_defaults"], given["old_app"])
        new_document, new_info = _built(given["new_code_defaults"] or given["code_defaults"], given["new_app"])
        if "name" in given["new_app"]:
            new_info = replace(new_info, app=old_info.app)
        first = plan_update(
            None,
            old_info,
            target_capacity=given["old_target_capacity"],
        )
        assert first is not None
        status = DeploymentStatusInfo(DeploymentStatus.HEALTHY, Trigger.CONFIG_UPDATE_COMPLETED)
        update = plan_update(first.target, new_info, target_capacity=given["new_target_capacity"])
        target = first.target
        effect = version_of(new_info).effect_on(first.target.version)
        is_rolling = False
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

    cases = [case for case in table("config_updates") if "code_version_changed" in case["output"]]
    check(cases, one)


@pytest.mark.accepts("SV-041", "SV-042", "SV-043", "SV-045", "SV-037")
def test_options_are_checked_and_merged_after_the_put() -> None:
    def one(given: Any) -> Any:
        try:
            _, info = _built(given["code_defaults"], given["app"])
        except ValueError as error:
            name = type(error).__name__
            text = re.sub(r"\n +For further information visit \S+", "", str(error))
            text = re.sub(
                r"\{('[A-Z_]+'(?:, '[A-Z_]+')+)\}", lambda m: "{" + ", ".join(sorted(m[1].split(", "))) + "}", text
            )
            return {"accepted": False, "application_status": "DEPLOY_FAILED", "exception": name, "msg": text}
        scaling = info.config.autoscaling
        shown_scaling = {
            name: getattr(scaling, name, None)
            for name in (
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
        }
        return {
            "accepted": True,
            "num_replicas": info.config.num_replicas,
            "max_ongoing_requests": info.config.max_ongoing_requests,
            "autoscaling": shown_scaling if scaling else None,
            "target_ongoing_requests_effective": scaling.target_ongoing_requests if scaling else None,
            "factors_effective": [scaling.up_factor, scaling.down_factor] if scaling else None,
            "max_replicas_per_node": info.actor.max_replicas_per_node,
            "actor_options": info.actor.options,
        }

    check(table("config_validation_late"), one)


def test_runtime_environments_merge() -> None:
    check(table("runtime_env_merge"), lambda g: merge_runtime_envs(g["app"], g["deployment"]))
