"""Sanity check of a user application: one batch of every split through it, before any trial.

Every mistake becomes a sentence that begins with the field of `Application` where it lies. What is no mistake, but
changes what the numbers mean, is a remark. Nothing is trained, and torch's random state is left alone.
`trainers.sanity_model` and `trainers.sanity_functions` hold the checks of model, loss and scores. This module must not
know what is studied.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .applications.application import Application, Dataset, Split
from .applications.failure import ApplicationError, attribute_to, describe_error, describe_value
from .applications.metric_names import bound_problem, direction_remark
from .data import Batch, DataSource, TensorSplit
from .data.dataset import check_finite
from .evaluation import reset_state, score_sums
from .flops_and_memory import training_flops_per_sample
from .process_state import keep_process_state
from .recipe import AUTO_NEEDS_GHOSTS, WORKERS_NEED_GHOSTS, has_batch_norm
from .sanity_functions import check_loss, check_score, few_samples, is_unchanged, perfect_outputs
from .sanity_measure import check_measure, check_number
from .sanity_model import (
    are_pairs,
    build_twice,
    check_separate,
    couples_training_samples,
    describe_evaluation,
    first_samples,
    forward,
)
from .spec import OptionValue, Recipe

NUM_SAMPLES = 64
"""Samples of the batch: few enough for any model, enough for an untrained classifier to get some of them right."""

NUM_PROBES = 16
"""Samples of the passes that compare a model with itself."""


def load_data(source: DataSource, folder: str | None, options: Mapping[str, OptionValue]) -> Dataset:
    """Load a user application's data, twice, and check them.

    Raises:
        ApplicationError: loading fails, gives other samples the second time, or does not give a `Dataset` of three
            splits with samples.
        DataError: the source itself reports what is wrong with its files, or a number in memory is not finite.
    """
    counted = None
    if source.check is not None:
        with attribute_to("data_sources", "check"):
            counted = source.check(folder, **options)
    data = _load(source, folder, options, seed=0)
    check_finite(data)
    again = _load(source, folder, options, seed=1)
    if counted is not None and counted != len(data.train):
        raise ApplicationError(
            f"data_sources: check counts {counted!r} training samples, load returns {len(data.train)}"
        )
    for (name, split), (_, other) in zip(_splits(data), _splits(again), strict=True):
        if len(split) != len(other) or not _is_same_batch(_example(name, split), _example(name, other)):
            raise ApplicationError(
                f"data_sources: load returns other samples in {name} at every call, and every worker calls it: seed "
                "what it draws, torch.Generator().manual_seed(0) for example"
            )
    return data


def _load(source: DataSource, folder: str | None, options: Mapping[str, OptionValue], seed: int) -> Dataset:
    with keep_process_state(), attribute_to("data_sources", "load"):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        data = source.load(folder, **options)
    if not isinstance(data, Dataset):
        raise ApplicationError(f"data_sources: load must return a zerotune.Dataset, got {type(data).__name__}")
    for name, split in _splits(data):
        if not isinstance(split, Split):
            raise ApplicationError(
                f"data_sources: {name} must be a zerotune.trainers.data.Split, got {type(split).__name__}: "
                "zerotune.as_split makes one of tensors, a data set or a DataLoader"
            )
        with attribute_to("data_sources", f"the length of {name}"):
            size, least = len(split), 2 if name == "train" else 1
        if size < least:
            raise ApplicationError(f"data_sources: {name} has {size} samples, and must have at least {least}")
    return data


def _example(name: str, split: Split) -> Batch:
    """Return all samples of a split in memory; of another, which would have to be loaded, the first two."""
    if isinstance(split, TensorSplit):
        return split.inputs, split.targets
    with attribute_to("data_sources", f"a batch of {name}"):
        return split.example_batch()


def _is_same_batch(batch: Any, other: Any) -> bool:
    """Return whether two batches hold the same tensors."""
    leaves = [[leaf for leaf in tree_leaves(each) if isinstance(leaf, Tensor)] for each in (batch, other)]
    return len(leaves[0]) == len(leaves[1]) and all(
        value.shape == before.shape and is_unchanged(value, before) for value, before in zip(*leaves, strict=True)
    )


@keep_process_state()
def run_sanity_check(
    application: Application,
    data: Dataset,
    model_options: Mapping[str, OptionValue],
    *,
    batch_sizes: Iterable[int] = (),
    epochs: int = 1,
    recipe: Recipe | None = None,
    num_workers: int = 1,
) -> tuple[str, ...]:
    """Build the model, and run a batch of every split through model, loss, gradient and scores, on the CPU.

    Args:
        application: the application to check.
        data: its data, as `load_data` returns them.
        model_options: as `TrainConfig.model_options`.
        batch_sizes: batch sizes of the trainings to come, whose last update may be left with a single sample.
        epochs: epochs of those trainings.
        recipe: recipe of those trainings; it may divide batches.
        num_workers: workers of each of those trainings, among whom batches are divided.

    Returns:
        Remarks: sentences on what is no mistake but changes what scores or batch sizes mean.

    Raises:
        ApplicationError: a part of the application cannot be used; the message begins with its field.
    """
    recipe = recipe or Recipe()
    remarks = [direction_remark(application.metric, application.higher_is_better)]
    info = ", ".join(f"{name}={value!r}" for name, value in data.info.items())
    about = f": it was called with the dataset info {info}" if info else ""
    with torch.random.fork_rng(devices=[]):
        model, again = build_twice(lambda: application.new_model(data.info, model_options), about)
        batches = {name: _first_batch(name, split) for name, split in _splits(data)}
        is_coupled = False
        for name, (inputs, targets) in batches.items():
            with torch.inference_mode():
                outputs = forward(model.eval(), inputs, where=name)
                pairs = are_pairs(model, inputs, outputs)
                found = _check_outputs(application, name, outputs, targets, separable=not pairs)
            is_coupled |= found[0] or pairs
            remarks += found[1]
        inputs, targets = batches["train"]
        few = first_samples(inputs, NUM_PROBES, len(targets))
        few = inputs if few is None else few
        with torch.inference_mode():
            before = forward(model, few, where="train")
        evaluation = describe_evaluation(model, few, before)
        remarks.append(evaluation)
        _check_gradient(application, model, inputs, targets)
        is_coupled |= couples_training_samples(model, few)
        if evaluation is None:
            check_separate(again, few, before)
        remarks.append(_check_division(model, recipe, num_workers, is_coupled=is_coupled))
        _check_single_sample(application, model, data.train, batches["train"], batch_sizes, epochs)
        remarks += [_check_second_reading(name, split, batches[name]) for name, split in _splits(data)]
        with attribute_to("build_model", "a step of two samples, whose operations are counted,"):
            flops = training_flops_per_sample(application, data, model_options)
        check_measure(application, model, data.validation, flops)
    return tuple(dict.fromkeys(remark for remark in remarks if remark))


def _splits(data: Dataset) -> Iterator[tuple[str, Split]]:
    return iter((("train", data.train), ("validation", data.validation), ("test", data.test)))


def _first_batch(name: str, split: Split) -> Batch:
    """Return some samples of a split, checked to be inputs and targets.

    Of samples in memory they are spread over the split, those of the least and the largest label among them.
    """
    with attribute_to("data_sources", f"a batch of {name}"):
        keys = next(iter(split.evaluation_keys()))[:NUM_SAMPLES]
        if type(split) is TensorSplit and split.targets.dim():
            keys = _spread(split.targets)
        batch = next(iter(split.batches([keys])))
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ApplicationError(
            f"data_sources: a batch of {name} must be (inputs, targets), got {describe_value(batch)}"
        )
    inputs, targets = batch
    if not isinstance(targets, Tensor) or targets.dim() == 0 or len(targets) != len(keys):
        raise ApplicationError(
            f"data_sources: targets of {name} must be a tensor whose first dimension counts the {len(keys)} samples of "
            f"the batch, got {describe_value(targets)}: put what the loss needs into one tensor (torch.stack)"
        )
    return inputs, targets


def _check_second_reading(name: str, split: Split, batch: Batch) -> str | None:
    """Read a batch again, after model and loss have used it; return a remark where training data vary by themselves."""
    if _is_same_batch(batch, _first_batch(name, split)):
        return None
    what = (
        f"data_sources: reading the same samples of {name} twice gives different ones: they are changed in place (work "
        "on a copy), or drawn from another generator than the global ones of torch, NumPy and random, which are seeded "
        "for every sample"
    )
    if name != "train":
        raise ApplicationError(what)
    return f"{what}. So a training cannot be repeated."


def _spread(targets: Tensor) -> Tensor:
    """Return positions of at most 64 samples, ascending, those with the least and the largest target among them."""
    positions = torch.linspace(0, len(targets) - 1, min(NUM_SAMPLES, len(targets))).round().long()
    by_sample = targets.reshape(len(targets), -1)
    if by_sample.shape[1] and not targets.is_complex():
        ends = by_sample.amin(dim=1).double().argmin(), by_sample.amax(dim=1).double().argmax()
        extremes = torch.unique(torch.stack(ends))
        others = positions[~torch.isin(positions, extremes)]
        positions = torch.cat([extremes, others])[:NUM_SAMPLES].sort().values
    return positions


def _check_outputs(
    application: Application, name: str, outputs: Tensor, targets: Tensor, *, separable: bool
) -> tuple[bool, list[str | None]]:
    """Check loss and scores of one batch; return whether the loss couples samples, and remarks.

    `separable` says whether the outputs of some samples are a part of them.
    """
    is_coupled = check_loss("loss", application.loss, outputs, targets, where=name, separable=separable)
    if application.smoothed_loss is not None:
        smoothed = partial(application.smoothed_loss, label_smoothing=0.1)
        is_coupled |= check_loss("smoothed_loss", smoothed, outputs, targets, where=name, separable=separable)
    remarks: list[str | None] = []
    some_outputs, some_targets = few_samples(outputs, targets) if separable else (outputs, targets)
    best_outputs = perfect_outputs(some_outputs, some_targets)
    for metric, score_sum in score_sums(application).items():
        is_metric = metric == application.metric
        field = "score_sum" if is_metric else f"other_scores[{metric!r}]"
        finish: Callable[[float], float] = partial(_finish, application) if is_metric else float
        mean, depends = check_score(field, score_sum, outputs, targets, where=name, separable=separable)
        scores = [finish(mean)]
        with suppress(Exception):  # it may take no such outputs, or be infinite then
            scores.append(finish(float(score_sum(best_outputs, some_targets)) / len(some_targets)))
        has_bounds = is_metric or "accuracy" in metric.lower()  # other names may be of counts
        for problem in (bound_problem(metric, score, application.chance_score) for score in scores):
            if problem is not None and has_bounds:
                raise ApplicationError(f"{field}: on {name}, the mean {problem}")
        if depends:
            remarks.append(
                f"{field}: is no sum over the samples: it depends on how a split is divided into batches. "
                "A metric of all samples together is computed by measure."
            )
    return is_coupled, remarks


def _finish(application: Application, mean: float) -> float:
    with attribute_to("finish_score", "it"):
        finished = application.finish_score(mean)
    return check_number("finish_score", finished)


def _check_gradient(application: Application, model: nn.Module, inputs: Any, targets: Tensor) -> None:
    outputs = forward(model.train(), inputs, where="train")
    with attribute_to("loss", "its gradient"):
        application.loss(outputs, targets.clone()).backward()  # type: ignore[no-untyped-call]
    if all(parameter.grad is None for parameter in model.parameters()):
        raise ApplicationError("loss: no parameter of the model gets a gradient from it")


def _check_division(model: nn.Module, recipe: Recipe, num_workers: int, *, is_coupled: bool) -> str | None:
    """Refuse to divide the batches of samples that depend on each other; return a remark if they are not divided."""
    if recipe.ghost_batch_size is None and has_batch_norm(model):  # a model without an outline is seen here first
        if num_workers > 1:
            raise ApplicationError(f"recipe.ghost_batch_size: {WORKERS_NEED_GHOSTS}")
        if recipe.micro_batch_size == "auto":
            raise ApplicationError(f"recipe.micro_batch_size: {AUTO_NEEDS_GHOSTS}")
    if not is_coupled:
        return None
    what = (
        "loss: is no mean over the samples: what a sample adds depends on the others of its batch (as in contrastive "
        "losses, batch statistics, class weights, means over valid tokens)"
    )
    for key, given, divides in (
        ("resources.workers_per_trial", num_workers, num_workers > 1),
        ("recipe.micro_batch_size", recipe.micro_batch_size, recipe.micro_batch_size is not None),
    ):
        if divides:
            raise ApplicationError(
                f"{what}, so that {key} ({given}), which divides batches, would train another objective: leave it out, "
                "or divide by the number of samples in the loss"
            )
    return (
        f"{what}, so the objective itself depends on the batch size: a difference between batch sizes is partly that."
    )


def _check_single_sample(
    application: Application,
    model: nn.Module,
    train: Split,
    batch: Batch,
    batch_sizes: Iterable[int],
    epochs: int,
) -> None:
    """Check that a last update of a single sample works, which batch normalisation, for one, refuses."""
    single = [size for size in batch_sizes if size > 1 and epochs * len(train) % size == 1]
    sample = first_samples(tuple(batch), 1, len(batch[1]))
    if not single or sample is None:
        return
    update = (
        f"with {len(train)} training samples and {epochs} epochs the last update at batch size {single[0]} has one: "
        "choose another batch size"
    )
    inputs, targets = sample
    field, whose = "build_model", "the model"
    try:
        reset_state(model)
        outputs = model.train()(inputs)
        field, whose = "loss", "it"
        is_finite = math.isfinite(application.loss(outputs, targets).detach())
    except Exception as error:  # an application may raise anything
        raise ApplicationError(
            f"{field}: {whose} refuses a batch of one sample ({describe_error(error)}), but {update}"
        ) from error
    if not is_finite:
        raise ApplicationError(f"loss: is not finite on a batch of one sample, but {update}")
