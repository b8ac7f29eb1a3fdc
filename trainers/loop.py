"""The one training loop: a configuration in, what it learned and cost out.

T = ceil(E n / B) updates see exactly E n samples at every batch size (DATE, Section 3.6: 220 updates for n = 60,000,
B = 8,192, E = 30), in the order that the data's split gives; `trainers.updates` makes them.

Initial weights and sample order depend on the seed alone, so that two configurations with one seed are a pair. This
module must not know who chose the configuration, or why.
"""

import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch

from .applications.registry import find_application
from .checkpoint import CheckpointClock, config_fingerprint, restore_checkpoint, tolerate_write_errors, write_checkpoint
from .data import Split, load_on_device
from .distributed.data_parallel import SINGLE_PROCESS, ProcessGroup
from .distributed.local_workers import local_workers
from .energy_meter import Reading, joules_between, read_energy
from .evaluation import Evaluation, evaluate
from .flops_and_memory import peak_memory_bytes, training_flops_per_sample
from .memory import configure_malloc
from .models.ghost_batch_norm import ghost_batch_sizes
from .optimizers import build_optimizer
from .outcome import has_diverged, result_from_state, update_result
from .recipe import check_recipe, make_forward, prepare_data, prepare_model, to_fast_memory_format
from .sampling import random_stream
from .schedules import build_schedule
from .spec import EpochMetrics, Placement, TrainConfig, TrainResult
from .tables import lookup
from .updates import Updates

_logger = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    placement: Placement | None = None,
    report: Callable[[EpochMetrics], bool] | None = None,
) -> TrainResult:
    """Trains once, from the start or from the placement's checkpoint.

    Args:
        config: what to train.
        placement: where and how; None for one CPU thread without checkpoints.
        report: called after every epoch of this attempt; False ends the training there.

    Returns:
        The result; its status is "running" where `report` ended it early, and the checkpoint is then left in place.

    Raises:
        ValueError: the configuration cannot be trained (an unknown name, a batch larger than the data ...).
        DataError: the data source's files cannot be used.
        WorkerLost: another of several workers was lost; the same call takes the training up from its checkpoint.
        RuntimeError: what failed at another of several workers, or here.

    Example:
        >>> from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec
        >>> result = train(TrainConfig(
        ...     application="lenet_mnist", data="mnist5k", batch_size=100, epochs=1, seed=0,
        ...     schedule=ScheduleSpec(peak_lr=0.02), optimizer=OptimizerSpec(name="momentum"),
        ... ))
        >>> result.status, result.epochs[0].iterations, result.epochs[0].samples
        ('finished', 30, 3000)
    """
    placement = placement or Placement()
    with local_workers(placement.num_workers) as workers:
        if placement.device == "cpu":  # the workers share its meter
            placement = replace(placement, energy_share=placement.energy_share / placement.num_workers)
        training = Training(config, placement, workers.start_training(config, placement))
        while not training.finished:
            metrics = training.run_epoch()
            if report is not None and not report(metrics):
                training.stop()
                break
        return training.result()


