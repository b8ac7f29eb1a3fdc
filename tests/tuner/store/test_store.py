"""The MLflow store returns exactly what was written, once, despite failures in between."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.mlflow_server import mlflow_server
from tests.tuner.store.small_stores import DEFINITION, FINGERPRINT, fail, find_runs, open_store
from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.store import connection, default_tracking_uri, list_studies, read_results, runs, ui_links
from zerotune.tuner.trial import TrialResult, TrialStatus


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the requests to MLflow."""
    calls: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(MlflowClient, name)

        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return real(*args, **options)

        return call

    for name in ("search_runs", "create_run", "log_batch", "set_terminated", "set_tag", "log_param", "log_metric"):
        monkeypatch.setattr(MlflowClient, name, counted(name))
    return calls


PLAIN = make_result()


@pytest.mark.parametrize(
    "result",
    [
        *(make_result(status=status) for status in ("finished", "diverged", "pruned", "failed")),
        replace(PLAIN, cost=replace(PLAIN.cost, flops=2**60 + 1)),
        replace(make_result(num_epochs=130), epochs=()),
        make_result(num_epochs=130),
        replace(make_result(status="failed"), error="no space left " * 2_000),
    ],
    ids=["finished", "diverged", "pruned", "failed", "a huge count", "no epoch", "130 epochs", "longer than a tag"],
)
def test_a_result_is_read_back_exactly(uri: str, result: TrialResult) -> None:
    open_store(uri).write(result)

    stored = read_results(uri, "small", with_epochs=True)

    assert stored.results == (result,)
    assert (stored.name, stored.fingerprint, stored.resolved_study) == ("small", FINGERPRINT, DEFINITION)
    assert read_results(uri, "small").results == (replace(result, epochs=()),)


def test_losses_that_are_not_finite_and_huge_counts_are_read_back_exactly(uri: str) -> None:
    result = make_result(status="diverged")
    first, second, third = result.epochs
    third = replace(third, train_loss=math.inf, validation_loss=-math.inf, flops=2**60 + 1)
    result = replace(result, epochs=(first, second, third), validation_score=0.1)
    open_store(uri).write(result)

    assert read_results(uri, "small", with_epochs=True).results == (result,)
    run = find_runs(uri, "tags.status = 'diverged'")[0]
    assert run.data.tags["not_finite"] == "train_loss, validation_loss"
    assert run.data.metrics["train_loss"] == second.train_loss
    assert all(math.isfinite(value) and abs(value) < 1e300 for value in run.data.metrics.values())


def test_a_run_that_diverged_says_by_which_number_and_scores_that_are_none_are_left_out(uri: str) -> None:
    said = "the validation top5 is nan in epoch 1"
    result = replace(make_result(status="diverged", num_epochs=1), validation_score=0.1, divergence=said)
    (epoch,) = result.epochs
    epoch = replace(epoch, other_scores={"top1": 0.5, "top5": math.nan})
    open_store(uri).write(replace(result, epochs=(epoch,), test_other_scores={"top5": math.inf}))

    run = find_runs(uri, "tags.status = 'diverged'")[0]
    assert run.data.tags["divergence"] == said
    assert {"validation_top5", "test_top5"}.isdisjoint(run.data.metrics)
    assert run.data.metrics["validation_top1"] == 0.5
    (read,) = read_results(uri, "small", with_epochs=True).results
    assert read.divergence == said
    assert math.isnan(read.epochs[0].other_scores["top5"])


def test_a_loss_of_nan_is_left_out_of_the_metrics_and_read_back_as_nan(uri: str) -> None:
    result = make_result(status="diverged", num_epochs=1)
    open_store(uri).write(replace(result, epochs=(replace(result.epochs[0], train_loss=math.nan),)))

    assert math.isnan(read_results(uri, "small", with_epochs=True).results[0].epochs[0].train_loss)
    assert "train_loss" not in find_runs(uri, "tags.status = 'diverged'")[0].data.metrics


