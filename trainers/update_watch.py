"""Compare the calls of a scheduler's `step` with the updates of its optimizer, and warn where they differ.

A schedule over updates is wrong, and trains on without an error, if it is stepped once an epoch or several times an
update. torch counts neither. These are warnings, once a scheduler, and no errors: gradient scalers skip updates,
graphs are warmed up, checkpoints are primed with a step, all of which is right. This module must not know rules.
"""

import warnings
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

PATIENCE = 3
"""Updates without a call of `step` after which a warning is due."""

ONCE_AN_UPDATE = "Call scheduler.step() once after every optimizer.step()"


class UpdateWatch:
    """The updates of an optimizer between the calls of a scheduler's `step`.

    Args:
        scheduler: the scheduler; not kept alive.
        length: T, updates of its schedule.
        length_without_rest: updates with a DataLoader that drops the incomplete last batch of every epoch.

    Attributes:
        updates_before: updates of the optimizer, by its own count, before the schedule began.
    """

    def __init__(self, scheduler: LRScheduler, *, length: int, length_without_rest: int) -> None:
        self._scheduler = weakref.ref(scheduler)
        self._length, self._length_without_rest = length, length_without_rest
        self.updates_before = own_updates(scheduler.optimizer) or 0
        self._position = scheduler.last_epoch
        self._has_warned = False
        self.start_anew()
        try:
            self._hook: Any = scheduler.optimizer.register_step_post_hook(self.count_update)
        except AttributeError:  # a wrapper that does not initialise torch's base class: nothing is compared
            self._hook = None
        weakref.finalize(scheduler, self._close)

    def start_anew(self) -> None:
        """Forget the calls and updates so far, as the scheduler has loaded a state."""
        self._calls = 0
        self._updates = 0  # since the last call
        self._more_calls = 0  # since the last update, beyond the first
        self._more_calls_before = 0  # the same of the update before
        self._has_seen_update = self._has_compared = False

    def count_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Count an update; torch calls it after `optimizer.step()`."""
        scheduler = self._scheduler()
        if torch.compiler.is_compiling() or scheduler is None:
            return
        if scheduler.last_epoch < 0:  # it waits for its turn in a SequentialLR
            self._has_compared = True
            return
        if all(not isinstance(group["lr"], Tensor) and group["lr"] == 0 for group in optimizer.param_groups):
            return  # torch primes the state of a checkpoint so
        if self._updates == 0:
            self._more_calls_before = self._more_calls if self._has_seen_update else 0
            self._more_calls, self._has_seen_update = 0, True
        self._updates += 1
        if self._calls == 0 and self._updates == PATIENCE:
            self._warn(
                f"the optimizer has made {PATIENCE} updates without a call of scheduler.step(): all of them had the"
                f" learning rate of update {scheduler.last_epoch + 1}. {ONCE_AN_UPDATE}, not once an epoch"
                ' (Lightning: "interval": "step").',
                stacklevel=5,
            )

    def count_call(self, scheduler: LRScheduler) -> None:
        """Count a call of `step`, after which the scheduler is at the next update."""
        updates, self._updates = self._updates, 0
        self._calls, self._position = self._calls + 1, scheduler.last_epoch
        if updates > 1:
            self._warn(
                f"the optimizer has made {updates} updates since the last call of scheduler.step(): all of them had"
                f" the learning rate of update {scheduler.last_epoch}. {ONCE_AN_UPDATE}, not once an epoch"
                ' (Lightning: "interval": "step").'
            )
        elif updates == 0 and self._has_seen_update:
            self._more_calls += 1
            if self._more_calls_before:
                self._warn(
                    f"scheduler.step() was called {self._more_calls_before + 1} times after one update of the"
                    " optimizer, and more than once after the next: the schedule runs ahead of the training."
                    f" {ONCE_AN_UPDATE}. A scheduler that accelerate has prepared is stepped once for every process:"
                    " leave it out of accelerator.prepare()."
                )
        if not self._has_compared:
            self._has_compared = True
            self._compare(scheduler)

    def skip_comparison(self) -> None:
        """Take the scheduler's position as given: it was set by a number."""
        self._updates, self._calls, self._has_compared = 0, self._calls + 1, True

    def _compare(self, scheduler: LRScheduler) -> None:
        """Compare the scheduler's position with the count of updates that some optimizers keep themselves."""
        own = own_updates(scheduler.optimizer)
        if own is None:
            return
        made = own - self.updates_before
        # One more is a primed state; gradient scalers skip some updates, but hardly half of them.
        if made > scheduler.last_epoch + 1 or 2 * made < scheduler.last_epoch:
            self._warn(
                f"the optimizer has made {made} updates by its own count, and the schedule is at update"
                f" {scheduler.last_epoch}. To resume a run, load the state dicts of both, the optimizer and the"
                " scheduler, from the same checkpoint.",
                stacklevel=5,
            )

    def _close(self) -> None:
        """Remove the hook, and warn of a DataLoader with `drop_last`, which nobody can see before the end."""
        if self._hook is not None:
            self._hook.remove()
        if self._position == self._length_without_rest < self._length:
            self._warn(
                f"the run ended after {self._position} of the {self._length} updates of its schedule, before the last"
                " learning rate. That is what a DataLoader with drop_last=True makes, whose epochs have fewer samples:"
                " count only those in num_samples, len(loader) times the batch size.",
                stacklevel=2,
            )

    def _warn(self, text: str, stacklevel: int = 4) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(f"ScheduleLR: {text}", stacklevel=stacklevel)


def own_updates(optimizer: Optimizer) -> int | None:
    """Return the number of updates by the optimizer's own count, the most of all parameters; None if it keeps none."""
    states: Iterable[Any] = optimizer.state.values()
    steps = [state["step"] for state in states if isinstance(state, dict) and "step" in state]
    return int(max(map(float, steps))) if steps else None
