"""What needs a real Ray is skipped, with the reason, where there is none or it may not run alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rayrig_backends.real_ray.local import RealRay, check
from rayrig_core.errors import InputError
from tests.real_ray.telling import settings


@pytest.fixture(scope="session")
def can_run_ray() -> None:
    """Beside other tests on few cores, Ray's times would tell of their load."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.skip("a real Ray runs alone: pytest -m ray tests/real_ray")
    try:
        check(settings())
    except InputError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def real_ray(can_run_ray: None) -> Iterator[RealRay]:
    with RealRay(settings()) as ray:
        yield ray
