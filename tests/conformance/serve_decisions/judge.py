"""Whether the model decides as a recorded case did."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rayrig_core.objects import JsonObject
from tests.conformance.serve_decisions.decisions import DECIDERS

RECORDINGS = Path(__file__).parent.parent / "recordings" / "serve_decisions"
#: For inputs drawn at random.
MORE_RECORDINGS = RECORDINGS.with_name("serve_decisions_more")


def judge(table: str, case: JsonObject) -> list[str]:
    """Differences by path; none when the case holds. `table` is the name of its file without ending."""
    decider = DECIDERS.get((table, case["group"])) or DECIDERS.get((table, ""))
    if decider is None:
        return [f"/: nothing decides group {case['group']!r} of table {table!r}"]
    try:
        return differences(case["output"], decider(case["input"]))
    except Exception as error:
        return [f"/: decided nothing, but raised {type(error).__name__}: {error}"]


def differences(recorded: Any, seen: Any, path: str = "") -> list[str]:
    """By JSON path. Numbers are the same up to their last digits; 1 and 1.0 are, 1 and true are not."""
    if isinstance(recorded, dict) and isinstance(seen, dict):
        found: list[str] = []
        for key in recorded | seen:
            here = f"{path}/{key}"
            if key not in recorded:
                found.append(f"{here}: not recorded, seen {seen[key]!r}")
            elif key not in seen:
                found.append(f"{here}: recorded {recorded[key]!r}, absent")
            else:
                found += differences(recorded[key], seen[key], here)
        return found
    if isinstance(recorded, list) and isinstance(seen, list) and len(recorded) == len(seen):
        pairs = enumerate(zip(recorded, seen, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{path}/{index}")]
    if _is_number(recorded) and _is_number(seen):
        is_same = math.isclose(recorded, seen, rel_tol=1e-12)
    else:
        is_same = recorded == seen and isinstance(recorded, bool) == isinstance(seen, bool)
    return [] if is_same else [f"{path or '/'}: recorded {recorded!r}, seen {seen!r}"]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
