"""Drop-in use: scale up a baseline in a user's own script, in a plain loop and in Lightning."""

import copy
import io
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from tests.contracts.optimizer_cases import EVERY_OPTIMIZER
from zerotune.trainers.data.mnist5k import MNIST5K
from zerotune.trainers.loop import Training
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.sampling import sample_order
from zerotune.trainers.scale_up import ScheduleLR, scale_up
from zerotune.trainers.scaling import WarmupTooLong, scale
from zerotune.trainers.schedules import Schedule, build_schedule
from zerotune.trainers.spec import Baseline, DecaySpec, OptimizerSpec, Placement, ScheduleSpec, TrainConfig
from zerotune.trainers.tables import UnknownName

pytestmark = pytest.mark.filterwarnings("ignore:scale_up. rule .date.")  # with optimizers that have no ratio
BASELINE = Baseline(
    batch_size=32,
    schedule=ScheduleSpec(peak_lr=0.004, warmup_epochs=0.25),
    optimizer=OptimizerSpec(name="date", options={"momentum": 0.8}),
)
RUN: dict[str, Any] = {"rule": "date", "global_batch_size": 256, "num_samples": 3_000, "epochs": 3}


def with_lr(lr: float) -> Baseline:
    return replace(BASELINE, schedule=replace(BASELINE.schedule, peak_lr=lr))


def with_optimizer(name: str, **options: float) -> Baseline:
    return replace(BASELINE, optimizer=OptimizerSpec(name=name, options=options))


def lr_of(optimizer: torch.optim.Optimizer) -> float:
    (lr,) = {group["lr"] for group in optimizer.param_groups}
    return lr


def update(model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, seed: int) -> None:
    """Make one weight update on a batch of noise fixed by the seed."""
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()
    scheduler.step()


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


@pytest.mark.parametrize("rule", ["date", "legw", "linear"])
@pytest.mark.parametrize("batch_size", [250, 256, 3_000])
def test_every_update_has_exactly_the_learning_rate_of_the_schedule(rule: str, batch_size: int):
    run = {**RUN, "rule": rule, "global_batch_size": batch_size, "on_long_warmup": "clamp"}
    optimizer, scheduler = scale_up(small_model(), BASELINE, **run)
    scaled = scale(rule, BASELINE, batch_size=batch_size, epochs=3, on_long_warmup="clamp")
    schedule = build_schedule(scaled.schedule, num_samples=3_000, batch_size=batch_size, epochs=3)
    seen = []
    for _ in range(schedule.total_iterations):
        seen.append(lr_of(optimizer))
        optimizer.step()
        scheduler.step()
    assert seen == [schedule.lr(iteration) for iteration in range(1, schedule.total_iterations + 1)]


@EVERY_OPTIMIZER
def test_every_optimizer_of_the_table_follows_the_schedule(name: str):
    model = small_model()
    optimizer, scheduler = scale_up(model, with_optimizer(name), **RUN)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for iteration in (1, 2, 3):
        assert lr_of(optimizer) == scheduler.schedule.lr(iteration)
        update(model, optimizer, scheduler, seed=iteration)


def test_a_rule_takes_its_numbers():
    run = {**RUN, "rule": "power", "numbers": {"exponent": 0.0}}
    _, scheduler = scale_up(small_model(), BASELINE, **run)
    assert scheduler.schedule.spec.peak_lr == BASELINE.schedule.peak_lr


def test_an_incomplete_last_batch_in_every_epoch_ends_at_the_last_learning_rate():
    """Twelve batches of at most 270 in each of three epochs make 36 updates, two more than ceil(9,000 / 270)."""
    optimizer, scheduler = scale_up(small_model(), BASELINE, **{**RUN, "global_batch_size": 270})
    assert scheduler.schedule.total_iterations == 34
    seen = []
    for _ in range(36):
        seen.append(lr_of(optimizer))
        optimizer.step()
        scheduler.step()
    assert seen[32] > seen[33] == seen[34] == seen[35] == scheduler.schedule.lr(34)


def test_more_updates_than_the_run_can_have_are_refused():
    """A per-device batch in place of the stated global one gives eight times as many updates."""
    optimizer, scheduler = scale_up(small_model(), BASELINE, **RUN)
    for _ in range(36):
        optimizer.step()
        scheduler.step()
    message = (
        "step 37 of a learning-rate schedule for 3 epochs of 3000 samples at batch size 256, .* at most 36 updates"
    )
    with pytest.raises(ValueError, match=message):
        scheduler.step()


