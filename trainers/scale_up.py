"""Scale a baseline up inside your own training script: `scale_up` returns a torch optimizer and LR scheduler.

It works in a plain loop, in Lightning's `configure_optimizers` and under DistributedDataParallel. This module must not
know zerotune's own training loop, applications or data.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .optimizers import OPTIMIZERS, build_optimizer, has_layerwise_ratio
from .scaling import OnLongWarmup, rule_remarks, scale
from .schedules import Schedule, build_schedule, check_schedule
from .spec import Baseline, Recipe
from .tables import lookup
from .update_watch import UpdateWatch


class ScheduleLR(LRScheduler):
    """Set the learning rate of every parameter group to a schedule's, update by update.

    Call `step()` after every `optimizer.step()`, not once an epoch. Update t = 1, 2, ... then has exactly the learning
    rate `schedule.lr(t)`; the learning rate that the optimizer was created with has no effect. A DataLoader that keeps
    the incomplete last batch of every epoch yields E ceil(n/B) batches, which can be more than T = ceil(E n / B). The
    updates after T have the learning rate of update T. One with `drop_last=True` yields E floor(n/B) batches: give
    `len(loader)` times B as n, or the run ends before the last learning rate.

    A warning tells, once, if `step()` is not called once an update, by comparison with the optimizer's steps.

    To resume, create the same scheduler again and load its `state_dict` and the optimizer's. The state holds plain
    values: the position, and the numbers of the schedule, so that another run's state is refused.

    Differs from `LambdaLR(optimizer, schedule.as_factor)`, which multiplies the optimizer's own learning rate by a
    factor: there the product is rounded, and the optimizer must have been created with the peak learning rate. Use
    `LambdaLR` if parameter groups need learning rates of different size.

    Args:
        optimizer: any torch optimizer.
        schedule: schedule from `zerotune.build_schedule`.

    Raises:
        ValueError: in `step`, after more than E ceil(n/B) updates; in `load_state_dict`, for another schedule's state.

    >>> from torch.optim import AdamW
    >>> from zerotune.trainers.spec import ScheduleSpec
    >>> spec = ScheduleSpec(peak_lr=0.1, warmup_epochs=1)
    >>> schedule = build_schedule(spec, num_samples=1_000, batch_size=500, epochs=3)
    >>> optimizer = AdamW(nn.Linear(2, 1).parameters())
    >>> scheduler = ScheduleLR(optimizer, schedule)
    >>> optimizer.param_groups[0]["lr"]  # t = 1: half of the warm-up is done
    0.05
    >>> optimizer.step()
    >>> scheduler.step()
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.schedule = schedule
        self._watch: UpdateWatch | None = None
        super().__init__(optimizer)
        self._watch = self._new_watch()

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rate of the next update. Call it once after every `optimizer.step()`."""
        super().step(epoch)
        if self._watch is not None and epoch is None:
            self._watch.count_call(self)
        elif self._watch is not None:
            self._watch.skip_comparison()

    def get_lr(self) -> list[float | Tensor]:
        """Return the learning rate of the next update, once for every parameter group."""
        schedule, steps = self.schedule, self.last_epoch
        most = schedule.epochs * -(-schedule.num_samples // schedule.batch_size)
        if steps > most:
            raise ValueError(
                f"step {steps} of a learning-rate schedule for {schedule.epochs} epochs of {schedule.num_samples}"
                f" samples at batch size {schedule.batch_size}, which are at most {most} updates: call step() once a"
                " weight update, and give the batch size of all devices and accumulation steps together."
            )
        lr = schedule.lr(min(steps + 1, schedule.total_iterations))
        return [lr for _ in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the schedule's numbers; `torch.load` reads it with `weights_only=True`."""
        state = {name: value for name, value in super().state_dict().items() if name not in ("schedule", "_watch")}
        before = 0 if self._watch is None else self._watch.updates_before
        return {**state, "updates_before": before, "run": _describe_run(self.schedule)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict` of the same schedule.

        Raises:
            ValueError: it is of another schedule, where the same position has another learning rate.
        """
        run, own = state_dict.get("run"), _describe_run(self.schedule)
        if run is not None and (other := _differences(run, own)):
            raise ValueError(
                f"the loaded state is of another schedule: {'; '.join(other)}. Create the scheduler as in the run that"
                " saved the state. To go on under this schedule from the same update, on purpose, delete 'run' from"
                " the state dict first."
            )
        super().load_state_dict({k: v for k, v in state_dict.items() if k not in ("run", "updates_before")})
        if self._watch is not None:
            self._watch.start_anew()
            self._watch.updates_before = state_dict.get("updates_before", self._watch.updates_before)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or pickle needs; each watches its own optimizer."""
        return {**self.__dict__, "_watch": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy or pickle."""
        self.__dict__.update(state)
        self._watch = self._new_watch()

    def _new_watch(self) -> UpdateWatch:
        schedule = self.schedule
        without_rest = schedule.epochs * (schedule.num_samples // schedule.batch_size)
        return UpdateWatch(self, length=schedule.total_iterations, length_without_rest=without_rest)


def _describe_run(schedule: Schedule) -> dict[str, Any]:
    """Return the numbers and names that decide the learning rate of an update, as plain values."""
    spec = schedule.spec
    numbers = {name: getattr(schedule, name) for name in ("num_samples", "batch_size", "epochs")}
    warmup = {name: getattr(spec, name) for name in ("peak_lr", "warmup_epochs", "warmup", "warmup_start")}
    options = {f"decay.{name}": value for name, value in schedule.decay_options.items()}
    return {**numbers, **warmup, "decay": spec.decay.name, **options}


def _differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Say in which values two runs differ, up to rounding."""

    def same(left: Any, right: Any) -> bool:
        if isinstance(left, tuple | list) and isinstance(right, tuple | list):
            return len(left) == len(right) and all(map(same, left, right))
        if isinstance(left, float | int) and isinstance(right, float | int):
            return math.isclose(left, right, rel_tol=1e-9)
        return bool(left == right)

    names = [name for name in {**own, **saved} if not same(saved.get(name), own.get(name))]
    return [f"{name} is {saved.get(name)!r} there and {own.get(name)!r} here" for name in names]


def scale_up(
    model: nn.Module,
    baseline: Baseline,
    *,
    rule: str,
    global_batch_size: int,
    num_samples: int,
    epochs: int,
    on_long_warmup: OnLongWarmup = "error",
    numbers: Mapping[str, float] | None = None,
) -> tuple[Optimizer, ScheduleLR]:
    """Return the optimizer and LR scheduler of a large-batch run, scaled from a small-batch baseline.

    Tune a baseline once, at a small batch size B0. `scale_up` then gives the run at any batch size B: the rule scales
    the peak learning rate and the warm-up with k = B / B0, and nothing is tuned again. Train as usual, and call
    `scheduler.step()` after every `optimizer.step()`.

    A warning tells where a rule does less than its name says: LEGW and DATE from a baseline without a warm-up, and DATE
    with an optimizer without a layer-wise ratio.

    Tune the baseline with the optimizer that it names. The layer-wise ratios of DATE, LARS and LAMB multiply the
    learning rate (DATE's by up to 100), so a learning rate that was tuned with momentum or Adam does not fit them.

    Args:
        model: the model, with or without DistributedDataParallel. Frozen parameters are left alone. Every device must
            hold whole parameters, not shards: a layer-wise ratio is a norm over all of a parameter.
        baseline: batch size B0, schedule (lr0, warm-up, decay) and optimizer as they were tuned.
        rule: name in `trainers.scaling.RULES`, such as "date" or "legw".
        global_batch_size: B, samples of one weight update, 1 .. n: samples a device x devices x accumulation steps. The
            batch size of a single device would give too small a learning rate. The gradient must be the mean over all B
            samples, as DistributedDataParallel computes it from mean losses.
        num_samples: n, training samples of an epoch on all devices together.
        epochs: E, epochs of the run, >= 1.
        on_long_warmup: what to do if the rule's warm-up is E epochs or longer: "error", "clamp" (to E/2 epochs) or
            "keep".
        numbers: what the rule needs besides k: "exponent" of `power`, "noise_batch_size" of `surge` and `saturating`.

    Returns:
        The optimizer over all trainable parameters, and its scheduler. An optimizer that has `train()` and `eval()`
        (`schedule-free-sgd`, `dog`, ...) evaluates at other weights than it trains: call them with the model's.

    Raises:
        TypeError: `model` is not an `nn.Module`.
        UnknownName: unknown rule, optimizer, option, warm-up or decay; the message names the nearest known one.
        WarmupTooLong: the warm-up is E epochs or longer and `on_long_warmup` is "error".
        ValueError: a number is out of its range, or the baseline has a recipe, which is for your own loop to follow.

    Source: DATE, Algorithm 1.

    The worked example of DATE 3.6: LeNet's baseline, tuned at batch size 1,024 with 2 epochs of warm-up, is trained at
    8,192. The run of 220 updates warms up for 117 of them, 16 epochs.

    >>> from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec
    >>> schedule = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2)
    >>> baseline = Baseline(batch_size=1024, schedule=schedule, optimizer=OptimizerSpec(name="date"))
    >>> model = nn.Linear(2, 1)
    >>> optimizer, scheduler = scale_up(
    ...     model, baseline, rule="date", global_batch_size=8192, num_samples=60_000, epochs=30
    ... )
    >>> scheduler.schedule.total_iterations, scheduler.schedule.warmup_iterations
    (220, 117)
    >>> f"{scheduler.schedule.spec.peak_lr:.3g}"
    '0.00354'

    One update of the training loop:

    >>> import torch
    >>> loss = model(torch.ones(4, 2)).square().mean()
    >>> loss.backward()
    >>> optimizer.step()
    >>> scheduler.step()
    >>> optimizer.zero_grad()
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"scale_up takes the model itself, an nn.Module, got {type(model).__name__}.")
    if 1 <= num_samples < global_batch_size:  # before the warm-up, which it lengthens, is checked
        raise ValueError(f"global_batch_size must be at most num_samples, {num_samples}, got {global_batch_size}.")
    if baseline.recipe != Recipe():
        raise ValueError("the baseline's recipe has no effect here: clip gradients or smooth labels in your own loop.")
    check_schedule(baseline.schedule)  # before scaling, so that an error quotes the given number
    options = {**lookup("optimizer", OPTIMIZERS, baseline.optimizer.name).defaults, **baseline.optimizer.options}
    baseline = replace(baseline, optimizer=replace(baseline.optimizer, options=options))  # rules may change any option
    for remark in rule_remarks(rule, baseline, has_ratio=has_layerwise_ratio(baseline.optimizer.name)):
        warnings.warn(f"scale_up: {remark}", stacklevel=2)
    scaled = scale(
        rule, baseline, batch_size=global_batch_size, epochs=epochs, on_long_warmup=on_long_warmup, numbers=numbers
    )
    schedule = build_schedule(scaled.schedule, num_samples=num_samples, batch_size=global_batch_size, epochs=epochs)
    optimizer = build_optimizer(scaled.optimizer, model.named_parameters(), schedule.lr(1))
    return optimizer, ScheduleLR(optimizer, schedule)