def test_runs_carry_names_tags_parameters_and_costs_to_compare_by(uri: str) -> None:
    store = open_store(uri)
    results = [make_result("grid", 4, role="search"), make_result("date", 2), make_result("baseline", role="baseline")]
    for result in results:
        store.write(result)

    grid, date, baseline = (find_runs(uri, f"tags.`zerotune.trial` = '{result.trial.id}'")[0] for result in results)
    assert [run.info.run_name for run in (grid, date, baseline)] == [
        "grid B=8192 lr=0.00354 search #5",
        "date B=8192 lr=0.00354 confirm seed=2",
        "baseline B=8192 lr=0.00354 #1",
    ]
    parents = {run.info.run_name: run.info.run_id for run in find_runs(uri, "tags.role = 'arm'")}
    assert set(parents) == {"grid B=8192", "date B=8192", "baseline B=8192"}
    shown = ("arm", "batch_size", "role", "status", "method", "mlflow.parentRunId")
    assert [date.data.tags[key] for key in shown] == [
        *("date", "8192", "confirmation", "finished", "date"),
        parents["date B=8192"],
    ]
    assert date.data.params == {
        "arm": "date",
        "application": "mnist-lenet",
        "data": "mnist",
        "batch_size": "8192",
        "epochs": "3",
        "seed": "2",
        "optimizer": "lamb",
        "optimizer.weight_decay": "0.01",
        "optimizer.betas": "(0.9, 0.999)",
        "optimizer.nesterov": "True",
        "lr": "0.003535533905932738",
        "warmup_epochs": "2.5",
        "warmup": "linear",
        "warmup_start": "0.0",
        "decay": "polynomial",
        "decay.power": "2.0",
        "recipe.clip_norm": "None",
        "recipe.label_smoothing": "0.0",
        "recipe.ghost_batch_size": "None",
        "recipe.micro_batch_size": "None",
        "recipe.precision": "float32",
    }
    assert grid.data.params.keys() == date.data.params.keys()
    assert date.data.metrics.keys() - grid.data.metrics.keys() == {"test_score"}
    cost = results[1].cost
    assert date.data.metrics["cost/samples"] == cost.samples
    assert date.data.metrics["cost/modelled_joules"] == cost.modelled_joules
    assert date.info.end_time - date.info.start_time == pytest.approx(1000 * cost.device_seconds, abs=2)


@pytest.mark.parametrize(
    ("status", "run_status", "score"),
    [
        ("finished", "FINISHED", 0.89),
        ("diverged", "FINISHED", 0.1),
        ("pruned", "KILLED", 0.89),
        ("failed", "FAILED", 0.89),
    ],
)
def test_a_runs_status_and_last_score_are_the_trials(
    uri: str, status: TrialStatus, run_status: str, score: float
) -> None:
    open_store(uri).write(make_result(status=status, lr=0.0035))
    run = find_runs(uri, "tags.role = 'confirmation'")[0]
    assert (run.info.status, run.data.tags["status"]) == (run_status, status)
    assert run.data.metrics["validation_score"] == pytest.approx(score)


def test_a_run_has_what_the_batch_was_made_of(uri: str) -> None:
    shared = replace(make_result(), num_workers=2, accumulation_steps=4, micro_batch_size=1024)
    open_store(uri).write(shared)
    tags = find_runs(uri, "tags.role = 'confirmation'")[0].data.tags
    assert [tags[name] for name in ("micro_batch_size", "accumulation_steps", "num_workers")] == ["1024", "4", "2"]


def test_writing_a_trial_again_changes_nothing_and_a_changed_result_takes_its_place(uri: str) -> None:
    store = open_store(uri)
    assert store.write(make_result(status="failed"))
    before = [(run.info.run_id, run.info.end_time) for run in find_runs(uri)]
    assert not store.write(make_result(status="failed"))
    assert not open_store(uri).write(make_result(status="failed"))
    assert [(run.info.run_id, run.info.end_time) for run in find_runs(uri)] == before
    assert store.write(PLAIN)
    assert read_results(uri, "small", with_epochs=True).results == (PLAIN,)


def test_names_with_odd_characters_are_kept(uri: str) -> None:
    name = 'it\'s "50%" / größer & <b>ünïcode</b> #1'
    result = make_result(arm="o'neill's ÷ arm; DROP TABLE runs")
    result = replace(result, trial=replace(result.trial, study=name))
    store = open_store(uri, name=name)
    store.write(result)
    store.summarise(result.trial.arm, 8192, {"mean": 1.0})
    assert open_store(uri, name=name).sync([result]) == 0
    assert read_results(uri, name, with_epochs=True).results == (result,)
    assert list_studies(uri) == sorted([name, "unused"])


def test_a_summary_and_files_stand_where_the_ui_shows_them(uri: str, tmp_path: Path) -> None:
    figure = tmp_path / "pareto.html"
    figure.write_text("<p>front</p>", encoding="utf-8")
    store = open_store(uri)
    store.write(make_result())
    store.summarise("date", 8192, {"mean_test_score": 0.9, "expected_trials": math.inf}, {"verdict": "matches"})
    store.log_artifacts([figure], "figures")
    store.finish()

    parent = find_runs(uri, "tags.role = 'arm'")[0]
    assert (parent.data.metrics, parent.data.tags["verdict"]) == ({"mean_test_score": 0.9}, "matches")
    study = find_runs(uri, "tags.role = 'study'")[0]
    client = MlflowClient(uri)
    assert [file.path for file in client.list_artifacts(study.info.run_id)] == ["figures", "study.json"]
    saved = Path(client.download_artifacts(study.info.run_id, "study.json", str(tmp_path)))
    assert json.loads(saved.read_text(encoding="utf-8")) == DEFINITION
    assert {run.info.status for run in find_runs(uri)} == {"FINISHED"}
    assert find_runs(uri, "tags.role = 'arm'")[0].info.end_time == int(make_result().finished_at * 1000)
    with pytest.raises(BadInput, match="no trial of arm 'grid' at batch size 8192"):
        store.summarise("grid", 8192, {})


