"""Contract of every application, over the table: a new entry is tested without being named."""

import pytest
import torch
from torch import nn

from tests.contracts.small_workloads import SMALL_WORKLOADS, small_dataset
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Batch, Dataset
from zerotune.trainers.evaluation import evaluate
from zerotune.trainers.flops_and_memory import training_flops_per_sample
from zerotune.trainers.optimizers import build_optimizer
from zerotune.trainers.sanity_check import run_sanity_check
from zerotune.trainers.schedules import build_schedule

TRAINED = [name for name, application in APPLICATIONS.items() if application.look_up is None]
every_application = pytest.mark.parametrize("name", TRAINED)


@pytest.fixture
def data(name: str, request: pytest.FixtureRequest) -> Dataset:
    return small_dataset(name, request)


def new_model(name: str, data: Dataset, seed: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return APPLICATIONS[name].new_model(data.info, SMALL_WORKLOADS[name].model_options)


def first_batch(data: Dataset, batch_size: int = 8) -> Batch:
    _, _, keys = data.train.order(0, 1, epochs=1, batch_size=batch_size)
    return next(data.train.batches([keys[:batch_size]]))


@every_application
def test_the_same_seed_builds_the_same_model(name: str, data: Dataset):
    first, second = (new_model(name, data).state_dict() for _ in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@every_application
def test_the_loss_of_a_batch_is_one_finite_number(name: str, data: Dataset):
    inputs, targets = first_batch(data)
    loss = APPLICATIONS[name].loss(new_model(name, data)(inputs), targets)
    assert loss.shape == ()
    assert torch.isfinite(loss)


@every_application
def test_every_parameter_gets_a_gradient(name: str, data: Dataset):
    model = new_model(name, data)
    inputs, targets = first_batch(data)
    APPLICATIONS[name].loss(model(inputs), targets).backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@every_application
def test_all_epochs_together_take_every_sample_equally_often(name: str, data: Dataset):
    """T = ceil(E n / B) updates see exactly E n samples, for any order of the split."""
    num_samples, batch_size, epochs = len(data.train), max(2, len(data.train) // 7), 2
    orders = [data.train.order(1, epoch, epochs=epochs, batch_size=batch_size) for epoch in (1, 2)]
    assert (orders[0][0], orders[0][1] + 1, orders[1][1]) == (1, orders[1][0], -(-epochs * num_samples // batch_size))
    assert sum(len(keys) for _, _, keys in orders) == epochs * num_samples


@every_application
def test_evaluation_sees_every_sample_once(name: str, data: Dataset):
    for split in (data.validation, data.test):
        assert sum(len(keys) for keys in split.evaluation_keys()) == len(split)


@every_application
def test_operations_are_counted(name: str, data: Dataset):
    assert training_flops_per_sample(APPLICATIONS[name], data, SMALL_WORKLOADS[name].model_options) > 0


@every_application
def test_an_untrained_model_scores_about_what_chance_scores(name: str, data: Dataset):
    model, application = new_model(name, data).eval(), APPLICATIONS[name]
    found = evaluate(model, model, application, data.validation, torch.device("cpu"))
    assert set(found.other_scores) == set(application.other_scores)
    if application.higher_is_better:
        assert found.score <= application.chance_score + 0.5 * (application.target - application.chance_score)
    else:
        assert found.score >= application.target


@every_application
def test_the_baseline_can_be_trained_with(name: str, data: Dataset):
    application = APPLICATIONS[name]
    baseline = application.baseline
    num_samples = max(source.num_train or baseline.batch_size for source in application.data_sources.values())
    schedule = build_schedule(
        baseline.schedule, num_samples=num_samples, batch_size=baseline.batch_size, epochs=application.epochs
    )
    lr = schedule.lr(1)
    optimizer = build_optimizer(baseline.optimizer, new_model(name, data).named_parameters(), lr)
    assert optimizer.param_groups[0]["lr"] == lr


@pytest.mark.parametrize(
    "name",
    # Sixty-four images or translations for each of the others take minutes together.
    [name for name, small in SMALL_WORKLOADS.items() if not small.folder_fixture and not APPLICATIONS[name].measure],
)
def test_the_sanity_check_has_no_remark(name: str, data: Dataset):
    small = SMALL_WORKLOADS[name]
    assert run_sanity_check(APPLICATIONS[name], data, small.model_options, batch_sizes=(8,)) == ()
