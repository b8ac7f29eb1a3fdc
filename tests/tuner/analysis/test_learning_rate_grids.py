"""Best learning rates, losses between trainings, and slopes, computed by hand on synthetic grids."""

import math

import pytest

from tests.tuner.analysis.synthetic_grids import OCTAVE, half_power, trainings
from zerotune.tuner.analysis.learning_rate_grids import (
    Training,
    build_curve,
    build_grids,
    largest_batch,
    lr_exponent,
    token_slope,
)


def test_the_best_learning_rate_is_the_parabolas_minimum_between_the_grids_points() -> None:
    (grid,) = build_grids(trainings(lambda size: 0.3))
    best = grid.bests[64]
    assert (best.lr, best.loss) == (pytest.approx(2**0.3), pytest.approx(2.0))


def test_a_loss_is_read_on_the_parabola_near_the_best_and_on_a_line_elsewhere() -> None:
    (grid,) = build_grids(trainings(lambda size: 0.0))
    curve, octave = grid.curves[64], math.log(2)
    assert curve.loss_at(0.5 * octave) == pytest.approx(2.0 + 0.25 * OCTAVE)
    assert curve.loss_at(2.5 * octave) == pytest.approx(2.0 + (4 + 9) / 2 * OCTAVE)
    assert curve.loss_at(6 * octave) == pytest.approx(2.0 + 36 * OCTAVE)


def test_outside_the_grid_nothing_is_extrapolated() -> None:
    (grid,) = build_grids(trainings(lambda size: 0.0))
    curve = grid.curves[64]
    assert (curve.loss_at(6.1 * math.log(2)), curve.covers(6.1 * math.log(2))) == (math.inf, False)
    assert (curve.loss_at(-6.1 * math.log(2)), curve.covers(-6.0 * math.log(2))) == (math.inf, True)


@pytest.mark.parametrize(
    ("losses", "flag"),
    [
        ((1.0, 2.0, 3.0), "lowest"),
        ((3.0, 2.0, 1.0), "highest"),
        ((3.0, 2.9, 7.0), "cliff"),
        ((3.0, 2.9, math.inf), "cliff"),
        ((3.0, 2.9, 3.0), None),
        ((0.012, 0.01, 0.02), None),
        ((1.0, 0.0, 1.0), None),
    ],
)
def test_a_best_at_an_edge_or_beside_a_collapse_is_flagged_and_not_used(
    losses: tuple[float, ...], flag: str | None
) -> None:
    curve = build_curve({2.0**place: [loss] for place, loss in enumerate(losses)})
    assert (curve.flag, curve.best is None) == (flag, flag is not None)


def test_beside_a_diverged_training_the_loss_is_not_known() -> None:
    curve = build_curve({0.5: [1.01], 1.0: [1.0], 2.0: [1.01], 4.0: [1.04], 8.0: [math.inf]})
    assert curve.loss_at(math.log(6.0)) == math.inf
    assert curve.loss_at(math.log(8.0)) == math.inf
    assert curve.loss_at(math.log(4.0)) == pytest.approx(1.04)


def test_trainings_of_the_same_cell_are_averaged() -> None:
    pair = [Training(grid="one", lr=1.0, batch_size=8, loss=loss) for loss in (1.0, 2.0)]
    (grid,) = build_grids(pair)
    assert grid.curves[8].losses == (1.5,)


def test_the_exponent_of_a_square_root_is_one_half_and_certain() -> None:
    (grid,) = build_grids(trainings(half_power))
    found = lr_exponent(grid)
    assert found is not None
    assert (found.mean, found.low, found.high) == (pytest.approx(0.5),) * 3


def test_a_line_through_two_batch_sizes_has_no_interval_so_there_is_no_exponent() -> None:
    (grid,) = build_grids(trainings(half_power, sizes=(64, 256)))
    assert lr_exponent(grid) is None


def test_the_largest_batch_is_where_its_own_best_first_exceeds_the_tolerance() -> None:
    losses = {16: 2.003, 64: 2.0, 256: 2.005, 1024: 2.025}
    (grid,) = build_grids(trainings(half_power, lowest=losses.__getitem__))
    assert largest_batch(grid, 0.01) == pytest.approx(256 * 4 ** (0.005 / 0.020))
    assert largest_batch(grid, 0.03) is None


def test_the_price_in_tokens_is_the_slope_between_neighbouring_amounts_of_the_same_size() -> None:
    losses = {1e9: 2.4, 2e9: 2.3, 8e9: 2.2}
    rows = [
        one
        for tokens, loss in losses.items()
        for one in trainings(
            half_power, grid=f"{tokens}", parameters=1e8, tokens=tokens, lowest=lambda size, loss=loss: loss
        )
    ]
    other = trainings(half_power, grid="large", parameters=2e8, tokens=2e9, lowest=lambda size: 1.0)
    grids = build_grids(rows + other)
    slopes = [token_slope(grids, grid) for grid in grids]
    first, both, last = 0.1 / math.log(2), 0.2 / math.log(8), 0.1 / math.log(4)
    assert slopes == [pytest.approx(first), pytest.approx(both), pytest.approx(last), None]
