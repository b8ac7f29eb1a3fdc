"""What every application promises, over the table: a new entry is tested without being named."""

import pytest
import torch

from trainers.applications import APPLICATIONS
from trainers.applications.application import Application
from trainers.data import load_on_device
from trainers.optimizers import build_optimizer
from trainers.schedules import build_schedule

CPU = torch.device("cpu")
every_application = pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS.keys())


@every_application
def test_the_default_source_needs_no_folder_and_has_the_size_it_states(application: Application):
    source = next(iter(application.data_sources.values()))
    source.check(None)
    assert len(load_on_device(source, None, CPU).train) == source.num_train


@every_application
def test_the_same_seed_builds_the_same_model(application: Application):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(application.build_model().state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@every_application
def test_loss_and_score_of_a_batch_are_one_number_each(application: Application):
    split = load_on_device(next(iter(application.data_sources.values())), None, CPU).train
    inputs, targets = split.inputs[:8], split.targets[:8]
    outputs = application.build_model()(inputs)
    loss, score_sum = application.loss(outputs, targets), application.score_sum(outputs, targets)
    assert loss.shape == score_sum.shape == ()
    assert torch.isfinite(loss)


@every_application
def test_every_parameter_gets_a_gradient(application: Application):
    split = load_on_device(next(iter(application.data_sources.values())), None, CPU).train
    model = application.build_model()
    application.loss(model(split.inputs[:8]), split.targets[:8]).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@every_application
def test_the_target_is_better_than_chance(application: Application):
    better = application.target > application.chance_score
    assert better == application.higher_is_better


@every_application
def test_the_baseline_can_be_trained_with(application: Application):
    baseline = application.baseline
    for source in application.data_sources.values():
        schedule = build_schedule(
            baseline.schedule, num_samples=source.num_train, batch_size=baseline.batch_size, epochs=application.epochs
        )
        lr = schedule.lr(1)
        optimizer = build_optimizer(baseline.optimizer, application.build_model().named_parameters(), lr)
        assert optimizer.param_groups[0]["lr"] == lr
