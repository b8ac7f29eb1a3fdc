"""Factors that know a power or the noise batch size: their limits, and that scaling up and down again is the same."""

import math

import pytest

from zerotune.trainers.batch_factors import power_factor, saturating_factor, surge_factor


def test_far_below_the_noise_batch_surge_is_the_square_root_and_saturating_the_line_or_the_root() -> None:
    assert surge_factor(8.0, noise_ratio=1e9) == pytest.approx(math.sqrt(8))
    assert saturating_factor(8.0, noise_ratio=1e9, exponent=1.0) == pytest.approx(8.0)
    assert saturating_factor(8.0, noise_ratio=1e9, exponent=0.5) == pytest.approx(math.sqrt(8))


def test_far_above_the_noise_batch_saturating_is_constant_and_surge_falls_as_the_root() -> None:
    assert saturating_factor(8.0, noise_ratio=1e-9, exponent=1.0) == pytest.approx(1.0)
    assert surge_factor(4.0, noise_ratio=1e-9) == pytest.approx(0.5)


def test_surge_is_largest_at_the_noise_batch() -> None:
    factors = {k: surge_factor(k, noise_ratio=8.0) for k in (4.0, 7.9, 8.0, 8.1, 16.0)}
    assert max(factors, key=factors.__getitem__) == 8.0


def test_what_is_scaled_up_and_down_again_is_what_it_was() -> None:
    k, ratio = 5.0, 3.0
    back = surge_factor(1 / k, noise_ratio=ratio / k), saturating_factor(1 / k, noise_ratio=ratio / k, exponent=0.7)
    assert surge_factor(k, noise_ratio=ratio) * back[0] == pytest.approx(1.0)
    assert saturating_factor(k, noise_ratio=ratio, exponent=0.7) * back[1] == pytest.approx(1.0)
    assert power_factor(k, exponent=0.3) * power_factor(1 / k, exponent=0.3) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_batch_or_noise_batch_that_is_not_positive_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="k must be a positive number"):
        power_factor(value, exponent=0.5)
    with pytest.raises(ValueError, match="noise_ratio must be a positive number"):
        surge_factor(2.0, noise_ratio=value)
