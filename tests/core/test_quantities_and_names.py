"""Quantities in and out, and the names of what the operator makes."""

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_core.resources import names
from rayrig_core.resources.quantities import (
    QuantityFormat,
    add_quantities,
    canonical,
    format_quantity,
    milli,
    parse_quantity,
    whole,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000m", "1"),
        ("1.5", "1500m"),
        ("0.5Gi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("0.5Ki", "512"),
        ("1500M", "1500M"),
        ("1000M", "1G"),
        ("0Gi", "0"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("12345678", "12345678"),
        ("-1.5", "-1500m"),
        (".5", "500m"),
        ("5.", "5"),
        (2, "2"),
        (0.1, "100m"),
    ],
)
def test_canonical_text(text: str | float, expected: str) -> None:
    assert canonical(text) == expected


def test_rounding_goes_up() -> None:
    assert milli("0.0001") == 1
    assert milli("250m") == 250
    assert whole("1500m") == 2
    assert parse_quantity("0.1n") == Fraction(1, 10**9)


def test_a_sum_takes_the_family_of_its_first_operand_that_is_not_zero() -> None:
    assert add_quantities(["0", "2Gi", "2147483648"]) == "4Gi"
    assert add_quantities(["2", "500m"]) == "2500m"
    assert add_quantities([]) == "0"


@pytest.mark.parametrize("text", ["", "1x", "Gi", "1 Gi", "--1", "1e", "0x10", "1KI"])
def test_text_that_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(st.fractions(min_value=0, max_value=10**15), st.sampled_from(QuantityFormat))
def test_canonical_text_reads_back_to_the_same_amount(amount: Fraction, form: QuantityFormat) -> None:
    amount = Fraction(round(amount * 10**9), 10**9)
    text = format_quantity(amount, form)
    assert parse_quantity(text) == amount
    assert canonical(text) == text


@pytest.mark.accepts("RC-060", "RC-101")
def test_long_names_are_cut_as_the_operator_cuts_them() -> None:
    cluster = "ray-cluster-0000000000000000000000011111111122222233333333333333"
    assert (
        names.worker_pod_prefix(cluster, "group-name") == "ray-cluster-00000000000000000000000111111111222222-worker-"
    )
    director = "72fbcc7e-a661-4b18e-ca41-e903-fc3ae634b18e-lazer090scholar-director-s"
    assert names.keep_last_50(director) == "rca41-e903-fc3ae634b18e-lazer090scholar-director-s"
    dashes = "--------566666--------444433-----------222222----------4444"
    assert names.keep_last_50(dashes) == "r6666--------444433-----------222222----------4444"
    assert names.keep_last_50("acceptable-name-head-12345") == "acceptable-name-head-12345"
    assert names.keep_last_63("-" * 70) == "r" + "-" * 62
    assert names.ingress_name("r01234567890123456789012345678901234567890123456789zz") == (
        "r6789012345678901234567890123456789zz-head-ingress"
    )


def test_generated_suffixes_have_five_characters_of_the_alphabet() -> None:
    suffix = names.random_suffix(Random(1))
    assert len(suffix) == 5
    assert set(suffix) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert names.random_suffix(Random(1)) == suffix


@pytest.mark.parametrize(("name", "is_valid"), [("a", True), ("a-1", True), ("1a", False), ("a-", False), ("A", False)])
def test_dns_1035_labels(name: str, is_valid: bool) -> None:
    assert names.is_dns1035_label(name) is is_valid
