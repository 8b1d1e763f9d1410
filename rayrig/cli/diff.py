"""`rayrig diff`: what the operator would do with a changed manifest, and why."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rayrig_scenarios.change_plan.two_files import ObjectPlan

_LONGEST_VALUE = 40


def diff_command(old: Path, new: Path, *, feature_gates: str, as_json: bool) -> int:
    """The exit code. Raises `InputError`."""
    from rayrig_controllers.options import OperatorOptions
    from rayrig_core.resources.feature_gates import FeatureGates
    from rayrig_scenarios.change_plan.two_files import compare_files

    options = OperatorOptions.from_environment(os.environ, gates=FeatureGates.parse(feature_gates))
    plans = compare_files(old, new, options)
    if as_json:
        print(json.dumps([_as_json(plan) for plan in plans], indent=2))
    else:
        for plan in plans:
            _print(plan)
    return 0


def _print(entry: ObjectPlan) -> None:
    plan = entry.plan
    if plan is None:
        print(f"{entry.kind} {entry.name}: {entry.note}")
        return
    print(f"{entry.kind} {entry.name}: {plan.outcome.value}" + ("" if plan.reasons else " (no field differs)"))
    for reason in plan.reasons:
        change = reason.change
        print(f"  {change.path}: {_text(change.old)} -> {_text(change.new)}")
        print(f"      {reason.what}")
    for effect in plan.serve:
        print(f"  Serve: {effect.subject}: {effect.what}")


def _text(value: Any) -> str:
    from rayrig_scenarios.change_plan.fields import ABSENT

    if value is ABSENT:
        return "nothing"
    if isinstance(value, str) and "\n" in value:
        return "another text"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _as_json(entry: ObjectPlan) -> dict[str, Any]:
    from rayrig_scenarios.change_plan.fields import ABSENT

    plan = entry.plan
    told: dict[str, Any] = {"kind": entry.kind, "name": entry.name}
    if plan is None:
        return {**told, "note": entry.note}
    reasons = []
    for reason in plan.reasons:
        sides = {"old": reason.change.old, "new": reason.change.new}
        values = {side: value for side, value in sides.items() if value is not ABSENT}
        reasons.append({"path": reason.change.path, **values, "effect": reason.what})
    serve = [{"subject": effect.subject, "effect": effect.what} for effect in plan.serve]
    return {**told, "outcome": plan.outcome.name, "changes": reasons, "serve": serve}
