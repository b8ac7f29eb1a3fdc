"""Scores beside the metric, such as top-5 accuracy, stay with a trial's result everywhere."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, path_not_unique, validate_param_and_metric_name

from tests.tuner.analysis.synthetic_results import make_result
from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.checks import field_problems
from zerotune.trainers.applications.classification import num_correct_in_top5
from zerotune.trainers.loop import train
from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig, TrainResult
from zerotune.tuner.execution.progress_update import ProgressUpdate, conclude
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.store import Store, default_tracking_uri, read_results
from zerotune.tuner.store.record import points
from zerotune.tuner.trial import Role, TrialResult, result_from_content


def scored(result: TrialResult) -> TrialResult:
    """Return the result with two other scores that have no short decimal form."""
    epochs = tuple(
        replace(epoch, other_scores={"top5": 1 - 0.1 / (3 * epoch.epoch), "top3": epoch.epoch / 7})
        for epoch in result.epochs
    )
    return replace(result, epochs=epochs, test_other_scores={"top5": 2 / 3, "top3": 1 / 7})


def diverged() -> TrialResult:
    """Return a training that diverged in its last epoch, which has no other scores."""
    result = scored(make_result(status="diverged"))
    *before, last = result.epochs
    return replace(result, epochs=(*before, replace(last, other_scores={})), test_other_scores={})


RESULTS = {"finished": scored(make_result()), "diverged": diverged(), "without": make_result()}
every_result = pytest.mark.parametrize("name", RESULTS)


@every_result
def test_a_journal_gives_them_back_exactly(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]
    journal = Journal(tmp_path)
    journal.start_study({"name": "small"}, {})
    journal.progress(result.trial.id, result.epochs)
    journal.finish(result)
    journal.close()
    content = read_journal(journal.path)
    assert tuple(content.epochs[result.trial.id]) == result.epochs
    assert content.results[result.trial.id] == result


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return default_tracking_uri(tmp_path_factory.mktemp("store"))


@every_result
def test_an_mlflow_store_gives_them_back_exactly(name: str, store_uri: str) -> None:
    result = RESULTS[name]
    Store(store_uri, name, "0123abcd", {"name": name}, {"date": "date"}).write(result)
    assert read_results(store_uri, name, with_epochs=True).results == (result,)
    assert read_results(store_uri, name).results == (replace(result, epochs=()),)


def test_mlflow_shows_them_as_metrics_of_their_own(store_uri: str) -> None:
    result = scored(make_result())
    Store(store_uri, "shown", "0123abcd", {"name": "shown"}, {"date": "date"}).write(result)
    client = MlflowClient(store_uri)
    experiment = client.get_experiment_by_name("shown")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`zerotune.trial` = '{result.trial.id}'")
    for score in ("top5", "top3"):
        history = client.get_metric_history(run.info.run_id, f"validation_{score}")
        assert {point.step: point.value for point in history} == {e.epoch: e.other_scores[score] for e in result.epochs}
    assert {key: value for key, value in run.data.metrics.items() if key.startswith("test_top")} == {
        "test_top5": 2 / 3,
        "test_top3": 1 / 7,
    }


def test_one_that_is_not_finite_is_no_point_and_is_read_back(store_uri: str) -> None:
    result = scored(make_result())
    first, *others = result.epochs
    result = replace(result, epochs=(replace(first, other_scores={"top5": math.nan}), *others))
    assert ("validation_top5", 1) not in {(point.key, point.step) for point in points(result)}
    Store(store_uri, "nan", "0123abcd", {"name": "nan"}, {"date": "date"}).write(result)
    stored = read_results(store_uri, "nan", with_epochs=True).results[0]
    assert math.isnan(stored.epochs[0].other_scores["top5"])
    assert stored.epochs[1:] == result.epochs[1:]


def test_results_from_before_there_were_any_are_still_read() -> None:
    record = asdict(make_result())
    del record["test_other_scores"]
    for epoch in record["epochs"]:
        del epoch["other_scores"]
    assert result_from_content(record) == make_result()


@pytest.mark.parametrize(("role", "kept"), [("confirmation", {"top5": 0.75}), ("search", {}), ("baseline", {})])
def test_those_on_test_are_kept_for_confirmations_only(role: Role, kept: dict[str, float]) -> None:
    trained = make_result(role=role)
    training = TrainResult(
        status="finished",
        epochs=trained.epochs,
        validation_score=0.5,
        test_score=0.4,
        test_other_scores={"top5": 0.75},
    )
    last = ProgressUpdate(training=training)
    assert conclude(trained.trial, last).test_other_scores == kept


def test_a_training_measures_them_in_every_epoch_and_on_test(monkeypatch: pytest.MonkeyPatch) -> None:
    application = replace(APPLICATIONS["lenet_mnist"], other_scores={"top5": num_correct_in_top5})
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", application)
    config = TrainConfig(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=100,
        epochs=2,
        seed=0,
        schedule=ScheduleSpec(peak_lr=0.02),
        optimizer=OptimizerSpec(name="momentum"),
    )
    result = train(config)
    scores = [(epoch.validation_score, epoch.other_scores["top5"]) for epoch in result.epochs]
    assert all(top1 < top5 <= 1 for top1, top5 in scores)
    assert result.test_score is not None
    assert result.test_score < result.test_other_scores["top5"] <= 1


@pytest.mark.parametrize("name", ["top5", "recall/B cell", "F1.micro", "x" * 200])
def test_every_name_that_is_accepted_can_be_stored(name: str) -> None:
    assert list(field_problems(named(name))) == []
    for prefix in ("validation_", "test_"):
        key = prefix + name
        assert validate_param_and_metric_name(key)
        assert not path_not_unique(key)
        assert len(key) <= MAX_ENTITY_KEY_LENGTH


@pytest.mark.parametrize("name", ["top5/", "a//b", "a/../b", "a/./b", "/a", "top-5 %", "ö", "a\nb", "x" * 201, ""])
def test_a_name_that_mlflow_would_refuse_is_refused_with_the_application(name: str) -> None:
    (sentence,) = field_problems(named(name))
    assert sentence.startswith("other_scores: must map names of at most 200 letters, digits and _ . - to functions")


def named(name: str) -> Application:
    return replace(APPLICATIONS["lenet_mnist"], other_scores={name: num_correct_in_top5})
