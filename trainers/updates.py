"""The updates of an epoch: the gradient of a batch, clipping if the recipe asks for it, and the optimizer's step.

Micro-batches, ghost batches and precision come from `trainers.recipe`; with the default recipe they cost nothing. This
module must not know scores, checkpoints or what a training costs.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice, pairwise

import torch
from torch import Tensor, nn

from .applications.application import Application
from .data import Batch, Split
from .distributed.data_parallel import LocalBatch, ProcessGroup, Replica
from .evaluation import SwitchesWeights, recompute_batch_norm, reset_state
from .micro_batch import find_micro_batch_size
from .models.ghost_batch_norm import ghost_batch_sizes
from .recipe import (
    AUTO_NEEDS_GHOSTS,
    add_gradient,
    autocast,
    has_batch_norm,
    make_forward,
    split_micro_batches,
    training_loss,
)
from .sampling import random_stream
from .schedules import Schedule
from .spec import TrainConfig

CHECK_UPDATES = 50
"""Number of updates between two checks for divergence within an epoch."""


class Updates:
    """Trains a model, which is on its device, on the batches of an epoch, as one worker of a process group.

    Attributes:
        iterations: updates of the epoch that is running or was interrupted by an exception; 0 between epochs.
        samples: samples of those updates, of all workers.
        observer: called with the number of every update, 1-based, when its gradient is ready and before the optimizer's
            step. It may look at everything and must change nothing. Its time counts in the epoch's device_seconds.
        micro_batch_size: most samples of a local batch that are computed at once; None for all.

    Raises:
        ValueError: the micro-batch size is "auto" and would change the model's results, or batch normalisation would
            see statistics that one worker would not.
    """

    def __init__(
        self,
        config: TrainConfig,
        application: Application,
        data: Split,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        process_group: ProcessGroup,
    ) -> None:
        self.config, self._data, self._schedule, self._process_group = config, data, schedule, process_group
        self._model, self._optimizer = model, optimizer
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._device = next(model.parameters()).device
        self.iterations, self.samples = 0, 0
        self.observer: Callable[[int], None] | None = None
        recipe = config.recipe
        self._loss = training_loss(recipe, application)
        self._replica = Replica(
            model, process_group, batch_size=config.batch_size, ghost_batch_size=recipe.ghost_batch_size
        )
        self._forward = make_forward(recipe.precision, self._device, self._replica.module)
        self._largest_shard = max(end - begin for begin, end in pairwise(self._replica.shard_bounds()))
        self.micro_batch_size = self._choose_micro_batch_size()

    def micro_batch_sizes(self) -> list[int]:
        """Return the sizes of the micro-batches of the largest worker's part of a full batch."""
        return ghost_batch_sizes(self._largest_shard, self.micro_batch_size or self._largest_shard)

    def train(self, epoch: int, first: int, order: Tensor) -> float:
        """Train on the batches of `order`, and return the mean loss of its samples.

        Some batches may have been left out if that loss is not finite. Counts accumulate until `end_epoch`.

        Args:
            epoch: the epoch of the batches, 1-based.
            first: number of the first update within the training, 1-based.
            order: keys of the samples (N,), the batches of all workers one after another; the last may be smaller.
        """
        optimizer, clip_norm = self._optimizer, self.config.recipe.clip_norm
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        local_batches = self._replica.local_batches(order)
        micro_batches = [split_micro_batches(local.keys, self.micro_batch_size) for local in local_batches]
        self._replica.module.train()
        reset_state(self._model)
        if isinstance(optimizer, SwitchesWeights):
            optimizer.train()
        worker = "" if self._process_group.is_rank_zero else f" of worker {self._process_group.rank}"
        with self._random_stream(f"noise {epoch}{worker}"), self._replica.epoch():
            batches = self._data.batches(keys for pieces in micro_batches for keys in pieces)
            for iteration, (local, pieces) in enumerate(zip(local_batches, micro_batches, strict=True), start=first):
                lr = self._schedule.lr(iteration)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.zero_grad(set_to_none=True)
                loss_sum += self._add_gradient(local, islice(batches, len(pieces)), len(pieces))
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(self._parameters, clip_norm, foreach=True)
                if self.observer is not None:
                    self.observer(iteration)
                optimizer.step()
                self.iterations += 1
                self.samples += local.num_samples
                is_due = self.iterations % CHECK_UPDATES == 0
                if is_due and not math.isfinite(self._process_group.all_reduce_sum(loss_sum).item()):
                    break
        return self._process_group.all_reduce_sum(loss_sum).item() / len(order)

    def end_epoch(self) -> None:
        """Reset the counts for the next epoch."""
        self.iterations, self.samples = 0, 0

    def sync_gradients(self, *, enabled: bool) -> None:
        """Set whether gradients are summed over the workers; if not, each worker trains by itself."""
        self._replica.syncs_gradients = enabled

    def use_evaluation_weights(self, epoch: int, order: Tensor) -> None:
        """Put the model into evaluation mode, at the weights that its optimizer wants evaluated.

        If these are not the training weights, batch normalisation takes its statistics from one more pass over the
        epoch's samples `order`, in the batches of training, with no more samples at once than a worker's local batch.
        That pass counts in the epoch's device_seconds, but not in its samples or flops, since it trains nothing.
        """
        if isinstance(self._optimizer, SwitchesWeights):
            self._optimizer.eval()
            if self._process_group.is_rank_zero:
                updates = torch.split(order, self.config.batch_size)
                size = self._statistics_batch_size()
                micro_batches = (keys for update in updates for keys in split_micro_batches(update, size))
                inputs = (inputs for inputs, _ in self._data.batches(micro_batches))
                precision = self.config.recipe.precision
                with self._random_stream(f"statistics {epoch}"), autocast(precision, self._device):
                    recompute_batch_norm(self._model, inputs)
        self._model.eval()

    def _statistics_batch_size(self) -> int | None:
        """Return the samples in memory at once in the pass for the statistics: whole ghosts that fit into a shard."""
        if self._process_group.world_size == 1:
            return self.micro_batch_size
        ghosts = self.config.recipe.ghost_batch_size or 1
        shard = max(ghosts, self._largest_shard // ghosts * ghosts)
        return min(self.micro_batch_size or shard, shard)

    def _add_gradient(self, local: LocalBatch, batches: Iterator[Batch], num_pieces: int) -> Tensor:
        """Add the gradient of an update, summed over the workers; return the sum of this worker's losses."""
        last = num_pieces - 1
        with self._replica.backward_pass(local):
            losses = add_gradient(
                self._forward,
                self._loss,
                batches,
                num_samples=local.num_samples if local.counts else math.inf,
                keeping=lambda piece: self._replica.gradient_sync(is_last=piece == last),
            )
        return losses if local.counts else torch.zeros_like(losses)

    def _choose_micro_batch_size(self) -> int | None:
        """Return the recipe's micro-batch size; for "auto", the size that rank 0 measures to be fastest."""
        config = self.config
        if config.recipe.micro_batch_size != "auto":
            return config.recipe.micro_batch_size
        if config.recipe.ghost_batch_size is None and has_batch_norm(self._model):
            raise ValueError(f"recipe: micro_batch_size {AUTO_NEEDS_GHOSTS}.")
        fastest = 0
        if self._process_group.is_rank_zero:
            _, _, order = self._data.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
            local = self._replica.local_batches(order[: config.batch_size])[0]
            fastest = find_micro_batch_size(config, local.keys, self._data, self._model, self._loss)
        return int(self._process_group.broadcast([fastest], self._device)[0])

    def _random_stream(self, purpose: str) -> AbstractContextManager[None]:
        return random_stream(self.config.seed, purpose, self._device)
