"""A baseline tuned at a small batch, scaled up inside anyone's own training script: an optimizer and its LR scheduler.

Works in a plain loop, in Lightning's `configure_optimizers` and under DistributedDataParallel. This module must not
know the platform's own loop, its applications or its data.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .optimizers import OPTIMIZERS, build_optimizer
from .scaling import OnLongWarmup, scale
from .schedules import Schedule, build_schedule, check_schedule
from .spec import Baseline, Recipe
from .tables import lookup


class ScheduleLR(LRScheduler):
    """Gives every parameter group the learning rate of a schedule, update by update; for any torch optimizer.

    The optimizer's own learning rate is of no effect. Call `step()` after every `optimizer.step()`, not once an epoch:
    update t then has exactly `schedule.lr(t)`. A DataLoader that keeps the incomplete last batch of every epoch deals
    E ceil(n/B) batches, which can be more than T = ceil(E n / B): those beyond T have the learning rate of iteration T.

    `state_dict` holds plain values and not the schedule: to resume, make the same scheduler again and load it, and the
    optimizer's state too.

    Differs from `LambdaLR(optimizer, schedule.as_factor)`: exact where a product of factor and peak is rounded, and
    does not rest on the optimizer having been made with the peak learning rate. Take that form where parameter groups
    shall keep learning rates of different size.

    Args:
        optimizer: any optimizer.
        schedule: as `trainers.schedules.build_schedule` makes it.

    Raises:
        ValueError: in `step`, where more updates are asked for than E ceil(n/B).

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
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of the next update, once for every parameter group."""
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
        """The scheduler's state without the schedule: `torch.load` reads it with `weights_only=True`."""
        return {name: value for name, value in super().state_dict().items() if name != "schedule"}


def scale_up(
    model: nn.Module,
    baseline: Baseline,
    *,
    rule: str,
    global_batch_size: int,
    num_samples: int,
    epochs: int,
    on_long_warmup: OnLongWarmup = "error",
) -> tuple[Optimizer, ScheduleLR]:
    """The optimizer and LR scheduler of a large-batch run, from a small-batch baseline by a rule: nothing is tuned.

    Call `scheduler.step()` after every `optimizer.step()`.

    Tune the baseline with the optimizer it names. DATE's, LARS's and LAMB's layer-wise ratios multiply the learning
    rate (DATE's by up to 100), so an lr0 tuned with momentum or Adam is not one for them.

    Args:
        model: the model, wrapped in DistributedDataParallel or not. Every device must hold whole parameters, since a
            layer-wise ratio is a norm over all of one: not sharded ones. Frozen parameters stay as they are.
        baseline: batch size B0, schedule (lr0, warm-up, decay) and optimizer, as tuned at the small batch.
        rule: a name in `trainers.scaling.RULES`, such as "date" or "legw".
        global_batch_size: B, samples of one weight update, 1 .. n: those of a device, times the number of devices,
            times the accumulation steps. A device's share alone would give too small a learning rate. The gradient must
            be the mean over all B samples, as DistributedDataParallel makes it of mean losses.
        num_samples: n, training samples of an epoch on all devices together.
        epochs: E of the run, >= 1.
        on_long_warmup: where the rule's warm-up is E epochs or more: "error", "clamp" (to E/2) or "keep".

    Returns:
        The optimizer over all parameters of the model, and the scheduler over it. An optimizer that has `train()` and
        `eval()` (`schedule-free-sgd`, `dog` ...) evaluates at other weights than it trains: call them as the model's.

    Raises:
        TypeError: `model` is not an `nn.Module`.
        UnknownName: unknown rule, optimizer, option, warm-up or decay; the nearest known name is told.
        WarmupTooLong: the warm-up would last E epochs or more, and `on_long_warmup` is "error".
        ValueError: a number is out of its range.

    Source: DATE, Algorithm 1; here its worked example of Section 3.6.

    >>> from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec
    >>> schedule = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2)
    >>> baseline = Baseline(batch_size=1024, schedule=schedule, optimizer=OptimizerSpec(name="date"))
    >>> optimizer, scheduler = scale_up(
    ...     nn.Linear(2, 1), baseline, rule="date", global_batch_size=8192, num_samples=60_000, epochs=30
    ... )
    >>> scheduler.schedule.total_iterations, scheduler.schedule.warmup_iterations
    (220, 117)
    >>> f"{scheduler.schedule.spec.peak_lr:.3g}"
    '0.00354'
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"scale_up takes the model itself, an nn.Module, got {type(model).__name__}.")
    if 1 <= num_samples < global_batch_size:  # told before the warm-up that it stretches
        raise ValueError(f"global_batch_size must be at most num_samples, {num_samples}, got {global_batch_size}.")
    if baseline.recipe != Recipe():
        raise ValueError("the baseline's recipe has no effect here: clip gradients or smooth labels in your own loop.")
    check_schedule(baseline.schedule)  # before it is scaled, so that an error quotes the number that was given
    options = {**lookup("optimizer", OPTIMIZERS, baseline.optimizer.name).defaults, **baseline.optimizer.options}
    baseline = replace(baseline, optimizer=replace(baseline.optimizer, options=options))  # rules may change any option
    scaled = scale(rule, baseline, batch_size=global_batch_size, epochs=epochs, on_long_warmup=on_long_warmup)
    schedule = build_schedule(scaled.schedule, num_samples=num_samples, batch_size=global_batch_size, epochs=epochs)
    optimizer = build_optimizer(scaled.optimizer, model.named_parameters(), schedule.lr(1))
    return optimizer, ScheduleLR(optimizer, schedule)
