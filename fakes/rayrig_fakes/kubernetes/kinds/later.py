"""Rules of kinds that are loaded when they are first asked something: a server is ready before it knows everything."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from rayrig_fakes.kubernetes.kind_rules import KindRules


class _Later:
    """Becomes what it stands for when any attribute but these is read."""

    # What is asked of all rules when they are registered, or of every request.
    is_custom = False

    def __init__(
        self, place: tuple[str, str], arguments: tuple[Any, ...], named: Mapping[str, Any], *, has_status: bool
    ) -> None:
        self.has_status = has_status
        self._place = place
        self._arguments = arguments
        self._named = named

    def __getattr__(self, name: str) -> Any:
        mine = self.__dict__
        (module, kind), arguments, named = mine.pop("_place"), mine.pop("_arguments"), mine.pop("_named")
        del mine["has_status"]
        settled = dict(mine)
        mine.clear()
        rules = cast(Any, self)
        rules.__class__ = getattr(import_module(module), kind)
        rules.__init__(*arguments, **named)
        # What was settled since is settled for what they have become.
        mine.update(settled)
        return getattr(self, name)


def later(
    module: str, kind: str, *arguments: object, has_status: bool = False, named: Mapping[str, object] | None = None
) -> KindRules:
    """The rules that `kind(*arguments, **named)` of a module beside this one makes. `has_status` is what they say of
    themselves."""
    place = (f"{__package__}.{module}", kind)
    return cast(KindRules, _Later(place, arguments, named or {}, has_status=has_status))
