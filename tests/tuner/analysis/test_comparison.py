"""The comparison of arms: bills, savings, verdicts and the ledger."""

import dataclasses
import math
from dataclasses import replace

import pytest

from tests.synthetic_study import CHANCE, DATE_LR, confirmations, facts, result, study_results
from zerotune.tuner.analysis.bill import Saving, saving
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.tuning_effort import effort_to_match, expected_best
from zerotune.tuner.cost import CURRENCIES, Cost


def searches(arm, batch_size, scores, role="search", **changes):
    return [result(arm, batch_size, role, i, validation=score, **changes) for i, score in enumerate(scores)]


def small_facts(**changes):
    given = {"arms": ("tuned", "date"), "zero_tuning_arms": ("date",), "batch_sizes": (1024,)}
    return facts(**(given | changes))


@pytest.fixture
def small_study():
    """Twelve search trials against none, at equal scores, and a baseline tuned in eight trials."""
    return [
        *searches("baseline", 256, [0.95] * 8, role="baseline", seconds=10.0),
        *confirmations("baseline", 256, [0.95, 0.95, 0.95]),
        *searches("tuned", 1024, [0.90, 0.91, 0.92, 0.93, 0.94, 0.95] * 2, seconds=10.0),
        *confirmations("tuned", 1024, [0.950, 0.951, 0.952]),
        *confirmations("date", 1024, [0.951, 0.9521, 0.9529]),
    ]


def test_the_bill_is_the_whole_search_whose_best_trial_is_the_model(small_study):
    comparison = compare(small_facts(), small_study)
    assert comparison.row("tuned", 1024).bill["trials"] == 12.0
    assert comparison.row("date", 1024).bill["trials"] == 1.0
    training = 30 * (0.3 + 40 / 1024)
    assert comparison.row("tuned", 1024).bill["device_seconds"] == pytest.approx(120.0)
    assert comparison.row("date", 1024).bill["device_seconds"] == pytest.approx(training)


def test_failed_and_diverged_search_trials_are_billed(small_study):
    extra = [
        result("tuned", 1024, "search", 12, validation=None, status="failed", epochs=2),
        result("tuned", 1024, "search", 13, validation=CHANCE, status="diverged", epochs=3),
    ]
    bill = compare(small_facts(), small_study + extra).row("tuned", 1024).bill
    assert bill["trials"] == 14.0
    assert bill["epochs"] == 12 * 30 + 2 + 3


def test_savings_stand_without_and_with_the_baseline_and_as_break_even(small_study):
    row = compare(small_facts(), small_study).row("date", 1024)
    assert row.baseline_bill["trials"] == 8.0
    assert row.savings["trials"] == Saving(share=11 / 12, share_with_baseline=3 / 12, break_even=1)
    assert set(row.savings) == set(CURRENCIES)


def test_a_rule_with_a_stated_baseline_of_its_own_is_not_billed_for_the_shared_search(small_study):
    row = compare(small_facts(stated_baselines=("date",)), small_study).row("date", 1024)
    assert row.baseline_bill["trials"] == 0.0
    assert row.savings["trials"] == Saving(share=11 / 12, share_with_baseline=11 / 12, break_even=0)


def test_only_the_last_choice_of_an_arm_counts_and_the_ledger_keeps_the_others(small_study):
    earlier = [
        dataclasses.replace(
            run,
            finished_at=-1.0,
            test_score=0.5,
            trial=dataclasses.replace(run.trial, config=dataclasses.replace(run.trial.config, epochs=29)),
        )
        for run in confirmations("tuned", 1024, [0.5, 0.5, 0.5])
    ]
    comparison = compare(small_facts(), earlier + small_study)
    assert comparison.row("tuned", 1024).score.mean == pytest.approx(0.951)
    assert comparison.ledger.total.trials == len(small_study) + 3


