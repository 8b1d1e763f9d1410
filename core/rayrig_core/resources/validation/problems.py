"""What a check finds, and the checks of names that all kinds share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayrig_core.objects import JsonObject
from rayrig_core.resources.names import is_dns1035_label

_DNS1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
    "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: the field's path (`spec.rayClusterConfig.headGroupSpec…`), the operator's words, and what to do."""

    path: str
    message: str
    remedy: str = ""


def first_problem(problems: Iterator[Problem]) -> Problem | None:
    """What the operator would report."""
    return next(problems, None)


def name_problems(obj: JsonObject, kind: str, limit: int, prefix: str) -> Iterator[Problem]:
    """The name is too long, or no DNS label."""
    name = obj["metadata"].get("name") or ""
    if len(name) > limit:
        yield Problem(
            "metadata.name", f"{prefix}{kind} name should be no more than {limit} characters", "give a shorter name"
        )
    if not is_dns1035_label(name):
        yield Problem(
            "metadata.name",
            f"{prefix}{kind} name should be a valid DNS1035 label: [{_DNS1035_RULE}]",
            "use lower-case letters, digits and -, beginning with a letter",
        )
