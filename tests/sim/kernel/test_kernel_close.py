"""What is left of a run that ends before everything has happened."""

from __future__ import annotations

import gc
import warnings

from rayrig_sim.kernel import Kernel


async def nap(kernel: Kernel) -> None:
    await kernel.sleep(1)


def warnings_of_a_run_never_begun(*, closed: bool) -> list[str]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kernel = Kernel()
        for number in range(3):
            kernel.spawn(f"actor-{number}", nap(kernel))
        if closed:
            kernel.close()
        del kernel
        gc.collect()
    return [str(each.message) for each in warned]


def test_a_kernel_that_never_ran_leaves_no_coroutine_behind() -> None:
    assert warnings_of_a_run_never_begun(closed=True) == []
    assert warnings_of_a_run_never_begun(closed=False) == ["coroutine 'nap' was never awaited"] * 3


def test_closing_cleans_up_after_actors_that_wait_for_time_and_begins_nothing() -> None:
    kernel, log = Kernel(), list[str]()

    async def child() -> None:
        log.append("began")

    async def sleeper(name: str) -> None:
        try:
            await kernel.sleep(100)
            log.append("woke")
        finally:
            log.append(f"{name} cleaned up")
            kernel.spawn("child", child())

    kernel.spawn("a", sleeper("a"))
    kernel.spawn("b", sleeper("b"))
    kernel.run(until_s=1)
    kernel.close()
    kernel.run()
    assert log == ["a cleaned up", "b cleaned up"]


def test_closing_twice_changes_nothing() -> None:
    kernel = Kernel()
    kernel.close()
    kernel.close()
    assert kernel.monotonic_ns() == 0
