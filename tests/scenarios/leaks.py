"""Application handlers whose answer depends on what it must not: each is planted to be found."""

from __future__ import annotations

import random
import time
import uuid


def sound() -> list[str]:
    return ["apples", "pears"]


def set_order() -> list[str]:
    return list({f"fruit-{number}" for number in range(20)})


def wall_clock() -> int:
    return time.time_ns()


def time_zone() -> str:
    return time.strftime("%H:%M", time.localtime(0))


def global_random() -> float:
    return random.random()


def uuid4() -> str:
    return str(uuid.uuid4())


def object_identity() -> int:
    return id(object())


_runs: list[int] = []


def state_between_runs() -> int:
    _runs.append(1)
    return len(_runs)


class SlowBy:
    """User code of a deployment that takes as long as a leaking value says: up to 100 ms more than 10 ms."""

    leak = staticmethod(lambda: 0)

    async def __call__(self, request: object) -> str:
        from rayrig_sim.serve.user_code import sleep

        await sleep(0.01 + self.leak() % 100_003 / 1_000_003)
        return "ok"


class SlowBySetOrder(SlowBy):
    leak = staticmethod(lambda: int(next(iter({f"fruit-{number}" for number in range(999)})).rpartition("-")[2]))


class SlowByWallClock(SlowBy):
    leak = staticmethod(time.time_ns)


class SlowByGlobalRandom(SlowBy):
    leak = staticmethod(lambda: random.randrange(10**9))


class SlowByUuid4(SlowBy):
    leak = staticmethod(lambda: uuid.uuid4().int)
