"""The driver of tables: trials are looked up, in this process, and one that the table cannot answer has failed."""

from dataclasses import replace

from tests.trainers.tabulated.small_tables import asked, small_table
from tests.tuner.execution.agendas import ListAgenda
from zerotune.trainers.spec import TrainConfig, TrainResult
from zerotune.trainers.tabulated.look_up import LookUp
from zerotune.tuner.cost import Cost
from zerotune.tuner.execution.replay import run_replay
from zerotune.tuner.trial import Role, Trial

LOOK_UP = LookUp(load=small_table)


def trial(config: TrainConfig, role: Role = "search") -> Trial:
    return Trial(study="small", arm="tuned", batch_size=config.batch_size, role=role, index=0, params={}, config=config)


def with_curve(config: TrainConfig) -> TrainResult:
    """Return a result with an epoch for each of five scores, one second each."""
    found = LOOK_UP(config)
    [last] = found.epochs
    scores = (0.3, 0.4, 0.5, 0.6, found.validation_score)
    epochs = [replace(last, epoch=i + 1, validation_score=score, device_seconds=1.0) for i, score in enumerate(scores)]
    return replace(found, epochs=tuple(epochs))


def test_a_trial_has_the_score_and_the_bill_of_its_training() -> None:
    agenda = ListAgenda(trials=[trial(asked(seed=2))])
    run_replay(agenda, LOOK_UP)
    [result] = agenda.results
    assert (result.status, result.validation_score, result.test_score) == ("finished", 0.74, None)
    assert result.cost == Cost(trials=1, epochs=5, iterations=32, samples=500, device_seconds=21.0)
    assert result.is_tabulated
    assert result.started_at == result.finished_at  # it held no device of this study
    assert agenda.begun == agenda.trials
    assert agenda.reported == []


def test_a_confirmation_has_a_test_score() -> None:
    agenda = ListAgenda(trials=[trial(asked(), role="confirmation")])
    run_replay(agenda, LOOK_UP)
    assert agenda.results[0].test_score == 0.7


def test_a_trial_that_the_table_lacks_fails_with_the_reason_and_costs_nothing() -> None:
    agenda = ListAgenda(trials=[trial(asked(lr=0.2)), trial(asked())])
    run_replay(agenda, LOOK_UP)
    failed, finished = agenda.results
    assert (failed.status, failed.validation_score, failed.cost) == ("failed", None, Cost(trials=1))
    assert failed.error is not None
    assert failed.error.startswith("small has no trainings with learning rate 0.2: it has 0.001, 0.01, 0.1")
    assert failed.is_tabulated
    assert finished.status == "finished"


def test_a_training_with_a_curve_may_be_pruned_and_is_billed_up_to_there() -> None:
    pruned = trial(asked())
    agenda = ListAgenda(trials=[pruned], pruned_at={pruned.id: 2})
    run_replay(agenda, with_curve)
    [result] = agenda.results
    assert (result.status, result.validation_score, len(result.epochs)) == ("pruned", 0.4, 2)
    assert (result.cost.epochs, result.cost.device_seconds) == (2, 2.0)


def test_a_training_with_a_curve_that_is_not_pruned_keeps_its_last_score() -> None:
    kept = trial(asked())
    agenda = ListAgenda(trials=[kept], pruned_at={kept.id: 9})
    run_replay(agenda, with_curve)
    [result] = agenda.results
    assert (result.status, result.validation_score, result.cost.epochs) == ("finished", 0.7, 5)
    assert [epochs[0].epoch for _, epochs in agenda.reported] == [1, 2, 3, 4]
