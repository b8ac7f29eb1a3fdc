"""What rules lose on synthetic grids, by hand; constants found again; verdicts over grids."""

import math
from dataclasses import replace

import pytest

from tests.tuner.analysis.synthetic_grids import OCTAVE, half_power, trainings
from zerotune.trainers.batch_factors import saturating_factor
from zerotune.tuner.analysis.learning_rate_answer import (
    GridsAnswer,
    GridsQuestion,
    answer_grids,
    default_batch_size,
    judge_excesses,
    more_tokens,
)
from zerotune.tuner.analysis.learning_rate_grids import Grid, build_grids
from zerotune.tuner.analysis.learning_rate_rules import FORMS, find_case, fit_form

QUESTION = GridsQuestion(baseline_batch_size=64, batch_size=1024, tolerance=0.01, device_flops=1e15)
BY_NAME = {form.name: form for form in FORMS}


def square_roots(number: int = 5) -> tuple[Grid, ...]:
    """Return grids in which the best learning rate grows as sqrt(B), of as many sizes."""
    return build_grids(
        [
            one
            for place in range(number)
            for one in trainings(
                half_power, grid=f"grid {place}", parameters=1e8 * (place + 1), tokens=2e9 * (place + 1)
            )
        ]
    )


@pytest.fixture(scope="module")
def answer() -> GridsAnswer:
    return answer_grids(square_roots(), QUESTION)


@pytest.mark.parametrize(("rule", "octaves"), [("sqrt", 0), ("constant", -2), ("linear", 2)])
def test_a_rule_loses_the_parabolas_height_at_its_distance_from_the_best(rule: str, octaves: int) -> None:
    grid, *_ = square_roots()
    case = find_case(BY_NAME[rule], 0.0, grid, 64, 1024)
    assert case is not None
    assert case.excess == pytest.approx(OCTAVE * octaves**2, abs=1e-12)
    assert case.lr == pytest.approx(4.0 * 2.0**octaves)


def test_the_loss_is_held_against_the_best_at_its_own_batch_size() -> None:
    """Not against the best batch size, whose loss no learning rate reaches at another."""
    (grid,) = build_grids(trainings(half_power, lowest=lambda size: 2.0 + size / 1000))
    case = find_case(BY_NAME["constant"], 0.0, grid, 64, 1024)
    assert case is not None
    assert case.excess == pytest.approx(4 * OCTAVE)


def test_a_rule_also_scales_down() -> None:
    grid, *_ = square_roots()
    case = find_case(BY_NAME["constant"], 0.0, grid, 1024, 64)
    assert case is not None
    assert (case.k, case.excess) == (1 / 16, pytest.approx(4 * OCTAVE))


def test_a_rule_that_leaves_the_grid_has_lost() -> None:
    (grid,) = build_grids(trainings(half_power, octaves=range(-2, 4)))
    case = find_case(BY_NAME["linear"], 0.0, grid, 64, 1024)
    assert case is not None
    assert (case.excess, case.inside) == (math.inf, False)


def test_a_batch_without_a_known_best_is_no_case() -> None:
    (grid,) = build_grids(trainings(half_power, octaves=range(0, 7)))
    assert find_case(BY_NAME["sqrt"], 0.0, grid, 64, 1024) is None


def test_the_fitted_power_is_the_one_that_the_grids_were_made_with() -> None:
    fitted = fit_form(BY_NAME["power"], square_roots(3), 0.01)
    assert (fitted.constant, set(fitted.held_out.values())) == (0.5, {0.5})


def test_the_fitted_noise_batch_is_found_again_without_the_size_that_it_is_judged_on() -> None:
    made_with = 200.0

    def octave(batch_size: int, tokens: float) -> float:
        noise = made_with * math.sqrt(tokens / 20e9)
        return math.log2(saturating_factor(batch_size / 64, noise_ratio=noise / 64, exponent=1.0))

    rows = [
        one
        for place, tokens in enumerate((5e9, 20e9, 80e9))
        for one in trainings(
            lambda size, tokens=tokens: octave(size, tokens), grid=f"{place}", parameters=1.0 + place, tokens=tokens
        )
    ]
    fitted = fit_form(BY_NAME["saturating"], build_grids(rows), 0.01)
    assert all(constant == pytest.approx(made_with, rel=0.1) for constant in fitted.held_out.values())


