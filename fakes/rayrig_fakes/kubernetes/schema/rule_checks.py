"""Rules of a schema as they stand in a definition: can they be compiled, and do they say what they must (K8-040)?"""

from __future__ import annotations

import json
import re

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.cel_costs import (
    EXPRESSION_LIMIT,
    SCHEMA_LIMIT,
    budget_text,
    expression_cost,
    times_at_most,
)
from rayrig_fakes.kubernetes.schema.cel_errors import RuleError
from rayrig_fakes.kubernetes.schema.cel_rewriting import rewritten
from rayrig_fakes.kubernetes.schema.cel_types import type_problems
from rayrig_fakes.kubernetes.schema.rules import program, rules_of
from rayrig_fakes.kubernetes.status import Cause

#: So many expressions are named when all together cost too much.
_MOST_NAMED = 4
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_OLD_SELF = re.compile(r"\boldSelf\b")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']*)'\]")


def rule_problems(schema: JsonObject, field: str) -> list[Cause]:
    """Causes against the rules of a schema; `field` is its place in the definition."""
    causes: list[Cause] = []
    costs: list[tuple[int, str]] = []
    for place, rule, at_schema, loose, times in rules_of(schema):
        at = f"{field}{place}"
        text = str(rule.get("rule") or "")
        if loose is not None and _OLD_SELF.search(text):
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {field}{loose}"
            causes.append(status.invalid_value(f"{at}.rule", text, why))
            continue
        if not text.strip():
            causes.append(status.required(f"{at}.rule", "rule is not specified"))
            continue
        causes += _forms(rule, at_schema, at)
        whole = place.startswith(".x-")
        for part, wanted in (("rule", "bool"), ("messageExpression", "string")):
            if not rule.get(part):
                continue
            text = str(rule[part])
            problem = _problem(text, rule, at_schema, whole=whole, wanted=wanted)
            if problem:
                what = f"messageExpression {problem}" if part == "messageExpression" else problem
                if problem.startswith("must"):
                    what = what if part == "messageExpression" else f"cel expression {problem}"
                causes.append(Cause(f"{at}.{part}", "FieldValueInvalid", f"Invalid value: {_written(rule)}: {what}"))
                continue
            cost = expression_cost(text, at_schema, whole=whole) * times_at_most(at_schema, times)
            costs.append((cost, f"{at}.{part}"))
            if cost > EXPRESSION_LIMIT:
                words = budget_text(f"estimated {part} cost", cost, EXPRESSION_LIMIT)
                causes.append(status.forbidden_field(f"{at}.{part}", words))
    return causes + _too_much(costs, field)


def _too_much(costs: list[tuple[int, str]], field: str) -> list[Cause]:
    """All rules of a schema together have a limit, too."""
    total = sum(cost for cost, _ in costs)
    if total <= SCHEMA_LIMIT:
        return []
    costs.sort(key=lambda each: -each[0])
    why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    causes = [status.forbidden_field(at, why) for cost, at in costs[:_MOST_NAMED] if cost * 100 > SCHEMA_LIMIT]
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    return [*causes, status.forbidden_field(field, budget_text(what, total, SCHEMA_LIMIT))]


def _problem(text: str, rule: JsonObject, schema: JsonObject, *, whole: bool, wanted: str) -> str:
    optional_old = bool(rule.get("optionalOldSelf"))
    wrong, found = type_problems(text, schema, whole=whole, optional_old=optional_old)
    if wrong:
        return f"compilation failed: {wrong}"
    try:
        program(rewritten(text, schema), optional_old)
    except RuleError as problem:
        return str(problem)
    return "" if found in (wanted, "dyn") else f"must evaluate to a {wanted}"


def _forms(rule: JsonObject, schema: JsonObject, at: str) -> list[Cause]:
    """What goes with a rule."""
    causes: list[Cause] = []
    text, message = str(rule["rule"]), rule.get("message")
    if message and not message.strip():
        causes.append(status.invalid_value(f"{at}.message", message, "must be non-empty if specified"))
    elif message and "\n" in message.strip():
        causes.append(status.invalid_value(f"{at}.message", message, "must not contain line breaks"))
    elif not message and not rule.get("messageExpression") and "\n" in text.strip():
        causes.append(status.required(f"{at}.message", "message must be specified if rule contains line breaks"))
    reason, path = rule.get("reason"), rule.get("fieldPath")
    if reason and reason not in _REASONS:
        causes.append(status.not_supported(f"{at}.reason", reason, _REASONS))
    if path and not _is_path(path, schema):
        causes.append(status.invalid_value(f"{at}.fieldPath", path, "must be a valid path"))
    if rule.get("optionalOldSelf") and not _OLD_SELF.search(text):
        text = "may not be set if oldSelf is not used in rule"
        causes.append(status.invalid_value(f"{at}.optionalOldSelf", True, text))
    return causes


def _is_path(path: str, schema: JsonObject) -> bool:
    place: object = schema
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or not isinstance(place, dict):
            return False
        at = found.end()
        properties, additional = place.get("properties") or {}, place.get("additionalProperties")
        name = found[1] if found[1] is not None else found[2]
        place = properties.get(name, additional)
        if place in (None, False):
            return False
    return bool(path)


def _written(rule: JsonObject) -> str:
    """A rule as it shows in messages."""
    shown = {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
