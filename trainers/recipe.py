"""Parts of the training loop that a `Recipe` changes: label smoothing, ghost batches, micro-batches and precision.

With the default recipe every part is the plain one, at no cost. This module must not know schedules, optimizers or
epochs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from .applications.application import Application, Dataset
from .data import Batch
from .models.ghost_batch_norm import NEEDS_TWO, ghost_batch_sizes, use_ghost_batch_norm
from .spec import OptionValue, Precision, Recipe

Loss = Callable[[Tensor, Tensor], Tensor]
"""Function (outputs, targets) -> mean loss over the samples."""


AUTO_NEEDS_GHOSTS = (
    "'auto' needs ghost_batch_size, since the model has batch normalisation: otherwise its statistics would depend on "
    "the micro-batch size, and so on the device"
)

WORKERS_NEED_GHOSTS = (
    "is required if several workers train a model with batch normalisation, since each worker has only its shard of "
    "the batch: the batch size divided by the number of workers gives the statistics of the shards"
)


def has_batch_norm(model: nn.Module) -> bool:
    """Return whether the model has batch normalisation."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def recipe_problems(recipe: Recipe, application: Application) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a recipe for an application, as (field, sentence).

    `ghost_problems` checks whether the model has the batch normalisation that ghost batches need.

    >>> from zerotune.trainers.applications import APPLICATIONS
    >>> list(recipe_problems(Recipe(label_smoothing=1.0), APPLICATIONS["lenet_mnist"]))
    [('label_smoothing', 'must be at least 0 and below 1, got 1')]
    """
    clip_norm, smoothing = recipe.clip_norm, recipe.label_smoothing
    ghost, micro = recipe.ghost_batch_size, recipe.micro_batch_size
    if clip_norm is not None and not 0 < clip_norm < float("inf"):
        yield "clip_norm", f"must be above 0 and finite, got {clip_norm:g}"
    if not 0 <= smoothing < 1:
        yield "label_smoothing", f"must be at least 0 and below 1, got {smoothing:g}"
    elif smoothing and application.smoothed_loss is None:
        yield "label_smoothing", "is for applications that classify, which this one does not: leave it out"
    if ghost is not None and ghost < 2:
        yield "ghost_batch_size", f"{NEEDS_TWO}, got {ghost}"
    if isinstance(micro, int) and micro < 1:
        yield "micro_batch_size", f"must be at least 1, got {micro}"
    elif ghost is not None and ghost >= 2 and isinstance(micro, int) and micro % ghost:
        yield "micro_batch_size", f"must be a multiple of ghost_batch_size ({ghost}), got {micro}"


def ghost_problems(
    recipe: Recipe,
    application: Application,
    model_options: Mapping[str, OptionValue] = MappingProxyType({}),
    num_workers: int = 1,
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a recipe for the application's model, as (field, sentence).

    The model's outline is built only if the recipe depends on batch normalisation. Nothing is found for a model without
    an outline; `prepare_model` raises then.

    >>> from zerotune.trainers.applications import APPLICATIONS
    >>> list(ghost_problems(Recipe(ghost_batch_size=32), APPLICATIONS["lenet_mnist"]))
    [('ghost_batch_size', 'has no effect: the model has no batch normalisation.')]
    """
    if recipe.ghost_batch_size is not None:
        outline = application.meta_model(model_options)
        try:
            if outline is not None and recipe.ghost_batch_size >= 2:
                use_ghost_batch_norm(outline, recipe.ghost_batch_size)
        except ValueError as error:
            yield "ghost_batch_size", str(error).removeprefix("ghost_batch_size ")
    elif recipe.micro_batch_size == "auto" or num_workers > 1:
        outline = application.meta_model(model_options)
        if outline is not None and has_batch_norm(outline):
            if num_workers > 1:
                yield "ghost_batch_size", WORKERS_NEED_GHOSTS
            else:
                yield "micro_batch_size", AUTO_NEEDS_GHOSTS