@pytest.mark.parametrize(
    ("bill", "reference_bill", "baseline_bill", "break_even"),
    [(1.0, 13.0, 24.0, 2), (1.0, 13.0, 25.0, 3), (1.0, 13.0, 0.0, 0), (13.0, 13.0, 5.0, None), (20.0, 13.0, 5.0, None)],
)
def test_the_break_even_is_the_first_whole_number_that_pays(bill, reference_bill, baseline_bill, break_even):
    assert saving(bill, reference_bill, baseline_bill).break_even == break_even


def test_a_reference_that_cost_nothing_leaves_nothing_to_save():
    assert saving(1.0, 0.0, 0.0) is None


def test_an_arm_with_its_own_baseline_is_billed_that_one(small_study):
    own = searches("date baseline", 256, [0.95] * 5, role="baseline")
    assert compare(small_facts(), small_study + own).row("date", 1024).baseline_bill["trials"] == 5.0


def test_only_zero_tuning_arms_are_billed_a_baseline(small_study):
    comparison = compare(small_facts(zero_tuning_arms=()), small_study)
    assert comparison.row("date", 1024).baseline_bill["trials"] == 0.0


def test_a_stated_baseline_is_flagged_and_costs_nothing(small_study):
    stated = [found for found in small_study if found.trial.role != "baseline"]
    comparison = compare(small_facts(), stated)
    assert comparison.baseline_stated
    assert comparison.row("date", 1024).savings["trials"] == Saving(
        share=11 / 12, share_with_baseline=11 / 12, break_even=0
    )
    assert not compare(small_facts(), small_study).baseline_stated


def test_the_tolerance_is_a_share_of_the_baseline_else_of_the_reference(small_study):
    comparison = compare(small_facts(), small_study)
    assert comparison.tolerance_basis == "baseline"
    assert comparison.row("date", 1024).verdict.tolerance == pytest.approx(0.005 * 0.95)
    alone = [found for found in small_study if found.trial.arm != "baseline"]
    comparison = compare(small_facts(), alone)
    assert comparison.tolerance_basis == "reference"
    assert comparison.baseline is None
    assert comparison.row("date", 1024).verdict.tolerance == pytest.approx(0.005 * 0.951)


def test_scores_are_paired_by_seed_whatever_the_order_of_results(small_study):
    forward, backward = compare(small_facts(), small_study), compare(small_facts(), small_study[::-1])
    verdict = forward.row("date", 1024).verdict
    assert verdict == backward.row("date", 1024).verdict
    assert (verdict.kind, verdict.finding) == (
        "yes",
        "better",
    )
    assert verdict.difference.mean == pytest.approx(0.001)


def test_a_failed_confirmation_leaves_its_pair_out_and_is_counted(small_study):
    lost = [found for found in small_study if found.trial.name != "date B=1,024 confirmation 2"]
    failed = result("date", 1024, "confirmation", 1, validation=None, status="failed", lr=DATE_LR)
    row = compare(small_facts(), [*lost, failed]).row("date", 1024)
    assert (row.num_seeds, row.num_diverged, row.num_failed, row.verdict.num_pairs) == (3, 0, 1, 2)
    assert row.verdict.kind == "unreliable"


def test_diverged_confirmations_are_lost(small_study):
    others = [found for found in small_study if found.trial.arm != "date"]
    diverged = [
        result("date", 1024, "confirmation", seed, validation=CHANCE, test=CHANCE, status="diverged")
        for seed in range(3)
    ]
    row = compare(small_facts(), others + diverged).row("date", 1024)
    assert (row.score, row.num_diverged, row.holds) == (None, 3, False)
    assert row.verdict.kind == "unreliable"


@pytest.mark.parametrize(("score", "holds"), [(0.9454, True), (0.9450, False)])
def test_an_arm_holds_where_it_keeps_the_margin_of_the_baseline(small_study, score, holds):
    others = [found for found in small_study if found.trial.arm != "date"]
    row = compare(small_facts(), others + confirmations("date", 1024, [score] * 3)).row("date", 1024)
    assert row.holds is holds


