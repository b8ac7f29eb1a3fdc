"""Diagnostics against closed forms and brute force, without effect on the training."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.small_trainings import LENET, PLAIN
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, DataSource, TensorSplit
from zerotune.trainers.diagnostics import (
    GradientNoise,
    Probe,
    TrainingObserver,
    distance,
    fit,
    gradient_noise,
    layer_norms,
    lipschitz_constant,
)
from zerotune.trainers.diagnostics.noise import probe_noise
from zerotune.trainers.loop import Training
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.models.lstm import RowLSTM
from zerotune.trainers.optimizers import build_optimizer
from zerotune.trainers.spec import OptimizerSpec, OptionValue, Placement, Recipe, ScheduleSpec, TrainConfig

PLAIN_LENET = replace(LENET, schedule=ScheduleSpec(peak_lr=0.02), optimizer=PLAIN)
HESSIAN = torch.tensor([[3.0, 1.0, 0.0], [1.0, -2.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)


class Weights(nn.Module):
    """A model whose outputs are its weights, so the loss can be any function of them."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.values


class Linear(Weights):
    """Outputs x'w: the gradient of their mean is the samples' mean for every w."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.values


def quadratic_probe(values: Tensor) -> Probe:
    """Probe w'Aw / 2 with A = `HESSIAN`."""
    nothing = torch.zeros(2, 1)
    return Probe(Weights(values), lambda w, targets: 0.5 * w @ HESSIAN @ w, [(nothing, nothing)] * 2)


