"""Clocks and sleeps of user code, while the simulation runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext


def virtual_time() -> AbstractContextManager[None]:
    """Within the block they are virtual inside of user code (`rayrig_sim.serve.asyncio_code.patches`).

    Nothing where greenlet is not installed: then no such code can run.
    """
    try:
        from rayrig_sim.serve.asyncio_code.patches import installed
    except ImportError:
        return nullcontext()
    return installed()
