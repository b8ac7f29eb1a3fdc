"""One trial trained in steps, and its placement."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.synthetic_study import epoch_metrics
from tests.tuner.execution.agendas import NUM_TRAIN, ListAgenda, make_trial
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.spec import Placement, TrainResult
from zerotune.tuner.execution.failures import LESS_MEMORY, describe_error
from zerotune.tuner.execution.progress_update import ProgressUpdate, conclude
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution, TrialRunner
from zerotune.tuner.trial import Role


def test_an_agenda_that_waits_for_nothing_is_an_error_not_an_endless_loop() -> None:
    agenda = ListAgenda([])
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="waits for a trial that no driver is running"):
        run_serial(agenda, Execution())


def test_work_is_taken_up_from_the_checkpoint_and_only_new_epochs_are_reported(tmp_path: Path) -> None:
    placement = Placement(checkpoint=str(tmp_path / "trial.pt"), checkpoint_seconds=0.0)
    trial = make_trial(0, epochs=2)
    first = TrialRunner(trial, placement).advance(0.0)
    assert ([1], False) == ([epoch.epoch for epoch in first.new_epochs], first.done)
    second = TrialRunner(trial, placement).advance(0.0)
    assert ([2], True) == ([epoch.epoch for epoch in second.new_epochs], second.done)
    result = conclude(trial, second)
    assert first.new_epochs + second.new_epochs == result.epochs
    assert result.cost.epochs == 2


def test_a_training_that_raises_in_its_second_epoch_is_billed_for_its_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    application = APPLICATIONS["lenet_mnist"]
    num_calls = 0

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal num_calls
        num_calls += len(outputs) == NUM_TRAIN
        if num_calls == 2:
            raise MemoryError("no room\nfor this")
        return application.loss(outputs, targets)

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(application, loss=loss))
    placement = Placement(checkpoint=str(tmp_path / "trial.pt"), checkpoint_seconds=0.0)
    trial = make_trial(0, epochs=3)
    update = TrialRunner(trial, placement).advance(60.0)
    result = conclude(trial, update)
    assert ("failed", None, 1) == (result.status, result.validation_score, result.cost.epochs)
    assert result.error is not None
    place = "(at test_trial_runner.py:"
    assert result.error.startswith(f"out of memory: {LESS_MEMORY}; MemoryError: no room for this {place}")
    assert [] == list(tmp_path.iterdir())


def test_the_updates_of_an_epoch_that_raises_are_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fourth update raises: the first epoch's two and the second's first are done, with 1,500 samples each."""
    application = APPLICATIONS["lenet_mnist"]
    num_calls = 0

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal num_calls
        num_calls += len(outputs) == NUM_TRAIN // 2
        if num_calls == 4:
            raise MemoryError("no room")
        return application.loss(outputs, targets)

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(application, loss=loss))
    trial = make_trial(0, epochs=3)
    trial = replace(trial, batch_size=NUM_TRAIN // 2, config=replace(trial.config, batch_size=NUM_TRAIN // 2))
    update = TrialRunner(trial, Placement()).advance(60.0)
    cost = conclude(trial, update).cost
    flops_per_sample = update.new_epochs[0].flops // NUM_TRAIN
    samples = NUM_TRAIN + NUM_TRAIN // 2
    expected = (1, 3, samples, samples * flops_per_sample, 3 * 61_706)
    assert expected == (cost.epochs, cost.iterations, cost.samples, cost.flops, cost.words)
    assert update.training is not None
    assert cost.device_seconds > update.training.setup_seconds + update.new_epochs[0].device_seconds


def test_trials_that_share_a_machines_meter_share_what_it_counts() -> None:
    assert 0.25 == Execution(workers_per_machine=4).placement(make_trial(0)).energy_share
    assert 1.0 == Execution(workers_per_machine=4, gpus_per_trial=1.0).placement(make_trial(0)).energy_share


@pytest.mark.parametrize(("gpus", "device"), [(0.0, "cpu"), (0.5, "cuda"), (1.0, "cuda")])
def test_a_trial_is_placed_as_the_execution_says(tmp_path: Path, gpus: float, device: str) -> None:
    execution = Execution(cpus_per_trial=3, gpus_per_trial=gpus, data_folder="data", checkpoints=tmp_path)
    trial = make_trial(0)
    expected = Placement(
        data_folder="data",
        device=device,
        num_threads=3,
        checkpoint=str(tmp_path / f"{trial.id}.pt"),
        energy_share=0.5 if gpus == 0.5 else 1.0,
    )
    assert expected == execution.placement(trial)


@pytest.mark.parametrize(
    ("error", "out_of_memory"),
    [
        (MemoryError("no"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), False),
        (ValueError("out of memory of the plot"), False),
    ],
)
def test_being_out_of_memory_is_distinguished_from_a_bug(error: Exception, out_of_memory: bool) -> None:
    described = f"{type(error).__name__}: {error}"
    assert (f"out of memory: {LESS_MEMORY}; {described}" if out_of_memory else described) == describe_error(error)


def test_memory_that_torch_cannot_have_is_reported_as_such() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert describe_error(error.value).startswith("out of memory: ")


@pytest.mark.parametrize("spoilt", [b"garbage", b""])
def test_what_a_checkpoint_cost_no_training_is_said(spoilt: bytes, tmp_path: Path) -> None:
    """With a damaged checkpoint the trial is trained from its start, with a warning, under either driver."""
    trial = make_trial(0)
    path = tmp_path / f"{trial.id}.pt"
    path.write_bytes(spoilt)
    agenda = ListAgenda([trial])
    run_serial(agenda, Execution(checkpoints=tmp_path))
    ((warned, sentence),) = agenda.warnings
    assert trial == warned
    assert sentence.startswith(f"{path}: not a readable checkpoint")
    assert sentence.endswith("the training starts anew.")
    assert ["finished"] == [result.status for result in agenda.results]


@pytest.mark.parametrize(
    ("role", "status", "score", "tested"), [("search", "finished", 0.7, None), ("confirmation", "diverged", 0.1, 0.1)]
)
def test_only_a_confirmation_learns_that_the_test_split_alone_shows_a_divergence(
    role: Role, status: str, score: float, tested: float | None
) -> None:
    training = TrainResult(
        status="diverged",
        epochs=(epoch_metrics(1, 0.7),),
        validation_score=0.1,
        test_score=0.1,
        divergence="the test loss is nan in epoch 1",
        diverged_on_test=True,
    )
    result = conclude(replace(make_trial(0), role=role), ProgressUpdate(training=training))
    assert (result.status, result.validation_score, result.test_score) == (status, score, tested)
    assert result.divergence == (training.divergence if role == "confirmation" else None)
    assert result.diverged_on_test == (role == "confirmation")
