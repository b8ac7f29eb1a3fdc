"""What a model costs: per usable one, at stated prices, and against a budget of k trials."""

from dataclasses import replace

import pytest

from tests.synthetic_study import confirmations, facts, result, study_results
from zerotune.tuner.analysis.bill import Prices, worth
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.comparison_row import ComparisonRow
from zerotune.tuner.analysis.tuning_budget import savings_by_budget
from zerotune.tuner.run.summary import summary_metrics
from zerotune.tuner.trial import TrialResult

PRICES = Prices(device_hour=3.0, currency="EUR", watts=200.0, gco2_per_kwh=500.0)


def row(arm: str, batch_size: int = 4096) -> ComparisonRow:
    return compare(facts(), study_results()).row(arm, batch_size)


def test_a_usable_model_costs_the_bill_over_the_share_of_seeds_that_are_not_lost() -> None:
    unreliable, sound, lost = row("sqrt"), row("date"), row("linear")
    assert unreliable.bill is not None
    assert unreliable.cost_per_usable_model == pytest.approx({k: v * 3 / 2 for k, v in unreliable.bill.items()})
    assert sound.cost_per_usable_model == sound.bill
    assert lost.cost_per_usable_model is None


def test_the_cost_per_usable_model_is_a_metric_of_the_arms_run() -> None:
    study = compare(facts(), study_results())
    assert summary_metrics(study, study.row("sqrt", 4096))["cost_per_usable_model/trials"] == 1.5
    assert not [
        name for name in summary_metrics(study, study.row("linear", 4096)) if name.startswith("cost_per_usable_model")
    ]


def test_energy_is_measured_where_meters_counted_all_of_it_and_else_estimated() -> None:
    measured = worth(PRICES, 3600.0, 7.2e6)
    assert (measured.kwh, measured.energy_source, measured.gco2) == (2.0, "measured", 1000.0)
    estimated = worth(PRICES, 3600.0)
    assert (estimated.money, estimated.kwh, estimated.energy_source) == (3.0, 0.2, "estimated")
    unknown = worth(Prices(), 3600.0)
    assert (unknown.device_hours, unknown.money, unknown.kwh, unknown.gco2) == (1.0, None, None, None)


def metered(run: TrialResult, share: float) -> TrialResult:
    seconds = share * run.cost.device_seconds
    return replace(run, cost=replace(run.cost, measured_joules=100.0 * seconds, metered_seconds=seconds))


def test_a_bill_that_a_meter_counted_in_part_has_no_measured_energy() -> None:
    whole = compare(facts(), [metered(run, 1.0) for run in study_results()]).row("tuned", 1024)
    assert whole.bill is not None
    assert whole.measured_joules == pytest.approx(100.0 * whole.bill["device_seconds"])
    part = [metered(run, 0.5 if run.trial.index == 3 else 1.0) for run in study_results()]
    assert compare(facts(), part).row("tuned", 1024).measured_joules is None
    rule = compare(facts(), part).row("date", 1024)
    assert rule.bill is not None
    assert rule.measured_joules == pytest.approx(100.0 * rule.bill["device_seconds"])


def test_the_saving_grows_with_the_budget_from_one_training_against_one() -> None:
    scores = [0.95, 0.96, 0.97, 0.98, 0.985]
    results = [result("tuned", 1024, "search", n, validation=score) for n, score in enumerate(scores)]
    results += [result("tuned", 1024, "search", 5, validation=None, status="failed", epochs=30)]
    tests = [0.9885, 0.9895, 0.989, 0.9888, 0.9892]
    results += [*confirmations("tuned", 1024, tests), *confirmations("date", 1024, tests[::-1])]
    study = facts(arms=("tuned", "date"), zero_tuning_arms=("date",), batch_sizes=(1024,))
    comparison = compare(study, results)
    steps = savings_by_budget(comparison, results)
    assert [(step.arm, step.trials) for step in steps] == [("date", k) for k in (1, 2, 3, 4, 5)]
    # Six trainings, one of which failed: a trial with a score costs 6/5 of a training.
    assert [step.cost["trials"] for step in steps] == pytest.approx([1.2, 2.4, 3.6, 4.8, 6.0])
    assert [step.saved["trials"] for step in steps] == pytest.approx([1 - 1 / (1.2 * k) for k in (1, 2, 3, 4, 5)])
    assert steps[-1].saved["flops"] == pytest.approx(comparison.row("date", 1024).savings["flops"].share)
    assert [step.best_score for step in steps] == sorted(step.best_score for step in steps)
    assert all(step.best_score <= step.lucky_best_score + 1e-4 for step in steps)


def test_an_arm_without_a_yes_has_no_saving_at_any_budget() -> None:
    found = {
        (step.arm, step.batch_size) for step in savings_by_budget(compare(facts(), study_results()), study_results())
    }
    assert found == {("date", 1024), ("legw", 1024), ("sqrt", 1024), ("date", 2048), ("legw", 2048), ("date", 4096)}
