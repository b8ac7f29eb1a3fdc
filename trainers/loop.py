"""The training loop: a configuration in, what it learned and what it cost out.

T = ceil(E n / B) updates see exactly E n samples at every batch size (DATE, Section 3.6: 220 updates for n = 60,000,
B = 8,192, E = 30), in the order that the data's split gives. `trainers.updates` makes the updates of an epoch.

Initial weights and sample order depend on the seed alone, so that two configurations with one seed are a pair.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from .applications.registry import find_application
from .checkpoint import CheckpointClock, config_fingerprint, restore_checkpoint, tolerate_write_errors, write_checkpoint
from .data import Split, load_on_device
from .distributed.data_parallel import SINGLE_PROCESS, ProcessGroup
from .distributed.local_workers import local_workers
from .energy_meter import Reading, joules_between, read_energy
from .evaluation import NOT_EVALUATED, Evaluation, evaluate, probe_loss
from .flops_and_memory import peak_memory_bytes, training_flops_per_sample
from .memory import configure_malloc
from .optimizers import build_optimizer
from .outcome import find_divergence, find_not_finite, result_from_state, update_result
from .process_state import keep_process_state
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
    """Train one configuration, from the start or from the placement's checkpoint.

    Args:
        config: what to train.
        placement: where and how; None for one CPU thread without checkpoints.
        report: called after every epoch of this attempt; if it returns False, the training stops there.

    Returns:
        The result. Its status is "running" if `report` stopped the training; the checkpoint is then left in place.

    Raises:
        ValueError: the configuration cannot be trained (an unknown name, a batch larger than the data ...).
        DataError: the data source's files cannot be used.
        WorkerLost: another of several workers was lost; the same call resumes the training from its checkpoint.
        RuntimeError: another of several workers failed, or this one did.

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
    find_application(config.application)  # what its import changes in the process stays
    with local_workers(placement.num_workers) as workers, keep_process_state():
        if placement.device == "cpu":  # the workers share one energy meter
            placement = replace(placement, energy_share=placement.energy_share / placement.num_workers)
        training = Training(config, placement, workers.start_training(config, placement))
        while not training.finished:
            metrics = training.run_epoch()
            if report is not None and not report(metrics):
                training.stop()
                break
        return training.result()


