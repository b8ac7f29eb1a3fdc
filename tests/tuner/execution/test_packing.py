"""Trials trained at once: reported one by one, billed exactly, and trained alone if they cannot be packed."""

from dataclasses import replace

import pytest
from torch import Tensor

from tests.tuner.execution.agendas import NUM_TRAIN, make_trial
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.packing.packed_training import PackedTraining
from zerotune.trainers.spec import Placement
from zerotune.tuner.execution.packing import PackRunner
from zerotune.tuner.execution.progress_update import ProgressUpdate, conclude
from zerotune.tuner.execution.trial_runner import TrialRunner
from zerotune.tuner.trial import Trial

LENET_PARAMETERS = 61_706
PAIR = [make_trial(0, epochs=2), make_trial(1, epochs=2)]


def advanced(work: PackRunner) -> list[dict[str, ProgressUpdate]]:
    found = []
    while not work.done:
        found.append(work.advance(0.0))
    return found


def test_every_trial_of_a_pack_reports_every_epoch_and_the_scores_it_has_alone() -> None:
    updates = advanced(PackRunner(PAIR, [Placement()] * 2))
    assert [{trial.id for trial in PAIR}] * 2 == [set(update) for update in updates]
    for trial in PAIR:
        assert [[1], [2]] == [[epoch.epoch for epoch in update[trial.id].new_epochs] for update in updates]
        result = conclude(trial, updates[-1][trial.id])
        alone = TrialRunner(trial, Placement()).advance(60.0).training
        assert alone is not None
        assert result.status == "finished"
        assert result.epochs[-1].train_loss == pytest.approx(alone.epochs[-1].train_loss, rel=1e-4)
        assert result.validation_score == pytest.approx(alone.validation_score, abs=0.02)
        assert (result.cost.trials, result.cost.epochs, result.cost.samples) == (1, 2, 2 * NUM_TRAIN)
        assert result.cost.words == 2 * LENET_PARAMETERS


def test_a_pack_that_breaks_is_trained_one_by_one_and_billed_for_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack's second epoch raises. Its reported first epoch is billed by the journal, the rest here."""
    run_epoch = PackedTraining.run_epoch

    def breaks(pack: PackedTraining) -> None:
        if pack.results()[0].epochs:
            pack.unfinished = (1, NUM_TRAIN)
            raise MemoryError("no room")
        run_epoch(pack)

    monkeypatch.setattr(PackedTraining, "run_epoch", breaks)
    work = PackRunner(PAIR, [Placement()] * 2)
    first = work.advance(0.0)
    assert [[1], [1]] == [[epoch.epoch for epoch in update.new_epochs] for update in first.values()]
    rest = advanced(work)
    assert [[PAIR[0].id], [PAIR[0].id], [PAIR[1].id], [PAIR[1].id]] == [list(update) for update in rest]
    for trial, last in zip(PAIR, (rest[1], rest[3]), strict=True):
        result = conclude(trial, last[trial.id])
        assert result.status == "finished"
        assert [1, 2] == [epoch.epoch for epoch in result.epochs]
        flops = sum(epoch.flops for epoch in result.epochs)
        expected = (3, 3 * NUM_TRAIN, flops * 3 // 2, 3 * LENET_PARAMETERS)
        assert expected == (result.cost.iterations, result.cost.samples, result.cost.flops, result.cost.words)


def test_epochs_that_a_broken_pack_had_not_reported_are_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    run_epoch = PackedTraining.run_epoch

    def breaks(pack: PackedTraining) -> None:
        if pack.results()[0].epochs:
            raise MemoryError("no room")
        run_epoch(pack)

    monkeypatch.setattr(PackedTraining, "run_epoch", breaks)
    work = PackRunner(PAIR, [Placement()] * 2)
    updates = [work.advance(600.0), *advanced(work)]
    result = conclude(PAIR[0], updates[0][PAIR[0].id])
    assert (result.cost.epochs, result.cost.samples) == (3, 3 * NUM_TRAIN)


def test_a_trial_that_cannot_be_trained_fails_with_its_own_sentence() -> None:
    nowhere = [replace(trial, config=replace(trial.config, data="nowhere")) for trial in PAIR]
    updates = advanced(PackRunner(nowhere, [Placement()] * 2))
    for trial, update in zip(nowhere, updates, strict=True):
        result = conclude(trial, update[trial.id])
        assert result.status == "failed"
        assert "nowhere" in str(result.error)


def test_a_loss_that_raises_once_costs_nobody_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    application, raised = APPLICATIONS["lenet_mnist"], []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if not raised:
            raised.append(True)
            raise RuntimeError("the first call of all")
        return application.loss(outputs, targets)

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(application, loss=loss))
    trials: list[Trial] = [make_trial(0), make_trial(1)]
    updates = advanced(PackRunner(trials, [Placement()] * 2))
    results = [conclude(trial, update[trial.id]) for trial, update in zip(trials, updates, strict=True)]
    assert ["finished", "finished"] == [result.status for result in results]
