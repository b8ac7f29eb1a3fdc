"""Rules that do less than their names say are told: in the plan, before a run, and as caveats of a report."""

import io

import pytest
from rich.console import Console

from tests.tuner.study.example_study import SQRT, study
from zerotune.tuner.commands.rule.answer import answer_as_json
from zerotune.tuner.commands.rule.options import RuleOptions, answer_options
from zerotune.tuner.reports.tables.plan import print_plan
from zerotune.tuner.study import study_remarks

LEGW = "  - name: warm\n    method: legw\n"
NO_WARMUP = "Arm 'warm': rule 'legw' multiplies the baseline's warm-up by k, and this baseline has none"
NO_RATIO = "optimizer 'momentum' has none: only the schedule is DATE's"
SEARCHED = """\
    baseline:
      tune:
        method: grid
        space: {lr: {choices: [0.1, 0.2]}, warmup_epochs: {choices: [0.25, 0.5]}}
"""
DATE = """\
  - name: plain
    method: date
    optimizer: {name: momentum}
    baseline: {lr: 0.01, warmup_epochs: 0.5}
"""


def test_a_study_whose_rules_do_what_they_say_is_not_remarked_on() -> None:
    assert study_remarks(study()) == ()


def test_a_search_for_score_and_cost_is_told_what_the_cost_takes_from_it() -> None:
    counted = study(("trials: 12", "trials: 12\n    objectives: [score, flops]"))
    reference, equal = study_remarks(counted)
    assert reference.startswith("Arm 'tuned': the reference may give up to 0.5% of its best validation score for")
    assert equal.startswith("Arm 'tuned': nothing that it searches changes the flops of a training, so that the score")
    measured = study(("trials: 12", "trials: 12\n    pruner: asha\n    objectives: [score, device_seconds]"))
    _, clock, pruner = study_remarks(measured)
    assert clock.startswith("Arm 'tuned': device_seconds are measured, so that this search proposes other trials when")
    assert pruner.startswith("Arm 'tuned': asha prunes by the score alone")


def test_a_rule_without_a_warmup_and_date_without_a_ratio_are_remarked_on() -> None:
    without, ratio = study_remarks(study((SQRT, LEGW + DATE)))
    assert without.startswith(NO_WARMUP)
    assert ratio.startswith("Arm 'plain': rule 'date' is for a solver with a layer-wise ratio")
    assert NO_RATIO in ratio


@pytest.mark.parametrize(
    "change",
    [
        (SQRT, LEGW + "    baseline: {lr: 0.01, warmup_epochs: 0.5}\n"),
        (SQRT, LEGW + SEARCHED),
    ],
    ids=["stated", "searched"],
)
def test_a_warmup_that_is_stated_or_searched_is_not_remarked_on(change: tuple[str, str]) -> None:
    assert study_remarks(study(change)) == ()


def test_a_plan_prints_the_remarks() -> None:
    terminal = Console(file=io.StringIO(), width=1000)
    print_plan(study((SQRT, LEGW)), (), terminal)
    assert NO_WARMUP in terminal.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rule", "num_remarks"), [("legw", 1), ("date", 1), ("sqrt", 0)])
def test_the_rule_command_says_that_no_warmup_stays_none(rule: str, num_remarks: int) -> None:
    options = RuleOptions(rule=rule, baseline_batch_size=32, lr=0.1, epochs=10, num_samples=1000, batch_sizes=(64,))
    notes = answer_as_json(answer_options(options))["notes"]
    assert len(notes) == num_remarks
    assert all(f"Rule '{rule}' multiplies the baseline's warm-up by k, and this baseline has none" in n for n in notes)
