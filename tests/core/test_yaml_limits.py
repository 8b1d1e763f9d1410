"""YAML that would fill the memory or end the process is refused before anything is built of it."""

from __future__ import annotations

import pytest

from rayrig_core.resources.go_yaml import YamlError, yaml_to_json
from rayrig_core.yaml_limits import MAX_DEPTH, MAX_VALUES, YamlTooLarge, check_limits


def refusal(text: str) -> YamlTooLarge:
    with pytest.raises(YamlTooLarge) as caught:
        check_limits(text)
    return caught.value


def test_aliases_of_aliases_count_as_often_as_they_are_used() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    found = refusal("\n".join(lines))
    assert found.line == 6
    assert found.problem == f"more than {MAX_VALUES:,} values, with those that aliases stand for"


def test_merged_mappings_count_too() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], y{i}: 1}}" for i in range(1, 40)]
    assert refusal("\n".join(lines)).remedy == "use fewer aliases"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 5000 + "1" + "}" * 5000, "- " * 100_000 + "x", "x:\n" + "  - - - - -" * 500 + " y"]
)
def test_what_would_overflow_the_parsers_stack_is_refused(text: str) -> None:
    assert refusal(text).problem == f"nested more than {MAX_DEPTH} deep"


def test_ordinary_texts_pass() -> None:
    check_limits("a: &a {b: 1}\nc: [*a, *a]\n")
    check_limits("\n".join(f"- {{name: n{i}, values: [1, 2]}}" for i in range(2000)))
    check_limits("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_errors_of_syntax_are_left_to_the_parser() -> None:
    check_limits("a: &x [*y, ]]")


def test_a_serve_config_is_held_to_the_limits() -> None:
    with pytest.raises(YamlError, match="nested more than 200 deep"):
        yaml_to_json("[" * 100_000)
