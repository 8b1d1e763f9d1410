"""Specs that are alike but for words nobody looks at: decoded, defaulted and checked once for all of them.

The words are values of environment variables, commands, arguments and images: any text will do there, and nothing follows from it
but when an image is pulled. Pods of one template differ in them at most, so what came of the first one's spec serves the others,
with their words in it.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.kinds.pod_defaults import pull_policy
from rayrig_fakes.kubernetes.storage.json_bytes import quick_json

_REMEMBERED = 256
_LISTS = ("containers", "initContainers")
#: Of one container: its image, values of its variables (None: not taken out), its command, its arguments.
_Words: TypeAlias = tuple[str, list[str | None], list[str], list[str]]


class Sent(NamedTuple):
    """A spec as it was sent, taken apart."""

    #: Equal for specs that differ in words only.
    pattern: bytes
    #: By list and container.
    words: tuple[list[_Words], ...]


class Settled:
    """What came of the spec that was the first of its pattern."""

    __slots__ = ("fields", "spec", "warnings", "words")

    def __init__(self, spec: JsonObject, words: tuple[list[_Words], ...]) -> None:
        self.spec = spec
        self.words = words
        #: What is doubtful in it, once that was asked for.
        self.warnings: tuple[str, ...] | None = None
        #: The fields its sender owns, once that was asked for.
        self.fields: JsonObject | None = None

    def with_words(self, words: tuple[list[_Words], ...]) -> JsonObject:
        """The spec of the same pattern with these words; parts without any are shared."""
        if words == self.words:
            return self.spec
        spec = self.spec.copy()
        for name, words_of_list, known_words in zip(_LISTS, words, self.words, strict=True):
            if words_of_list != known_words:
                spec[name] = [
                    container if words_of_one == known else _worded(container, *words_of_one)
                    for container, words_of_one, known in zip(spec[name], words_of_list, known_words, strict=True)
                ]
        return spec


class Patterns:
    """The latest patterns of good specs."""

    __slots__ = ("_settled",)

    def __init__(self) -> None:
        self._settled: dict[bytes, Settled] = {}

    def find(self, sent: Sent) -> Settled | None:
        return self._settled.get(sent.pattern)

    def remember(self, sent: Sent, spec: JsonObject) -> Settled:
        """`spec` is what came of it; it is shared from now on, and must not be changed."""
        if len(self._settled) >= _REMEMBERED:
            del self._settled[next(iter(self._settled))]
        found = self._settled[sent.pattern] = Settled(spec, sent.words)
        return found


def taken_apart(spec: JsonObject) -> Sent | None:
    """None when there is no telling, as the spec is of the wrong types or one variable hides another."""
    bare = spec.copy()
    words: list[list[_Words]] = []
    for name in _LISTS:
        containers = bare.get(name)
        if not containers:
            words.append([])
            continue
        if containers.__class__ is not list:
            return None
        bare_containers: list[JsonObject] = []
        words_of_list: list[_Words] = []
        for container in containers:
            if container.__class__ is not dict:
                return None
            parts = _without_words(container)
            if parts is None:
                return None
            bare_containers.append(parts[0])
            words_of_list.append(parts[1])
        bare[name] = bare_containers
        words.append(words_of_list)
    pattern = quick_json(bare)
    return Sent(pattern, tuple(words)) if pattern is not None else None


_TEXT, _OBJECT, _NAME_AND_VALUE = {str}, {dict}, {("name", "value")}


def _without_words(container: JsonObject) -> tuple[JsonObject, _Words] | None:
    image = container.get("image")
    if image.__class__ is not str or not image or image != image.strip():
        return None
    bare = container.copy()
    # None that was sent is a list.
    bare["image"] = [pull_policy(image)]
    values: list[str | None] = []
    variables = container.get("env")
    if variables:
        found = _variables(variables) if variables.__class__ is list else None
        if found is None:
            return None
        bare["env"], values = found
    lists: list[list[str]] = []
    for part in ("command", "args"):
        texts = container.get(part)
        if not texts:
            lists.append([])
            continue
        if texts.__class__ is not list or {each.__class__ for each in texts} != _TEXT:
            return None
        bare[part] = True
        lists.append(texts)
    return bare, (image, values, lists[0], lists[1])


def _variables(variables: list[Json]) -> tuple[list[Json], list[str | None]] | None:
    """The variables without their values, and the values."""
    if {each.__class__ for each in variables} != _OBJECT:
        return None
    names = [variable.get("name") for variable in variables]
    if {name.__class__ for name in names} != _TEXT or len(set(names)) != len(names):
        return None
    values = [variable.get("value") for variable in variables]
    # No variable is a list, so these are none that were sent.
    if all(values) and {value.__class__ for value in values} == _TEXT and {*map(tuple, variables)} == _NAME_AND_VALUE:
        return [names], values
    bare: list[Json] = []
    for index, variable in enumerate(variables):
        value = values[index]
        if value and value.__class__ is str and tuple(variable) == ("name", "value"):
            bare.append((names[index],))
        else:
            bare.append(variable)
            values[index] = None
    return bare, values


def _worded(
    container: JsonObject, image: str, values: list[str | None], command: list[str], arguments: list[str]
) -> JsonObject:
    worded = container.copy()
    worded["image"] = image
    if values:
        worded["env"] = [
            variable if value is None else {"name": variable["name"], "value": value}
            for variable, value in zip(container["env"], values, strict=True)
        ]
    if command:
        worded["command"] = command.copy()
    if arguments:
        worded["args"] = arguments.copy()
    return worded
