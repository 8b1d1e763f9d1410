"""Which differences are the same one."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass

from rayrig_backends.differential.comparing import Difference
from rayrig_backends.differential.references import place
from rayrig_backends.differential.steps import Step

_INDEX = re.compile(r"\[\d+\]")
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"(?<![A-Za-z])-?\d+(?:\.\d+)?")
_LONG = 240


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What two differences must share to count as one: what was done to what, where the answers part, and into which forms."""

    action: str
    at: str
    left: str
    right: str

    def told(self) -> str:
        return f"{self.action}: {self.at}"


def group_of(step: Step, difference: Difference) -> Group:
    return Group(
        action_of(step), _form(_INDEX.sub("[*]", difference.at)), _form(difference.left), _form(difference.right)
    )


def action_of(step: Step) -> str:
    """`patch(merge) configmaps`: without names."""
    resource, name = place(step.path)
    parts = step.path.strip("/").split("/")
    sub = ""
    if name and parts[-1] not in (name, resource):
        sub = f"/{parts[-1]}"
    verb = step.method
    if step.watch:
        verb = "watch"
    elif step.method == "PATCH":
        verb = f"patch({step.header('content-type').split('/')[-1].split('+')[0].removesuffix('-patch')})"
    elif step.method == "GET":
        verb = "get" if name else "list"
    return f"{verb} {'custom' if '${u}' in resource or '${u}' in step.path.split('/namespaces')[0] else resource}{sub}"


def _form(text: str) -> str:
    """A text without what is particular in it."""
    if text.startswith('"') and text.endswith('"'):
        with contextlib.suppress(ValueError):
            text = json.loads(text)
    return _NUMBER.sub("#", _QUOTED.sub("…", text))[:_LONG] if len(text) > 2 else text
