"""Rules of a schema as they stand in a definition: can they be compiled, and do they say what they must (K8-040)?"""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.cel_errors import RuleError
from rayrig_fakes.kubernetes.schema.rules import program, rules_of
from rayrig_fakes.kubernetes.status import Cause


def rule_problems(schema: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for place, rule in rules_of(schema):
        text, at = str(rule.get("rule") or ""), f"{field}{place}"
        if not text.strip():
            causes.append(status.required(f"{at}.rule", "rule is not specified"))
            continue
        for part in ("rule", "messageExpression"):
            if rule.get(part):
                try:
                    program(str(rule[part]), bool(rule.get("optionalOldSelf")))
                except RuleError as problem:
                    causes.append(status.invalid_value(f"{at}.{part}", rule, str(problem)))
    return causes
