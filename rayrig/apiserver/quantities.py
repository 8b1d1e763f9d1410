"""Kubernetes quantities as clients written in Go read them."""

from __future__ import annotations

import re

from rayrig_core.resources.quantities import canonical

#: What passes for a number with a suffix before anybody looks at which suffix it is.
_LOOKS_LIKE_ONE = re.compile(r"[+-]?[0-9]*(\.[0-9]*)?[eEinumkKMGTP]*[-+]?[0-9]*")


def quantity(text: str) -> str:
    """Canonical text. Raises `ValueError` with the words of Kubernetes' library."""
    if text != text.strip():
        raise ValueError(_NO_QUANTITY)
    try:
        return canonical(text)
    except ValueError:
        has_form = text and _LOOKS_LIKE_ONE.fullmatch(text)
        raise ValueError("unable to parse quantity's suffix" if has_form else _NO_QUANTITY) from None


_NO_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
