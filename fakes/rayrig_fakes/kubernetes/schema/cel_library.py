"""CEL by the library (cel-expr-python), with the functions that Kubernetes adds to the language."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rayrig_fakes.kubernetes.schema.cel_errors import RuleError

_NO_KEY = re.compile(r'Key not found in map : "(.*?)"')
_CONVERSION = re.compile(r"(?:convert string|String) to (int|uint|double|Timestamp|Duration)")
_TYPES = {
    "int": "int",
    "uint": "uint",
    "double": "double",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}
_INDEX = re.compile(r"index=(-?\d+)")
#: What gives an optional: those cannot be made outside of the language.
_VALIDATE = re.compile(r"(format\.\w+\(\))\.validate\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_NAMED = re.compile(r"format\.named\(([^()]*)\)")
_ANY = ("string", "int", "bool", "double", "list", "map")


@lru_cache(maxsize=1)
def _environment() -> tuple[Any, Any]:
    """(module, environment). Raises `RuleError` when the library is not installed."""
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped,unused-ignore]
        from cel_expr_python.ext import ext_encoders, ext_optional  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise RuleError("this rule needs a CEL library: install cel-expr-python (pip install 'rayrig[cel]')") from None
    from rayrig_fakes.kubernetes.schema.cel_functions import FUNCTIONS

    types = {
        "dyn": cel.Type.DYN,
        "string": cel.Type.STRING,
        "int": cel.Type.INT,
        "bool": cel.Type.BOOL,
        "double": cel.Type.DOUBLE,
        "list": cel.Type.LIST,
        "map": cel.Type.MAP,
    }
    overloads: dict[str, list[Any]] = {}
    for function in FUNCTIONS:
        made = overloads.setdefault(function.name, [])
        for kinds in _expanded(function.parameters):
            identity = f"kubernetes_{function.name}_{len(made)}"
            parameters = [types[kind] for kind in kinds]
            made.append(cel.Overload(identity, types[function.result], parameters, function.member, function.call))
    environment = cel.NewEnv(
        variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN},
        extensions=[ext_optional.ExtOptional(), ext_encoders.ExtEncoders()],
        functions=[cel.FunctionDecl(name, made) for name, made in overloads.items()],
    )
    return cel, environment


def _expanded(kinds: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Functions are found by the types of what they are given, so that each type needs a way of its own."""
    found: list[tuple[str, ...]] = [()]
    for at, kind in enumerate(kinds):
        choices = (("string", "list") if not at else _ANY) if kind == "dyn" else (kind,)
        found = [(*made, choice) for made in found for choice in choices]
    return found


def compile_with_library(rule: str, optional_old: bool) -> Callable[[Any, Any], Any]:
    """Raises `RuleError` with the compiler's complaint."""
    cel, environment = _environment()
    if optional_old:
        # The old value comes as a list of at most one, and is an optional from there on.
        rule = re.sub(r"\boldSelf\b", "(oldSelf.size() == 0 ? optional.none() : optional.of(oldSelf[0]))", rule)
    rule = _VALIDATE.sub(r"[\1.problems(\2)].filter(found, found.size() > 0)[?0]", rule)
    rule = _NAMED.sub(r"[format.known(\1)].filter(found, found.size() > 0)[?0]", rule)
    try:
        compiled = environment.compile(rule)
    except RuntimeError as problem:
        text = str(problem).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
        raise RuleError(f"compilation failed: {text}") from None

    def evaluate(new: Any, old: Any) -> Any:
        given = old if not optional_old else [] if old is None else [old]
        try:
            outcome = compiled.eval(data={"self": new, "oldSelf": given})
        except (RuntimeError, ValueError, TypeError, OverflowError) as problem:
            raise RuleError(str(problem)) from None
        if outcome.type() == cel.Type.ERROR:
            raise RuleError(_words(str(outcome.value())))
        return outcome.plain_value()

    return evaluate


def _words(text: str) -> str:
    """The library's complaint in the server's words."""
    if found := _NO_KEY.search(text):
        return f"no such key: {found[1]}"
    if found := _INDEX.search(text):
        return f"index out of bounds: {found[1]}"
    if "modulus by zero" in text:
        return "modulus by zero"
    if "divide by zero" in text:
        return "division by zero"
    if "integer overflow" in text:
        return "integer overflow"
    if found := _CONVERSION.search(text):
        return f"type conversion error from 'string' to '{_TYPES[found[1].lower()]}'"
    if "No matching overloads" in text:
        return "no such overload"
    return text.partition(": ")[2] or text