class Training:
    """A training that its caller runs epoch by epoch; `train` runs all of them.

    Resumes from `placement.checkpoint` if that file is intact and belongs to the same configuration. On a CPU, a
    resumed training equals an uninterrupted one bit for bit (to rounding with three workers or more, since torch orders
    the first update's sums otherwise). The file is removed when training finishes.

    Sets torch's thread count and glibc's memory settings for the process; leaves torch's random state alone.

    With several workers (`trainers.distributed.data_parallel`), every worker has a `Training` of its own. Rank 0's
    caller decides when an epoch is run; the others follow it (`train_as_worker`). Counts cover all workers; seconds and
    joules are their sum. What is random for each sample besides its order, such as dropout, is drawn by each worker for
    its local batch. Scores are rank 0's; the others know the first one only.

    Attributes:
        flops_per_sample: floating-point operations of one training sample.
        updates: makes the updates; after an exception, it holds the counts of the interrupted epoch.

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
        self._random_stream = partial(random_stream, config.seed, device=self.device)
        energy_before = read_energy(self.device)

        # Application and data.
        self.application = find_application(config.application)
        check_recipe(config.recipe, self.application)
        source = lookup(f"data source of {config.application}", self.application.data_sources, config.data)
        loaded = load_on_device(source, placement.data_folder, self.device, config.data_options)
        self.flops_per_sample = training_flops_per_sample(self.application, loaded, config.model_options)
        self.data = prepare_data(loaded, config.recipe.precision)

        # Schedule, model and optimizer.
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
        self._probe_loss = partial(probe_loss, self.model, self._forward, self.application, self.data.train)
        with self._random_stream("untrained"):  # a model may draw random numbers in evaluation mode too
            self._untrained_loss = self._probe_loss()

        # Progress so far: none, or the checkpoint's.
        self._progress = TrainResult(
            status="running", epochs=(), validation_score=self.application.chance_score, setup_joules=0.0
        )
        self._resume()
        before, joules = self._progress, self._joules_since(energy_before)
        micro_batches = self.updates.micro_batch_sizes()
        is_whole_batch = max(micro_batches) == config.batch_size and config.recipe.micro_batch_size != "auto"
        self._progress = replace(
            before,
            num_parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            setup_seconds=before.setup_seconds + process_group.world_size * (time.perf_counter() - started),
            setup_joules=None if joules is None or before.setup_joules is None else before.setup_joules + joules,
            resumed_epochs=len(before.epochs),
            micro_batch_size=None if is_whole_batch else max(micro_batches),
            num_workers=process_group.world_size,
            accumulation_steps=len(micro_batches),
        )
        self._checkpoints = CheckpointClock(placement.checkpoint_seconds)

    @property
    def finished(self) -> bool:
        """Whether training has ended, by its last epoch or by divergence."""
        return self._progress.status != "running"

    def result(self) -> TrainResult:
        """Return the result so far; before the first epoch, its validation score is that of chance."""
        return replace(self._progress, peak_memory_bytes=peak_memory_bytes(self.device))

    def run_epoch(self) -> EpochMetrics:
        """Train the next epoch and evaluate it; after the last one, evaluate the test split too.

        Training ends as diverged, with the scores of chance, by the rule of `trainers.outcome`. A training loss that is
        not finite ends the epoch at once, without an evaluation. It is looked for every `CHECK_UPDATES` updates, so
        that few of them wait for the device.

        Returns:
            The epoch's metrics.

        Raises:
            RuntimeError: the training has ended already.
        """
        if self.finished:
            raise RuntimeError(f"this training has {self._progress.status}: no epoch is left to run.")
        if self.process_group.is_rank_zero:
            self._broadcast_continue(True)
        started, energy_before = time.perf_counter(), read_energy(self.device)
        config, updates, epoch = self.config, self.updates, len(self._progress.epochs) + 1

        first, _, order = self.data.train.order(config.seed, epoch, epochs=config.epochs, batch_size=config.batch_size)
        train_loss = updates.train(epoch, first, order)

        # Evaluate.
        validation = NOT_EVALUATED
        if math.isfinite(train_loss):
            updates.use_evaluation_weights(epoch, order)
            validation = self._evaluate(self.data.validation)
        divergence = self._broadcast_problem(
            lambda: find_divergence(
                config,
                self._progress,
                self.application,
                train_loss=train_loss,
                iterations=updates.iterations,
                validation=validation,
                untrained_loss=self._untrained_loss,
                weights=self.model.named_parameters(),
                probe_loss=self._probe_loss,
            )
        )
        test, on_test = None, None
        if epoch == config.epochs and divergence is None:
            test = tested = self._evaluate(self.data.test)
            on_test = self._broadcast_problem(lambda: find_not_finite("test", tested, self.application.metric, epoch))

        # Record.
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
            measured_joules=self._joules_since(energy_before),
            other_scores=validation.other_scores,
        )
        self._progress = update_result(
            self._progress,
            metrics,
            self.application,
            divergence,
            test=test,
            test_divergence=on_test,
            samples=(len(self.data.validation), len(self.data.test)),
        )
        updates.end_epoch()
        self._update_checkpoint()
        return self._progress.epochs[-1]

    def stop(self) -> None:
        """End the training early for all its workers; no effect with one worker, or after the training has ended."""
        if not self.finished:
            self._broadcast_continue(False)

    def wait_for_rank_zero(self) -> bool:
        """Wait until rank 0 starts an epoch or stops; return whether an epoch follows."""
        return self._broadcast_continue(False)

    def _broadcast_continue(self, continues: bool) -> bool:
        """Return rank 0's answer to whether another epoch follows; the others' arguments are ignored."""
        begun = len(self._progress.epochs) > self._progress.resumed_epochs  # all have their data
        return self.process_group.broadcast([float(continues)], self.device, others_are_ready=begun) == [1.0]

    def time_updates(self, num_updates: int, *, sync_gradients: bool = True) -> float:
        """Time the first updates of an epoch, in seconds; the training must not be used afterwards.

        Args:
            num_updates: number of updates, >= 1; at most those of an epoch are made.
            sync_gradients: whether gradients are summed over the workers; if not, each worker trains by itself.
        """
        self.updates.sync_gradients(enabled=sync_gradients)
        config = self.config
        first, _, order = self.data.train.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
        begin = time.perf_counter()
        self.updates.train(1, first, order[: num_updates * config.batch_size])
        return time.perf_counter() - begin

    def save(self, path: str | Path) -> None:
        """Write a checkpoint from which the same configuration can be resumed.

        It holds the evaluation weights, as between any two epochs. An optimizer that trains at other weights derives
        them from these when the next epoch begins, whether the training was resumed or not.
        """
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self._progress),
        }
        write_checkpoint(Path(path), config_fingerprint(self.config), state)

    def _joules_since(self, before: Reading | None) -> float | None:
        """Return the joules that this training's devices have drawn since a reading; None if one has no meter."""
        drawn = joules_between(before, read_energy(self.device))
        local = math.nan if drawn is None else self.placement.energy_share * drawn
        total = self.process_group.all_reduce_sum(torch.tensor(local, dtype=torch.float64, device=self.device)).item()
        return None if math.isnan(total) else total

    def _evaluate(self, split: Split) -> Evaluation:
        """Evaluate a split on rank 0; the other workers get the loss and the first score."""
        found = NOT_EVALUATED
        if self.process_group.is_rank_zero:
            with self._random_stream("evaluation"):
                found = evaluate(self.model, self._forward, self.application, split, self.device)
        loss, score = self.process_group.broadcast([found.loss, found.score], self.device)
        return replace(found, loss=loss, score=score)

    def _broadcast_problem(self, find_problem: Callable[[], str | None]) -> str | None:
        """Return what rank 0 finds; the others learn only whether it found something."""
        found = find_problem() if self.process_group.is_rank_zero else "worker 0 found it"
        return found if self.process_group.broadcast([float(found is not None)], self.device) == [1.0] else None

    def _resume(self) -> None:
        """Restore the checkpoint if there is one to trust.

        Raises:
            RuntimeError: only some of the workers could read it, so that they would train different models.
        """
        if self.placement.checkpoint is None:
            return
        path = Path(self.placement.checkpoint)
        if not self.process_group.all_see_file(path, self.device):
            _logger.warning("%s: not all workers have this checkpoint: the training starts anew.", path)
            return
        restored = restore_checkpoint(
            path,
            config_fingerprint(self.config),
            self.device,
            {"model": self.model, "optimizer": self.optimizer},
            result_from_state,
        )
        self._progress = restored or self._progress
        if not self.process_group.all_equal([float(len(self._progress.epochs))], self.device):
            raise RuntimeError(f"{path}: one worker could read this checkpoint and another could not.")

    def _update_checkpoint(self) -> None:
        """Write the placement's checkpoint when it is due; remove it when there is nothing left to resume."""
        if self.placement.checkpoint is None or not self.process_group.is_rank_zero:
            return
        path = Path(self.placement.checkpoint)
        with tolerate_write_errors(path):
            if self.finished:
                path.unlink(missing_ok=True)
            elif self._checkpoints.is_due():
                with self._checkpoints.time_write():
                    self.save(path)


def train_as_worker(config: TrainConfig, placement: Placement, process_group: ProcessGroup) -> None:
    """Train this worker's part of a training that rank 0 runs, to its end; every other rank calls this."""
    find_application(config.application)
    with keep_process_state():
        training = Training(config, placement, process_group)
        while not training.finished and training.wait_for_rank_zero():
            training.run_epoch()
