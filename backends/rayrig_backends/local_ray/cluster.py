"""A Ray cluster on machines of one's own: what `ray start` makes, and who connects to it."""

from __future__ import annotations

from typing import Any

from rayrig_backends.local_ray.driver import Driver
from rayrig_backends.local_ray.instance import Instance, RunningInstance
from rayrig_backends.local_ray.machines import Machines


class LocalRay(Machines):
    """A cluster with at most one Serve instance. `Machines` tells of its arguments, of time and of requests."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._running = RunningInstance()

    @property
    def instance(self) -> Instance | None:
        """The Serve instance that runs."""
        return self._running.instance

    def driver(self, namespace: str | None = None) -> Driver:
        """A script runs `ray.init(address="auto", namespace=...)`; None is a namespace of its own, without a name."""
        return Driver(self, self._running, namespace)

    def kill(self) -> None:
        """The head is lost, and Serve with it."""
        self._running.lose()
        self.lose()
