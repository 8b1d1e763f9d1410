"""Each test starts without Serve and leaves none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rayrig_sim.legacy import ray


@pytest.fixture(autouse=True)
def _nothing_runs() -> Iterator[None]:
    ray.shutdown()
    yield
    ray.shutdown()
