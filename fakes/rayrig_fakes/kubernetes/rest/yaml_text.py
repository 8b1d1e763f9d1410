"""Answers in YAML as the API server writes it: sorted fields, double quotes where a text would be read as something else."""

from __future__ import annotations

from typing import Any

import yaml

from rayrig_core.objects import Json

_TEXT = "tag:yaml.org,2002:str"
#: Words that older YAML takes for truth values.
_BOOLEANS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif value.lower() in _BOOLEANS or _tag(dumper, value) != _TEXT:
        style = '"'
    return dumper.represent_scalar(_TEXT, value, style=style)


def _tag(dumper: _Dumper, value: str) -> str:
    """What an unquoted text would be read as."""
    tag: str = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return tag


_Dumper.add_representer(str, _text)


def to_yaml(value: Json) -> str:
    """One document."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, default_flow_style=False)
    return text
