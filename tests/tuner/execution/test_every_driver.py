"""Promises of every driver, tested with small real trainings."""

import os
import signal
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from tests.tuner.execution.agendas import NUM_TRAIN, ListAgenda, make_trial, without_seconds
from zerotune.trainers.spec import Placement
from zerotune.tuner.cost import Cost
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution.ray.tune_worker import run_ray
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution, TrialRunner
from zerotune.tuner.trial import Trial

GOOD = [make_trial(0), make_trial(1, epochs=2)]
WITHOUT_DATA = make_trial(2, data="nowhere")
HOPELESS = make_trial(3, epochs=5)
HOPEFUL = make_trial(4, epochs=3)
CHOSEN = make_trial(5, role="confirmation")
TRIALS = [*GOOD, WITHOUT_DATA, HOPELESS, CHOSEN, HOPEFUL]


@dataclass
class Ran:
    """What a driver did with TRIALS."""

    agenda: ListAgenda
    checkpoints: Path
    num_killed: int


def kill_workers() -> int:
    """Kill the processes of this process's own Ray workers, as the system does when memory is short."""
    children = psutil.Process().children(recursive=True)
    workers = [child for child in children if child.name().startswith("ray::TuneWorker")]
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    return len(workers)


@pytest.fixture(scope="module", params=["serial", pytest.param("ray", marks=pytest.mark.ray)])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run TRIALS with each driver; under Ray, kill all workers once HOPEFUL has finished its first epoch."""
    agenda = ListAgenda(TRIALS, alone=HOPEFUL, pruned_at={HOPELESS.id: 2, HOPEFUL.id: 99})
    ran = Ran(agenda=agenda, checkpoints=tmp_path_factory.mktemp("checkpoints"), num_killed=0)

    def kill_once(trial: Trial, _: object) -> None:
        if trial == HOPEFUL and not ran.num_killed:
            ran.num_killed = kill_workers()

    execution = Execution(checkpoints=ran.checkpoints, max_concurrent=2)
    if request.param == "ray":
        request.getfixturevalue("shared_head")
        agenda.on_report = kill_once
        run_ray(agenda, execution)
        assert ran.num_killed >= 1
    else:
        run_serial(agenda, execution)
    return ran


def test_every_trial_has_exactly_one_result(ran: Ran) -> None:
    assert dict.fromkeys((trial.id for trial in TRIALS), 1) == Counter(r.trial.id for r in ran.agenda.results)


def test_a_killed_worker_is_replaced_and_its_trial_done_again(ran: Ran) -> None:
    first_epochs = [new for trial, new in ran.agenda.reported if trial == HOPEFUL and new[0].epoch == 1]
    assert (2 if ran.num_killed else 1) == len(first_epochs)
    assert ("finished", 3) == (ran.agenda.result(HOPEFUL).status, len(ran.agenda.result(HOPEFUL).epochs))


def test_the_numbers_are_those_of_a_training_by_itself(ran: Ran) -> None:
    for trial in (*GOOD, HOPEFUL):
        work = TrialRunner(trial, Placement())
        alone = work.advance(600.0).training
        assert alone is not None
        result = ran.agenda.result(trial)
        assert result.status == "finished"
        assert without_seconds(alone.epochs) == without_seconds(result.epochs)
        assert alone.validation_score == result.validation_score


def test_a_result_says_what_it_cost_and_where_it_ran(ran: Ran) -> None:
    result = ran.agenda.result(GOOD[1])
    cost = result.cost
    counts = (cost.trials, cost.epochs, cost.iterations, cost.samples)
    assert (1, 2, 2, 2 * NUM_TRAIN) == counts
    assert sum(epoch.flops for epoch in result.epochs) == cost.flops
    assert cost.device_seconds > sum(epoch.device_seconds for epoch in result.epochs) > 0  # setup counts
    num_parameters = 61_706  # LeNet-5's
    assert num_parameters * 2 == cost.words
    assert cost.peak_memory_bytes > 0
    assert os.uname().nodename == result.host
    assert result.device


def test_the_test_score_is_shown_for_confirmations_only(ran: Ran) -> None:
    assert ran.agenda.result(GOOD[0]).test_score is None
    chosen = ran.agenda.result(CHOSEN)
    assert chosen.test_score is not None
    assert 0.0 < chosen.test_score < 1.0


def test_a_trial_that_cannot_be_trained_fails_with_a_sentence_and_the_rest_goes_on(ran: Ran) -> None:
    result = ran.agenda.result(WITHOUT_DATA)
    assert ("failed", None) == (result.status, result.validation_score)
    assert result.cost.device_seconds > 0  # the failed setup held the device
    assert Cost(trials=1) == replace(result.cost, device_seconds=0.0)
    assert result.error is not None
    assert result.error.startswith("UnknownName: unknown data source of lenet_mnist 'nowhere'")
    assert "\n" not in result.error


def test_a_trial_the_agenda_gives_up_ends_there_as_pruned(ran: Ran) -> None:
    result = ran.agenda.result(HOPELESS)
    assert ("pruned", 2, 2) == (result.status, len(result.epochs), result.cost.epochs)
    assert result.epochs[-1].validation_score == result.validation_score


def test_every_epoch_but_the_last_piece_is_reported_once(ran: Ran) -> None:
    reports = [new for trial, new in ran.agenda.reported if trial == HOPELESS]
    assert [[1], [2]] == [[epoch.epoch for epoch in new_epochs] for new_epochs in reports]


def test_no_checkpoint_is_left(ran: Ran) -> None:
    assert [] == list(ran.checkpoints.iterdir())


@pytest.mark.ray
@pytest.mark.usefixtures("shared_head")
def test_what_the_agenda_raises_comes_out_of_the_ray_driver_as_it_was() -> None:
    def full(*_: object) -> None:
        raise BadInput("journal.jsonl: the journal cannot be written")

    agenda = ListAgenda([make_trial(0, epochs=3)], pruned_at={make_trial(0, epochs=3).id: 99}, on_report=full)
    with pytest.raises(BadInput, match=r"journal\.jsonl: the journal cannot be written"):
        run_ray(agenda, Execution(max_concurrent=1))


@pytest.mark.ray
@pytest.mark.usefixtures("shared_head")
def test_trials_that_are_trained_at_once_are_reported_one_by_one() -> None:
    trials = [make_trial(index, epochs=2) for index in range(3)]
    agenda = ListAgenda([*trials, WITHOUT_DATA])
    run_ray(agenda, Execution(max_concurrent=1, packing=3))
    assert {trial.id: "finished" for trial in trials} | {WITHOUT_DATA.id: "failed"} == {
        result.trial.id: result.status for result in agenda.results
    }
    for result in agenda.results[:3]:
        training = TrialRunner(result.trial, Placement()).advance(600.0).training
        assert training is not None
        assert result.epochs[-1].train_loss == pytest.approx(training.epochs[-1].train_loss, rel=1e-4)
