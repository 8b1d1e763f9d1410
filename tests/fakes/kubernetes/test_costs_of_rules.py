"""What rules may cost, in the figures of a real server: it says by what factor a rule exceeds its budget."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_fakes.kubernetes.schema.cel_costs import expression_cost
from rayrig_fakes.kubernetes.schema.rule_checks import rule_problems

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "s": TEXT,
        "t": {"type": "string", "maxLength": 10},
        "e": {"type": "string", "enum": ["a", "bcd"]},
        "i": NUMBER,
        "j": NUMBER,
        "b": {"type": "boolean"},
        "l": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 8}},
        "m": {"type": "object", "maxProperties": 4, "additionalProperties": {"type": "string", "maxLength": 3}},
        "u": {"type": "array", "items": TEXT},
        "li": {"type": "array", "maxItems": 7, "items": NUMBER},
        "lo": {
            "type": "array",
            "maxItems": 3,
            "items": {"type": "object", "properties": {"k": {"type": "string", "maxLength": 6}, "v": NUMBER}},
        },
        "d": {"type": "string", "format": "date-time"},
        "du": {"type": "string", "format": "duration"},
        "by": {"type": "string", "format": "byte", "maxLength": 9},
    },
}


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize(
    ("expression", "cost"),
    [
        ("self.i == 1", 2),
        ("self.i > 1", 3),
        ("self.s == self.t", 8),
        ("self.t.contains('abcdefghijklmnop')", 10),
        ("self.t.matches('^abc.*defg$')", 17),
        ("self.s.matches('^abc.*defg$')", 943_721),
        ("self.l.all(x, x == 'a')", 28),
        ("self.l.exists(x, x == 'a')", 33),
        ("self.l.exists_one(x, x == 'a')", 24),
        ("self.l.map(x, x).size() == 3", 80),
        ("self.l.filter(x, x == 'a').size() == 3", 90),
        ("self.m.all(k, self.m[k] == 'abcd')", 35),
        ("!has(self.s) || self.i > 1", 5),
        ("self.u.all(x, true)", 3_145_728),
        ("self.t in ['a','b']", 14),
        ("'a' in self.m", 3),
        ("'a' in self.l", 7),
        ("self.l.isSorted()", 27),
        ("self.li.sum() == 3", 10),
        ("self.t.replace('a','bcd') == 'x'", 11),
        ("self.l.join(',') == 'a'", 20),
        ("self.lo.map(x, x.k).exists(y, y == 'a')", 71),
        ("(self.b ? self.t : self.s) == 'a'", 5),
        ("self.t + self.t == 'a'", 13),
        ("quantity(self.t).isGreaterThan(quantity('1'))", 8),
        ("cidr(self.t).containsIP('1.1.1.1')", 11),
        ("self.lo.all(x, self.lo.exists_one(y, x.k == y.k))", 105),
        ("format.dns1123Label().validate(self.t).hasValue()", 132),
        ("sets.equivalent(self.l, self.l)", 55),
        ("{'a': 1}.size() == 1", 32),
        ("'%s-%d'.format([self.t, self.i]) == 'a'", 16),
        ("self.l.transformList(i, v, v + 'a').size() > 1", 100),
        ("self.m.transformMap(k, v, v).size() > 1", 51),
        ("self.l.slice(0,1).size() == 1", 16),
        ("self.l.distinct().size() == 1", 65),
        ("self.by == self.by", 5),
        ("self.du == self.du", 8),
        ("self.e.startsWith('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz')", 8),
    ],
)
def test_an_expression_costs_what_the_sizes_in_its_schema_allow(expression: str, cost: int) -> None:
    assert expression_cost(expression, PLACE, whole=False) == cost


HINT = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
CONTRIBUTED = "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
TOTAL = "Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of"


def problems(place: dict[str, Any]) -> list[tuple[str, str]]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"p": place}}}}
    return [(cause.field.removeprefix("S.properties[spec]"), cause.message) for cause in rule_problems(schema, "S")]


@pytest.mark.accepts("K8-040")
def test_a_rule_that_may_cost_too_much_is_refused() -> None:
    every = {"rule": "self.all(x, self.all(y, x == y))"}
    at = ".properties[p].x-kubernetes-validations[0].rule"
    assert problems({"type": "array", "items": TEXT, "x-kubernetes-validations": [every]}) == [
        (at, f"Forbidden: estimated rule cost exceeds budget by factor of more than 100x {HINT}"),
        (at, CONTRIBUTED),
        ("S", f"{TOTAL} more than 100x {HINT}"),
    ]
    few = {"type": "array", "items": {**TEXT, "maxLength": 9}, "maxItems": 9, "x-kubernetes-validations": [every]}
    assert problems(few) == []


@pytest.mark.accepts("K8-040")
def test_a_rule_counts_as_often_as_the_lists_around_it_have_items() -> None:
    rule = {"rule": "self > 3 && self < 4 && self != 3 && self > 10 && self > 1"}
    each = {**NUMBER, "x-kubernetes-validations": [rule]}
    assert problems({"type": "object", "additionalProperties": each}) == [
        (
            ".properties[p].additionalProperties.x-kubernetes-validations[0].rule",
            f"Forbidden: estimated rule cost exceeds budget by factor of 1.415578x {HINT}",
        )
    ]
    assert problems({"type": "object", "additionalProperties": each, "maxProperties": 1_000_000}) == []


@pytest.mark.accepts("K8-040")
def test_the_words_of_a_number_have_no_limit() -> None:
    """What a conversion gives is taken to be of any length."""
    rule = {"rule": "self > 0", "messageExpression": "'got ' + string(self)"}
    assert problems({**NUMBER, "x-kubernetes-validations": [rule]})[0] == (
        ".properties[p].x-kubernetes-validations[0].messageExpression",
        f"Forbidden: estimated messageExpression cost exceeds budget by factor of more than 100x {HINT}",
    )
