"""`rayrig operator`: a release or gate that there is not is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kuberay", "1.2"], "rayrig: --kuberay: there is no profile '1.2' (one of 1.7, 1.1)\n"),
        (
            ["--kuberay", "1.1", "--feature-gates", "RayMultiHostIndexing=true"],
            "rayrig: --feature-gates: KubeRay 1.1 has no feature gates (leave it out)\n",
        ),
    ],
)
def test_a_release_that_there_is_not(rayrig_cli: Callable[..., Any], arguments: list[str], told: str) -> None:
    done = rayrig_cli("operator", "--server", "http://127.0.0.1:1", *arguments)
    assert (done.code, done.out, done.err) == (2, "", told)
