"""Rules of a schema as they stand in a definition: can they be compiled, and do they say what they must (K8-040)?"""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.cel_errors import RuleError
from rayrig_fakes.kubernetes.schema.cel_rewriting import rewritten
from rayrig_fakes.kubernetes.schema.rules import program, rules_of
from rayrig_fakes.kubernetes.status import Cause


def rule_problems(schema: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for place, rule, at_schema in rules_of(schema):
        text, at = str(rule.get("rule") or ""), f"{field}{place}"
        if not text.strip():
            causes.append(status.required(f"{at}.rule", "rule is not specified"))
            continue
        if "\n" in text.strip() and not str(rule.get("message") or "").strip() and not rule.get("messageExpression"):
            causes.append(status.required(f"{at}.message", "message must be specified if rule contains line breaks"))
        for part in ("rule", "messageExpression"):
            if rule.get(part):
                try:
                    program(rewritten(str(rule[part]), at_schema), bool(rule.get("optionalOldSelf")))
                except RuleError as problem:
                    causes.append(status.invalid_value(f"{at}.{part}", _written(rule), str(problem)))
    return causes


def _written(rule: JsonObject) -> JsonObject:
    """A rule as it shows in messages."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
