"""CEL by the library (cel-expr-python), with the functions that Kubernetes adds to the language."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rayrig_fakes.kubernetes.schema.cel_errors import RuleError

_NO_KEY = re.compile(r'Key not found in map : "(.*?)"')


@lru_cache(maxsize=1)
def _environment() -> tuple[Any, Any]:
    """(module, environment). Raises `RuleError` when the library is not installed."""
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped,unused-ignore]
        from cel_expr_python.ext import (  # type: ignore[import-untyped,unused-ignore]
            ext_encoders,
            ext_math,
            ext_optional,
            ext_strings,
        )
    except ImportError:
        raise RuleError("this rule needs a CEL library: install cel-expr-python (pip install 'rayrig[cel]')") from None
    dyn, text, whole, truth, items = cel.Type.DYN, cel.Type.STRING, cel.Type.INT, cel.Type.BOOL, cel.Type.LIST

    def function(
        name: str, implementation: Callable[..., Any], result: Any, *parameters: Any, member: bool = True
    ) -> Any:
        overload = cel.Overload(
            f"kubernetes_{name}_{len(parameters)}", result, list(parameters), member, implementation
        )
        return cel.FunctionDecl(name, [overload])

    functions = [
        function("isSorted", lambda values: list(values) == sorted(values), truth, items),
        function("sum", lambda values: sum(values), dyn, items),
        function("min", lambda values: min(values), dyn, items),
        function("max", lambda values: max(values), dyn, items),
        function("find", lambda value, pattern: (re.search(pattern, value) or [""])[0], text, text, text),
        function(
            "findAll", lambda value, pattern: [found[0] for found in re.finditer(pattern, value)], items, text, text
        ),
        function("isQuantity", _is_quantity, truth, text, member=False),
        function(
            "isURL", lambda value: bool(re.fullmatch(r"[a-z][a-z0-9+.-]*://\S*|/\S*", value)), truth, text, member=False
        ),
    ]
    environment = cel.NewEnv(
        variables={"self": dyn, "oldSelf": dyn},
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_math.ExtMath(),
            ext_encoders.ExtEncoders(),
        ],
        functions=functions,
    )
    del whole
    return cel, environment


def _is_quantity(text: str) -> bool:
    from rayrig_core.resources.quantities import parse_quantity

    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def compile_with_library(rule: str, optional_old: bool) -> Callable[[Any, Any], Any]:
    """Raises `RuleError` with the compiler's complaint."""
    cel, environment = _environment()
    if optional_old:
        # The old value comes as a list of at most one, and is an optional from there on.
        rule = re.sub(r"\boldSelf\b", "(oldSelf.size() == 0 ? optional.none() : optional.of(oldSelf[0]))", rule)
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
    if "divide by zero" in text:
        return "division by zero"
    if "No matching overloads" in text:
        return "no such overload"
    return text.partition(": ")[2] or text