def test_a_constant_is_not_fitted_on_the_size_that_it_is_judged_on() -> None:
    grids = build_grids(
        [
            *trainings(half_power, grid="a", parameters=1.0),
            *trainings(half_power, grid="b", parameters=2.0),
            *trainings(lambda size: 0.0, grid="c", parameters=3.0),
        ]
    )
    held_out = fit_form(BY_NAME["power"], grids, 0.01).held_out
    assert held_out[3.0] == 0.5
    assert held_out[1.0] < 0.5


def test_with_five_grids_out_of_five_the_right_rule_is_only_likely_and_the_others_miss(answer: GridsAnswer) -> None:
    kinds = {rule: answer.verdict(rule).kind for rule in ("sqrt", "power", "constant", "linear")}
    assert kinds == {"sqrt": "yes, but", "power": "yes, but", "constant": "not shown", "linear": "not shown"}
    assert answer.verdict("sqrt").losses.within == 5
    assert answer.verdict("constant").losses.median == pytest.approx(4 * OCTAVE)


def test_with_nine_grids_it_is_shown() -> None:
    found = answer_grids(square_roots(9), QUESTION)
    kinds = {rule: found.verdict(rule).kind for rule in ("sqrt", "constant", "linear")}
    assert kinds == {"sqrt": "yes", "constant": "no", "linear": "no"}


def test_a_rule_ends_where_its_median_exceeds_the_tolerance(answer: GridsAnswer) -> None:
    """At 256 the constant rule is one octave off, 0.008; at 1,024 two, 0.032."""
    assert (answer.end("sqrt"), answer.end("constant"), answer.end("linear")) == (1024, 256, 256)


def test_losses_of_all_pairs_are_sorted_by_k(answer: GridsAnswer) -> None:
    """Of four batch sizes with factors of 4, each grid has 6 pairs upwards, three of them k = 4, two 16, one 64."""
    counts = {name: len(losses) for (rule, name), losses in answer.bands.items() if rule == "sqrt"}
    assert counts == {"to 4": 15, "to 16": 10, "above": 5, "down": 30}
    assert answer.bands["constant", "above"].median == pytest.approx(9 * OCTAVE)


def test_tuning_costs_six_flops_a_parameter_and_token_for_each_learning_rate(answer: GridsAnswer) -> None:
    first = answer.costs[0]
    assert first.trainings == 13
    assert first.device_hours == pytest.approx(13 * 6 * 1e8 * 2e9 / 1e15 / 3600)
    assert (first.excess, first.more_tokens) == (pytest.approx(4 * OCTAVE), None)


def test_more_tokens_make_up_for_a_loss_at_the_slope_of_the_lowest_losses() -> None:
    assert more_tokens(0.1 * math.log(2), 0.1) == pytest.approx(1.0)
    assert more_tokens(math.inf, 0.1) == math.inf


def test_the_grids_groups_hold_every_grid_once(answer: GridsAnswer) -> None:
    tokens = {group: len(losses) for (rule, group), losses in answer.by_tokens.items() if rule == "sqrt"}
    assert tokens == {(2e9, 2e9): 1, (4e9, 6e9): 2, (8e9, 10e9): 2}
    assert sum(len(losses) for (rule, _), losses in answer.by_size.items() if rule == "sqrt") == 5


def test_the_mean_exponent_is_that_of_the_grids(answer: GridsAnswer) -> None:
    assert answer.mean_exponent is not None
    assert answer.mean_exponent.mean == pytest.approx(0.5)


def test_the_default_batch_size_is_at_most_eight_times_the_baselines() -> None:
    grids = square_roots(2)
    assert (default_batch_size(grids, 64), default_batch_size(grids, 1024)) == (256, None)


def test_verdicts_count_the_rules_at_a_batch_size() -> None:
    """9 of 9 has a p-value of 0.002: shown among 7 rules at 2.5%, not among 20."""
    within = [0.0] * 9
    few = {(f"rule {place}", 8): within if place == 0 else [0.0, 1.0] * 4 for place in range(7)}
    many = {(f"rule {place}", 8): within if place == 0 else [0.0, 1.0] * 4 for place in range(20)}
    assert judge_excesses(few, 0.01)["rule 0", 8] == "yes"
    assert judge_excesses(many, 0.01)["rule 0", 8] == "yes, but"


def test_half_of_the_grids_within_the_tolerance_shows_nothing() -> None:
    excesses = {("rule", 8): [0.0] * 8 + [1.0] * 8}
    assert judge_excesses(excesses, 0.01)["rule", 8] == "not shown"


def test_without_sizes_each_grid_is_held_out() -> None:
    grids = tuple(replace(grid, parameters=None) for grid in square_roots(2))
    assert set(fit_form(BY_NAME["power"], grids, 0.01).held_out) == {"grid 0", "grid 1"}
