"""`rayrig ray`: a real Ray of one machine, in namespaces of its own."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any


def ray_command(*, python: Path | None, **settings: Any) -> int:
    """Works until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    from rayrig_backends.real_ray.local import RealRay

    ended = threading.Event()
    with RealRay(real_ray_settings(python, **settings)) as ray:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        print(f"ready {ray.url}", flush=True)
        ended.wait()
    return 0


def real_ray_settings(python: Path | None, **settings: Any) -> Any:
    """`rayrig_backends.real_ray.local.RealRaySettings`; without `python` this one has Ray."""
    from rayrig_backends.real_ray.local import RealRaySettings

    return RealRaySettings(python=python or Path(sys.executable), **settings)