def test_many_results_need_three_requests_each_and_are_read_at_once(uri: str, calls: list[str]) -> None:
    results = [make_result(("date", "grid")[i % 2], i, num_epochs=1) for i in range(60)]
    assert open_store(uri).sync(results) == 60
    per_trial = ["create_run", "log_batch", "set_terminated"]
    assert sorted(calls) == sorted(per_trial * 60 + ["create_run"] * 3 + ["log_batch"] * 2)

    calls.clear()
    stored = read_results(uri, "small").results
    assert stored == tuple(replace(result, epochs=()) for result in results)
    assert calls == ["search_runs"]  # for the definitions


@pytest.mark.parametrize("way", ["database", "any store"])
def test_results_beyond_one_page_are_read(uri: str, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(connection, "PAGE_SIZE", 2)
    monkeypatch.setattr(runs, "RUNS_AT_ONCE", 2)
    if way == "any store":
        monkeypatch.setattr(runs, "_DatabaseRuns", lambda _, *which: runs._ClientRuns(MlflowClient(uri), *which))
    results = tuple(make_result(seed=seed) for seed in range(5))
    assert open_store(uri).sync(results) == 5
    assert open_store(uri).sync(results) == 0
    assert read_results(uri, "small", with_epochs=True).results == results


def test_a_server_holds_the_same_results_as_a_database(uri: str, tmp_path: Path) -> None:
    results = (make_result(seed=0, num_epochs=130), make_result(seed=1, status="diverged"))
    with mlflow_server(uri, tmp_path) as port:
        server = f"http://127.0.0.1:{port}"
        store = open_store(server)
        assert store.sync(results) == 2
        store.finish()
        assert read_results(server, "small", with_epochs=True).results == results
        links = dict(ui_links(server.replace("://", "://ann:secret@"), "small", 1))
        assert links["all runs"].startswith(f"{server}/#/experiments/")
    assert read_results(uri, "small", with_epochs=True).results == results


def test_of_two_runs_of_an_arm_or_a_study_the_one_in_use_is_kept(uri: str) -> None:
    """A request that is repeated while a server starts may create a run twice."""
    store = open_store(uri)
    store.write_sessions([{"python": "3.11"}])
    store.write(make_result(seed=0))
    kept = find_runs(uri, "tags.role = 'study'") + find_runs(uri, "tags.role = 'arm'")
    client = MlflowClient(uri)

    def make_again() -> None:
        for run in kept:
            tags = {key: value for key, value in run.data.tags.items() if "sessions" not in key}
            client.create_run(run.info.experiment_id, start_time=run.info.start_time, tags=tags)

    for again in (store, None):
        make_again()
        (again or open_store(uri)).sync([make_result(seed=0), make_result(seed=1)])
        left = find_runs(uri, "tags.role = 'study'") + find_runs(uri, "tags.role = 'arm'")
        assert [run.info.run_id for run in left] == [run.info.run_id for run in kept]
    parents = {run.data.tags["mlflow.parentRunId"] for run in find_runs(uri, "tags.role = 'confirmation'")}
    assert parents == {kept[1].info.run_id}
    assert read_results(uri, "small").sessions == ({"python": "3.11"},)


def test_an_arm_that_a_failure_left_without_parameters_gets_them(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(uri)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_batch", fail)
        with pytest.raises(Unreachable, match="disk is full"):
            store.write(make_result())
    (arm,) = find_runs(uri, "tags.role = 'arm'")
    assert arm.data.params == {}
    open_store(uri).sync([make_result()])
    (arm,) = find_runs(uri, "tags.role = 'arm'")
    assert arm.data.params == {"arm": "date", "batch_size": "8192"}


def test_a_damaged_record_is_reported(uri: str) -> None:
    open_store(uri).write(make_result())
    run = find_runs(uri, "tags.role = 'confirmation'")[0]
    MlflowClient(uri).set_tag(run.info.run_id, "mlflow.zerotune.record.0", '{"epochs":3')
    with pytest.raises(BadInput, match=r"the MLflow run 'date B=8192 .*' \(.*\) cannot be read: .* It was damaged"):
        read_results(uri, "small")


def test_an_unknown_study_names_those_there_are(uri: str) -> None:
    open_store(uri)
    with pytest.raises(BadInput, match=r"no study 'smal' .* did you mean 'small'\? It holds: small, unused"):
        read_results(uri, "smal")


def test_reading_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no MLflow store at .*mlflow\.db: run a study first"):
        read_results(default_tracking_uri(tmp_path / "absent"), "small")
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_experiment_is_reported(uri: str) -> None:
    open_store(uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(BadInput, match="was deleted: restore it with 'mlflow experiments restore --experiment-id"):
        open_store(uri)
