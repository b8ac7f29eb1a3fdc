"""The one training loop: a configuration in, what it learned and cost out.

T = ceil(E n / B) updates see exactly E n samples at every batch size (DATE, Section 3.6: 220 updates for n = 60,000,
B = 8,192, E = 30), in the order that the data's split gives. What stands around model and optimizer, clipping or
micro-batches, are the pieces of `trainers.recipe`; where nothing is asked of them, nothing is done.

Initial weights and sample order depend on the seed alone, so that two configurations with one seed are a pair. This
module must not know who chose the configuration, or why.
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers.applications.registry import find_application
from trainers.checkpoint import going_on_without, restore_checkpoint, write_checkpoint
from trainers.data import Split, load_on_device
from trainers.energy_meter import Reading, joules_between, read_energy
from trainers.evaluation import Evaluation, SwitchesWeights, evaluate, recompute_batch_norm, reset_state
from trainers.memory import keep_freed_memory
from trainers.meter import peak_memory_bytes, training_flops_per_sample
from trainers.micro_batch import fastest_micro_batch
from trainers.optimizers import build_optimizer
from trainers.outcome import after_epoch, has_diverged, progress_of
from trainers.recipe import (
    AUTO_NEEDS_GHOSTS,
    add_gradient,
    check_recipe,
    forward_in,
    has_batch_norm,
    in_fast_layout,
    micro_batches,
    mixed,
    prepare_data,
    prepare_model,
    training_loss,
)
from trainers.schedules import build_schedule
from trainers.spec import EpochMetrics, Placement, ScheduleSpec, TrainConfig, TrainResult
from trainers.streams import random_stream
from trainers.tables import lookup

CHECK_UPDATES = 50
"""How often within an epoch a training is looked at for divergence."""


_micro_batch_sizes: dict[tuple[str, torch.device], int] = {}
"""What was found fastest in this process, by workload and device."""


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

    Example:
        >>> from trainers.spec import OptimizerSpec, ScheduleSpec
        >>> result = train(TrainConfig(
        ...     application="lenet_mnist", data="mnist5k", batch_size=100, epochs=1, seed=0,
        ...     schedule=ScheduleSpec(peak_lr=0.02), optimizer=OptimizerSpec(name="momentum"),
        ... ))
        >>> result.status, result.epochs[0].iterations, result.epochs[0].samples
        ('finished', 30, 3000)
    """
    training = Training(config, placement or Placement())
    while not training.finished:
        metrics = training.run_epoch()
        if report is not None and not report(metrics):
            break
    return training.result()


