"""Names, label keys and values, generated names (`kubernetes-api.md` section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from random import Random

from rayrig_core.identifiers import SUFFIX_ALPHABET

_GENERATED_BASE = 58

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_KEY_TEXT = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
    "'example.com/MyName')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

#: Problems of a name, as texts; none when it is good.
NameRule = Callable[[str], tuple[str, ...]]


@lru_cache(maxsize=4096)
def dns_label(name: str) -> tuple[str, ...]:
    """DNS-1123 label of at most 63 characters."""
    problems = []
    if len(name) > 63:
        problems.append("must be no more than 63 bytes")
    if not _LABEL.fullmatch(name):
        problems.append(_LABEL_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def dns_subdomain(name: str) -> tuple[str, ...]:
    """DNS-1123 subdomain of at most 253 characters."""
    problems = []
    if len(name) > 253:
        problems.append("must be no more than 253 bytes")
    if not _SUBDOMAIN.fullmatch(name):
        problems.append(_SUBDOMAIN_TEXT)
    return tuple(problems)


def path_segment(name: str) -> tuple[str, ...]:
    """Anything that fits into one path segment (RBAC objects)."""
    if name in (".", ".."):
        return (f"may not be '{name}'",)
    return tuple(f"may not contain '{c}'" for c in "/%" if c in name)


@lru_cache(maxsize=4096)
def qualified_name(key: str) -> tuple[str, ...]:
    """Key of a label or annotation: `[prefix/]name`."""
    problems: list[str] = []
    prefix, slash, name = key.rpartition("/")
    if slash:
        if "/" in prefix:
            return (_KEY_TEXT,)
        if not prefix:
            problems.append("prefix part must be non-empty")
        problems += [f"prefix part {text}" for text in dns_subdomain(prefix)] if prefix else []
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _QUALIFIED.fullmatch(name):
        problems.append(_QUALIFIED_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def label_value(value: str) -> tuple[str, ...]:
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 bytes")
    if not _LABEL_VALUE.fullmatch(value):
        problems.append(_LABEL_VALUE_TEXT)
    return tuple(problems)


def generated_name(base: str, rng: Random) -> str:
    """`base`, cut to 58 characters, and five characters of the suffix alphabet (K8-020)."""
    return base[:_GENERATED_BASE] + suffix(rng, 5)


def suffix(rng: Random, length: int) -> str:
    return "".join(rng.choices(SUFFIX_ALPHABET, k=length))
