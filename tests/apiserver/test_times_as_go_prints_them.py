"""The text of a time in annotations."""

from __future__ import annotations

import pytest

from rayrig.apiserver.stored import time_text


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "1970-01-01 00:00:00 +0000 UTC"),
        (1_250_000_000, "1970-01-01 00:00:01.25 +0000 UTC"),
        (1_695_638_915_766_443_417, "2023-09-25 10:48:35.766443417 +0000 UTC"),
        (10_000_000_001, "1970-01-01 00:00:10.000000001 +0000 UTC"),
    ],
)
def test_seconds_have_the_digits_they_need(unix_ns: int, text: str) -> None:
    assert time_text(unix_ns) == text
