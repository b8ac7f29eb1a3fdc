"""The updates of a training: the gradient of a batch, clipped where the recipe asks for it, and the optimizer's step.

What stands around model and optimizer, micro-batches or ghosts, are the pieces of `trainers.recipe`; where nothing is
asked of them, nothing is done. This module must not know scores, checkpoints or what a training costs.
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
"""How often within an epoch a training is looked at for divergence."""


class Updates:
    """What trains a model on the batches of an epoch, on one worker of a process group.

    Args:
        config: of the training.
        application: its loss.
        data: the training samples.
        model: on its device.
        optimizer: of that model's parameters.
        schedule: the learning rate of every update.
        process_group: the workers that train together.

    Attributes:
        config: of the training.
        iterations: updates of the epoch that runs, or that an exception ended; 0 between epochs.
        samples: the process group's samples of those updates.
        observer: called with the number of every update, 1-based, when its gradient is ready and before the optimizer
            steps; it may look at everything and must change nothing. Its time is in the epoch's device_seconds.
        share_size: the most samples of a full batch that fall to one worker.
        micro_batch_size: the samples of a share that are computed at once; None for all.

    Raises:
        ValueError: the recipe leaves the micro-batch size to a measurement, and the model's results would depend on it;
            or the process group's statistics of batch normalisation would not be those of one worker.
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
        self.local_batch_size = max(end - begin for begin, end in pairwise(self._replica.shard_bounds()))
        self.micro_batch_size = self._pieces_that_fit()

    def train(self, epoch: int, first: int, order: Tensor) -> float:
        """Trains on the batches of `order`, the first of which is update `first`; returns the samples' mean loss.

        Where that is not finite, some of the batches may not have been trained on. Counts go on until `end_epoch`.

        Args:
            epoch: the epoch they belong to, 1-based.
            first: the number of the first update in the training, 1-based.
            order: keys of the samples (N,), all workers' batches after one another; the last may be smaller than B.
        """
        optimizer, clip_norm = self._optimizer, self.config.recipe.clip_norm
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        local_batches = self._replica.local_batches(order)
        updates = [split_micro_batches(local_batch.keys, self.micro_batch_size) for local_batch in local_batches]
        self._replica.module.train()
        reset_state(self._model)
        if isinstance(optimizer, SwitchesWeights):
            optimizer.train()
        worker = "" if self._process_group.is_rank_zero else f" of worker {self._process_group.rank}"
        with self._random_stream(f"noise {epoch}{worker}"), self._replica.epoch():
            batches = self._data.batches(piece for pieces in updates for piece in pieces)
            for iteration, (local_batch, pieces) in enumerate(zip(local_batches, updates, strict=True), start=first):
                lr = self._schedule.lr(iteration)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.zero_grad(set_to_none=True)
                loss_sum += self._add_gradient(local_batch, islice(batches, len(pieces)), len(pieces))
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(self._parameters, clip_norm, foreach=True)
                if self.observer is not None:
                    self.observer(iteration)
                optimizer.step()
                self.iterations += 1
                self.samples += local_batch.num_samples
                is_due = self.iterations % CHECK_UPDATES == 0
                if is_due and not math.isfinite(self._process_group.all_reduce_sum(loss_sum).item()):
                    break
        return self._process_group.all_reduce_sum(loss_sum).item() / len(order)

    def end_epoch(self) -> None:
        """Begins the counts anew, for the next epoch."""
        self.iterations, self.samples = 0, 0

    def sync_gradients(self, *, enabled: bool) -> None:
        """Whether the workers add up their gradients; each trains by itself where they do not."""
        self._replica.syncs_gradients = enabled

    def use_evaluation_weights(self, epoch: int, order: Tensor) -> None:
        """Puts the model into evaluation mode, at the weights its optimizer wants evaluated, where those are others.

        Batch normalisation then takes its statistics from one more pass over the epoch's samples `order`, cut as in
        training, and no more of them at once than a worker's local batch. That pass is in the epoch's device_seconds,
        but not in its samples or flops: nothing is trained.
        """
        if isinstance(self._optimizer, SwitchesWeights):
            self._optimizer.eval()
            if self._process_group.is_rank_zero:
                updates = torch.split(order, self.config.batch_size)
                at_once = self._samples_for_statistics()
                pieces = (piece for update in updates for piece in split_micro_batches(update, at_once))
                inputs = (inputs for inputs, _ in self._data.batches(pieces))
                precision = self.config.recipe.precision
                with self._random_stream(f"statistics {epoch}"), autocast(precision, self._device):
                    recompute_batch_norm(self._model, inputs)
        self._model.eval()

    def _samples_for_statistics(self) -> int | None:
        """How many samples are in memory at once in the pass for the statistics: whole ghosts of a local batch."""
        if self._process_group.world_size == 1:
            return self.micro_batch_size
        ghosts = self.config.recipe.ghost_batch_size or 1
        share = max(ghosts, self.local_batch_size // ghosts * ghosts)
        return min(self.micro_batch_size or share, share)

    def _add_gradient(self, local_batch: LocalBatch, batches: Iterator[Batch], num_pieces: int) -> Tensor:
        """Adds the gradient of an update to the parameters', that of all workers; returns this one's sum of losses."""
        last = num_pieces - 1
        with self._replica.backward_pass(local_batch):
            losses = add_gradient(
                self._forward,
                self._loss,
                batches,
                num_samples=local_batch.num_samples if local_batch.counts else math.inf,
                keeping=lambda piece: self._replica.gradient_sync(is_last=piece == last),
            )
        return losses if local_batch.counts else torch.zeros_like(losses)

    def _pieces_that_fit(self) -> int | None:
        """The recipe's micro-batch size; where that is left to a measurement, what worker 0 has found."""
        config = self.config
        if config.recipe.micro_batch_size != "auto":
            return config.recipe.micro_batch_size
        if config.recipe.ghost_batch_size is None and has_batch_norm(self._model):
            raise ValueError(f"recipe: micro_batch_size {AUTO_NEEDS_GHOSTS}.")
        measured = 0
        if self._process_group.is_rank_zero:
            _, _, order = self._data.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
            local_batch = self._replica.local_batches(order[: config.batch_size])[0]
            measured = find_micro_batch_size(config, local_batch.keys, self._data, self._model, self._loss)
        return int(self._process_group.broadcast([measured], self._device)[0])

    def _random_stream(self, purpose: str) -> AbstractContextManager[None]:
        return random_stream(self.config.seed, purpose, self._device)
