"""Which names, label keys and label values Kubernetes takes, and what it says of others (`kubernetes-api.md` section 3).

Every rule gives the problems of a name as texts, none when it is good. What the operator calls its objects:
`rayrig_core.resources.names`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

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
        problems.append("must be no more than 63 characters")
    if not _LABEL.fullmatch(name):
        problems.append(_LABEL_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def dns_subdomain(name: str) -> tuple[str, ...]:
    """DNS-1123 subdomain of at most 253 characters."""
    problems = []
    if len(name) > 253:
        problems.append("must be no more than 253 characters")
    if not _SUBDOMAIN.fullmatch(name):
        problems.append(_SUBDOMAIN_TEXT)
    return tuple(problems)


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
        problems = [text.replace("253 characters", "253 bytes") for text in problems]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _QUALIFIED.fullmatch(name):
        problems.append(_QUALIFIED_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def label_value(value: str) -> tuple[str, ...]:
    """Value of a label: at most 63 characters, may be empty."""
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 bytes")
    if not _LABEL_VALUE.fullmatch(value):
        problems.append(_LABEL_VALUE_TEXT)
    return tuple(problems)