def image_probe(model: nn.Module) -> Probe:
    """Probe the cross entropy on 64 random images in four pieces, in float64."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(64, 1, 28, 28, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (64,), generator=generator)
    pieces = list(zip(images.split(16), labels.split(16), strict=True))
    return Probe(model.double(), nn.functional.cross_entropy, pieces)


@pytest.mark.parametrize("method", ["difference", "exact"])
def test_the_lipschitz_constant_of_a_quadratic_is_its_hessian_along_the_gradient(method):
    weights = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    g = HESSIAN @ weights
    assert lipschitz_constant(quadratic_probe(weights), method=method) == pytest.approx(
        float(g @ HESSIAN @ g / (g @ g))
    )


def test_a_loss_that_curves_down_has_a_negative_constant():
    assert lipschitz_constant(quadratic_probe(torch.tensor([0.1, 5.0, 0.0], dtype=torch.float64))) < 0


def test_without_a_gradient_there_is_no_constant():
    assert math.isnan(lipschitz_constant(quadratic_probe(torch.zeros(3, dtype=torch.float64))))


def test_both_ways_to_the_hessian_agree_on_lenet_between_its_kinks():
    """The step is too short to reach a kink of ReLU or max-pooling on these images."""
    torch.manual_seed(0)
    probe = image_probe(LeNet5())
    exact = lipschitz_constant(probe, method="exact")
    assert lipschitz_constant(probe, relative_step=1e-9) == pytest.approx(exact, rel=1e-4)


def test_both_ways_to_the_hessian_agree_on_a_smooth_network_at_the_default_step():
    torch.manual_seed(0)
    probe = image_probe(RowLSTM(num_hidden=16))
    assert lipschitz_constant(probe) == pytest.approx(lipschitz_constant(probe, method="exact"), rel=1e-3)


def test_measuring_leaves_the_weights_where_they_were():
    weights = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    probe = quadratic_probe(weights)
    lipschitz_constant(probe)
    assert torch.equal(probe.weights[0], weights)


def test_a_probe_has_the_gradient_of_its_pieces_taken_at_once():
    torch.manual_seed(0)
    model = LeNet5().double()
    probe = image_probe(model)
    inputs, targets = (torch.cat(parts) for parts in zip(*probe._pieces, strict=True))
    nn.functional.cross_entropy(model(inputs), targets).backward()
    for gradient, weight in zip(probe.gradient(), model.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad)


@pytest.mark.parametrize("sizes", [[4], [4, 3], []])
def test_a_probe_needs_pieces_of_one_size(sizes):
    pieces = [(torch.zeros(size, 2), torch.zeros(size)) for size in sizes]
    with pytest.raises(ValueError, match="at least two pieces of one size"):
        Probe(nn.Linear(2, 1), nn.functional.mse_loss, pieces)


def test_the_noise_estimates_are_unbiased():
    """120 probes of samples with gradients N(G, diag(s^2)): means lie within four standard errors of the truth."""
    generator = torch.Generator().manual_seed(0)
    mean, deviation = torch.tensor([0.5, -0.2, 0.1]), torch.tensor([1.0, 2.0, 0.5])
    noises: list[GradientNoise] = []
    for _ in range(120):
        samples = mean + deviation * torch.randn(64, 3, generator=generator)
        pieces = [(piece, piece) for piece in samples.split(16)]
        noises.append(probe_noise(Probe(Linear(torch.zeros(3)), lambda outputs, _: outputs.mean(), pieces))[1])
    for name, truth in (("trace", 5.25), ("squared_norm", 0.3)):
        values = torch.tensor([getattr(noise, name) for noise in noises])
        assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(len(noises)), name


def test_the_expected_norms_of_two_batch_sizes_give_back_what_made_them():
    trace, squared_norm = 7.0, 0.5
    noise = gradient_noise(
        small_batch=3,
        small_squared_norm=squared_norm + trace / 3,
        big_batch=50,
        big_squared_norm=squared_norm + trace / 50,
    )
    assert (noise.trace, noise.squared_norm, noise.scale) == pytest.approx((trace, squared_norm, trace / squared_norm))


def test_a_gradient_lost_in_its_noise_has_no_scale():
    noise = gradient_noise(small_batch=1, small_squared_norm=5.0, big_batch=4, big_squared_norm=1.0)
    assert noise.squared_norm < 0
    assert noise.scale is None


def test_equal_batch_sizes_tell_nothing_of_noise():
    with pytest.raises(ValueError, match="small_batch < big_batch, got 4 and 4"):
        gradient_noise(small_batch=4, small_squared_norm=1.0, big_batch=4, big_squared_norm=1.0)


@pytest.mark.parametrize(("law", "function"), [("log t", math.log), ("sqrt t", math.sqrt)])
def test_a_fit_recovers_the_law_that_made_the_distances(law, function):
    times = [1, 2, 5, 10, 100, 1_000]
    found = fit(law, times, [0.7 + 1.3 * function(t) for t in times])
    assert (found.intercept, found.slope, found.r_squared) == pytest.approx((0.7, 1.3, 1.0))
    assert found.at(50) == pytest.approx(0.7 + 1.3 * function(50))


def test_the_share_explained_is_that_of_the_squared_residuals():
    times, distances = [1, 3, 9, 30, 80], [0.1, 0.9, 1.3, 2.9, 3.1]
    found = fit("log t", times, distances)
    mean = sum(distances) / len(distances)
    residual = sum((d - found.at(t)) ** 2 for t, d in zip(times, distances, strict=True))
    assert found.r_squared == pytest.approx(1 - residual / sum((d - mean) ** 2 for d in distances))


@pytest.mark.parametrize(
    ("times", "distances"), [([1, 2], [1.0, 2.0]), ([5, 5, 5], [1.0, 2.0, 3.0]), ([1, 2, 3], [1.0] * 3)]
)
def test_nothing_to_explain_has_no_fit(times, distances):
    assert fit("log t", times, distances) is None


def test_the_distance_is_that_of_all_weights_in_one_vector():
    one, other = ([torch.randn(2, 3), torch.randn(4)] for _ in range(2))
    whole = torch.cat([(a - b).flatten() for a, b in zip(one, other, strict=True)])
    assert distance(one, other) == pytest.approx(whole.norm().item())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lars", {"momentum": 0.0, "weight_decay": 0.0, "trust_coefficient": 0.02}),
        ("lars", {"momentum": 0.0, "weight_decay": 0.0, "trust_coefficient": 0.5, "larc_clip": True}),
        ("date-sgd", {"ratio_low": 0.5, "ratio_high": 2.0}),
        ("date-sgd", {"ratio_low": 1e-6, "ratio_high": 1e6}),
        ("date-sgd", {"adapt_vectors": False, "ratio_low": 1e-6, "ratio_high": 1e6}),
        ("layerwise-sgd", {"bounds": "dynamic", "ratio_final": 0.5, "ratio_gamma": 1.0}),
    ],
)
def test_the_ratio_said_to_be_applied_is_the_one_of_the_step(name: str, options: dict[str, OptionValue]):
    torch.manual_seed(0)
    model, lr = nn.Linear(5, 3), 0.1
    optimizer = build_optimizer(OptimizerSpec(name=name, options=options), model.named_parameters(), lr)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 5)).square().sum().backward()
        reported = list(layer_norms(model, optimizer))
        before = [weight.detach().clone() for weight in model.parameters()]
        optimizer.step()
        for layer, weight, old in zip(reported, model.parameters(), before, strict=True):
            assert layer.trust_ratio == pytest.approx((old.norm() / weight.grad.norm()).item())
            assert layer.applied == pytest.approx(
                (weight.detach() - old).norm().item() / (lr * layer.gradient), rel=1e-4
            )


@pytest.mark.parametrize(("name", "options"), [("momentum", {}), ("lamb", {}), ("layerwise-sgd", {"ratio": "update"})])
def test_a_ratio_that_is_not_known_beforehand_is_not_told(name: str, options: dict[str, OptionValue]):
    model = nn.Linear(5, 3)
    optimizer = build_optimizer(OptimizerSpec(name=name, options=options), model.named_parameters(), 0.1)
    model(torch.randn(4, 5)).square().sum().backward()
    assert [layer.applied for layer in layer_norms(model, optimizer)] == [None, None]


def test_a_layer_of_zeros_has_no_trust_ratio():
    model = nn.Linear(2, 1)
    nn.init.zeros_(model.bias)
    model(torch.ones(1, 2)).sum().backward()
    assert [layer.trust_ratio is None for layer in layer_norms(model)] == [False, True]


class Fickle(nn.Module):
    """Everything a careless measurement could disturb: batch statistics, dropout, and state carried between batches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout, self.linear = nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 2)
        self.carried = torch.zeros(2)

    def reset_state(self) -> None:
        self.carried = torch.zeros(2)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.dropout(self.norm(inputs))) + self.carried
        self.carried = 0.5 * outputs.detach().mean(0)
        return outputs


