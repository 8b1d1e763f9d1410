"""Names of properties as they are written in rules."""

from __future__ import annotations

from functools import lru_cache

_KEYWORDS = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if")
)
_KEYWORDS |= frozenset(("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"))


@lru_cache(maxsize=4096)
def escaped(field: str) -> str:
    """A property's name as it is written in rules."""
    if field in _KEYWORDS:
        return f"__{field}__"
    text = field.replace("__", "__underscores__")
    return text.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
