"""What to do next follows from the verdict, and its commands can be followed as printed."""

import json
import shlex
from dataclasses import replace

import pytest

from tests.judged_study import AS_FIVE, FAR, FIVE, LR0, ONE_LOST, OPEN, judged
from tests.reported_study import definition
from tests.synthetic_study import confirmations, result
from tests.user_applications import Here
from zerotune.tuner.reports.text.next_steps import next_steps
from zerotune.tuner.run.answer import build_answer


def test_a_yes_gives_the_command_with_the_studys_own_numbers(
    here: Here,
) -> None:
    answer = judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}})
    (step, *_) = next_steps(answer)
    start, _, command = step.partition(": ")
    assert start == "What sqrt trains with at B=1,024, for your own script"
    name, *words = shlex.split(command)
    assert name == "zerotune"
    ended = here.zerotune(*words, "--format", "json")
    assert ended.code == 0
    (row,) = json.loads(ended.out)["rows"]
    assert row["schedule"]["peak_lr"] == LR0 * 2
    assert row["total_iterations"] == -(-30 * 4000 // 1024)


def test_the_command_has_the_number_that_the_rule_needs(here: Here) -> None:
    power = {"method": "power", "exponent": 0.5}
    arms = [{**arm, **power} if arm["name"] == "sqrt" else arm for arm in definition()["arms"]]
    (step, *_) = next_steps(judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}}, arms=arms))
    _, *words = shlex.split(step.partition(": ")[2])
    assert words[:2] == ["rule", "power"]
    (row,) = json.loads(here.zerotune(*words, "--format", "json").out)["rows"]
    assert row["schedule"]["peak_lr"] == LR0 * 2


def test_where_the_command_would_give_another_schedule_the_schedule_itself_is_said() -> None:
    (step, *_) = next_steps(judged({1024: {"tuned": FIVE, "legw": AS_FIVE}}))  # trained with lr 0.12
    assert step == "What legw trains with at B=1,024: lr 0.12, no warm-up, decay constant; momentum"


def test_a_no_gives_what_the_reference_chose_and_what_may_help() -> None:
    steps = next_steps(judged({1024: {"tuned": FIVE, "sqrt": FAR}}), "s.yaml", "--store x")
    assert steps == (
        "What tuned trains with at B=1,024: lr 0.1, no warm-up, decay constant; momentum",
        "To learn more, copy s.yaml to synthetic-2.yaml and change there: name: synthetic-2; more epochs or a smaller "
        "batch size, or another rule (linear, linear-warmup), which may help at B=1,024. Then: zerotune run "
        "synthetic-2.yaml --store x",
    )


def test_an_unreliable_arm_gets_the_same_advice() -> None:
    last = next_steps(judged({1024: {"tuned": FIVE, "sqrt": ONE_LOST}}))[-1]
    assert "copy the study's file" in last
    assert "another rule (linear, linear-warmup), which may help at B=1,024" in last


def test_what_is_not_shown_gets_fresh_seeds_that_would_show_it() -> None:
    """Those that were seen, or searched, would find a yes by chance; the search's seed may not confirm."""
    answer = judged({1024: {"tuned": FIVE, "sqrt": OPEN}})
    verdict = answer.comparison.row("sqrt", 1024).verdict
    assert verdict is not None
    assert verdict.kind == "not shown"
    assert verdict.seeds_needed is not None
    (step,) = next_steps(answer)
    study = answer.origin.study
    assert verdict.seeds_needed <= 30
    told = [int(seed) for seed in step.partition("seeds: [")[2].partition("]")[0].split(", ")]
    assert len(told) == len(set(told)) == verdict.seeds_needed
    assert not {*told} & {*study.seeds, study.search_seed}


def test_an_unfinished_study_is_to_be_completed_and_nothing_else() -> None:
    answer = replace(judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}}), missing=("Unfinished: 7 results so far.",))
    assert next_steps(answer, "my study.yaml", "--driver serial") == (
        "Complete the study first, as its first line says. A study that was stopped goes on with: zerotune run "
        "'my study.yaml' --driver serial",
    )
    assert next_steps(answer) == ("Complete the study first, as its first line says.",)


def test_failed_trainings_are_to_be_run_again() -> None:
    answer = judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}})
    failed = result("sqrt", 1024, "confirmation", 4, validation=None, status="failed", lr=0.11)
    some = [run for run in answer.results if (run.trial.arm, run.trial.index) != ("sqrt", 4)]
    (step, *_) = next_steps(build_answer([*some, failed], answer.origin), "s.yaml", "")
    assert step == "Mend what made trainings fail, then run them again: zerotune retry s.yaml --failed"


def test_a_baseline_that_guesses_is_to_be_mended() -> None:
    answer = judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}})
    guessing = confirmations("baseline", 256, [0.1135] * 5)
    others = [run for run in answer.results if (run.trial.arm, run.trial.role) != ("baseline", "confirmation")]
    (step,) = next_steps(build_answer([*others, *guessing], answer.origin))
    assert "another optimizer or learning rate of the baseline, or more epochs: it must learn first" in step


def test_a_reference_on_the_edge_of_its_range_is_to_be_widened() -> None:
    answer = judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}})
    best = result("tuned", 1024, "search", 9, validation=0.999, lr=0.08)
    found = build_answer([*answer.results, best], answer.origin)
    assert [edge.name for edge in found.comparison.edges if edge.arm == "tuned"] == ["lr"]
    assert any("a wider range for" in step and "lr of tuned" in step for step in next_steps(found))


@pytest.mark.parametrize("tests", [AS_FIVE, FAR, ONE_LOST, OPEN])
def test_there_are_at_most_three_steps(tests: list[float]) -> None:
    answer = judged({1024: {"tuned": FIVE, "sqrt": tests, "legw": OPEN}})
    assert 1 <= len(next_steps(answer, "s.yaml")) <= 3
