"""Calibration: distributions, their texts, and overrides by name."""

from __future__ import annotations

from dataclasses import fields
from random import Random
from statistics import fmean, median

import pytest

from rayrig_core.errors import InputError
from rayrig_sim.calibration import (
    Calibration,
    Constant,
    Distribution,
    Exponential,
    LogNormal,
    Uniform,
    distribution,
    duration_s,
    instant,
)


@pytest.mark.parametrize("drawn", [Constant(2.5), Uniform(1.0, 3.0), LogNormal(2.0, 0.3), Exponential(2.0, 0.5)])
def test_draws_are_whole_nanoseconds_and_their_mean_is_the_mean(drawn: Distribution) -> None:
    rng = Random(7)
    values = [drawn.draw_ns(rng) for _ in range(20_000)]
    assert all(type(value) is int and value >= 0 for value in values)
    assert fmean(values) / 1e9 == pytest.approx(drawn.mean_s, rel=0.03)


def test_lognormal_is_given_by_its_median() -> None:
    rng = Random(1)
    assert median(LogNormal(12.0, 0.25).draw_ns(rng) for _ in range(20_001)) / 1e9 == pytest.approx(12.0, rel=0.02)


def test_a_constant_takes_nothing_from_the_stream() -> None:
    rng = Random(3)
    Constant(1.0).draw_ns(rng)
    assert rng.random() == Random(3).random()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("8s", Constant(8.0)),
        ("250ms", Constant(0.25)),
        ("1m30s", Constant(90.0)),
        (3, Constant(3.0)),
        ({"constant": "2s"}, Constant(2.0)),
        ({"uniform": ["1s", "3s"]}, Uniform(1.0, 3.0)),
        ({"uniform": {"low": 1, "high": 3}}, Uniform(1.0, 3.0)),
        ({"lognormal": {"median": "2s", "sigma": 0.2}}, LogNormal(2.0, 0.2)),
        ({"exponential": {"mean": "2s", "least": "1s"}}, Exponential(2.0, 1.0)),
        ({"exponential": "2s"}, Exponential(2.0)),
    ],
)
def test_what_a_scenario_writes(written: object, meant: Distribution) -> None:
    assert distribution(written) == meant


def test_overrides_replace_by_name_and_leave_the_rest() -> None:
    base = Calibration()
    changed = base.with_overrides({"image_pull": "40s"})
    assert changed.image_pull == Constant(40.0)
    assert all(
        getattr(changed, field.name) == getattr(base, field.name)
        for field in fields(Calibration)
        if field.name != "image_pull"
    )


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(InputError) as refused:
        Calibration().with_overrides({"image_pul": "1s"}, where="up.yaml:3 calibration")
    assert str(refused.value) == (
        'up.yaml:3 calibration.image_pul: no calibration entry is called "image_pul" (did you mean "image_pull"?)'
    )


@pytest.mark.parametrize("value", ["soon", "", "-1s", -1, True, None, {"uniform": [3, 1]}, {"gamma": 1}, {}, [1]])
def test_a_value_that_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="is no duration or distribution"):
        Calibration().with_overrides({"image_pull": value})


def test_instant_takes_no_time_anywhere() -> None:
    calibration = instant()
    assert all(getattr(calibration, field.name).draw_ns(Random(0)) == 0 for field in fields(Calibration))


def test_a_duration_text_must_be_read_to_its_end() -> None:
    with pytest.raises(ValueError, match="8s later"):
        duration_s("8s later")


def test_spaces_in_a_duration_stand_between_its_parts_only() -> None:
    assert duration_s(" 1m 30 s ") == 90
    for text in ("1 0s", "1. 5s", "+1s"):
        with pytest.raises(ValueError, match="is no duration"):
            duration_s(text)
