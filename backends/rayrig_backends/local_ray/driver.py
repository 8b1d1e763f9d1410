"""A driver: one script's connection to a cluster, from `ray.init` to the script's end."""

from __future__ import annotations

from types import TracebackType

from rayrig_backends.local_ray.instance import RunningInstance
from rayrig_backends.local_ray.machines import Machines
from rayrig_backends.local_ray.serve_api import Serve


class Driver:
    """`serve` has the script's calls. As a context manager it ends with the block."""

    def __init__(self, ray: Machines, running: RunningInstance, namespace: str | None) -> None:
        #: None: anonymous.
        self.namespace = namespace
        self.serve = Serve(ray, running, namespace)

    def end(self) -> None:
        """The script exits: an instance that it started, and that is not detached, goes with it (SV-151)."""
        self.serve.driver_ended()

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
