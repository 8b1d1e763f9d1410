"""Labels of Ray's nodes, as a replica's `label_selector` names them (Ray 2.60)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_IS_NAME = re.compile(_NAME)
_IS_PREFIX = re.compile(rf"(?:{_NAME})?(?:\.(?:{_NAME})?)*")
#: One value, or one of several; `!` for none of them.
_IS_CONDITION = re.compile(rf"!?(?:{_NAME}|(?:in)?\({_NAME}(?:, ?{_NAME})*\))")
_LETTERS = (
    "63 chars or less beginning and ending with an alphanumeric character ([a-z0-9A-Z]) with dashes (-), underscores (_),"
    "dots (.), and alphanumerics between."
)


def selector_problem(selector: Mapping[str, str]) -> str:
    """What is wrong with it, in Ray's words; empty when nothing is."""
    for key, condition in selector.items():
        prefix, slash, name = key.rpartition("/")
        if slash and (len(prefix) > 253 or not _IS_PREFIX.fullmatch(prefix)):
            return (
                f"Invalid label key prefix `{prefix}`. Prefix must be a series of DNS labels separated by dots (.), not longer "
                "than 253 characters in total."
            )
        if not _IS_NAME.fullmatch(name):
            return f"Invalid label key name `{name}`. Name must be {_LETTERS}"
        if condition and not _IS_CONDITION.fullmatch(condition):
            return (
                f"Invalid label selector value `{condition}`. The label selector value should contain optional operators and a "
                f"label value. Supported operators are: ! and {{'in'}}. Value must be {_LETTERS}"
            )
    return ""
