"""What no server can begin with, told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_NO_PORT = (
    "rayrig: cannot listen on 127.0.0.1:70000: ports end at 65535 (give another --port, or none for any free one)\n"
)


@pytest.mark.parametrize("command", [["dashboard"], ["apiserver", "--server", "http://127.0.0.1:1"]])
def test_a_port_beyond_the_last(rayrig_cli: Callable[..., Any], command: list[str]) -> None:
    done = rayrig_cli(*command, "--port", "70000")
    assert (done.code, done.out, done.err) == (2, "", _NO_PORT)


@pytest.mark.parametrize("command", ["dashboard", "up"])
@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf"])
def test_a_speed_at_which_no_time_passes(rayrig_cli: Callable[..., Any], command: str, speed: str) -> None:
    done = rayrig_cli(command, "--speed", speed)
    told = f"rayrig: --speed: time cannot pass {speed} times as fast (give a positive number)\n"
    assert (done.code, done.out, done.err) == (2, "", told)
