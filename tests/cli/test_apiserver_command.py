"""`rayrig apiserver`: what it cannot begin with is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "rayrig: which API server? (give --server URL, or --kubeconfig FILE)\n"),
        (
            ["--server", "http://127.0.0.1:1", "--call-timeout", "0"],
            "rayrig: --call-timeout: a call needs some time (give a positive number of seconds)\n",
        ),
    ],
)
def test_what_it_cannot_begin_with(rayrig_cli: Callable[..., Any], arguments: list[str], told: str) -> None:
    done = rayrig_cli("apiserver", *arguments)
    assert (done.code, done.out, done.err) == (2, "", told)