@pytest.fixture
def fickle(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Return a configuration of that model on augmented samples."""
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    split = TensorSplit(inputs=inputs, targets=(inputs[:, 0] > 0).long())
    train = replace(split, augment=lambda batch, draws: batch + (draws / 2**31).view(-1, 1))
    data = Dataset(train=train, validation=split, test=split)
    application = replace(
        APPLICATIONS["lenet_mnist"],
        build_model=Fickle,
        data_sources={"own": DataSource(load=lambda folder: data, num_train=200)},
    )
    monkeypatch.setitem(APPLICATIONS, "fickle", application)
    return replace(PLAIN_LENET, application="fickle", data="own", batch_size=48, epochs=3)


def trained(config: TrainConfig, iterations: set[int] | None) -> tuple[dict[str, object], list[Tensor], int]:
    """Return what must be the same with and without an observer, and the number of observations."""
    torch.manual_seed(5)
    training = Training(config, Placement())
    recorder = TrainingObserver(training, iterations or ())
    training.updates.observer = None if iterations is None else recorder
    while not training.finished:
        training.run_epoch()
    result = asdict(training.result())
    for name in ("setup_seconds", "peak_memory_bytes"):
        del result[name]
    for epoch in result["epochs"]:
        del epoch["device_seconds"]
    state = training.optimizer.state_dict()["state"]
    tensors = [
        *training.model.state_dict().values(),
        *(value for entry in state.values() for value in entry.values() if isinstance(value, Tensor)),
        torch.get_rng_state(),
    ]
    return result, tensors, len(recorder.observations)


@pytest.mark.parametrize("solver", ["momentum", "date", "lamb"])
def test_an_observed_training_equals_one_that_is_not_bit_for_bit(fickle: TrainConfig, solver: str):
    config = replace(fickle, optimizer=OptimizerSpec(name=solver), recipe=Recipe(clip_norm=0.5, label_smoothing=0.1))
    result, tensors, num_seen = trained(config, {1, 2, 5, 9, 13})
    expected_result, expected_tensors, none_seen = trained(config, None)
    assert (num_seen, none_seen) == (5, 0)
    assert result == expected_result
    assert len(tensors) == len(expected_tensors)
    assert all(torch.equal(one, other) for one, other in zip(tensors, expected_tensors, strict=True))


def test_the_first_update_moves_the_weights_by_learning_rate_times_gradient():
    training = Training(PLAIN_LENET, Placement())
    training.updates.observer = recorder = TrainingObserver(training, {1, 2})
    training.run_epoch()
    first, second = recorder.observations
    whole = math.sqrt(sum(layer.gradient**2 for layer in first.layers))
    assert (first.iteration, first.distance) == (1, 0.0)
    assert second.distance == pytest.approx(PLAIN_LENET.schedule.peak_lr * whole, rel=1e-5)


def test_all_batch_sizes_of_a_seed_are_measured_on_the_same_samples():
    seen = []
    for batch_size in (1_000, 1_500):
        training = Training(replace(PLAIN_LENET, batch_size=batch_size), Placement())
        training.updates.observer = recorder = TrainingObserver(training, {1})
        training.run_epoch()
        seen.append((recorder.observations[0].lipschitz, recorder.observations[0].noise))
    assert seen[0] == seen[1]


def test_a_data_set_too_small_for_two_pieces_is_refused(fickle: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    few = TensorSplit(inputs=torch.randn(63, 4), targets=torch.zeros(63, dtype=torch.long))
    source = DataSource(load=lambda folder: Dataset(train=few, validation=few, test=few), num_train=63)
    application = replace(APPLICATIONS["fickle"], data_sources={"few": source})
    monkeypatch.setitem(APPLICATIONS, "few", application)
    training = Training(replace(fickle, application="few", data="few"), Placement())
    with pytest.raises(ValueError, match="at least 64 training samples, got 63"):
        TrainingObserver(training, {1})
