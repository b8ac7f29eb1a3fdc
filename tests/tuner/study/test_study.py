"""The study definition: what it states, what follows from it, and the errors for files that hold no study."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from tests.tuner.study.example_study import SQRT, TEXT, mistakes, study
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.spec import Baseline, Configuration, DecaySpec, OptimizerSpec, OptionValue, Recipe, ScheduleSpec
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import (
    Study,
    baseline_config,
    describe_changes,
    load_study,
    rule_config,
    search_config,
    shipped_studies,
)
from zerotune.tuner.study.search_space import Choice, Float

# -- what a definition says --------------------------------------------------------------------------------------------


def test_numbers_words_and_ranges_are_read_as_written() -> None:
    example = study()
    tuned = example.arm("tuned")
    assert tuned.space == {
        "lr": Float(low=0.005, high=1.0, scale="log"),
        "momentum": Choice(choices=(0.8, 0.9)),
        "decay": Choice(choices=("constant", "poly")),
    }
    assert (tuned.method, tuned.trials, tuned.pruner, tuned.parallel) == ("optuna", 12, "none", 4)
    assert example.batch_sizes == (128, 512)  # sorted


def test_epochs_and_data_come_from_the_application_where_not_stated() -> None:
    plain = study(("epochs: 12\n", ""), ("data: {source: mnist5k}\n", ""))
    assert (plain.epochs, plain.data.source, plain.data.folder) == (30, "mnist5k", None)


def test_an_arm_takes_the_baselines_optimizer_and_date_its_own() -> None:
    example = study()
    assert example.arm_optimizer(example.arm("sqrt")) == OptimizerSpec(name="momentum", options={"momentum": 0.8})
    assert example.arm_optimizer(example.arm("date")) == OptimizerSpec(name="date")


def test_a_recipe_is_read_as_written_and_is_none_where_it_is_not_stated() -> None:
    stated = study(("epochs: 12\n", "epochs: 12\nrecipe: {clip_norm: 1, label_smoothing: 0.1, micro_batch_size: 64}\n"))
    assert stated.recipe == Recipe(clip_norm=1.0, label_smoothing=0.1, micro_batch_size=64)
    assert study().recipe == Recipe()


def test_ghost_batches_are_for_models_with_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    def build_model() -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(1), LeNet5())

    lenet = APPLICATIONS["lenet_mnist"]
    edit = ("epochs: 12\n", "epochs: 12\nrecipe: {ghost_batch_size: 32, micro_batch_size: 128}\n")
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(lenet, build_model=build_model))
    assert study(edit).recipe == Recipe(ghost_batch_size=32, micro_batch_size=128)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", lenet)
    assert mistakes(edit) == ["x.yaml:5: recipe.ghost_batch_size: has no effect: the model has no batch normalisation."]


@pytest.mark.parametrize("failure", [ModuleNotFoundError("torchvision"), RuntimeError("operator does not exist")])
def test_a_study_is_read_where_a_package_of_its_model_cannot_be_used(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_model() -> nn.Module:
        raise failure

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], build_model=build_model))
    assert study(("epochs: 12\n", "epochs: 12\nrecipe: {ghost_batch_size: 8}\n")).recipe.ghost_batch_size == 8


def test_labels_are_smoothed_only_where_classes_are_reported_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], smoothed_loss=None))
    assert mistakes(("epochs: 12\n", "epochs: 12\nrecipe: {label_smoothing: 0.1}\n")) == [
        "x.yaml:5: recipe.label_smoothing: is for applications that classify, which this one does not: leave it out."
    ]


# -- what follows from it ----------------------------------------------------------------------------------------------


def configured(example: Study, params: Mapping[str, OptionValue], arm: str = "tuned") -> Configuration:
    return search_config(example, example.arm(arm), params, batch_size=128)


def test_a_search_overrides_fixed_values_and_these_override_the_baseline() -> None:
    example = study(("  batch_size: 32\n", "  batch_size: 32\n  warmup_epochs: 1\n"))
    found = configured(example, {"lr": 1, "decay": "poly", "momentum": 0.9})
    schedule, optimizer = found.schedule, found.optimizer
    assert schedule == ScheduleSpec(peak_lr=1.0, warmup_epochs=1.0, decay=DecaySpec(name="poly"))
    assert optimizer == OptimizerSpec(
        name="momentum", options={"momentum": 0.9, "weight_decay": 0.0, "nesterov": False}
    )


def test_a_searched_decay_of_the_baselines_name_has_the_baselines_options() -> None:
    example = study(("  batch_size: 32\n", "  batch_size: 32\n  decay: {name: poly, power: 1}\n"))
    schedule = configured(example, {"lr": 0.1, "decay": "poly"}).schedule
    assert schedule.decay == DecaySpec(name="poly", options={"power": 1})


def test_the_baseline_takes_what_its_tuning_chose() -> None:
    assert baseline_config(study().baseline, Recipe(), {"lr": 0.02}) == Baseline(
        batch_size=32,
        schedule=ScheduleSpec(peak_lr=0.02),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.8, "weight_decay": 0.0, "nesterov": False}),
    )


def test_a_rule_with_its_own_learning_rate_leaves_the_studys_tuning() -> None:
    example = study()
    of_date = example.baseline_of(example.arm("date"))
    assert (of_date.lr, of_date.warmup_epochs, of_date.tune) == (0.003, 0.25, None)
    assert (of_date.batch_size, of_date.optimizer.name) == (32, "date")
    assert example.baseline_of(example.arm("sqrt")).tune == example.baseline.tune


def test_a_rule_may_tune_a_baseline_of_its_own() -> None:
    own = "{warmup_epochs: 0.25, tune: {method: grid, space: {lr: {low: 0.001, high: 0.01, num: 2}}}}"
    example = study(("{lr: 0.003, warmup_epochs: 0.25}", own))
    date = example.arm("date")
    assert example.has_own_tune(date)
    assert not example.has_own_tune(example.arm("sqrt"))
    tune = example.baseline_of(date).tune
    assert tune is not None
    assert tune.space == {"lr": Float(low=0.001, high=0.01, num=2)}


def test_a_rule_scales_the_baseline_that_the_study_defines() -> None:
    example = study()
    scaled = rule_config(example, example.arm("date"), {}, batch_size=512, epochs=example.epochs)
    assert (scaled.schedule.peak_lr, scaled.schedule.warmup_epochs) == (0.012, 4.0)


def test_stated_configurations_are_compared_with_one_of_them_where_nothing_can_be_searched() -> None:
    tuned = TEXT[TEXT.index("  - name: tuned") : TEXT.index("  - name: sqrt")]
    stated = study(
        ("source: mnist5k", "source: mnist60k"),
        (TEXT[TEXT.index("  tune:") : TEXT.index("arms:")], "  lr: 0.02\n"),
        (tuned, ""),
        ("reference: tuned", "reference: sqrt"),
    )
    assert (stated.data.source, stated.reference) == ("mnist60k", "sqrt")


def test_every_warmup_and_decay_can_be_named_by_a_study() -> None:
    example = study(
        ("{weight_decay: 0}", "{weight_decay: 0, warmup_epochs: 2, warmup_start: 0.1}"),
        (
            "{choices: [constant, poly]}",
            "{choices: [constant, cosine, cosine-fine, cosine-coarse]}\n      warmup: {choices: [linear, constant]}",
        ),
    )
    params = {"lr": 1.0, "momentum": 0.9, "decay": "cosine-fine", "warmup": "constant"}
    schedule = configured(example, params).schedule
    assert schedule == ScheduleSpec(
        peak_lr=1.0, warmup_epochs=2.0, warmup="constant", warmup_start=0.1, decay=DecaySpec(name="cosine-fine")
    )


def test_date_as_printed_can_be_reached_from_a_study() -> None:
    decay = "{name: date, as_printed: true, baseline_warmup_epochs: 0.25}"
    example = study(("warmup_epochs: 0.25}", f"warmup_epochs: 0.25, decay: {decay}}}"))
    scaled = rule_config(example, example.arm("date"), {}, batch_size=128, epochs=12)
    assert dict(scaled.schedule.decay.options) == {"as_printed": True, "baseline_warmup_epochs": 0.25}


def test_adam_sde_starts_from_the_optimizers_own_defaults() -> None:
    arm = SQRT.replace("sqrt", "adam-sde") + "    optimizer: adam\n    baseline: {lr: 0.001}\n"
    example = study(("[512, 128]", "[128]"), (SQRT, arm))
    scaled = rule_config(example, example.arm("adam-sde"), {}, batch_size=128, epochs=12)
    options = scaled.optimizer.options
    assert [options[name] for name in ("beta1", "beta2", "eps")] == pytest.approx([0.6, 0.996, 5e-9])


def test_a_rule_takes_the_numbers_that_its_arm_states() -> None:
    arm = (
        SQRT.replace("sqrt", "saturating") + "    noise_batch_size: 96\n    exponent: 0.5\n    baseline: {lr: 0.001}\n"
    )
    example = study((SQRT, arm))
    scaled = rule_config(example, example.arm("saturating"), {}, batch_size=128, epochs=12)
    assert scaled.schedule.peak_lr == pytest.approx(0.001 * ((1 + 96 / 32) / (1 + 96 / 128)) ** 0.5)


def test_numbers_of_a_rule_stand_in_no_other_arm_so_that_old_studies_keep_their_fingerprint() -> None:
    arms = study().resolved()["arms"]
    assert [name for arm in arms for name in ("exponent", "noise_batch_size") if name in arm] == []


def test_objectives_are_recorded_where_they_are_stated_and_not_in_old_studies() -> None:
    stated = study(("weight_decay: 0}", "weight_decay: 0}\n    objectives: [score, flops]"))
    assert stated.resolved()["arms"][0]["objectives"] == ["score", "flops"]
    assert Study.model_validate(stated.resolved()).fingerprint == stated.fingerprint != study().fingerprint
    assert "objectives" not in json.dumps(study().resolved())


def test_a_long_warmup_is_taken_where_the_study_says_how() -> None:
    example = study(("warmup_epochs: 0.25}", "warmup_epochs: 0.75}\n    on_long_warmup: clamp"))
    assert example.arm("date").on_long_warmup == "clamp"


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:5000", "sqlite:///runs.db", "postgresql://user@host/db", "postgresql://host/db?sslkey=a.key"],
)
def test_a_tracking_uri_without_credentials_is_taken(uri: str) -> None:
    assert study(("name: example\n", f"name: example\ntracking_uri: {uri}\n")).tracking_uri == uri


# -- what identifies it ------------------------------------------------------------------------------------------------


def test_a_resolved_definition_is_json_and_read_back_as_the_same_study() -> None:
    example = study()
    plain = json.loads(json.dumps(example.resolved()))
    again = Study.model_validate(plain)
    assert plain == example.resolved() == again.resolved()
    assert again.fingerprint == example.fingerprint
    assert set(example.resolved()) - set(example.content()) == {
        "question",
        "resources",
        "budget",
        "prices",
        "tracking_uri",
    }


@pytest.mark.parametrize(
    "edit",
    [
        ("name: example\n", "name: example\nquestion: Why?\n"),
        ("name: example\n", "name: example\nresources: {cpus_per_trial: 2}\n"),
        ("name: example\n", "name: example\nresources: {packing: auto}\n"),
        ("name: example\n", "name: example\nbudget: {trials: 5}\n"),
        ("name: example\n", "name: example\nprices: {watts: 300}\n"),
        ("name: example\n", "name: example\ntracking_uri: http://host:5000\n"),
        ("{source: mnist5k}", "{source: mnist5k, folder: data}"),
        ("[512, 128]", "[128, 512]"),
        ("weight_decay: 0}", "weight_decay: 0}\n    parallel: 4"),
    ],
)
def test_what_fixes_no_result_changes_no_fingerprint(edit: tuple[str, str]) -> None:
    assert study(edit).fingerprint == study().fingerprint


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (("epochs: 12", "epochs: 13"), "epochs: was 12, now 13"),
        (("[1, 2]", "[1, 3]"), "seeds: was [1, 2], now [1, 3]"),
        (("epochs: 12", "epochs: 12\nrecipe: {clip_norm: 1}"), "recipe.clip_norm: was None, now 1.0"),
        (("low: 5e-3", "low: 0.004"), "arms[0].space.lr.low: was 0.005, now 0.004"),
        (("weight_decay: 0}", "weight_decay: 1e-4}"), "arms[0].fixed.weight_decay: was 0, now 0.0001"),
        (("lr: 0.003, ", "lr: 0.004, "), "arms[2].baseline.lr: was 0.003, now 0.004"),
    ],
)
def test_what_fixes_results_changes_the_fingerprint_and_is_named(edit: tuple[str, str], line: str) -> None:
    before, after = study(), study(edit)
    assert before.fingerprint != after.fingerprint
    assert describe_changes(before.content(), after.content()) == [line]


def test_an_arm_added_or_removed_is_named() -> None:
    assert describe_changes({"arms": [{"name": "a"}]}, {"arms": []}) == ["arms[0]: was {'name': 'a'}, now absent"]
    assert describe_changes({"arms": []}, {"arms": [{"name": "a"}]}) == ["arms[0]: was absent, now {'name': 'a'}"]


# -- files -------------------------------------------------------------------------------------------------------------


def failure(path: Path | str) -> str:
    with pytest.raises(BadInput) as error:
        load_study(str(path))
    return str(error.value)


def test_a_missing_study_names_the_nearest_shipped_one() -> None:
    assert failure("quikstart").startswith("no study file or shipped study 'quikstart': did you mean 'quickstart'?")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name: example\nquestion: \xff\n", ":2: not UTF-8 text (byte 24)."),
        (b"# " + b"x" * 2_000_000, ": larger than 64 KiB, which no study file is."),
        (b"- a\n- b\n", ":1: a study file holds keys and values such as 'name: quickstart'."),
        (b"", ":1: a study file holds keys and values such as 'name: quickstart'."),
        (b"[" * 1000, ":1: nested deeper than 16 levels."),
    ],
    ids=["latin", "large", "list", "empty", "deep"],
)
def test_a_file_that_holds_no_study_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    assert failure(file) == f"{file}{sentence}"
    assert failure(tmp_path) == f"{tmp_path}: a folder, not a study file."


def test_a_study_is_loaded_by_path_and_by_shipped_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT, encoding="utf-8-sig")
    assert load_study(str(file)).fingerprint == study().fingerprint
    assert load_study("quickstart") == load_study(str(shipped_studies()["quickstart"]))


def test_loading_a_study_imports_no_slow_package() -> None:
    program = (
        "import sys; from zerotune.tuner.study import load_study; load_study('quickstart'); "
        "print(sorted({'ray', 'mlflow', 'optuna', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
