"""`@serve.batch` in application code: when a batch goes, what is in it, and how its results find their callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rayrig_backends.local_ray import LocalRay
from rayrig_sim.calibration import instant
from rayrig_sim.ray_api import serve as ray_serve


@pytest.fixture
def ray() -> LocalRay:
    return LocalRay(calibration=instant())


def batches_of(ray: LocalRay, arrivals: list[float], **options: Any) -> list[tuple[float, list[int]]]:
    """When each batch began, in tenths of a second, and what was in it; a batch takes 1 s."""
    seen: list[tuple[float, list[int]]] = []

    @ray_serve.deployment(max_ongoing_requests=100)
    class Batcher:
        @ray_serve.batch(**options)
        async def many(self, items: list[int]) -> list[int]:
            seen.append((round(ray.now_s - began, 3), items))
            await asyncio.sleep(1)
            return items

        async def __call__(self, item: int) -> int:
            found: int = await self.many(item)
            return found

    application = ray.driver().serve.run(Batcher.bind())
    began = ray.now_s
    pending = []
    for number, at_s in enumerate(arrivals):
        if ray.now_s < began + at_s:
            ray.advance(began + at_s - ray.now_s)
        pending.append(application.begin(number))
    assert [each.result() for each in pending] == list(range(len(arrivals)))
    return seen


def test_a_batch_is_collected_while_another_runs_and_grows_no_more_in_the_line(ray: LocalRay) -> None:
    seen = batches_of(ray, [0.0, 0.2, 0.4, 0.45], max_batch_size=4, batch_wait_timeout_s=0.1)
    assert seen == [(0.1, [0]), (1.1, [1]), (2.1, [2, 3])]


def test_as_many_batches_run_at_once_as_are_allowed(ray: LocalRay) -> None:
    seen = batches_of(ray, [0.0, 0.2, 0.4], max_batch_size=4, batch_wait_timeout_s=0.1, max_concurrent_batches=2)
    assert seen == [(0.1, [0]), (0.3, [1]), (1.1, [2])]


def test_without_a_wait_a_batch_is_what_is_there(ray: LocalRay) -> None:
    seen = batches_of(ray, [0.0, 0.0, 0.0, 0.5], max_batch_size=2, batch_wait_timeout_s=0)
    assert [items for _, items in seen][-1] == [3]
    assert sum(len(items) for _, items in seen) == 4


def test_a_batch_can_be_measured_otherwise_than_by_its_length(ray: LocalRay) -> None:
    seen = batches_of(ray, [0.0] * 4, max_batch_size=3, batch_wait_timeout_s=0.1, batch_size_fn=sum)
    assert [items for _, items in seen] == [[0, 1, 2], [3]]


def test_odd_times_of_arrival_come_to_an_end(ray: LocalRay) -> None:
    """What is left of the wait may be less than the clock can tell."""
    arrivals = [number * 0.0137 for number in range(60)]
    seen = batches_of(ray, arrivals, max_batch_size=16, batch_wait_timeout_s=0.01)
    assert sum(len(items) for _, items in seen) == 60


def test_settings_can_be_changed_by_the_replica(ray: LocalRay) -> None:
    @ray_serve.deployment(max_ongoing_requests=100)
    class Batcher:
        def reconfigure(self, config: dict[str, Any]) -> None:
            self.config = config

        @ray_serve.batch(max_batch_size=10, batch_wait_timeout_s=5)
        async def many(self, items: list[int]) -> list[int]:
            return [len(items)] * len(items)

        async def __call__(self, item: int) -> int:
            self.many.set_max_batch_size(2)
            self.many.set_batch_wait_timeout_s(0.1)
            found: int = await self.many(item)
            return found

    application = ray.driver().serve.run(Batcher.bind())
    assert sorted(each.result() for each in [application.begin(item) for item in range(3)]) == [1, 2, 2]


def test_a_generator_yields_lists_and_each_caller_gets_its_values(ray: LocalRay) -> None:
    @ray_serve.deployment(max_ongoing_requests=100)
    class Streamer:
        @ray_serve.batch(max_batch_size=2, batch_wait_timeout_s=0.1)
        async def count(self, ends: list[int]) -> AsyncIterator[list[Any]]:
            for number in range(max(ends)):
                await asyncio.sleep(0.1)
                yield [number if number < end else StopIteration for end in ends]

        async def __call__(self, end: int) -> list[int]:
            return [number async for number in self.count(end)]

    application = ray.driver().serve.run(Streamer.bind())
    pending = [application.begin(end) for end in (2, 4)]
    assert [each.result() for each in pending] == [[0, 1], [0, 1, 2, 3]]


def test_arguments_become_lists_one_by_one_and_by_name(ray: LocalRay) -> None:
    @ray_serve.deployment(max_ongoing_requests=100)
    class Adder:
        @ray_serve.batch(max_batch_size=2, batch_wait_timeout_s=0.1)
        async def add(self, left: list[int], right: list[int]) -> list[int]:
            return [a + b for a, b in zip(left, right, strict=True)]

        async def __call__(self, item: int) -> int:
            found: int = await self.add(item, right=10 * item)
            return found

    application = ray.driver().serve.run(Adder.bind())
    assert [each.result() for each in [application.begin(item) for item in (1, 2)]] == [11, 22]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_batch_size": 0}, ValueError, "max_batch_size must be an integer >= 1, got 0"),
        ({"max_batch_size": 1.5}, TypeError, "max_batch_size must be integer >= 1, got 1.5"),
        ({"batch_wait_timeout_s": -1}, ValueError, "batch_wait_timeout_s must be a float >= 0, got -1"),
        ({"max_concurrent_batches": 0}, TypeError, "max_concurrent_batches must be an integer >= 1, got 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as told:
        ray_serve.batch(**options)
    assert str(told.value) == text