class Training:
    """A training that its caller moves on epoch by epoch; `train` is the short way.

    Resumes from `placement.checkpoint` where that file is intact and of the same configuration; on a CPU, a training
    that was interrupted and resumed equals one that was not, bit for bit. The file is removed when training finishes.
    Sets torch's thread count and glibc's memory settings for the process; leaves torch's random state alone.

    Args:
        config: what to train.
        placement: where and how.

    Attributes:
        flops_per_sample: floating-point operations of one training sample.
        unfinished_iterations: updates of an epoch that an exception ended; 0 between epochs.
        unfinished_samples: the samples of those updates.
        observer: called with the number of every update, 1-based, when its gradient is ready and before the optimizer
            steps; it may look at everything and must change nothing. Its time is in the epoch's device_seconds.

    Raises:
        ValueError: the configuration cannot be trained.
        DataError: the data source's files cannot be used.
    """

    def __init__(self, config: TrainConfig, placement: Placement):
        started = time.perf_counter()
        keep_freed_memory()
        torch.set_num_threads(placement.num_threads)
        self.config, self.placement = config, placement
        self.observer: Callable[[int], None] | None = None
        self.device = torch.device(placement.device)
        metered = read_energy(self.device)
        self.application = find_application(config.application)
        check_recipe(config.recipe, self.application)
        source = lookup(f"data source of {config.application}", self.application.data_sources, config.data)
        loaded = load_on_device(source, placement.data_folder, self.device, config.data_options)
        self.flops_per_sample = training_flops_per_sample(self.application, loaded, config.model_options)
        self.unfinished_iterations, self.unfinished_samples = 0, 0
        self.data = prepare_data(loaded, config.recipe.precision)
        self.schedule = build_schedule(
            config.schedule, num_samples=len(self.data.train), batch_size=config.batch_size, epochs=config.epochs
        )
        with self._random_stream("weights"):
            model = self.application.new_model(loaded.facts, config.model_options)
            model = prepare_model(model, config.recipe).to(self.device)
        inputs, _ = loaded.train.typical()
        self.model = in_fast_layout(model, inputs)
        self.optimizer = build_optimizer(config.optimizer, self.model.named_parameters(), self.schedule.lr(1))
        self._forward = forward_in(config.recipe.precision, self.device, self.model)
        self._loss = training_loss(config.recipe, self.application)
        self._micro_batch_size = self._pieces_that_fit()
        self._progress = TrainResult(
            status="running", epochs=(), validation_score=self.application.chance_score, setup_joules=0.0
        )
        self._resume()
        before, joules = self._progress, self._joules_since(metered)
        self._progress = replace(
            before,
            num_parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            setup_seconds=before.setup_seconds + time.perf_counter() - started,
            setup_joules=None if joules is None or before.setup_joules is None else before.setup_joules + joules,
            resumed_epochs=len(before.epochs),
            micro_batch_size=self._micro_batch_size if config.recipe.micro_batch_size == "auto" else None,
        )
        self._saved_at = time.perf_counter()

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
        started, metered = time.perf_counter(), read_energy(self.device)
        config, epoch = self.config, len(self._progress.epochs) + 1

        first, _, order = self.data.train.order(config.seed, epoch, epochs=config.epochs, batch_size=config.batch_size)
        train_loss = self._update(epoch, first, order)
        iterations, samples = self.unfinished_iterations, self.unfinished_samples
        if math.isfinite(train_loss):
            self._use_evaluation_weights(epoch, order)
            validation = self._evaluate(self.data.validation)
        else:
            validation = Evaluation(loss=math.nan, score=math.nan, other_scores={})

        diverged = has_diverged(config, self._progress, train_loss=train_loss, validation_loss=validation.loss)
        test = self._evaluate(self.data.test) if epoch == config.epochs and not diverged else None
        metrics = EpochMetrics(
            epoch=epoch,
            lr=self.schedule.lr(first + iterations - 1),
            train_loss=train_loss,
            validation_loss=validation.loss,
            validation_score=validation.score,
            iterations=iterations,
            samples=samples,
            flops=self.flops_per_sample * samples,
            words=self._progress.num_parameters * iterations,
            device_seconds=time.perf_counter() - started,
            measured_joules=self._joules_since(metered),
            other_scores=validation.other_scores,
        )
        self._progress = after_epoch(self._progress, metrics, self.application, diverged=diverged, test=test)
        self.unfinished_iterations, self.unfinished_samples = 0, 0
        self._keep_checkpoint()
        return self._progress.epochs[-1]

    def time_updates(self, num_updates: int) -> float:
        """Seconds of the first updates of an epoch, the device's work included; the training is of no use afterwards.

        Args:
            num_updates: >= 1; no more than an epoch has are made.
        """
        config = self.config
        first, _, order = self.data.train.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
        begin = time.perf_counter()
        self._update(1, first, order[: num_updates * config.batch_size])
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
        write_checkpoint(Path(path), _fingerprint(self.config), state)

    def _update(self, epoch: int, first: int, order: Tensor) -> float:
        """Trains on the batches of `order`, the first of which is update `first`; returns the mean loss.

        Where that is not finite, some of the batches may not have been trained on.
        """
        optimizer, recipe = self.optimizer, self.config.recipe
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        updates = self._pieces(order)
        self.model.train()
        reset_state(self.model)
        if isinstance(optimizer, SwitchesWeights):
            optimizer.train()
        with self._random_stream(f"noise {epoch}"):
            batches = self.data.train.batches(piece for pieces in updates for piece in pieces)
            for iteration, pieces in enumerate(updates, start=first):
                lr = self.schedule.lr(iteration)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.zero_grad(set_to_none=True)
                num_samples = sum(len(piece) for piece in pieces)
                update = islice(batches, len(pieces))
                loss_sum += add_gradient(self._forward, self._loss, update, num_samples=num_samples)
                if recipe.clip_norm is not None:
                    nn.utils.clip_grad_norm_(parameters, recipe.clip_norm, foreach=True)
                if self.observer is not None:
                    self.observer(iteration)
                optimizer.step()
                self.unfinished_iterations += 1
                self.unfinished_samples += num_samples
                if self.unfinished_iterations % CHECK_UPDATES == 0 and not math.isfinite(loss_sum.item()):
                    break
        return loss_sum.item() / len(order)

    def _pieces(self, order: Tensor) -> list[tuple[Tensor, ...]]:
        """The keys of every update of `order`, in the pieces that are in memory at once."""
        return [micro_batches(batch, self._micro_batch_size) for batch in torch.split(order, self.config.batch_size)]

    def _pieces_that_fit(self) -> int | None:
        """The recipe's micro-batch size; where that is left to a measurement, what is found once a process.

        Raises:
            ValueError: the recipe leaves it to a measurement, and the model's results would depend on it.
        """
        config, recipe = self.config, self.config.recipe
        if recipe.micro_batch_size != "auto":
            return recipe.micro_batch_size
        if recipe.ghost_batch_size is None and has_batch_norm(self.model):
            raise ValueError(f"recipe: micro_batch_size {AUTO_NEEDS_GHOSTS}.")
        workload = (_fingerprint(replace(config, schedule=ScheduleSpec(peak_lr=1.0), seed=0, epochs=1)), self.device)
        if workload not in _micro_batch_sizes:
            _, _, order = self.data.train.order(config.seed, 1, epochs=config.epochs, batch_size=config.batch_size)
            model = copy.deepcopy(self.model).train()
            forward = forward_in(recipe.precision, self.device, model)

            def compute(size: int) -> None:
                reset_state(model)
                model.zero_grad(set_to_none=True)
                add_gradient(forward, self._loss, self.data.train.batches([order[:size]]), num_samples=size)

            with self._random_stream("micro-batch size"):
                _micro_batch_sizes[workload] = fastest_micro_batch(
                    compute, batch_size=config.batch_size, multiple_of=recipe.ghost_batch_size, device=self.device
                )
        return _micro_batch_sizes[workload]

    def _use_evaluation_weights(self, epoch: int, order: Tensor) -> None:
        """Puts the model into evaluation mode, at the weights its optimizer wants evaluated, where those are others.

        Batch normalisation then takes its statistics from one more pass over the epoch's samples `order`, cut as in
        training. That pass is in the epoch's device_seconds, but not in its samples or flops: nothing is trained.
        """
        if isinstance(self.optimizer, SwitchesWeights):
            self.optimizer.eval()
            pieces = (piece for pieces in self._pieces(order) for piece in pieces)
            inputs = (inputs for inputs, _ in self.data.train.batches(pieces))
            precision = self.config.recipe.precision
            with self._random_stream(f"statistics {epoch}"), mixed(precision, self.device):
                recompute_batch_norm(self.model, inputs)
        self.model.eval()

    def _joules_since(self, begin: Reading | None) -> float | None:
        """This training's share of what the device has drawn since then."""
        joules = joules_between(begin, read_energy(self.device))
        return None if joules is None else self.placement.energy_share * joules

    def _evaluate(self, split: Split) -> Evaluation:
        return evaluate(self.model, self._forward, self.application, split, self.device)

    def _resume(self) -> None:
        """Takes up the checkpoint, where there is one to trust."""
        if self.placement.checkpoint is None:
            return
        found = restore_checkpoint(
            Path(self.placement.checkpoint),
            _fingerprint(self.config),
            self.device,
            {"model": self.model, "optimizer": self.optimizer},
            progress_of,
        )
        self._progress = found or self._progress

    def _keep_checkpoint(self) -> None:
        """Writes the placement's checkpoint when it is due, and removes it when nothing is left to resume."""
        if self.placement.checkpoint is None:
            return
        path = Path(self.placement.checkpoint)
        with going_on_without(path):
            if self.finished:
                path.unlink(missing_ok=True)
            elif time.perf_counter() - self._saved_at >= self.placement.checkpoint_seconds:
                self._saved_at = time.perf_counter()
                self.save(path)
                self._saved_at = time.perf_counter()

    def _random_stream(self, purpose: str) -> AbstractContextManager[None]:
        return random_stream(self.config.seed, purpose, self.device)


def _fingerprint(config: TrainConfig) -> str:
    """A name for the configuration, made of its content."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()
