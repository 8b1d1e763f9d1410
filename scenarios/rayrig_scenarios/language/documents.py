"""YAML text to plain data with line numbers, so that an error can name the line a value was written on.

Dates stay text (Kubernetes has no date type), keys must be texts and may not be written twice. Every failure is an `InputError` of
one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from rayrig_core.errors import InputError
from rayrig_core.yaml_limits import YamlTooLarge, check_limits

Place: TypeAlias = tuple[str | int, ...]

#: Files above this are taken for a mistake (a log, a dump), not for a scenario or manifest.
MAX_BYTES = 8 * 1024 * 1024


class _Loader(yaml.CSafeLoader):
    """The C loader without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def place_text(place: Place) -> str:
    """`steps[2].wait.for` for ("steps", 2, "wait", "for")."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its data, the file as the user named it, and the line of each place in it."""

    data: Any
    file: str
    lines: dict[Place, int]
    first_line: int

    def line(self, place: Place) -> int:
        """Line of a place, or of the nearest place around it that was written."""
        for end in range(len(place), 0, -1):
            found = self.lines.get(place[:end])
            if found is not None:
                return found
        return self.first_line

    def where(self, place: Place = ()) -> str:
        """`upgrade.yaml:14 steps[2].wait.for`."""
        text = place_text(place)
        at = f"{self.file}:{self.line(place)}"
        return f"{at} {text}" if text else at


def read_text(path: Path, *, shown: str = "", where: str = "") -> str:
    """Text of a file. Raises `InputError` when there is none or it is no text; `where` names who asked for it."""
    name = shown or str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no such file: {name}", where=where, remedy=_nearby(path)) from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory", where=where, remedy="name a YAML file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {name}: {reason}", where=where, remedy="check path and permissions") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{name} has {len(raw)} bytes", where=where, remedy=f"at most {MAX_BYTES} are read")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 text (byte {error.start})", where=where, remedy="save it as UTF-8"
        ) from None


def _nearby(path: Path) -> str:
    try:
        names = {p.stem: p.name for p in sorted(path.parent.iterdir()) if p.suffix in (".yaml", ".yml")}
    except OSError:
        return f"there is no directory {path.parent} either"
    if not names:
        return f"there are no YAML files in {path.parent}"
    # Of the stems, because all names are alike in their endings.
    near = get_close_matches(path.stem, names, n=1)
    return f'did you mean "{names[near[0]]}"?' if near else "check the path"


def parse_documents(text: str, file: str, *, first_line: int = 1) -> list[Document]:
    """The non-empty documents of a YAML text. `first_line` is the line of `file` the text begins on.

    Raises `InputError` with file, line and remedy.
    """
    try:
        check_limits(text)
        return list(_documents(text, file, first_line - 1))
    except YamlTooLarge as error:
        where = f"{file}:{error.line + first_line - 1}"
        raise InputError(error.problem, where=where, remedy=error.remedy) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = (mark.line if mark is not None else 0) + first_line
        what = " ".join(part for part in (error.problem, error.context) if part)
        raise InputError(f"not YAML: {_one_line(what)}", where=f"{file}:{line}", remedy=_syntax_remedy(what)) from None
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0) or 0) + first_line
        raise InputError(f"not YAML: {_one_line(str(error))}", where=f"{file}:{line}", remedy="remove it") from None
    except RecursionError:
        raise InputError("nested too deeply", where=file, remedy="flatten it") from None
    except ValueError as error:
        raise InputError(f"a value cannot be read: {_one_line(str(error))}", where=file, remedy="quote it") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _syntax_remedy(what: str) -> str:
    if "mapping values are not allowed" in what:
        return "check the indentation, or quote a text that holds a colon"
    if "tab character" in what:
        return "indent with spaces, not tabs"
    if "cannot start any token" in what:
        return "indent with spaces, not tabs; quote texts that begin with @ or `"
    if "constructor for the tag" in what:
        return "remove the tag"
    if "undefined alias" in what:
        return "define the anchor before its alias"
    if "expected" in what:
        return "check indentation, brackets and quotes just above"
    return "check the syntax near that line"


def _documents(text: str, file: str, offset: int) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            lines: dict[Place, int] = {}
            _mark(node, (), lines, file, offset, [])
            data = loader.construct_document(node)
            if data is not None:
                yield Document(data, file, lines, node.start_mark.line + 1 + offset)
    finally:
        loader.dispose()


def _mark(
    node: yaml.Node, place: Place, lines: dict[Place, int], file: str, offset: int, around: list[yaml.Node]
) -> None:
    line = node.start_mark.line + 1 + offset
    lines.setdefault(place, line)
    if isinstance(node, yaml.ScalarNode):
        return
    if any(node is outer for outer in around):
        raise InputError("an alias refers to what it is part of", where=f"{file}:{line}", remedy="write it out")
    around.append(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _mark(item, (*place, index), lines, file, offset, around)
    elif isinstance(node, yaml.MappingNode):
        _mark_mapping(node, place, lines, file, offset, around)
    around.pop()


def _mark_mapping(
    node: yaml.MappingNode, place: Place, lines: dict[Place, int], file: str, offset: int, around: list[yaml.Node]
) -> None:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1 + offset
        where = f"{file}:{line}"
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = key.value if isinstance(key, yaml.ScalarNode) else "this"
            raise InputError(f"key {shown} is no text", where=where, remedy=f'quote it: "{shown}"')
        name = key.value
        if name in seen:
            raise InputError(
                f'"{name}" is written twice, first on line {seen[name]}', where=where, remedy="remove one of them"
            )
        seen[name] = line
        inner = (*place, name)
        lines[inner] = line
        _mark(value, inner, lines, file, offset, around)
