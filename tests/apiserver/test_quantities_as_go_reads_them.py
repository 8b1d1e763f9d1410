"""Quantities as the server reads them, and its words for what is none."""

from __future__ import annotations

import pytest

from rayrig.apiserver.quantities import quantity

NO_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NO_SUFFIX = "unable to parse quantity's suffix"


@pytest.mark.parametrize(
    ("text", "canonical"), [("4", "4"), ("1024Mi", "1Gi"), ("0.5Gi", "512Mi"), ("-1000m", "-1"), ("2000", "2k")]
)
def test_quantities_are_written_in_one_way(text: str, canonical: str) -> None:
    assert quantity(text) == canonical


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", NO_QUANTITY),
        ("lots", NO_QUANTITY),
        (" 1", NO_QUANTITY),
        ("1Gi ", NO_QUANTITY),
        ("1GiB", NO_QUANTITY),
        ("1.2.3", NO_QUANTITY),
        ("1kk", NO_SUFFIX),
        ("+1.5kk", NO_SUFFIX),
        ("1Gi5", NO_SUFFIX),
        ("1e+", NO_SUFFIX),
        ("1.kk", NO_SUFFIX),
    ],
)
def test_a_suffix_that_is_none_has_words_of_its_own(text: str, refusal: str) -> None:
    with pytest.raises(ValueError) as refused:
        quantity(text)
    assert str(refused.value) == refusal