class Training:
    """A training that its caller moves on epoch by epoch; `train` is the short way.

    Resumes from `placement.checkpoint` where that file is intact and of the same configuration; on a CPU, a training
    that was interrupted and resumed equals one that was not, bit for bit (of three workers or more to rounding: torch
    orders the first update's sums otherwise). The file is removed when training finishes.
    Sets torch's thread count and glibc's memory settings for the process; leaves torch's random state alone.

    Of several workers that train together (`trainers.distributed.data_parallel`), every one has a `Training` of its own
    and moves it on: worker 0 as it likes, the others as it does (`train_as_worker`). Counts are those of all
    workers, seconds and joules their sum. What is random for each sample besides its order, dropout say, is drawn by
    each worker for its local batch. Scores are worker 0's; the others know the first only.

    Args:
        config: what to train.
        placement: where and how this worker trains.
        process_group: the workers; this one alone where nothing is said.

    Attributes:
        flops_per_sample: floating-point operations of one training sample.
        updates: what trains the model; after an exception, with the counts of the epoch that it ended.

    Raises:
        ValueError: the configuration cannot be trained.
        DataError: the data source's files cannot be used.
    """

    def __init__(self, config: TrainConfig, placement: Placement, process_group: ProcessGroup = SINGLE_PROCESS):
        started = time.perf_counter()
        configure_malloc()
        torch.set_num_threads(placement.num_threads)
        self.config, self.placement, self.process_group = config, placement, process_group
        self.device = torch.device(placement.device)
        metered = read_energy(self.device)
        self.application = find_application(config.application)
        check_recipe(config.recipe, self.application)
        source = lookup(f"data source of {config.application}", self.application.data_sources, config.data)
        loaded = load_on_device(source, placement.data_folder, self.device, config.data_options)
        self.flops_per_sample = training_flops_per_sample(self.application, loaded, config.model_options)
        self.data = prepare_data(loaded, config.recipe.precision)
        self.schedule = build_schedule(
            config.schedule, num_samples=len(self.data.train), batch_size=config.batch_size, epochs=config.epochs
        )
        with self._random_stream("weights"):
            model = self.application.new_model(loaded.info, config.model_options)
            model = prepare_model(model, config.recipe).to(self.device)
        inputs, _ = loaded.train.example_batch()
        self.model = to_fast_memory_format(model, inputs)
        self.optimizer = build_optimizer(config.optimizer, self.model.named_parameters(), self.schedule.lr(1))
        self.updates = Updates(
            config, self.application, self.data.train, self.model, self.optimizer, self.schedule, process_group
        )
        self._forward = make_forward(config.recipe.precision, self.device, self.model)
        self._progress = TrainResult(
            status="running", epochs=(), validation_score=self.application.chance_score, setup_joules=0.0
        )
        self._resume()
        so_far, joules = self._progress, self._joules_since(metered)
        share = self.updates.local_batch_size
        pieces = ghost_batch_sizes(share, self.updates.micro_batch_size or share)
        is_whole = max(pieces) == config.batch_size and config.recipe.micro_batch_size != "auto"
        self._progress = replace(
            so_far,
            num_parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            setup_seconds=so_far.setup_seconds + process_group.world_size * (time.perf_counter() - started),
            setup_joules=None if joules is None or so_far.setup_joules is None else so_far.setup_joules + joules,
            resumed_epochs=len(so_far.epochs),
            micro_batch_size=None if is_whole else max(pieces),
            num_workers=process_group.world_size,
            accumulation_steps=len(pieces),
        )
        self._checkpoints = CheckpointClock(placement.checkpoint_seconds)

    @property
    def finished(self) -> bool:
        """Whether training has ended, by its last epoch or by divergence."""
        return self._progress.status != "running"

    def result(self) -> TrainResult:
        """What the training gave so far; before the first epoch, its validation score is that of chance."""
        return replace(self._progress, peak_memory_bytes=peak_memory_bytes(self.device))

    def run_epoch(self) -> EpochMetrics:
        """Trains the next epoch and evaluates it; after the last one, evaluates the test split too.

        A loss that is not finite (seen in training or on validation), or a training loss above `divergence_factor`
        times the first epoch's, ends the training as diverged, with the scores of chance. A training loss that is not
        finite ends the epoch too, and nothing is evaluated any more; it is looked for every `CHECK_UPDATES` updates,
        so that hardly any of them waits for the device.

        Returns:
            The epoch's metrics.

        Raises:
            RuntimeError: the training has ended already.
        """
        if self.finished:
            raise RuntimeError(f"this training has {self._progress.status}: no epoch is left to run.")
        if self.process_group.is_rank_zero:
            self._broadcast_continue(goes_on=True)
        started, metered = time.perf_counter(), read_energy(self.device)
        config, epoch = self.config, len(self._progress.epochs) + 1

        first, _, order = self.data.train.order(config.seed, epoch, epochs=config.epochs, batch_size=config.batch_size)
        updates = self.updates
        train_loss = updates.train(epoch, first, order)
        if math.isfinite(train_loss):
            updates.use_evaluation_weights(epoch, order)
            validation = self._evaluate(self.data.validation)
        else:
            validation = Evaluation(loss=math.nan, score=math.nan, other_scores={})

        diverged = has_diverged(config, self._progress, train_loss=train_loss, validation_loss=validation.loss)
        test = self._evaluate(self.data.test) if epoch == config.epochs and not diverged else None
        metrics = EpochMetrics(
            epoch=epoch,
            lr=self.schedule.lr(first + updates.iterations - 1),
            train_loss=train_loss,
            validation_loss=validation.loss,
            validation_score=validation.score,
            iterations=updates.iterations,
            samples=updates.samples,
            flops=self.flops_per_sample * updates.samples,
            words=self._progress.num_parameters * updates.iterations,
            device_seconds=self.process_group.world_size * (time.perf_counter() - started),
            measured_joules=self._joules_since(metered),
            other_scores=validation.other_scores,
        )
        self._progress = update_result(self._progress, metrics, self.application, diverged=diverged, test=test)
        updates.end_epoch()
        self._keep_checkpoint()
        return self._progress.epochs[-1]

    def stop(self) -> None:
        """Ends the training early for all its workers; nothing happens where there is one, or where it has ended."""
        if not self.finished:
            self._broadcast_continue(goes_on=False)

    def wait_for_rank_zero(self) -> bool:
        """Waits for worker 0 to begin an epoch or to leave."""
        return self._broadcast_continue(goes_on=False)

    def _broadcast_continue(self, *, goes_on: bool) -> bool:
        """Whether another epoch follows, by what worker 0 says."""
        return self.process_group.broadcast([float(goes_on)], self.device) == [1.0]

    def time_updates(self, num_updates: int, *, sync_gradients: bool = True) -> float:
        """Seconds of the first updates of an epoch, the device's work included; the training is of no use afterwards.

        Args:
            num_updates: >= 1; no more than an epoch has are made.
            sync_gradients: whether the workers add up their gradients; without, each trains by itself.
        """
        self.updates.sync_gradients(enabled=sync_gradients)
        config = self.config
        first, _, order = self.data.train.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
        begin = time.perf_counter()
        self.updates.train(1, first, order[: num_updates * config.batch_size])
        return time.perf_counter() - begin

    def save(self, path: str | Path) -> None:
        """Writes a checkpoint from which the same configuration can be resumed.

        Its weights are those of evaluation, as between any two epochs: an optimizer that trains at others makes them
        from these when the next epoch begins, whether the training was resumed or not.
        """
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self._progress),
        }
        write_checkpoint(Path(path), config_fingerprint(self.config), state)

    def _joules_since(self, begin: Reading | None) -> float | None:
        """This training's share of what its devices have drawn since then."""
        joules = joules_between(begin, read_energy(self.device))
        own = math.nan if joules is None else self.placement.energy_share * joules
        total = self.process_group.all_reduce_sum(torch.tensor(own, dtype=torch.float64, device=self.device)).item()
        return None if math.isnan(total) else total

    def _evaluate(self, split: Split) -> Evaluation:
        """What worker 0 finds on a split; of its scores the other workers know one."""
        if self.process_group.is_rank_zero:
            found = evaluate(self.model, self._forward, self.application, split, self.device)
        else:
            found = Evaluation(loss=math.nan, score=math.nan, other_scores={})
        loss, score = self.process_group.broadcast([found.loss, found.score], self.device)
        return replace(found, loss=loss, score=score)

    def _resume(self) -> None:
        """Takes up the checkpoint, where there is one to trust.

        Raises:
            RuntimeError: one worker could read it and another not; what they went on with would be two trainings.
        """
        if self.placement.checkpoint is None:
            return
        path = Path(self.placement.checkpoint)
        if not self.process_group.all_equal(_size_and_time(path), self.device):
            _logger.warning("%s: not all workers have this checkpoint: the training starts anew.", path)
            return
        found = restore_checkpoint(
            path,
            config_fingerprint(self.config),
            self.device,
            {"model": self.model, "optimizer": self.optimizer},
            result_from_state,
        )
        self._progress = found or self._progress
        if not self.process_group.all_equal([float(len(self._progress.epochs))], self.device):
            raise RuntimeError(f"{path}: one worker could read this checkpoint and another could not.")

    def _keep_checkpoint(self) -> None:
        """Writes the placement's checkpoint when it is due, and removes it when nothing is left to resume."""
        if self.placement.checkpoint is None or not self.process_group.is_rank_zero:
            return
        path = Path(self.placement.checkpoint)
        with tolerate_write_errors(path):
            if self.finished:
                path.unlink(missing_ok=True)
            elif self._checkpoints.is_due():
                with self._checkpoints.writing():
                    self.save(path)

    def _random_stream(self, purpose: str) -> AbstractContextManager[None]:
        return random_stream(self.config.seed, purpose, self.device)


def train_as_worker(config: TrainConfig, placement: Placement, process_group: ProcessGroup) -> None:
    """A worker's part in a training that worker 0 leads, to its end: every worker but that one calls this.

    Args:
        config: what to train, the same for all workers.
        placement: where and how this worker trains.
        process_group: as this worker sees it.
    """
    training = Training(config, placement, process_group)
    while not training.finished and training.wait_for_rank_zero():
        training.run_epoch()


def _size_and_time(path: Path) -> tuple[float, float]:
    """Differs where two workers do not see the same file."""
    with suppress(OSError):
        return path.stat().st_size, path.stat().st_mtime
    return -1.0, -1.0
