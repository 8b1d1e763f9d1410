"""Python's cyclic garbage collector during a run: seldom instead of all the time.

A run makes hundreds of thousands of objects that live to its end (the trace) and few cycles. The collector's default looks at the
young ones every 700 allocations; that was about a tenth of the wall time of a run.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 50_000


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Raise the threshold of the youngest generation, and put back what was there."""
    before = gc.get_threshold()
    if 0 < before[0] < _YOUNG:
        gc.set_threshold(_YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