def test_the_optimizer_is_the_baselines_with_its_options():
    optimizer, _ = scale_up(small_model(), BASELINE, **RUN)
    assert type(optimizer).__name__ == "DATE"
    assert optimizer.param_groups[0]["momentum"] == 0.8


def test_a_resumed_run_equals_one_that_was_not_interrupted():
    whole = small_model()
    optimizer, scheduler = scale_up(whole, BASELINE, **RUN)
    file = io.BytesIO()
    for step in range(36):
        if step == 11:
            parts = {"model": whole, "optimizer": optimizer, "scheduler": scheduler}
            torch.save({name: part.state_dict() for name, part in parts.items()}, file)
        update(whole, optimizer, scheduler, seed=step)

    file.seek(0)
    state = torch.load(file, weights_only=True)
    resumed = small_model()
    optimizer, scheduler = scale_up(resumed, BASELINE, **RUN)
    resumed.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    assert lr_of(optimizer) == scheduler.get_last_lr()[0] == scheduler.schedule.lr(12)
    for step in range(11, 36):
        update(resumed, optimizer, scheduler, seed=step)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize(
    ("optimizer_name", "epochs"), [("momentum", 1), ("adam", 1), ("lars", 1), ("lamb", 1), ("date", 2)]
)
def test_a_hand_written_loop_trains_what_the_platform_trains_bit_for_bit(optimizer_name: str, epochs: int):
    baseline = with_optimizer(optimizer_name)
    scaled = scale("date", baseline, batch_size=256, epochs=epochs, on_long_warmup="clamp")
    config = TrainConfig(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=256,
        epochs=epochs,
        schedule=scaled.schedule,
        optimizer=scaled.optimizer,
        seed=3,
    )
    platform = Training(config, Placement())
    model = copy.deepcopy(platform.model)
    data = platform.data.train
    orders = [
        sample_order(3, epoch, epochs=epochs, num_samples=3_000, batch_size=256)[2] for epoch in range(1, epochs + 1)
    ]
    batches = [batch for order in orders for batch in order.split(256)]

    run = {**RUN, "epochs": epochs, "on_long_warmup": "clamp"}
    optimizer, scheduler = scale_up(model, baseline, **run)
    for chosen in batches:
        optimizer.zero_grad()
        cross_entropy(model(data.inputs[chosen]), data.targets[chosen]).backward()
        optimizer.step()
        scheduler.step()

    initial = copy.deepcopy(platform.model.state_dict())
    while not platform.finished:
        platform.run_epoch()
    trained = platform.model.state_dict()
    assert {name for name in trained if torch.equal(trained[name], initial[name])} == set()
    assert {name for name in trained if not torch.equal(trained[name], model.state_dict()[name])} == set()


def test_tied_parameters_are_stepped_once_and_frozen_ones_never():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.frozen, self.decoder = (nn.Linear(4, 4, bias=False) for _ in range(3))
            self.decoder.weight = self.encoder.weight
            self.frozen.weight.requires_grad_(False)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.decoder(torch.tanh(self.frozen(self.encoder(inputs))))

    model = Tied()
    before = copy.deepcopy(model.state_dict())
    optimizer, scheduler = scale_up(model, with_optimizer("momentum", momentum=0.0), **RUN)
    update(model, optimizer, scheduler, seed=0)
    assert model.decoder.weight.grad is not None
    expected = before["encoder.weight"] - scheduler.schedule.lr(1) * model.decoder.weight.grad
    assert torch.allclose(model.encoder.weight, expected, rtol=1e-6, atol=0)
    assert model.decoder.weight is model.encoder.weight
    assert torch.equal(model.frozen.weight, before["frozen.weight"])


@pytest.fixture
def schedule() -> Schedule:
    decay = DecaySpec(name="poly", options={"power": 1.0})
    spec = ScheduleSpec(peak_lr=1e-3, warmup_epochs=2, decay=decay)
    return build_schedule(spec, num_samples=3_000, batch_size=200, epochs=5)


