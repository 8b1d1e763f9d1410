"""The instance that the driver of this process is connected to, as `serve.init` leaves it."""

from __future__ import annotations

from rayrig_sim.legacy.errors import RayServeException
from rayrig_sim.legacy.instance import LegacyServe


class _Session:
    __slots__ = ("instance",)

    def __init__(self) -> None:
        self.instance: LegacyServe | None = None


_session = _Session()


def current() -> LegacyServe:
    """Raises `RayServeException` before `serve.init` (SV-143)."""
    if _session.instance is None:
        raise RayServeException("Please run serve.init to initialize or connect to existing ray serve cluster.")
    return _session.instance


def found() -> LegacyServe | None:
    """The instance, if there is one."""
    return _session.instance


def connect(instance: LegacyServe | None) -> None:
    """From now on that is the instance; None: there is none."""
    _session.instance = instance
