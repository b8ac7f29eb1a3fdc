"""Guarded arms in the answer: never called zero-tuning, billed for their probes, which the answer tells."""

import pytest

from tests.campaigns import completed
from tests.tuner.campaign.test_carrying import GUARDED, study, tuned
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.reports.export import comparison_records
from zerotune.tuner.reports.figures.cost import cost_parts
from zerotune.tuner.reports.tables.terminal import notes
from zerotune.tuner.reports.text.carrying import carrying_methods, describe_keys
from zerotune.tuner.reports.text.configuration import format_arm, format_baseline
from zerotune.tuner.reports.text.verdict import batch_size_line, first_lines, judged_arms
from zerotune.tuner.run.summary import summary_tags
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Trial

DATE = ("  - name: date\n    method: date\n    baseline: {lr: 0.003, warmup_epochs: 0.25}\n", "")


def score(trial: Trial) -> float:
    """Return scores by which a rule's learning rate is too large: half of it does as well as tuning."""
    if trial.batch_size == 32:
        return 0.97
    return 0.97 if trial.arm == "tuned" or trial.config.schedule.peak_lr <= 0.01 else 0.95


def compared(definition: Study) -> Comparison:
    results = completed(definition, score)
    facts = facts_of(definition, metric="accuracy", higher_is_better=True, chance_score=0.1)
    return compare(facts, list(results.values()))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared(study(GUARDED, DATE, ("seeds: [1, 2]", "seeds: [1, 2, 3, 4, 5]")))


def test_a_guarded_arm_is_judged_but_never_called_zero_tuning(comparison: Comparison) -> None:
    assert ("sqrt-guarded",) == judged_arms(comparison.facts) == comparison.facts.rule_arms
    assert () == comparison.facts.zero_tuning_arms
    line = batch_size_line(comparison, 128, cost="device_seconds")
    assert line.startswith("Yes, but less certain: sqrt-guarded does as well as tuned at B=128.")
    assert "It takes 3 trainings instead of the 12 that this study gave tuning" in line
    assert not any("skip tuning" in line or "need not tune" in line for line in first_lines(comparison, cost="flops"))


def test_the_bill_of_a_guarded_arm_holds_its_probes_and_one_training(comparison: Comparison) -> None:
    row = comparison.row("sqrt-guarded", 128)
    assert row.bill is not None
    assert (False, True, 2, 3.0) == (row.zero_tuning, row.guarded, row.search.trials, row.bill["trials"])
    assert 3.0 == row.baseline_bill["trials"]
    parts = cost_parts(comparison, row, "trials")
    assert {"search": 0.0, "probes of a guard": 2.0, "one training": 1.0, "evidence, not tuning": 4.0} == {
        name: amount for name, amount in parts.items() if name != "search for the baseline"
    }
    assert {"verdict": "yes, but", "guarded": "2 probes"} == summary_tags(comparison, row)
    assert [True] == [one["guarded"] for one in comparison_records(comparison) if one["arm"] == row.arm][:1]
    assert [line.cost.trials for line in comparison.ledger.lines if line.role == "probe"] == [2, 2]


def test_the_answer_tells_the_probes(comparison: Comparison) -> None:
    (at_128, at_512) = [note for note in notes(comparison, cost="flops") if note.startswith("sqrt-guarded")]
    assert at_128 == (
        "sqrt-guarded at B=128 is guarded, not zero-tuning: its bill holds 2 probes there of 0 epochs in all, with "
        "multiples of the rule's learning rate (validation accuracy): 0.5 times, 97.00%; 1 times, 95.00%. It trains "
        "with 0.5 times the rule's learning rate."
    )
    assert "1 times, 95.00%. It trains with 1 times the rule's learning rate." in at_512
    assert any("of a guarded one its probes too" in note for note in notes(comparison, cost="flops"))


def test_the_report_says_what_was_defined() -> None:
    definition = study(GUARDED, tuned("{ties: smallest, tie_seeds: 2, extend: true}"[1:-1].replace(", ", "\n    ")))
    ties, extended, guarded = carrying_methods(definition)
    assert "up to 2 further seeds" in ties
    assert "up to 3 trainings" in extended
    assert "sqrt-guarded 2" in guarded
    assert "guarded by up to 2 probes: rule sqrt" in format_arm(definition, definition.arm("sqrt-guarded"))
    assert describe_keys(definition.baseline.tune) in format_baseline(definition.baseline)  # type: ignore[arg-type]
    assert [] == list(carrying_methods(study()))
