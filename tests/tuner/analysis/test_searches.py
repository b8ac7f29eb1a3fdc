"""Useless trials of searches: which they are, how they are told, and that no saving is claimed against mostly useless
ones."""

from dataclasses import replace

import pytest

from tests.judged_study import AS_FIVE, FIVE, ONE_LOST, judged
from tests.outputs import printed
from tests.synthetic_study import confirmations, facts, result
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.lost_seeds import Guessing
from zerotune.tuner.analysis.runs import Runs
from zerotune.tuner.analysis.searches import searches_of
from zerotune.tuner.reports.export import comparison_records
from zerotune.tuner.reports.tables.terminal import print_answer
from zerotune.tuner.reports.text.searches import describe_searches
from zerotune.tuner.reports.text.verdict import first_lines
from zerotune.tuner.run.summary import study_metrics, summary_metrics
from zerotune.tuner.trial import TrialResult

SIZE = 1024
GUESSING = Guessing(score=0.1, metric="accuracy", higher_is_better=True)


def search(*scores: float | None) -> list[TrialResult]:
    """Return a search whose trials validate so; None for a failed one, a score of 0 for a diverged one."""
    runs = []
    for index, score in enumerate(scores):
        status = "failed" if score is None else "finished" if score else "diverged"
        validation = score if score != 0.0 else 0.1
        runs.append(result("tuned", SIZE, "search", index, validation=validation, status=status, lr=0.1 + index))
    return runs


def compared(runs: list[TrialResult], untuned: list[float]) -> Comparison:
    few = facts(arms=("tuned", "sqrt"), zero_tuning_arms=("sqrt",), batch_sizes=(SIZE,), num_seeds=5)
    tuned = confirmations("tuned", SIZE, FIVE)
    return compare(few, [*runs, *tuned, *confirmations("sqrt", SIZE, untuned), *confirmations("baseline", 256, FIVE)])


def counts(comparison: Comparison) -> tuple[int, int, str | None]:
    (one,) = comparison.searches
    return one.num_useless, one.num_whole, one.measure


def test_a_trial_is_useless_that_failed_diverged_or_ends_past_half_way_to_guessing() -> None:
    """Half-way from 0.989, the untuned arm's, to 0.1 is 0.5445."""
    found = compared(search(0.9, 0.545, 0.544, None, 0.0), AS_FIVE)
    assert counts(found) == (3, 5, "sqrt")
    assert found.searches[0].useless_from == pytest.approx(0.5445)


def test_a_pruned_trial_is_not_counted() -> None:
    runs = search(0.9, 0.2, 0.2)
    found = compared([*runs[:2], replace(runs[2], status="pruned")], AS_FIVE)
    assert counts(found) == (1, 2, "sqrt")
    assert describe_searches(found)[-1].endswith("tuned 1 of 2 at B=1,024. Pruned trials are left out.")


def test_the_trials_of_repeated_searches_count_too() -> None:
    runs = search(0.9, 0.2, 0.9)
    again = [replace(run, trial=replace(run.trial, role="repeat", repeat=1)) for run in search(0.2, 0.2, 0.9)]
    found = compared([*runs, *again], AS_FIVE)
    assert counts(found) == (3, 6, "sqrt")
    assert found.searches[0].num_trials == 3


def test_without_a_sound_untuned_arm_only_guessing_is_useless() -> None:
    found = compared(search(0.9, 0.3, 0.11), ONE_LOST)
    assert counts(found) == (1, 3, None)
    assert describe_searches(found) == (
        "Useless trials (diverged, failed or validated no better than guessing): tuned 1 of 3 at B=1,024.",
    )


def test_where_lower_is_better_a_high_score_is_useless() -> None:
    runs = Runs(search(5.0, 90.0, 110.0))
    guessing = Guessing(score=1000.0, metric="perplexity", higher_is_better=False)
    few = facts(arms=("tuned",), batch_sizes=(SIZE,))
    (found,) = searches_of(few, runs, {("sqrt", SIZE): 10.0}, guessing)
    assert (found.num_useless, found.useless_from) == (1, 100.0)


def test_no_saving_is_claimed_against_a_mostly_useless_search() -> None:
    half, most = (compared(search(0.98, 0.985, 0.2, *more), AS_FIVE) for more in ([0.3], [0.3, None]))
    assert half.row("sqrt", SIZE).savings
    assert "instead of the 4" in first_lines(half, cost="flops")[0]
    row = most.row("sqrt", SIZE)
    assert (row.spares_tuning, row.savings) == (True, {})
    assert first_lines(most, cost="flops")[0].endswith(
        "No saving is claimed: 3 of the 5 trials of tuned that were not pruned were useless, so that a saving would "
        "only say how badly its search was laid out."
    )
    assert "instead of" not in " ".join(first_lines(most, cost="flops"))
    metrics = summary_metrics(most, row)
    assert (metrics["trainings_spared"], metrics["saved/flops"], metrics["skip_tuning"]) == (0.0, 0.0, 1.0)
    assert study_metrics(half)["trainings_spared"] == 3.0


def test_answer_table_and_store_tell_the_useless_trials_of_every_search() -> None:
    found = compared(search(0.9, 0.2, 0.2), AS_FIVE)
    sentence = (
        "Useless trials (diverged, failed or validated nearer to guessing than to the best arm without a search): "
        "tuned 2 of 3 at B=1,024."
    )
    assert sentence in " ".join(printed(print_answer, found).split())
    record = comparison_records(found)[1]
    assert (record["useless_trials"], record["whole_trials"], record["trials_not_spent"]) == (2, 3, 0)
    assert summary_metrics(found, found.row("tuned", SIZE))["useless_trials"] == 2.0


def test_a_study_with_good_searches_says_none() -> None:
    shown = judged({128: {"tuned": FIVE, "sqrt": AS_FIVE}, 512: {"tuned": FIVE, "sqrt": AS_FIVE}})
    assert describe_searches(shown.comparison)[-1].endswith(": tuned 0 of 6 at B=128 and 0 of 6 at B=512.")
