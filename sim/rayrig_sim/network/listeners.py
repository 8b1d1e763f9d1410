"""What answers at a port, and what can be told of its answers before they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol, runtime_checkable

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_sim.calibration import Distribution


@runtime_checkable
class Listener(Protocol):
    """Something that answers HTTP requests on a port."""

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer, after the time it takes. Raises `HttpFailure` when the server closes or never answers."""
        ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a listener would answer a request it was asked before.

    `version` is equal as long as the answer says the same, readings of a clock in it apart. `delays` are drawn, each from its
    stream, and add up to the time it takes; `draws` are the choices it makes besides.
    """

    version: object
    delays: tuple[tuple[Distribution, Random], ...] = ()
    draws: tuple[Callable[[], int], ...] = ()


class Foreseeable:
    """A listener that can tell what it would answer without being asked, and without anything coming of that."""

    def get_at_once(self, path: str) -> HttpResponse | None:
        """What a GET is answered now, where that takes no time and changes nothing; None where it does, or is not known."""
        return None

    def foresee(self, request: HttpRequest) -> Forecast | None:
        """How the request would be answered now; None when that is not known, or the request would change something."""
        return None
