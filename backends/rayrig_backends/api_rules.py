"""Rules by which calls of the API are struck: by actor, verb and resource, so many times, for so long."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.faultpoints import FaultPoint, Reaction, StaleRead

#: Who watches or disturbs the world from outside: struck only when named.
OUTSIDERS = ("scenario", "fault", "node-control")


@dataclass(slots=True)
class ApiRule:
    """Strikes calls that match; empty strings match everything inside the world. `left` counts down; None is without end."""

    reaction: Reaction
    actor: str = ""
    verb: str = ""
    resource: str = ""
    left: int | None = None

    def matches(self, point: FaultPoint) -> bool:
        if not self.actor:
            if point.actor in OUTSIDERS:
                return False
        elif point.actor != self.actor and not point.actor.startswith(self.actor + "/"):
            return False
        if self.verb and point.verb != self.verb:
            return False
        if isinstance(self.reaction, StaleRead) and point.verb not in ("get", "list"):
            return False
        return not self.resource or point.target.split("/", 1)[0].split(".", 1)[0] == self.resource


class ApiRules:
    """A `FaultInjector` whose rules come and go during a run."""

    def __init__(self) -> None:
        self._rules: list[ApiRule] = []

    def add(self, rule: ApiRule) -> None:
        self._rules.append(rule)

    def remove(self, rule: ApiRule) -> None:
        if rule in self._rules:
            self._rules.remove(rule)

    @property
    def are_any(self) -> bool:
        return bool(self._rules)

    def strike(self, point: FaultPoint) -> Reaction | None:
        """The reaction of the oldest rule that matches. Deliveries of watch events are no calls and are left alone."""
        if point.verb == "deliver":
            return None
        for rule in self._rules:
            if rule.left != 0 and rule.matches(point):
                if rule.left is not None:
                    rule.left -= 1
                return rule.reaction
        return None
