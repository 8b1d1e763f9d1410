"""Limits on YAML texts, looked after before a parser builds anything.

A few hundred bytes can stand for billions of values (aliases of aliases), and brackets nested deep enough overflow the C stack of
libyaml's composer, which ends the process. Neither is a manifest or a scenario.
"""

from __future__ import annotations

import yaml

#: Deeper than this is no manifest; a pod template within a RayService is some 15 deep.
MAX_DEPTH = 200
#: Values of a text, those of an alias counted each time it is used.
MAX_VALUES = 500_000
#: A text with fewer marks of nesting than this, and without aliases, cannot exceed the limits by much and is not looked at.
_SUSPICIOUS = 500


class YamlTooLarge(ValueError):
    """The text is beyond a limit. `line` counts from 1."""

    def __init__(self, problem: str, line: int, remedy: str) -> None:
        self.problem, self.line, self.remedy = problem, line, remedy
        super().__init__(problem)


def check_limits(text: str) -> None:
    """Raises `YamlTooLarge`. Errors of syntax are left to the parser: the look ends at the first."""
    has_aliases = "*" in text and "&" in text
    if not has_aliases and sum(text.count(mark) for mark in ("[", "{", "- ", "? ", "-\n")) < _SUSPICIOUS:
        return
    try:
        _count(text)
    except yaml.YAMLError:
        return


def _count(text: str) -> None:
    """Go through the events of the text, which takes no recursion, and add up what aliases stand for."""
    sizes: dict[str, int] = {}
    #: For each open collection: its anchor, and the values within it so far.
    open_: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) > MAX_DEPTH:
                raise YamlTooLarge(f"nested more than {MAX_DEPTH} deep", _line(event), "flatten it")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(event.anchor or "", 1)
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        if open_:
            outer, within = open_[-1]
            open_[-1] = (outer, within + size)
            total = within + size
        if total > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values, with those that aliases stand for"
            raise YamlTooLarge(what, _line(event), "use fewer aliases")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0
