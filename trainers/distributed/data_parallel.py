"""Data-parallel training: the process group, the local batch of each worker, and torch's DistributedDataParallel.

Every worker is a process that holds the whole model on its own device and computes its shard of every batch. A shard is
always the same consecutive part of the batch, so that a stream of text stays with its worker. Each sample's gradient
counts 1/B, and DistributedDataParallel sums the gradients over the workers bucket by bucket, while they are computed.
The update therefore equals that of one worker to rounding, and the weights of all workers stay identical, bit for bit.

Rank 0 alone evaluates, reports and writes. This module must not know how the processes were started, nor optimizers,
schedules or epochs.
"""

import inspect
import math
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from ..models.ghost_batch_norm import ghost_batch_sizes
from ..recipe import WORKERS_NEED_GHOSTS, has_batch_norm

NEEDS_EVERY_PARAMETER = (
    "several workers add up the gradients of all parameters in every update, and the model left {} out of one: take it "
    "out of the model, set its requires_grad to False, or train with one worker."
)

READY_TIMEOUT = timedelta(seconds=30)
"""Longest wait of rank 0 to send something to workers that wait for it: one that just died may go unnoticed."""


@dataclass(frozen=True)
class LocalBatch:
    """The part of a batch that one worker computes.

    Attributes:
        keys: keys of its samples. A worker whose shard is empty gets the first samples of the batch, which it computes
            without effect: every worker must take part in every sum.
        num_samples: number of samples of the whole batch.
        counts: whether its samples count; False for an empty shard.
        ghosts_before: number of ghost batches in the shards before this one.
        ghosts_after: number of ghost batches in the shards after this one.
    """

    keys: Tensor
    num_samples: int
    counts: bool = True
    ghosts_before: int = 0
    ghosts_after: int = 0


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The workers of a training, as one of them sees them; by default this process alone.

    Attributes:
        rank: rank of this worker, 0 .. world_size - 1.
        world_size: number of workers.
        timeout: longest wait of this worker for the others; None for torch's.
    """

    rank: int = 0
    world_size: int = 1
    timeout: timedelta | None = None

    @property
    def is_rank_zero(self) -> bool:
        """Whether this worker is the one that evaluates, reports and writes."""
        return self.rank == 0

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """Return the sum of all workers' tensors, the same bits on every worker; `value` stays as it is."""
        if self.world_size == 1:
            return value
        summed = value.clone()
        torch.distributed.all_reduce(summed)
        return summed

    def broadcast(
        self, values: Sequence[float], device: torch.device, *, others_are_ready: bool = False
    ) -> list[float]:
        """Return rank 0's values on every worker; the others pass as many values, which are ignored.

        With `others_are_ready`, rank 0 raises RuntimeError after `READY_TIMEOUT`: another worker is lost.
        """
        if self.world_size == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64, device=device)
        group = torch.distributed.group.WORLD if others_are_ready and self.is_rank_zero else None
        if group is not None and self.timeout is not None:
            group.set_timeout(min(READY_TIMEOUT, self.timeout))
        torch.distributed.broadcast(sent, src=0)
        if group is not None and self.timeout is not None:
            group.set_timeout(self.timeout)
        return [float(value) for value in sent.tolist()]

    def all_see_file(self, path: Path, device: torch.device) -> bool:
        """Return whether all workers see the same file, by its size and time of change, or none sees any."""
        found = [-1.0, -1.0]
        with suppress(OSError):
            found = [path.stat().st_size, path.stat().st_mtime]
        return self.all_equal(found, device)

    def all_equal(self, values: Sequence[float], device: torch.device) -> bool:
        """Return whether all workers pass the same values; the answer is the same on every worker."""
        differs = torch.tensor(float(self.broadcast(values, device) != list(values)), device=device)
        return self.all_reduce_sum(differs).item() == 0.0

    def local_batch(self, batch: Tensor, *, batch_size: int, ghost_batch_size: int | None) -> LocalBatch:
        """Return this worker's part of a batch.

        Args:
            batch: keys of the batch's samples, at most `batch_size`; fewer in a training's last update.
            batch_size: B, samples of every other update.
            ghost_batch_size: a shard consists of whole ghost batches; None without ghost batches.
        """
        if self.world_size == 1:
            return LocalBatch(keys=batch, num_samples=len(batch))
        bounds = shard_bounds(len(batch), self.world_size, batch_size=batch_size, ghost_batch_size=ghost_batch_size)
        begin, end = bounds[self.rank], bounds[self.rank + 1]
        first = batch[: min(len(batch), ghost_batch_size or 1)]
        before, after = (
            0 if ghost_batch_size is None or not count else len(ghost_batch_sizes(count, ghost_batch_size))
            for count in (begin, len(batch) - end)
        )
        return LocalBatch(
            keys=batch[begin:end] if begin < end else first,
            num_samples=len(batch),
            counts=begin < end,
            ghosts_before=before,
            ghosts_after=after,
        )


