"""Names the server makes, and the rule of names that only it needs (`kubernetes-api.md` section 3).

What makes a name good otherwise: `rayrig_core.kubernetes_names`.
"""

from __future__ import annotations

from random import Random

from rayrig_core.identifiers import SUFFIX_ALPHABET

_GENERATED_BASE = 58


def path_segment(name: str) -> tuple[str, ...]:
    """Anything that fits into one path segment (RBAC objects)."""
    if name in (".", ".."):
        return (f"may not be '{name}'",)
    return tuple(f"may not contain '{c}'" for c in "/%" if c in name)


def generated_name(base: str, rng: Random) -> str:
    """`base`, cut to 58 characters, and five characters of the suffix alphabet (K8-020)."""
    return base[:_GENERATED_BASE] + suffix(rng, 5)


def suffix(rng: Random, length: int) -> str:
    return "".join(rng.choices(SUFFIX_ALPHABET, k=length))
