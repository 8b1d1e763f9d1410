"""Python objects that a scenario names as `module:attr`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from rayrig_core.errors import InputError
from rayrig_core.remedies import closest


def load_handler(text: str, folder: Path, *, where: str = "") -> Any:
    """The Python object `module:attr`; modules are looked for in the scenario's folder first. Raises `InputError`."""
    module_name, colon, attribute = text.partition(":")
    if not colon or not module_name or not attribute:
        raise InputError(f'"{text}" names no Python object', where=where, remedy="write module:attribute")
    place = str(folder.resolve())
    sys.path.insert(0, place)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(
            f'no Python module "{error.name}"', where=where, remedy=f"looked in {place} and on the Python path"
        ) from None
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"importing {module_name} failed: {what}", where=where, remedy="mend the module") from error
    finally:
        sys.path.remove(place)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(
            f'module {module_name} has no "{attribute}"', where=where, remedy=closest(attribute, public)
        ) from None
