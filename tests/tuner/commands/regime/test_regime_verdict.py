"""Whether a method holds: LIMIT's two criteria computed by hand, and the intervals against scipy's paired t test."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from tests.regime_responses import made_up, prepared
from tests.synthetic_study import result
from zerotune.tuner.commands.regime.bisection import Bracket
from zerotune.tuner.commands.regime.verdict import (
    Attempt,
    CertainBounds,
    Judge,
    Regime,
    find_brackets,
    linear_verdicts,
    method_verdicts,
)
from zerotune.tuner.cost import Cost
from zerotune.tuner.trial import TrialResult, TrialStatus

QUESTION = replace(prepared()[1], num_train=1000, rungs=(64, 128, 256, 512, 1000), arms=("linear", "legw"))


def runs(
    scores: list[float], losses: list[float] | None = None, statuses: dict[int, TrialStatus] | None = None
) -> list[TrialResult]:
    """Return one confirmation run per score, with seeds 0, 1 ..."""
    results = []
    for seed, score in enumerate(scores):
        trial = result("a", 64, "confirmation", seed, validation=None).trial
        loss = 0.1 if losses is None else losses[seed]
        status: TrialStatus = "finished" if statuses is None else statuses.get(seed, "finished")
        results.append(made_up(trial, lambda _, now=(score, loss, status): now))
    return results


def attempt(
    scores: list[float],
    baseline: list[float],
    *,
    margin: float = 0.995,
    higher_is_better: bool = True,
    losses: tuple[list[float], list[float]] | None = None,
    statuses: dict[int, TrialStatus] | None = None,
) -> Attempt:
    own, others = losses or (None, None)
    judge = Judge(baseline=runs(baseline, others), margin=margin, higher_is_better=higher_is_better)
    return judge.attempt("legw", 64, runs(scores, own, statuses), Cost())


def given(arm: str, batch_size: int, *, keeps: bool, loss: bool = True, certain: bool = True) -> Attempt:
    return replace(
        attempt([0.9], [0.9]),
        arm=arm,
        batch_size=batch_size,
        keeps_score=keeps,
        score_is_certain=certain,
        keeps_loss=loss,
        loss_is_certain=certain,
    )


@pytest.mark.parametrize(
    ("scores", "baseline", "margin", "higher", "keeps"),
    [
        ([0.9553], [0.96], 0.995, True, True),  # at least 0.9552
        ([0.9551], [0.96], 0.995, True, False),
        ([0.95, 0.97], [0.96, 0.96], 0.995, True, True),  # the means decide
        ([100.4], [100.0], 0.995, False, True),  # perplexity: at most 100.5
        ([100.6], [100.0], 0.995, False, False),
        ([50.0], [100.0], 0.995, False, True),
    ],
)
def test_the_mean_score_must_keep_the_margin_in_the_metrics_direction(
    scores: list[float], baseline: list[float], margin: float, higher: bool, keeps: bool
) -> None:
    assert attempt(scores, baseline, margin=margin, higher_is_better=higher).keeps_score is keeps


@pytest.mark.parametrize(
    ("loss", "keeps"), [([0.119, 0.12], True), ([0.12, 0.122], False), ([0.01, 0.01], True), ([0.1, math.nan], False)]
)
def test_the_mean_validation_loss_may_be_1_2_times_the_baselines(loss: list[float], keeps: bool) -> None:
    found = attempt([0.9, 0.9], [0.9, 0.9], losses=(loss, [0.1, 0.1]))
    assert (found.keeps_score, found.keeps_loss, found.keeps_both) == (True, keeps, keeps)


def test_a_diverged_run_counts_with_the_score_of_chance_and_an_infinite_loss() -> None:
    found = attempt([0.1, 0.96], [0.96, 0.96], statuses={0: "diverged"})
    assert found.score is not None
    assert found.score.mean == pytest.approx(0.53)
    assert found.loss == math.inf
    assert (found.keeps_score, found.keeps_loss, found.loss_is_certain) == (False, False, False)
    assert (found.num_seeds, found.num_diverged, found.num_failed) == (2, 1, 0)
    both = attempt([0.1, 0.1], [0.96, 0.96], statuses={0: "diverged", 1: "diverged"})
    assert (both.keeps_loss, both.loss_is_certain, both.score_is_certain) == (False, True, True)


def test_a_run_without_a_score_is_left_out_and_counted() -> None:
    found = attempt([0.0, 0.96], [0.90, 0.96], statuses={0: "failed"})
    assert found.score is not None
    assert (found.score.mean, found.num_seeds, found.num_failed, found.error) == (0.96, 1, 1, "out of memory")
    none = attempt([0.0], [0.9], statuses={0: "failed"})
    assert (none.score, none.keeps_score, none.score_is_certain, none.loss) == (None, False, False, math.inf)


def test_without_a_baseline_there_is_nothing_to_keep() -> None:
    judge = Judge(baseline=runs([0.9], statuses={0: "failed"}), margin=0.995, higher_is_better=True)
    with pytest.raises(ValueError, match="no run of the baseline has a score"):
        judge.attempt("legw", 64, runs([0.9]), Cost())


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("shift", [-0.08, -0.03, -0.012, -0.008, -0.004, 0.0, 0.02])
def test_a_verdict_is_certain_where_a_paired_t_test_rejects_the_other(shift: float, higher: bool) -> None:
    baseline = [0.955, 0.961, 0.968, 0.950]
    noise = [0.004, -0.006, 0.001, 0.003]
    sign = 1.0 if higher else -1.0
    scores = [value + sign * (shift + extra) for value, extra in zip(baseline, noise, strict=True)]
    found = attempt(scores, baseline, margin=0.99, higher_is_better=higher)
    tolerance = 0.01 * sum(baseline) / 4
    improved = [sign * (score - other) for score, other in zip(scores, baseline, strict=True)]
    alternative = "greater" if found.keeps_score else "less"
    p_value = stats.ttest_1samp(improved, -tolerance, alternative=alternative).pvalue
    assert found.keeps_score == (sum(improved) / 4 >= -tolerance)
    assert found.score_is_certain == (p_value < 0.025)


def test_one_seed_is_never_certain() -> None:
    assert not attempt([0.1], [0.96]).score_is_certain
    assert not attempt([0.96], [0.96], losses=([9.0], [0.1])).loss_is_certain


def test_linear_scaling_fails_for_certain_where_one_criterion_does() -> None:
    kept = replace(given("linear", 64, keeps=True), keeps_loss=False, score_is_certain=False)
    assert kept.both_are_certain
    assert not replace(kept, loss_is_certain=False).both_are_certain
    assert not replace(given("linear", 64, keeps=True), loss_is_certain=False).both_are_certain


def test_a_batch_size_is_huge_once_all_methods_failed_there() -> None:
    attempts = [
        given("linear", 64, keeps=True),
        given("linear", 128, keeps=True, loss=False),
        given("linear", 256, keeps=False),
        given("legw", 256, keeps=True),
        given("linear", 512, keeps=False),
        given("legw", 512, keeps=False),
        given("linear", 1000, keeps=False),
    ]
    assert linear_verdicts(attempts, "linear") == {64: True, 128: False, 256: False, 512: False, 1000: False}
    assert method_verdicts(attempts, ("linear", "legw")) == {64: True, 128: True, 256: True, 512: False}
    assert find_brackets(QUESTION, attempts) == (
        Bracket(holds=64, fails=128, closed=True),
        Bracket(holds=256, fails=512, closed=True),
    )


def test_what_the_intervals_show_is_the_nearest_certain_verdict_on_either_side() -> None:
    attempts = (
        given("linear", 64, keeps=True),
        given("linear", 128, keeps=True, certain=False),
        given("linear", 256, keeps=False, certain=False),
        given("legw", 256, keeps=True),
        given("linear", 512, keeps=False),
        given("legw", 512, keeps=False, certain=False),
        given("linear", 1000, keeps=False),
        given("legw", 1000, keeps=False),
    )
    large, huge = find_brackets(QUESTION, attempts)
    regime = Regime(
        question=QUESTION,
        baseline=given("baseline", 32, keeps=True),
        attempts=attempts,
        large=large,
        huge=huge,
        others=(),
        total=Cost(),
        ended_early=False,
    )
    assert (large.holds, large.fails, regime.certain_large) == (128, 256, CertainBounds(low=64, high=512))
    assert (huge.holds, huge.fails, regime.certain_huge) == (256, 512, CertainBounds(low=256, high=1000))