def adamw(model: nn.Module, lr: float | torch.Tensor) -> torch.optim.AdamW:
    """Return AdamW with two groups, as a user makes them to exempt biases from weight decay."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return torch.optim.AdamW([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=lr)


def test_a_schedule_goes_with_any_optimizer_and_each_of_its_groups(schedule: Schedule):
    optimizer = adamw(small_model(), lr=7.0)
    scheduler = ScheduleLR(optimizer, schedule)
    for iteration in range(1, 76):
        assert [group["lr"] for group in optimizer.param_groups] == [schedule.lr(iteration)] * 2
        optimizer.step()
        scheduler.step()


def test_torchs_lambda_lr_with_the_schedules_factor_gives_the_same_to_rounding(schedule: Schedule):
    optimizer = adamw(small_model(), lr=schedule.spec.peak_lr)
    scheduler = LambdaLR(optimizer, schedule.as_factor)
    for iteration in range(1, 76):
        assert lr_of(optimizer) == pytest.approx(schedule.lr(iteration), rel=1e-15)
        optimizer.step()
        scheduler.step()


def test_a_learning_rate_that_is_a_tensor_stays_that_tensor(schedule: Schedule):
    """A captured CUDA graph needs the same tensor."""
    lr = torch.tensor(1.0, dtype=torch.float64)
    optimizer = torch.optim.AdamW(small_model().parameters(), lr=lr, foreach=False)
    tensor = optimizer.param_groups[0]["lr"]
    ScheduleLR(optimizer, schedule)
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == schedule.lr(1)


@pytest.mark.parametrize(
    ("mistake", "error", "text"),
    [
        (
            {"global_batch_size": 3_001},
            ValueError,
            "global_batch_size must be at most num_samples, 3000, got 3001.",
        ),
        ({"global_batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"num_samples": 0}, ValueError, "num_samples must be at least 1, got 0"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"global_batch_size": 512}, WarmupTooLong, "warm-up of 4 epochs would outlast the run of 3 epochs"),
        ({"rule": "dates"}, UnknownName, "unknown rule 'dates': did you mean 'date'?"),
        ({"baseline": with_lr(-0.02)}, ValueError, "peak_lr must be a finite number above 0, got -0.02."),
        ({"baseline": with_lr(0.0)}, ValueError, "peak_lr must be a finite number above 0, got 0.0."),
        ({"baseline": with_lr(math.nan)}, ValueError, "peak_lr must be a finite number above 0, got nan."),
        ({"baseline": with_optimizer("lasr")}, UnknownName, "unknown optimizer 'lasr': did you mean 'lars'?"),
        ({"baseline": with_optimizer("lars", momentun=0.9)}, UnknownName, "did you mean 'momentum'?"),
        (
            {"baseline": replace(BASELINE, batch_size=0)},
            ValueError,
            "the baseline's batch_size must be at least 1, got 0",
        ),
        ({"model": small_model().parameters()}, TypeError, "takes the model itself, an nn.Module, got generator"),
    ],
)
def test_a_mistake_is_a_sentence(mistake: dict[str, Any], error: type[Exception], text: str):
    arguments: dict[str, Any] = {"model": small_model(), "baseline": BASELINE, **RUN, **mistake}
    with pytest.raises(error, match=re.escape(text)):
        scale_up(**arguments)


def test_a_warm_up_that_is_too_long_is_clamped_where_that_is_asked_for():
    run = {**RUN, "global_batch_size": 512, "on_long_warmup": "clamp"}
    _, scheduler = scale_up(small_model(), BASELINE, **run)
    assert scheduler.schedule.spec.warmup_epochs == 1.5


@pytest.fixture(scope="module")
def lightning() -> Any:
    return pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'zerotune[dev]'")


@pytest.mark.filterwarnings("ignore")  # Lightning's warnings about workers and threads
def test_lightning_steps_the_scheduler_at_every_update(lightning: Any):
    class Classifier(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self):
            super().__init__()
            self.model, self.lrs = LeNet5(), []

        def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
            inputs, targets = batch
            self.lrs.append(lr_of(self.optimizers().optimizer))
            return cross_entropy(self.model(inputs), targets)

        def configure_optimizers(self) -> dict[str, Any]:
            run = {**RUN, "global_batch_size": 500, "on_long_warmup": "clamp"}
            optimizer, self.scheduler = scale_up(self, BASELINE, **run)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler, "interval": "step"}}

    train = MNIST5K.load(None).train
    loader = DataLoader(TensorDataset(train.inputs, train.targets), batch_size=250)
    classifier = Classifier()
    trainer = lightning.Trainer(
        max_epochs=3,
        accumulate_grad_batches=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, loader)
    # Batches of 250, accumulated in pairs, make 18 updates at 500.
    assert classifier.lrs[::2] == classifier.lrs[1::2]
    assert classifier.lrs[::2] == [classifier.scheduler.schedule.lr(iteration) for iteration in range(1, 19)]
