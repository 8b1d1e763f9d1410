"""JSON files of stories and reports."""

from __future__ import annotations

import json
from pathlib import Path

from rayrig_core.errors import InputError
from rayrig_core.objects import Json


def read_json(path: Path) -> Json:
    """What is in the file. Raises `InputError`."""
    try:
        found: Json = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"cannot read: {problem.strerror}", where=str(path)) from None
    except ValueError as problem:
        raise InputError(f"not JSON: {problem}", where=str(path)) from None
    return found
