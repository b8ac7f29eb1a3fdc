"""Keys of a strong tuned arm: the default space, recipe hyperparameters, published defaults and epochs."""

import math
from dataclasses import replace

import pytest

from tests.campaigns import by_lr, completed
from tests.tuner.study.example_study import edited
from zerotune.trainers.spec import OptimizerSpec, Recipe, ScheduleSpec
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.campaign.plan import plan_study
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import DEFAULTS, Study, study_from_text
from zerotune.tuner.study.search_space import Choice, Float
from zerotune.tuner.trial import Trial, TrialResult

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 512]
seeds: [11, 12]
reference: tuned
baseline:
  batch_size: 32
  lr: 0.02
  optimizer: momentum
arms:
  - name: tuned
    method: optuna
    trials: 8
    space: default
  - name: legw
    method: legw
"""


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def refusal(*edits: tuple[str, str]) -> str:
    with pytest.raises(BadInput) as refused:
        study(*edits)
    return str(refused.value)


def trials_of(results: list[TrialResult], arm: str, role: str) -> list[Trial]:
    return [r.trial for r in results if (r.trial.arm, r.trial.role) == (arm, role)]


# The default space


def test_the_default_space_has_all_that_a_careful_engineer_would_tune() -> None:
    assert study().arm("tuned").space == {
        "lr": Float(low=0.02 / 4, high=0.02 * 16 * 4, scale="log"),
        "warmup_epochs": Float(low=0, high=6),
        "decay": Choice(choices=("constant", "poly", "cosine")),
        "momentum": Float(low=0.8, high=0.98),
        "weight_decay": Float(low=1e-6, high=1e-2, scale="log"),
        "label_smoothing": Float(low=0, high=0.2),
    }


def test_the_default_space_spans_the_baselines_own_search() -> None:
    tune = "  tune: {method: grid, space: {lr: {choices: [0.04, 0.01]}}}\n"
    assert study(("  lr: 0.02\n", tune)).arm("tuned").space["lr"] == Float(low=0.01 / 4, high=0.04 * 64, scale="log")


def test_the_default_space_leaves_out_what_is_fixed_and_what_the_optimizer_lacks() -> None:
    adam = ("optimizer: momentum", "optimizer: adam")
    space = study(adam, ("space: default", "space: default\n    fixed: {decay: cosine}")).arm("tuned").space
    assert list(space) == ["lr", "warmup_epochs", "beta1", "weight_decay", "label_smoothing"]


def test_a_language_model_has_no_label_smoothing_to_search() -> None:
    text = TEXT.replace("application: lenet_mnist", "application: ptb_small").replace("{source: mnist5k}", "{}")
    assert "label_smoothing" not in study_from_text(text, "x.yaml").arm("tuned").space


def test_the_default_space_is_written_out_in_the_record() -> None:
    plain = study().resolved()["arms"][0]["space"]
    assert plain["momentum"] == {"low": 0.8, "high": 0.98, "scale": "linear", "type": "float"}


def test_the_default_space_of_another_optimizer_than_the_baselines_is_refused() -> None:
    assert (
        "x.yaml:17: arms[0].space: the default space rests on the learning rate of the study's baseline, and is for "
        "arms with its optimizer"
    ) in refusal(("    space: default", "    optimizer: adam\n    space: default"))


# Hyperparameters of the recipe


def test_label_smoothing_and_clipping_are_searched_like_any_other() -> None:
    space = "space: {lr: {choices: [0.1, 0.2]}, label_smoothing: {low: 0, high: 0.2}}\n    fixed: {clip_norm: 5}"
    example = study(("space: default", space), ("batch_sizes", "recipe: {micro_batch_size: 64}\nbatch_sizes"))
    results = list(completed(example, by_lr).values())
    for trial in trials_of(results, "tuned", "search"):
        smoothing = trial.params["label_smoothing"]
        assert trial.config.recipe == Recipe(label_smoothing=float(str(smoothing)), clip_norm=5.0, micro_batch_size=64)
    assert len({trial.config.recipe for trial in trials_of(results, "tuned", "search")}) > 4
    assert {trial.config.recipe for trial in trials_of(results, "legw", "confirmation")} == {
        Recipe(micro_batch_size=64)
    }


def test_a_rule_takes_the_recipe_that_its_baselines_tuning_chose() -> None:
    tune = "  tune: {method: grid, space: {lr: {choices: [0.02, 0.04]}, label_smoothing: {choices: [0.1, 0.2]}}}\n"
    results = list(completed(study(("  lr: 0.02\n", tune)), by_lr).values())
    baseline = trials_of(results, "baseline", "confirmation")[0].config.recipe
    assert baseline.label_smoothing == 0.1  # the first of equal scores
    assert {trial.config.recipe for trial in trials_of(results, "legw", "confirmation")} == {baseline}


def test_a_label_smoothing_that_cannot_be_trained_with_is_refused_before_any_trial() -> None:
    space = "space: {lr: {low: 0.1, high: 1}, label_smoothing: {low: 0, high: 1}}"
    assert (
        "x.yaml:16: arms[0].space.label_smoothing: label_smoothing must be at least 0 and below 1, got 1."
        in refusal(("space: default", space))
    )


# Defaults


DEFAULTS_ARM = ("  - name: legw", "  - name: defaults\n    method: defaults\n    trials: 3\n  - name: legw")


def test_defaults_tries_the_first_k_and_confirms_the_best() -> None:
    results = list(completed(study(DEFAULTS_ARM), by_lr).values())
    for batch_size in (128, 512):
        searched = [t for t in trials_of(results, "defaults", "search") if t.batch_size == batch_size]
        assert [t.params["default"] for t in searched] == list(DEFAULTS)[:3] == ["adam", "momentum", "adamw"]
        confirmed = [t for t in trials_of(results, "defaults", "confirmation") if t.batch_size == batch_size]
        best = max(searched, key=by_lr)
        assert [replace(t.config, seed=best.config.seed) for t in confirmed] == [best.config] * 2
    adamw = next(t for t in trials_of(results, "defaults", "search") if t.params["default"] == "adamw")
    assert adamw.config.schedule == ScheduleSpec(
        peak_lr=1e-3, warmup_epochs=0.05 * 12, decay=DEFAULTS["adamw"].schedule(12).decay
    )
    options = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
    assert adamw.config.optimizer == OptimizerSpec(name="adamw", options=options)


def test_all_defaults_are_tried_where_no_number_is_stated() -> None:
    cells = Campaign(study((DEFAULTS_ARM[0], DEFAULTS_ARM[1].replace("    trials: 3\n", "")))).cells
    assert [cell.num_search for cell in cells if cell.arm == "defaults"] == [len(DEFAULTS)] * 2


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("trials: 9", "trials: must be at most 5, the number of defaults, got 9."),
        ("optimizer: adam", "optimizer: has no effect with method defaults, which brings its own."),
        ("space: {lr: {low: 1, high: 2}}", "space: has no effect with method defaults: leave it out"),
        (
            "repeats: 2",
            "repeats: has no effect with method defaults: leave it out (for random, sobol, optuna, gp, comprehensive).",
        ),
    ],
)
def test_what_defaults_does_not_take_is_refused(key: str, sentence: str) -> None:
    assert sentence in refusal((DEFAULTS_ARM[0], DEFAULTS_ARM[1].replace("trials: 3", key)))


def test_a_baseline_is_not_tuned_by_defaults() -> None:
    sentence = "'defaults' brings its own configurations: choose one of grid, random, sobol, optuna, gp."
    space = ("space: default", "space: {lr: {low: 0.1, high: 1}}")
    assert sentence in refusal(("  lr: 0.02\n", "  tune: {method: defaults}\n"), space)


# Epochs of an arm


def test_an_arm_trains_as_long_as_it_says_and_is_billed_for_it() -> None:
    example = study(("    method: legw", "    method: legw\n    epochs: 36"))
    results = list(completed(example, by_lr).values())
    assert {t.config.epochs for t in trials_of(results, "legw", "confirmation")} == {36}
    assert {t.config.epochs for t in trials_of(results, "tuned", "search")} == {12}
    assert example.resolved()["arms"][1]["epochs"] == 36
    planned = {(cell.arm, cell.batch_size): cell for cell in plan_study(example)}
    assert planned["legw", 512].samples == 2 * 36 * 3000
    assert planned["legw", 512].iterations == 2 * math.ceil(36 * 3000 / 512)


def test_a_warm_up_may_be_as_long_as_the_arms_own_epochs_allow() -> None:
    longer = ("    method: legw", "    method: legw\n    epochs: 36\n    baseline: {warmup_epochs: 1}")
    assert Campaign(study(longer)).cells
    assert "its warm-up of 16 epochs would outlast the run of 12 epochs" in refusal(
        ("    method: legw", "    method: legw\n    baseline: {warmup_epochs: 1}")
    )
