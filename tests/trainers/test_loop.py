"""The training loop: exact counts, reproducible numbers, divergence as a status, bitwise resuming."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainers import small_trainings
from tests.trainers.small_trainings import PLAIN, numbers
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, DataSource, TensorSplit, dataset
from zerotune.trainers.loop import Training, train
from zerotune.trainers.spec import EpochMetrics, Placement, ScheduleSpec, TrainConfig
from zerotune.trainers.updates import CHECK_UPDATES

LENET = replace(small_trainings.LENET, batch_size=64, epochs=2, schedule=ScheduleSpec(peak_lr=0.02))


class OneWeight(torch.nn.Module):
    """The smallest model, a single weight, to test the loop alone."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.weight * inputs


@pytest.fixture
def one_weight(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Return the configuration of an application with n = 60,000 numbers and a model of one weight."""
    split = TensorSplit(inputs=torch.linspace(-1, 1, 60_000), targets=torch.linspace(-2, 2, 60_000))
    dataset = Dataset(train=split, validation=split, test=split)
    source = DataSource(load=lambda folder: dataset, num_train=60_000, description="line")
    application = replace(
        APPLICATIONS["lenet_mnist"],
        build_model=OneWeight,
        data_sources={"line": source},
        loss=torch.nn.functional.mse_loss,
        score_sum=lambda outputs, targets: (outputs - targets).abs().sum(),
    )
    monkeypatch.setitem(APPLICATIONS, "one_weight", application)
    return replace(LENET, application="one_weight", data="line", schedule=ScheduleSpec(peak_lr=0.01))


def test_training_makes_the_papers_220_updates_and_sees_every_sample_of_30_epochs(one_weight: TrainConfig):
    """DATE, Section 3.6: n = 60,000, B = 8,192, E = 30."""
    result = train(replace(one_weight, batch_size=8_192, epochs=30))
    assert sum(m.iterations for m in result.epochs) == 220
    assert sum(m.samples for m in result.epochs) == 30 * 60_000
    assert sum(m.flops for m in result.epochs) == 30 * 60_000 * (result.epochs[0].flops // result.epochs[0].samples)


@pytest.mark.parametrize("batch_size", [7_001, 25_000, 40_000, 59_999, 60_000])
def test_an_epoch_ends_with_the_update_that_completes_it(one_weight: TrainConfig, batch_size: int):
    result = train(replace(one_weight, batch_size=batch_size, epochs=5))
    updates, samples = 0, 0
    for epoch, metrics in enumerate(result.epochs, start=1):
        updates, samples = updates + metrics.iterations, samples + metrics.samples
        assert updates == math.ceil(epoch * 60_000 / batch_size)
        assert samples == min(updates * batch_size, 5 * 60_000)


def test_the_learning_rate_follows_the_schedule(one_weight: TrainConfig):
    config = replace(one_weight, batch_size=30_000, schedule=ScheduleSpec(peak_lr=0.01, warmup_epochs=2))
    assert [m.lr for m in train(config).epochs] == pytest.approx([0.005, 0.01])


def test_one_plain_step_is_the_gradient_times_the_learning_rate(one_weight: TrainConfig):
    training = Training(replace(one_weight, batch_size=60_000, epochs=1, optimizer=PLAIN), Placement())
    before = training.model.weight.item()
    metrics = training.run_epoch()
    mean_square = training.data.train.inputs.square().mean().item()
    assert metrics.train_loss == pytest.approx((before - 2) ** 2 * mean_square, rel=1e-5)
    assert training.model.weight.item() == pytest.approx(before - 0.01 * 2 * (before - 2) * mean_square, rel=1e-5)


@pytest.mark.parametrize("application", ["lenet_mnist", "lstm_mnist"])
def test_the_same_configuration_gives_the_same_numbers(application: str):
    config = replace(LENET, application=application, batch_size=1_000, epochs=1)
    first, second = train(config), train(config)
    assert numbers(first) == numbers(second)
    assert (first.test_score, first.test_loss) == (second.test_score, second.test_loss)


def test_another_seed_gives_other_weights():
    first, second = Training(LENET, Placement()), Training(replace(LENET, seed=1), Placement())
    assert not torch.equal(first.model.conv1.weight, second.model.conv1.weight)


def test_initial_weights_depend_on_the_seed_alone():
    other = replace(LENET, batch_size=100, optimizer=PLAIN, schedule=ScheduleSpec(peak_lr=1.0))
    first, second = Training(LENET, Placement()), Training(other, Placement())
    assert torch.equal(first.model.fc1.weight, second.model.fc1.weight)


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    train(replace(LENET, batch_size=3_000, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_a_learning_rate_of_1000_is_recorded_as_diverged():
    result = train(replace(LENET, schedule=ScheduleSpec(peak_lr=1e3), epochs=3))
    assert result.status == "diverged"
    assert (result.validation_score, result.test_score, result.test_loss) == (0.1, 0.1, None)
    assert len(result.epochs) == 1
    assert result.epochs[0].samples == 3_008


def test_a_loss_that_is_not_finite_ends_its_epoch_and_costs_only_the_updates_made(one_weight: TrainConfig):
    config = replace(one_weight, batch_size=100, schedule=ScheduleSpec(peak_lr=1e30))
    result = train(config)
    (epoch,) = result.epochs
    assert (result.status, result.validation_score) == ("diverged", 0.1)
    assert (epoch.iterations, epoch.samples, epoch.words) == (CHECK_UPDATES, 100 * CHECK_UPDATES, CHECK_UPDATES)
    assert not math.isfinite(epoch.train_loss)
    assert math.isnan(epoch.validation_loss)


def test_a_loss_that_blows_up_and_stays_finite_diverges_at_the_end(one_weight: TrainConfig):
    config = replace(one_weight, batch_size=60_000, epochs=9, schedule=ScheduleSpec(peak_lr=6.0), optimizer=PLAIN)
    result, endless = train(config), train(replace(config, divergence_factor=math.inf))
    assert (result.status, result.test_score, endless.status) == ("diverged", 0.1, "finished")
    assert [m.train_loss for m in result.epochs] == [m.train_loss for m in endless.epochs]
    assert result.epochs[-1].validation_score == 0.1


def test_lenet_learns_mnist5k():
    result = train(replace(LENET, epochs=4))
    assert result.status == "finished"
    assert result.num_parameters == 61_706
    assert result.validation_score > 0.9
    assert result.test_score is not None
    assert result.test_score > 0.9


def test_the_lstm_improves():
    result = train(replace(LENET, application="lstm_mnist", batch_size=50, schedule=ScheduleSpec(peak_lr=0.1)))
    assert result.epochs[1].train_loss < result.epochs[0].train_loss < math.log(10)
    assert result.validation_score > 0.4


def test_an_early_stop_leaves_the_training_running_and_the_test_split_unseen():
    seen: list[EpochMetrics] = []

    def report(metrics: EpochMetrics) -> bool:
        seen.append(metrics)
        return len(seen) < 2

    result = train(replace(LENET, batch_size=1_000, epochs=5), report=report)
    assert (result.status, result.epochs) == ("running", tuple(seen))
    assert (result.test_score, result.test_loss) == (None, None)
    assert result.validation_score == seen[-1].validation_score


@pytest.mark.parametrize("batch_size", [128, 2_000])
def test_a_resumed_training_equals_an_uninterrupted_one(batch_size: int, tmp_path: Path):
    config = replace(LENET, batch_size=batch_size, epochs=3, schedule=ScheduleSpec(peak_lr=0.02, warmup_epochs=2))
    placement = Placement(checkpoint=str(tmp_path / "made" / "training.pt"), checkpoint_seconds=0)
    train(config, placement, report=lambda metrics: False)
    resumed, whole = train(config, placement), train(config)
    assert resumed.resumed_epochs == 1
    assert numbers(resumed) == numbers(whole)
    assert (resumed.test_score, resumed.test_loss) == (whole.test_score, whole.test_loss)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_training_saved_at_its_end_resumes_as_ended(tmp_path: Path):
    config, path = replace(LENET, batch_size=3_000, epochs=1), tmp_path / "end.pt"
    training = Training(config, Placement())
    training.run_epoch()
    training.save(path)
    result = train(config, Placement(checkpoint=str(path)))
    assert result.epochs == training.result().epochs
    assert result.test_score == training.result().test_score


def test_no_checkpoint_is_written_before_it_is_due(tmp_path: Path):
    path = tmp_path / "training.pt"
    train(LENET, Placement(checkpoint=str(path), checkpoint_seconds=3_600), report=lambda metrics: False)
    assert not path.exists()


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"batch_size .*3000.* got 3001"):
        Training(replace(LENET, batch_size=3_001), Placement())


def test_an_unknown_name_is_reported_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown application 'lenet': did you mean 'lenet_mnist'"):
        train(replace(LENET, application="lenet"))
    with pytest.raises(ValueError, match="unknown data source of lenet_mnist 'mnist5': did you mean 'mnist5k'"):
        train(replace(LENET, data="mnist5"))


def test_a_training_that_has_ended_refuses_another_epoch():
    training = Training(replace(LENET, batch_size=3_000, epochs=1), Placement())
    training.run_epoch()
    with pytest.raises(RuntimeError, match="this training has finished"):
        training.run_epoch()


def test_the_size_of_evaluation_batches_changes_no_score(monkeypatch: pytest.MonkeyPatch):
    config = replace(LENET, batch_size=1_000, epochs=1)
    scores = []
    for size in (1_000, 333):
        monkeypatch.setattr(dataset, "EVALUATION_BATCH", size)
        result = train(config)
        scores.append((result.validation_score, result.test_score))
    assert scores[0] == scores[1]