SINGLE_PROCESS = ProcessGroup()
"""The group of one worker."""


def shard_bounds(num_samples: int, num_workers: int, *, batch_size: int, ghost_batch_size: int | None) -> list[int]:
    """Cut a batch into the workers' shards: worker r has the samples [bounds[r], bounds[r + 1]).

    Shards are as equal as whole ghost batches allow. They begin where they begin in a full batch: in a training's last
    update, which may be smaller, the last workers have fewer samples or none.

    Args:
        num_samples: samples of this batch, 1 .. `batch_size`.
        num_workers: number of workers, >= 1.
        batch_size: B.
        ghost_batch_size: g; None if a batch may be cut between any two samples.

    >>> shard_bounds(10, 2, batch_size=10, ghost_batch_size=None)
    [0, 5, 10]
    >>> shard_bounds(96, 2, batch_size=96, ghost_batch_size=32)
    [0, 64, 96]
    >>> shard_bounds(4, 2, batch_size=10, ghost_batch_size=None)
    [0, 4, 4]
    """
    unit = ghost_batch_size or 1
    num_units = len(ghost_batch_sizes(batch_size, unit)) if ghost_batch_size else batch_size
    cuts = [unit * math.ceil(rank * num_units / num_workers) for rank in range(num_workers)]
    # A single remaining sample joins the ghost batch before it.
    inner = [num_samples if unit > 1 and num_samples - cut == 1 else min(cut, num_samples) for cut in cuts[1:]]
    return [0, *inner, num_samples]


_SYNCED_BUFFERS = "forward_sync_buffers"  # newer torch's name of broadcast_buffers
_OPTIONS = inspect.signature(DistributedDataParallel.__init__).parameters
LOCAL_BUFFERS_OPTION: dict[str, Any] = {_SYNCED_BUFFERS if _SYNCED_BUFFERS in _OPTIONS else "broadcast_buffers": False}
"""Have DistributedDataParallel leave buffers alone: every worker gathers its own part of the running statistics."""


class Replica:
    """One worker's copy of the model.

    Args:
        model: the model on its device. DistributedDataParallel gives all workers the weights of rank 0.
        process_group: the workers.
        batch_size: B, samples of all workers.
        ghost_batch_size: samples of a ghost batch; None without ghost batches.

    Attributes:
        module: what is called to train.
        syncs_gradients: whether gradients are summed over the workers; if not, each worker trains by itself.

    Raises:
        ValueError: batch normalisation would see statistics that one worker would not.
    """

    def __init__(
        self, model: nn.Module, process_group: ProcessGroup, *, batch_size: int, ghost_batch_size: int | None
    ) -> None:
        self._process_group = process_group
        self._batch_size = batch_size
        self._ghost_batch_size = ghost_batch_size
        self._statistics = _RunningStatistics(model, process_group)
        self._reduce_state = _ReduceState()
        self.module = model
        self.syncs_gradients = True
        if process_group.world_size == 1:
            return
        if has_batch_norm(model) and ghost_batch_size is None:
            raise ValueError(f"recipe: ghost_batch_size {WORKERS_NEED_GHOSTS}.")
        self.module = _wrap_in_ddp(model, self._reduce_state)

    def shard_bounds(self) -> list[int]:
        """Return the bounds of the workers' shards of a full batch."""
        size, ghosts = self._batch_size, self._ghost_batch_size
        return shard_bounds(size, self._process_group.world_size, batch_size=size, ghost_batch_size=ghosts)

    def local_batches(self, order: Tensor) -> list[LocalBatch]:
        """Return this worker's part of every update of `order`, keys (N,)."""
        return [
            self._process_group.local_batch(batch, batch_size=self._batch_size, ghost_batch_size=self._ghost_batch_size)
            for batch in torch.split(order, self._batch_size)
        ]

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Train in this block: running statistics are split over the workers inside, and merged after it."""
        self._statistics.split()
        yield
        self._statistics.merge()

    @contextmanager
    def backward_pass(self, batch: LocalBatch) -> Iterator[None]:
        """Compute the gradient of a local batch in this block.

        Raises:
            RuntimeError: a parameter got no gradient, so that not all gradients were summed.
        """
        if self._process_group.world_size == 1:
            yield
            return
        self._reduce_state.is_complete = False
        with self._statistics.update_from(batch):
            yield
        if self.syncs_gradients and not self._reduce_state.is_complete:
            named = cast(nn.Module, self.module.module).named_parameters()
            without = (name for name, parameter in named if parameter.requires_grad and parameter.grad is None)
            raise RuntimeError(NEEDS_EVERY_PARAMETER.format(next(without, "a parameter")))

    def gradient_sync(self, *, is_last: bool) -> AbstractContextManager[Any]:
        """Compute a micro-batch in this block: gradients are summed over the workers with the last one only."""
        if self._process_group.world_size == 1 or (is_last and self.syncs_gradients):
            return nullcontext()
        return cast(DistributedDataParallel, self.module).no_sync()


@dataclass
class _ReduceState:
    """Whether the last bucket of an update's gradients has been summed; buckets are summed in order."""

    is_complete: bool = False


