"""Sync writes only missing results, completes runs that a crash left open, and keeps one of two duplicate runs."""

import pytest
from mlflow import MlflowClient

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.small_stores import fail_for_trials, find_runs, open_store
from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.store import read_results


def test_sync_writes_only_what_is_missing(uri: str) -> None:
    results = [make_result(seed=seed) for seed in range(4)]
    store = open_store(uri)
    store.write(results[1])
    kept = find_runs(uri, "tags.role = 'confirmation'")[0].info.run_id

    assert open_store(uri).sync(results) == 3
    assert open_store(uri).sync(results) == 0
    assert read_results(uri, "small", with_epochs=True).results == tuple(results)
    assert kept in {run.info.run_id for run in find_runs(uri)}


def test_sync_closes_and_completes_runs_that_a_crash_left_open(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(uri)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_batch", fail_for_trials(MlflowClient.log_batch))
        for seed in range(2):
            with pytest.raises(Unreachable, match="did not write trial 'date B=8,192 confirmation"):
                store.write(make_result(seed=seed))
    assert len(find_runs(uri, "status = 'RUNNING' AND tags.role = 'confirmation'")) == 2
    assert read_results(uri, "small").results == ()

    assert open_store(uri).sync([make_result(seed=0)]) == 1
    statuses = {
        run.data.tags["zerotune.trial"]: run.info.status for run in find_runs(uri, "tags.role = 'confirmation'")
    }
    assert statuses == {make_result(seed=0).trial.id: "FINISHED", make_result(seed=1).trial.id: "KILLED"}
    assert read_results(uri, "small", with_epochs=True).results == (make_result(seed=0),)


def test_of_two_runs_of_one_trial_one_is_kept(uri: str) -> None:
    open_store(uri).write(make_result())
    run = find_runs(uri, "tags.role = 'confirmation'")[0]
    MlflowClient(uri).create_run(run.info.experiment_id, tags=dict(run.data.tags))

    assert open_store(uri).sync([make_result()]) == 0
    assert [found.info.run_id for found in find_runs(uri, "tags.role = 'confirmation'")] == [run.info.run_id]


def test_a_changed_definition_does_not_mix_with_the_former(uri: str) -> None:
    open_store(uri, "aaaa").write(make_result(seed=0))
    open_store(uri, "bbbb").write(make_result(seed=1))
    assert read_results(uri, "small", "aaaa", with_epochs=True).results == (make_result(seed=0),)
    assert read_results(uri, "small", with_epochs=True).results == (make_result(seed=1),)
    with pytest.raises(BadInput, match="no results of the definition 'cccc'; it has: aaaa, bbbb"):
        read_results(uri, "small", "cccc")


def test_trials_below_an_arm_that_was_deleted_in_mlflow_move_below_a_new_one(uri: str) -> None:
    """Found by fuzzing: the arm could not be summarised, so every later run and sync failed."""
    store = open_store(uri)
    store.write(make_result(seed=0))
    (arm,) = find_runs(uri, "tags.role = 'arm'")
    MlflowClient(uri).delete_run(arm.info.run_id)

    store = open_store(uri)
    assert store.sync([make_result(seed=0)]) == 0
    store.summarise("date", 8192, {"test_score": 0.5})
    (arm,) = find_runs(uri, "tags.role = 'arm'")
    (trial,) = find_runs(uri, "tags.role = 'confirmation'")
    assert (trial.data.tags["mlflow.parentRunId"], arm.data.metrics) == (arm.info.run_id, {"test_score": 0.5})
