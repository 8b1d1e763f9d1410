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
