"""Packed training: trainings that differ in schedule and seed only, as one stacked model on one device.

HFTA (Wang et al., MLSys 2021) calls this horizontally fused training. A small model does not keep a device busy: most
of a step is launching many small operations. K stacked models, every parameter (K, ...), launch as many operations as
one. Each training keeps its own weights, learning rate, warm-up, trust ratios and sample order, and its results equal
those of training alone to rounding. `trainers.packing.benchmark` measures whether a pack is faster on a device.

Shapes: K models, B samples, T updates of an epoch; lists hold one tensor (K, ...) a parameter.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..applications.application import Application
from ..applications.registry import find_application
from ..data import Split, TensorSplit, load_on_device
from ..energy_meter import joules_between, read_energy
from ..evaluation import NOT_EVALUATED, PROBE_SAMPLES, CarriesState, Evaluation, make_evaluation, score_sums
from ..flops_and_memory import peak_memory_bytes, training_flops_per_sample
from ..memory import configure_malloc
from ..optimizers.stacked import can_be_stacked, keep_models, set_learning_rates, stacked_optimizer
from ..outcome import find_divergence, find_not_finite, update_result
from ..recipe import check_recipe, prepare_data, prepare_model, training_loss
from ..sampling import random_stream
from ..schedules import build_schedule
from ..spec import EpochMetrics, Placement, ScheduleSpec, TrainConfig, TrainResult
from ..tables import lookup
from ..updates import CHECK_UPDATES
from .stacked_model import clip_gradients, stack_weights, stacked_loss

_DROPOUT = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout | nn.FeatureAlphaDropout


def pack_key(config: TrainConfig) -> TrainConfig:
    """Return what the trainings of a pack have in common: the configuration without schedule and seed."""
    return replace(config, schedule=ScheduleSpec(peak_lr=1.0), seed=0)


def pack_problem(config: TrainConfig) -> str | None:
    """Say why trainings with this configuration cannot be packed, as a clause; None if no reason is known.

    Looks at the meta model; `PackedTraining` looks at the data too.
    """
    application, recipe = find_application(config.application), config.recipe
    if not can_be_stacked(config.optimizer):
        return f"optimizer {config.optimizer.name!r} sets its own learning rate"
    if recipe.precision == "bfloat16" or recipe.micro_batch_size is not None or recipe.ghost_batch_size is not None:
        return "its recipe has bfloat16, micro-batches or ghost batches"
    if application.score_sum is None:
        return "its score is no sum over samples"
    meta_model = application.meta_model(config.model_options)
    return "its model cannot be built without values" if meta_model is None else _model_problem(meta_model)


def _model_problem(model: nn.Module) -> str | None:
    if next(model.buffers(), None) is not None:
        return "its model keeps statistics, as batch normalisation does"
    for module in model.modules():
        if isinstance(module, nn.RNNBase | CarriesState):
            return "its model is recurrent"
        if isinstance(module, _DROPOUT) and module.p > 0:
            return "its model draws random numbers"
    return None


class PackedTraining:
    """Trainings that their caller runs together, epoch by epoch.

    A training that has diverged or ended leaves the pack after the epoch, and the others continue. A training whose
    loss is not finite is charged for the updates that it would make alone. There are no checkpoints: packs are for
    short trainings. Sets torch's thread count and glibc's memory settings for the process.

    Args:
        configs: one or more configurations with the same `pack_key`.
        placement: where and how to train; its checkpoint is not used.

    Attributes:
        flops_per_sample: floating-point operations of one training sample of one training.
        unfinished: updates, and samples of those updates, that each running training made in an epoch interrupted by an
            exception; zeros between epochs.

    Raises:
        ValueError: the configurations differ in more than schedule and seed, or cannot be trained or packed.
        DataError: the data source's files cannot be used.
    """

    def __init__(self, configs: Sequence[TrainConfig], placement: Placement) -> None:
        started = time.perf_counter()
        configure_malloc()
        torch.set_num_threads(placement.num_threads)
        config = configs[0]
        if any(pack_key(other) != pack_key(config) for other in configs):
            raise ValueError("trainings of a pack may differ in schedule and seed only.")
        problem = pack_problem(config)
        if problem is not None:
            raise ValueError(f"this training cannot be packed: {problem}.")
        self.configs, self.device = tuple(configs), torch.device(placement.device)
        self._energy_share = placement.energy_share
        energy_before = read_energy(self.device)
        self.application = find_application(config.application)
        check_recipe(config.recipe, self.application)
        source = lookup(f"data source of {config.application}", self.application.data_sources, config.data)
        loaded = load_on_device(source, placement.data_folder, self.device, config.data_options)
        self.flops_per_sample = training_flops_per_sample(self.application, loaded, config.model_options)
        data = prepare_data(loaded, config.recipe.precision)
        self._train, self._validation, self._test = map(_in_memory, (data.train, data.validation, data.test))
        self._schedules = [
            build_schedule(
                each.schedule, num_samples=len(self._train), batch_size=config.batch_size, epochs=config.epochs
            )
            for each in configs
        ]
        models = [_new_model(self.application, each, loaded.info) for each in configs]
        self._weights = stack_weights(models, self.device)
        self._meta_model = models[0].to("meta")
        self._trained = {name: value for name, value in self._weights.items() if isinstance(value, nn.Parameter)}
        self._optimizer = stacked_optimizer(config.optimizer, self._meta_model, self._trained)
        self._losses = stacked_loss(self._meta_model, training_loss(config.recipe, self.application))
        self._running = list(range(len(configs)))
        self._untrained_losses = self._probe_losses()
        self._epoch = 0
        self.unfinished = (0, 0)
        joules = joules_between(energy_before, read_energy(self.device))
        self._results = [
            TrainResult(
                status="running",
                epochs=(),
                validation_score=self.application.chance_score,
                num_parameters=sum(p[0].numel() for p in self._trained.values()),
                setup_seconds=(time.perf_counter() - started) / len(configs),
                setup_joules=self._energy_of_one(joules),
            )
            for _ in configs
        ]

    @property
    def running(self) -> tuple[int, ...]:
        """Positions of the running trainings among the configurations, ascending."""
        return tuple(self._running)

    def results(self) -> tuple[TrainResult, ...]:
        """Return the result so far of each training, in the order of the configurations."""
        peak = peak_memory_bytes(self.device)
        return tuple(replace(result, peak_memory_bytes=peak) for result in self._results)

    def weights(self, position: int) -> dict[str, Tensor]:
        """Return a running training's weights by name."""
        row = self._running.index(position)
        return {name: value[row].detach() for name, value in self._weights.items()}

    def run_epoch(self) -> None:
        """Train the next epoch of all running trainings and evaluate them; seconds and joules are divided equally.

        Raises:
            RuntimeError: every training has ended.
        """
        if not self._running:
            raise RuntimeError("every training of this pack has ended: no epoch is left to run.")
        started, energy_before = time.perf_counter(), read_energy(self.device)
        config, self._epoch = self.configs[0], self._epoch + 1
        first, _, keys = self._order()
        trained = self._update(first, keys)
        validations = self._evaluate_trained(trained)
        divergences = self._find_divergences(trained, validations)
        is_last = self._epoch == config.epochs
        tests = self._evaluate(self._test) if is_last and None in divergences else [None] * len(self._running)
        seconds = (time.perf_counter() - started) / len(self._running)
        joules = self._energy_of_one(joules_between(energy_before, read_energy(self.device)))
        for row, position in enumerate(self._running):
            before, (train_loss, iterations) = self._results[position], trained[row]
            samples = min(iterations * config.batch_size, keys.shape[-1])
            metrics = EpochMetrics(
                epoch=self._epoch,
                lr=self._schedules[position].lr(first + iterations - 1),
                train_loss=train_loss,
                validation_loss=validations[row].loss,
                validation_score=validations[row].score,
                iterations=iterations,
                samples=samples,
                flops=self.flops_per_sample * samples,
                words=before.num_parameters * iterations,
                device_seconds=seconds,
                measured_joules=joules,
                other_scores=validations[row].other_scores,
            )
            test = None if divergences[row] else tests[row]
            self._results[position] = update_result(
                before,
                metrics,
                self.application,
                divergences[row],
                test=test,
                test_divergence=find_not_finite("test", test, self.application.metric, self._epoch) if test else None,
                samples=(len(self._validation), len(self._test)),
            )
        self.unfinished = (0, 0)
        self._remove_rows(
            row for row, position in enumerate(self._running) if self._results[position].status != "running"
        )

    def remove(self, position: int) -> None:
        """Remove a running training that has been pruned from the pack."""
        self._remove_rows([self._running.index(position)])

    def _remove_rows(self, rows: Iterator[int] | Sequence[int]) -> None:
        leaving = set(rows)
        stay = [row for row in range(len(self._running)) if row not in leaving]
        if leaving and stay:
            index = torch.tensor(stay, device=self.device)
            keep_models(self._optimizer, index)
            for name, value in self._weights.items():
                if name not in self._trained:
                    self._weights[name] = value[index]
        self._running = [self._running[row] for row in stay]

    def time_updates(self, num_updates: int) -> float:
        """Time the first updates of an epoch of all trainings, as `Training.time_updates` does."""
        first, _, keys = self._order()
        begin = time.perf_counter()
        self._update(first, keys[..., : num_updates * self.configs[0].batch_size])
        return time.perf_counter() - begin

    def _order(self) -> tuple[int, int, Tensor]:
        """Return the epoch's first and last update and its samples: (n,) if all share them, else (K, n)."""
        config, seeds = self.configs[0], [self.configs[position].seed for position in self._running]
        orders = {
            seed: self._train.order(seed, max(1, self._epoch), epochs=config.epochs, batch_size=config.batch_size)
            for seed in seeds
        }
        first, last, keys = orders[seeds[0]]
        return first, last, keys if len(orders) == 1 else torch.stack([orders[seed][2] for seed in seeds])

    def _update(self, first: int, keys: Tensor) -> list[tuple[float, int]]:
        """Train on the batches of `keys`, beginning with update `first`.

        Returns:
            Each training's mean loss, and the number of updates it would make alone: a training whose loss is not
            finite would end at one of its checks, while the stack continues.
        """
        config, updates = self.configs[0], torch.split(keys, self.configs[0].batch_size, dim=-1)
        rates_TK = torch.tensor(
            [
                [self._schedules[position].lr(first + update) for position in self._running]
                for update in range(len(updates))
            ],
            dtype=torch.float64,
        ).to(self.device, non_blocking=True)
        ended: dict[int, tuple[float, int]] = {}
        loss_sums_K = torch.zeros(len(self._running), dtype=torch.float64, device=self.device)
        for update, chosen in enumerate(updates):
            set_learning_rates(self._optimizer, rates_TK[update : update + 1])
            self._optimizer.zero_grad(set_to_none=True)
            inputs, targets = self._batch(chosen)
            losses_K = self._losses(self._weights, inputs, targets, is_shared=chosen.ndim == 1)
            losses_K.sum().backward()  # type: ignore[no-untyped-call]
            loss_sums_K += losses_K.detach() * chosen.shape[-1]
            if config.recipe.clip_norm is not None:
                clip_gradients([cast(Tensor, p.grad) for p in self._trained.values()], config.recipe.clip_norm)
            self._optimizer.step()
            self.unfinished = (update + 1, self.unfinished[1] + chosen.shape[-1])
            if (update + 1) % CHECK_UPDATES == 0:
                for row, loss_sum in enumerate(loss_sums_K.tolist()):
                    if not math.isfinite(loss_sum):
                        ended.setdefault(row, (loss_sum, update + 1))
                if len(ended) == len(self._running):
                    break
        means = ((loss_sum, len(updates)) for loss_sum in (loss_sums_K / keys.shape[-1]).tolist())
        return [ended.get(row, mean) for row, mean in enumerate(means)]

    def _batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the samples at positions (B,), which all trainings share, or (K, B)."""
        flat = positions.flatten()
        inputs, targets = self._train.inputs.index_select(0, flat), self._train.targets.index_select(0, flat)
        shape = positions.shape
        return inputs.view(*shape, *inputs.shape[1:]), targets.view(*shape, *targets.shape[1:])

    def _evaluate_trained(self, trained: Sequence[tuple[float, int]]) -> list[Evaluation]:
        """Evaluate the validation split after `_update`; a training whose loss is not finite is not evaluated."""
        is_finite = [math.isfinite(loss) for loss, _ in trained]
        found = self._evaluate(self._validation) if any(is_finite) else [NOT_EVALUATED] * len(is_finite)
        return [each if finite else NOT_EVALUATED for each, finite in zip(found, is_finite, strict=True)]

    def _find_divergences(
        self, trained: Sequence[tuple[float, int]], validations: Sequence[Evaluation]
    ) -> list[str | None]:
        """Return why each running training has diverged in this epoch; None if it has not."""
        probe_losses = cache(self._probe_losses)
        return [
            find_divergence(
                self.configs[position],
                self._results[position],
                self.application,
                train_loss=trained[row][0],
                iterations=trained[row][1],
                validation=validations[row],
                untrained_loss=self._untrained_losses[position],
                weights=((name, value[row]) for name, value in self._trained.items()),
                probe_loss=partial(lambda row: probe_losses()[row], row),
            )
            for row, position in enumerate(self._running)
        ]

    def _forward(self, inputs: Tensor) -> Tensor:
        """Return every running training's outputs (K, B, ...)."""
        return cast(Tensor, vmap(lambda w: functional_call(self._meta_model, w, (inputs,)))(self._weights))

    @torch.no_grad()
    def _probe_losses(self) -> list[float]:
        """Return the running trainings' losses on the first training samples, as `probe_loss` does."""
        inputs, targets = self._train.inputs[:PROBE_SAMPLES], self._train.targets[:PROBE_SAMPLES]
        losses_K = vmap(self.application.loss, in_dims=(0, None))(self._forward(inputs), targets)
        return cast(list[float], losses_K.tolist())

    @torch.no_grad()
    def _evaluate(self, split: TensorSplit) -> list[Evaluation]:
        """Compute loss and scores of every training on a split."""
        sums_of = [vmap(score_sum, in_dims=(0, None)) for score_sum in score_sums(self.application).values()]
        mean_loss = vmap(self.application.loss, in_dims=(0, None))
        sums = torch.zeros(1 + len(sums_of), len(self._running), dtype=torch.float64, device=self.device)
        for inputs, targets in split.batches(split.evaluation_keys()):
            outputs = self._forward(inputs)
            sums[0] += mean_loss(outputs, targets) * len(targets)
            for position, score_sum in enumerate(sums_of, start=1):
                sums[position] += score_sum(outputs, targets)
        columns = (sums / len(split)).T.tolist()
        return [make_evaluation(self.application, loss, means) for loss, *means in columns]

    def _energy_of_one(self, joules: float | None) -> float | None:
        """Return one training's part of the joules that the device drew."""
        return None if joules is None else self._energy_share * joules / len(self._running)


def _in_memory(split: Split) -> TensorSplit:
    if not isinstance(split, TensorSplit) or split.augment is not None or not isinstance(split.inputs, Tensor):
        raise ValueError("this training cannot be packed: its samples are loaded or augmented, one batch at a time.")
    return split


def _new_model(application: Application, config: TrainConfig, info: Mapping[str, Any]) -> nn.Module:
    """Return the model with the initial weights that it has when trained alone."""
    with random_stream(config.seed, "weights", torch.device("cpu")):
        return prepare_model(application.new_model(info, config.model_options), config.recipe)
