"""The result of a rule for the command line's options, and the messages for missing or wrong ones."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.scaling import RULES
from zerotune.trainers.schedules import build_schedule
from zerotune.trainers.spec import DecaySpec, ScheduleSpec
from zerotune.tuner.commands.rule.answer import MAX_POINTS, RuleAnswer, answer_as_json, lr_curve
from zerotune.tuner.commands.rule.options import LongWarmup, RuleOptions, answer_options
from zerotune.tuner.errors import BadInput

DATE_36 = RuleOptions(
    rule="date",
    batch_sizes=[8192],
    baseline_batch_size=1024,
    lr=1.25e-3,
    warmup_epochs=2.0,
    epochs=30,
    num_samples=60_000,
)
LENET = RuleOptions(rule="sqrt", batch_sizes=[1024], application="lenet_mnist")
ADAM = replace(DATE_36, rule="adam-sde", batch_sizes=[4096])


def refusal(words: RuleOptions) -> str:
    with pytest.raises(BadInput) as refused:
        answer_options(words)
    return str(refused.value)


def spec(answer: RuleAnswer) -> ScheduleSpec:
    return answer.rows[0].schedule.spec


def test_the_example_of_date_36_gives_the_papers_numbers() -> None:
    (row,) = answer_options(DATE_36).rows
    schedule = row.schedule
    assert (row.k, schedule.spec.warmup_epochs, schedule.spec.decay.name) == (8.0, 16.0, "date")
    assert (schedule.warmup_iterations, schedule.total_iterations) == (117, 220)
    assert schedule.spec.peak_lr == pytest.approx(3.54e-3, abs=5e-6)
    assert {name: moment.iteration for name, moment in row.moments.items()} == {
        "first": 1,
        "end_of_warmup": 117,
        "after_warmup": 118,
        "middle_of_decay": 169,
        "last": 220,
    }
    assert row.moments["last"].lr == pytest.approx(1e-6)


def test_moments_that_a_run_does_not_have_are_left_out() -> None:
    without, kept = (
        answer_options(replace(DATE_36, warmup_epochs=0.0)),
        answer_options(replace(DATE_36, batch_sizes=[16384], on_long_warmup=LongWarmup.keep)),
    )
    assert list(without.rows[0].moments) == ["first", "middle_of_decay", "last"]
    assert list(kept.rows[0].moments) == ["first", "end_of_warmup", "last"]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_answers_for_several_batch_sizes_in_the_order_said(rule: str) -> None:
    numbers = dict.fromkeys(RULES[rule].numbers, 0.25)
    answer = answer_options(replace(DATE_36, rule=rule, batch_sizes=[4096, 512, 4096], **numbers))
    assert [(row.batch_size, row.k) for row in answer.rows] == [(4096, 4.0), (512, 0.5)]


def test_the_schedule_said_is_the_baselines() -> None:
    words = replace(
        DATE_36,
        rule="legw",
        warmup="quadratic",
        warmup_start=0.5,
        decay="multistep",
        decay_options=["milestones=10,20,27", "factor=0.5"],
    )
    assert answer_options(words).question.baseline.schedule == ScheduleSpec(
        peak_lr=1.25e-3,
        warmup_epochs=2.0,
        warmup="quadratic",
        warmup_start=0.5,
        decay=DecaySpec(name="multistep", options={"milestones": (10.0, 20.0, 27.0), "factor": 0.5}),
    )


def test_decay_options_are_read_as_what_they_are() -> None:
    said = ["as_printed=true", "baseline_warmup_epochs=2", "floor=1e-5"]
    answer = answer_options(replace(DATE_36, decay="date", decay_options=said))
    assert spec(answer).decay.options == {"as_printed": True, "baseline_warmup_epochs": 2, "floor": 1e-5}
    assert answer.rows[0].moments["after_warmup"].lr / spec(answer).peak_lr == pytest.approx(0.497, abs=5e-4)
    (one,) = answer_options(replace(LENET, decay="multistep", decay_options=["milestones=10,"])).rows
    assert one.schedule.decay_options["milestones"] == (10.0,)


def test_a_constant_warmup_stays_at_the_baselines_learning_rate() -> None:
    answer = answer_options(replace(DATE_36, rule="linear-warmup", warmup="constant"))
    assert answer.rows[0].moments["end_of_warmup"].lr == pytest.approx(1.25e-3)
    assert answer.rows[0].moments["after_warmup"].lr == pytest.approx(0.01)


def test_an_application_fills_in_its_baseline_epochs_and_largest_data_source_to_tune_on() -> None:
    question = answer_options(LENET).question
    application = APPLICATIONS["lenet_mnist"]
    num_train = application.data_sources["mnist"].num_train
    assert (question.baseline, question.epochs, question.num_samples) == (application.baseline, 30, num_train)
    assert question.notes == (f"{num_train:,} is the number of training samples of lenet_mnist's data source mnist.",)


def test_date_36_is_worked_out_on_all_60000_images() -> None:
    """DATE 3.6: 117 warm-up iterations and 220 iterations in all at batch size 8,192."""
    said = {"baseline_batch_size": 1024, "lr": 1.25e-3, "warmup_epochs": 2.0, "data_source": "mnist60k"}
    (row,) = answer_options(replace(LENET, rule="date", batch_sizes=[8192], **said)).rows
    assert (row.schedule.warmup_iterations, row.schedule.total_iterations) == (117, 220)


def test_what_is_said_comes_before_what_an_application_knows() -> None:
    words = replace(LENET, baseline_batch_size=512, lr=0.1, epochs=7, data_source="mnist5k", decay="poly")
    question = answer_options(words).question
    num_train = APPLICATIONS["lenet_mnist"].data_sources["mnist5k"].num_train
    assert (question.baseline.batch_size, question.epochs, question.num_samples) == (512, 7, num_train)
    assert question.baseline.schedule == ScheduleSpec(peak_lr=0.1, decay=DecaySpec(name="poly"))


def test_a_learning_rate_tuned_with_another_optimizer_than_the_rules_is_noted() -> None:
    (_, note) = answer_options(replace(LENET, rule="date")).question.notes
    assert note.startswith(
        "Rule date trains with the optimizer date, but lenet_mnist's learning rate was tuned with mom"
    )
    assert len(answer_options(replace(LENET, rule="date", lr=0.003)).question.notes) == 1


def test_adam_sde_fills_in_what_was_not_said_of_the_optimizer() -> None:
    options = answer_options(replace(ADAM, optimizer="lamb", beta1=0.8)).rows[0].optimizer.options
    assert [options[name] for name in ("beta1", "beta2", "eps")] == pytest.approx([0.2, 0.996, 5e-7])
    assert answer_options(ADAM).rows[0].optimizer.name == "adam"


def test_json_holds_the_numbers_in_full() -> None:
    content = json.loads(json.dumps(answer_as_json(answer_options(DATE_36))))
    (row,) = content["rows"]
    assert (row["schedule"]["peak_lr"], row["warmup_iterations"], row["total_iterations"]) == (
        1.25e-3 * math.sqrt(8),
        117,
        220,
    )
    assert row["moments"]["end_of_warmup"]["iteration"] == 117
    assert "optimizer" not in row
    assert answer_as_json(answer_options(ADAM))["rows"][0]["optimizer"]["options"]["beta1"] == pytest.approx(0.6)


def test_a_curve_is_exact_where_it_fits_and_keeps_the_end_of_warmup_where_not() -> None:
    (short,) = answer_options(DATE_36).rows
    assert [point.iteration for point in lr_curve(short.schedule)] == list(range(1, 221))
    long = build_schedule(
        ScheduleSpec(peak_lr=1.0, warmup_epochs=0.3125), num_samples=1_281_167, batch_size=1024, epochs=90
    )
    iterations = [point.iteration for point in lr_curve(long)]
    assert {1, 390, 391, long.total_iterations} <= set(iterations)
    assert MAX_POINTS <= len(iterations) <= MAX_POINTS + 2
    assert iterations == sorted(set(iterations))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (replace(DATE_36, batch_sizes=[]), "--batch-size is missing. For example"),
        (replace(LENET, batch_sizes=[]), "--batch-size is missing. For example"),
        (replace(DATE_36, lr=None), "--lr is missing (or name an --application"),
        (replace(DATE_36, rule="dat"), "unknown rule 'dat': did you mean 'date'?"),
        (replace(LENET, application="lenet"), "unknown application 'lenet': did you mean 'lenet_mnist'?"),
        (replace(LENET, data_source="mnst"), "unknown data source 'mnst': did you mean 'mnist'?"),
        (replace(DATE_36, data_source="mnist"), "--data-source has no effect without --application"),
        (replace(LENET, data_source="mnist", num_samples=9), "--data-source has no effect beside --num-samples"),
        (replace(DATE_36, beta1=0.9), "--beta1 has no effect: rule date changes no option of the optimizer"),
        (replace(DATE_36, optimizer="adam"), "--optimizer has no effect: rule date changes no option"),
        (replace(DATE_36, lr=-1.0), "peak_lr must be a finite number above 0, got -1.0"),
        (replace(DATE_36, batch_sizes=[60_001]), "its warm-up of 117.189 epochs would outlast the run of 30 epochs"),
        (replace(DATE_36, rule="sqrt", batch_sizes=[60_001]), "at most the number of training samples, 60000"),
        (replace(DATE_36, rule="sqrt", decay="pol"), "unknown decay 'pol': did you mean 'poly'?"),
        (replace(DATE_36, rule="sqrt", warmup="liner"), "unknown warm-up 'liner': did you mean 'linear'?"),
        (replace(DATE_36, rule="sqrt", decay_options=["power=1"]), "decay 'constant' takes no options, got 'power'"),
        (replace(DATE_36, decay_options=["power"]), "--decay-option must be NAME=VALUE, such as power=1 or"),
        (replace(DATE_36, decay_options=["power=x"]), "--decay-option power: must be a number, true, false or"),
        (replace(ADAM, batch_sizes=[10_240]), "k must be below 10, and is 10"),
        (replace(ADAM, optimizer="momentum"), "optimizer 'momentum' states no beta1"),
        (replace(ADAM, optimizer="adm"), "unknown optimizer 'adm': did you mean 'adam'?"),
        (replace(ADAM, beta2=1.5), "option 'beta2' must be from 0 to 0.999999, got 1.5"),
        (replace(LENET, rule="adam-sde"), "optimizer 'momentum' states no beta1"),
        (
            replace(LENET, rule="adam-sde", optimizer="adam"),
            "was tuned with momentum, whose learning rate says nothing",
        ),
    ],
)
def test_what_cannot_be_answered_is_reported_in_a_sentence(words: RuleOptions, sentence: str) -> None:
    assert sentence in refusal(words)


def test_an_answer_without_an_application_needs_no_torch() -> None:
    script = (
        "import sys\n"
        "from zerotune.tuner.commands.rule.options import RuleOptions, answer_options\n"
        "import zerotune.tuner.commands.rule.text\n"
        "sizes = {'batch_sizes': [64], 'baseline_batch_size': 8, 'epochs': 1, 'num_samples': 99}\n"
        "answer_options(RuleOptions(rule='legw', lr=1.0, **sizes))\n"
        "print([name for name in ('torch', 'plotly', 'numpy', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