def _wrap_in_ddp(model: nn.Module, reduce_state: _ReduceState) -> DistributedDataParallel:
    """Wrap a model so that gradients are summed over the workers; DistributedDataParallel's default is their mean."""

    # Defined here, since torch checks the annotation, which names what a build of torch may be without.
    def sum_bucket(state: None, bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
        reduce_state.is_complete = bucket.is_last()
        work = torch.distributed.all_reduce(bucket.buffer(), async_op=True)
        assert work is not None
        done: torch.futures.Future[Tensor] = work.get_future().then(lambda future: future.value()[0])
        return done

    parallel = DistributedDataParallel(model, **LOCAL_BUFFERS_OPTION, gradient_as_bucket_view=True)
    parallel.register_comm_hook(None, sum_bucket)
    for holder in (parallel.reducer, parallel.logger):
        weakref.finalize(holder, _release, parallel.process_group)
    return parallel


def _release(group: object) -> None:
    """Drop a reference to torch's process group once one of torch's own holders of it is gone.

    The last holder waits for the group's threads to end. Torch's reducer would wait while it holds the global
    interpreter lock, which such a thread needs to report to `sum_bucket` that a sum failed because another worker was
    lost: a deadlock. The reference that this call holds is dropped without the lock.
    """


class _RunningStatistics:
    """Running statistics of batch normalisation, as one worker would gather them ghost after ghost.

    A ghost batch with mean x updates them by r <- (1 - m) r + m x. That is linear. So every worker gathers the part of
    its own ghosts, fades it by (1 - m) for each ghost of the others, and the sum of the parts is what one worker has.
    """

    def __init__(self, model: nn.Module, process_group: ProcessGroup) -> None:
        self._process_group = process_group
        found = (module for module in model.modules() if isinstance(module, _BatchNorm))
        self.layers = [module for module in found if module.running_mean is not None]
        if process_group.world_size > 1 and any(layer.momentum is None for layer in self.layers):
            raise ValueError(
                "the model's batch normalisation keeps a cumulative average (momentum=None), which several workers "
                "cannot gather: give it a momentum, or train with one worker."
            )

    def _buffers(self) -> list[Tensor]:
        return [buffer for layer in self.layers for buffer in layer.buffers(recurse=False)]

    def split(self) -> None:
        """Leave what was gathered so far to rank 0; the other workers start from zero."""
        if not self._process_group.is_rank_zero:
            for buffer in self._buffers():
                buffer.zero_()

    @contextmanager
    def update_from(self, batch: LocalBatch) -> Iterator[None]:
        """Compute a local batch in this block, whose ghosts update this worker's part."""
        if batch.counts:
            self._fade(batch.ghosts_before)
            yield
        else:
            before = [buffer.clone() for buffer in self._buffers()]
            yield
            for buffer, kept in zip(self._buffers(), before, strict=True):
                buffer.copy_(kept)
            self._fade(batch.ghosts_before)
        self._fade(batch.ghosts_after)

    def _fade(self, num_ghosts: int) -> None:
        if num_ghosts:
            for layer in self.layers:
                assert layer.momentum is not None
                for buffer in (layer.running_mean, layer.running_var):
                    cast(Tensor, buffer).mul_((1 - layer.momentum) ** num_ghosts)

    def merge(self) -> None:
        """Sum the parts of all workers."""
        buffers = self._buffers()
        if self._process_group.world_size == 1 or not buffers:
            return
        # In float64, which holds the counts too.
        summed = self._process_group.all_reduce_sum(torch.cat([buffer.reshape(-1).double() for buffer in buffers]))
        parts = torch.split(summed, [buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.reshape(buffer.shape))