def test_a_lower_perplexity_is_a_yes_and_a_higher_one_worse():
    results = [
        *confirmations("tuned", 1024, [100.0, 101.0, 102.0]),
        *confirmations("date", 1024, [90.0, 91.1, 92.0]),
        *confirmations("legw", 1024, [110.0, 111.1, 112.0]),
    ]
    study = small_facts(arms=("tuned", "date", "legw"), metric="perplexity", higher_is_better=False, chance_score=1e4)
    comparison = compare(study, results)
    assert comparison.row("date", 1024).verdict.finding == "better"
    assert comparison.row("legw", 1024).verdict.finding == "worse by more"


def test_trials_to_match_is_the_first_expected_best_at_the_zero_tuned_level(small_study):
    row = compare(small_facts(), small_study).row("date", 1024)
    assert row.trials_to_match is None  # validation 0.952, but the search's best is 0.950
    others = [found for found in small_study if found.trial.arm != "date"]
    easy = compare(small_facts(), others + confirmations("date", 1024, [0.92] * 3)).row("date", 1024)
    assert easy.trials_to_match == 1  # a search trial scores 0.925 on average


def test_a_study_that_has_only_begun_has_rows_without_numbers():
    comparison = compare(small_facts(), [])
    row = comparison.row("date", 1024)
    assert (row.score, row.bill, row.verdict.kind, dict(row.savings)) == (None, None, "cannot be judged", {})
    assert comparison.ledger.total == Cost()
    with pytest.raises(KeyError, match="no arm 'legw' at batch size 1024"):
        comparison.row("legw", 1024)


def test_the_chosen_hyperparameters_stand_in_the_row(small_study):
    comparison = compare(small_facts(), small_study)
    assert comparison.row("tuned", 1024).params == {"lr": 0.1}
    assert comparison.row("date", 1024).params == {}


def test_the_ledger_has_every_trial_and_counts_the_failed_ones():
    results = study_results()
    ledger = compare(facts(), results).ledger
    assert ledger.total.trials == len(results)
    assert ledger.total.device_seconds == pytest.approx(sum(found.cost.device_seconds for found in results))
    assert sum(line.num_failed for line in ledger.lines) == 4


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e308])
def test_a_run_whose_score_is_not_finite_has_none_and_moves_no_number_of_the_others(score, small_study):
    """Such scores are in journals of earlier versions."""
    spoilt = [
        replace(one, test_score=score, validation_score=score)
        if (one.trial.arm, one.trial.role, one.trial.config.seed) == ("date", "confirmation", 2)
        else one
        for one in small_study
    ]
    without = [one for one, other in zip(small_study, spoilt, strict=True) if one is other]
    row, expected = (compare(small_facts(), given).row("date", 1024) for given in (spoilt, without))
    assert row.score is not None
    assert expected.score is not None
    assert (row.score.mean, row.validation_score) == (expected.score.mean, expected.validation_score)
    assert row.verdict.difference == expected.verdict.difference
    assert (row.num_seeds, row.num_failed, row.verdict.kind) == (3, 1, "unreliable")


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_effort_and_the_curves_of_a_search_leave_out_scores_that_are_not_finite(score):
    def trials(bad):
        return [result("tuned", 1024, "search", i, validation=s) for i, s in enumerate([bad, 0.5, 0.7, bad])]

    for learned in (False, True):
        spoilt, failing = (
            effort_to_match(trials(bad), [], 0.6, learned=learned, higher_is_better=True) for bad in (score, None)
        )
        assert spoilt == failing
        curves = [expected_best(trials(bad), [], learned=learned, higher_is_better=True) for bad in (score, None)]
        assert curves[0] == curves[1]
        assert all(math.isfinite(step.score) for step in curves[0])