def check_recipe(recipe: Recipe, application: Application) -> None:
    """Raise ValueError for the first of `recipe_problems`, naming the field and what is wrong with it."""
    for field, message in recipe_problems(recipe, application):
        raise ValueError(f"recipe: {field} {message}.")


def to_fast_memory_format(model: nn.Module, inputs: object) -> nn.Module:
    """Convert the model to the memory format that is fast for its inputs: channels last for images."""
    if isinstance(inputs, Tensor) and inputs.dim() == 4:
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
    return model


def prepare_model(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Give the model ghost batch normalisation and the number format of its weights, in place; its values are kept.

    Raises:
        ValueError: the recipe has ghost batches and the model no batch normalisation.
    """
    if recipe.ghost_batch_size is not None:
        use_ghost_batch_norm(model, recipe.ghost_batch_size)
    return model.to(torch.float64) if recipe.precision == "float64" else model


def prepare_data(data: Dataset, precision: Precision) -> Dataset:
    """Return the data, or for float64 a copy with its real numbers in float64."""
    if precision != "float64":
        return data
    return replace(data, train=data.train.double(), validation=data.validation.double(), test=data.test.double())


def training_loss(recipe: Recipe, application: Application) -> Loss:
    """Return the loss to train with; evaluation always uses the application's own.

    With label smoothing e and K classes, the target is 1 - e + e/K for the label and e/K for every other class
    (Szegedy et al., arXiv 1512.00567, Section 7).
    """
    if recipe.label_smoothing == 0 or application.smoothed_loss is None:
        return application.loss
    return partial(application.smoothed_loss, label_smoothing=recipe.label_smoothing)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of forward passes: for bfloat16 torch's autocast, which keeps weights in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def make_forward(precision: Precision, device: torch.device, model: nn.Module) -> Callable[[Any], Tensor]:
    """Return the model's forward pass in a precision.

    For bfloat16 the outputs, and so the loss, are float32. For every other precision it is the model itself.
    """
    if precision != "bfloat16":
        return model

    def forward(inputs: Any) -> Tensor:
        with autocast(precision, device):
            outputs: Tensor = model(inputs)
        return outputs.float()

    return forward


def split_micro_batches(chosen: Tensor, micro_batch_size: int | None) -> tuple[Tensor, ...]:
    """Split the keys (B, ...) of an update's samples into micro-batches.

    The last micro-batch takes the remainder; a remainder of one sample joins the one before it, as in ghost batches.
    """
    if micro_batch_size is None or len(chosen) <= micro_batch_size:
        return (chosen,)
    return torch.split(chosen, ghost_batch_sizes(len(chosen), micro_batch_size))


def add_gradient(
    forward: Callable[[Any], Tensor],
    loss_of: Loss,
    batches: Iterable[Batch],
    *,
    num_samples: float,
    keeping: Callable[[int], AbstractContextManager[Any]] = lambda piece: nullcontext(),
) -> Tensor:
    """Add the gradient of the mean loss of an update's samples to the parameters' gradients.

    The loss of each micro-batch is weighted by its fraction of the samples, so that the sum equals the gradient of the
    whole batch up to rounding. That holds for models that treat samples independently. With batch normalisation it
    holds if `ghost_batch_size` divides `micro_batch_size`, since statistics are computed over samples that are in
    memory together. With dropout it holds in distribution, since every micro-batch draws its own masks.

    Args:
        forward: inputs -> outputs.
        loss_of: (outputs, targets) -> mean loss.
        batches: the update's samples in micro-batches.
        num_samples: samples of the whole update; with several workers, `batches` are some of them.
        keeping: function number of the micro-batch, from 0 -> context to compute it in.

    Returns:
        The sum of the samples' losses, a scalar on the device. Reading it stops the device's pipeline.
    """
    losses = []
    for piece, (inputs, targets) in enumerate(batches):
        with keeping(piece):
            loss = loss_of(forward(inputs), targets)
            weight = len(targets) / num_samples
            (loss if weight == 1.0 else loss * weight).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach() * len(targets))
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()
