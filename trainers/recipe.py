"""The training recipe around a model, as pieces that the loop puts together: clipping, label smoothing,
ghost batches, micro-batches and precision. With the default recipe every piece is what was there before, at no cost.

This module must not know schedules, optimizers or epochs.
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
"""(outputs, targets) -> mean loss over the samples."""


AUTO_NEEDS_GHOSTS = (
    "'auto' needs ghost_batch_size, since the model has batch normalisation: its statistics would be of pieces whose "
    "size depends on the device"
)

WORKERS_NEED_GHOSTS = (
    "must be given where several workers train a model with batch normalisation, whose statistics would be of the "
    "workers' shares: a batch size over the number of workers gives just these"
)


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the model normalises by the statistics of what it sees at once."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def recipe_problems(recipe: Recipe, application: Application) -> Iterator[tuple[str, str]]:
    """What is wrong with a recipe for an application, as (field, sentence); nothing where it can be trained with.

    Whether the model has the batch normalisation that ghost batches need is for `ghost_problems` to say.

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
    """What `recipe_problems` cannot tell without the model, whose outline is made here where it has ghost batches.

    Nothing where it has no outline; `prepare_model` refuses then.

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
    """Refuses what `recipe_problems` finds; `prepare_model` refuses ghost batches.

    Raises:
        ValueError: names the field and says what is wrong with it.
    """
    for field, message in recipe_problems(recipe, application):
        raise ValueError(f"recipe: {field} {message}.")


def to_fast_memory_format(model: nn.Module, inputs: object) -> nn.Module:
    """The model in the memory layout that is fast for such inputs: channels last for images (pooling gains most)."""
    if isinstance(inputs, Tensor) and inputs.dim() == 4:
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
    return model


def prepare_model(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The model with its ghosts and in the number format of its weights; changed in place, its values are kept.

    Raises:
        ValueError: the recipe has ghost batches, and the model no batch normalisation that they could be of.
    """
    if recipe.ghost_batch_size is not None:
        use_ghost_batch_norm(model, recipe.ghost_batch_size)
    return model.to(torch.float64) if recipe.precision == "float64" else model


def prepare_data(data: Dataset, precision: Precision) -> Dataset:
    """The data in the number format: itself, or a copy whose real numbers are float64."""
    if precision != "float64":
        return data
    return replace(data, train=data.train.double(), validation=data.validation.double(), test=data.test.double())


def training_loss(recipe: Recipe, application: Application) -> Loss:
    """The loss that training minimises; evaluation always has the application's own.

    With label smoothing e of K classes, the target is 1 - e + e/K for the label and e/K for every other class
    (Szegedy et al., arXiv 1512.00567, Section 7).
    """
    if recipe.label_smoothing == 0 or application.smoothed_loss is None:
        return application.loss
    return partial(application.smoothed_loss, label_smoothing=recipe.label_smoothing)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Where forward passes run: torch's autocast for bfloat16, which keeps the weights in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def make_forward(precision: Precision, device: torch.device, model: nn.Module) -> Callable[[Any], Tensor]:
    """The model's forward pass in a precision; for bfloat16 its outputs are float32, so that the loss is.

    The model itself for every other precision.
    """
    if precision != "bfloat16":
        return model

    def forward(inputs: Any) -> Tensor:
        with autocast(precision, device):
            outputs: Tensor = model(inputs)
        return outputs.float()

    return forward


def split_micro_batches(chosen: Tensor, micro_batch_size: int | None) -> tuple[Tensor, ...]:
    """The keys (B, ...) of an update's samples, in the pieces that are in memory at once.

    The last piece takes what is left; a single sample that is left joins the piece before it, as in ghost batches.
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
    """Adds the gradient of the mean loss of an update's samples to the parameters'.

    Every piece's loss is weighted by its share of the samples, so the sum is the unsplit batch's gradient to rounding:
    always for a model that treats samples alone; for one with batch normalisation only where its ghost batches lie
    inside the pieces (`ghost_batch_size` divides `micro_batch_size`), since its statistics are of what it sees at
    once; with dropout in distribution only, since the pieces draw their own masks.

    Args:
        forward: inputs -> outputs.
        loss_of: (outputs, targets) -> mean loss.
        batches: the update's samples, in the pieces that are in memory at once.
        num_samples: of the update; where several workers share it, the samples here are some of them.
        keeping: what a piece, by its number from 0 on, is computed in.

    Returns:
        The sum of the samples' losses, a scalar on the device: reading it would stop the pipeline.
    """
    losses = []
    for piece, (inputs, targets) in enumerate(batches):
        with keeping(piece):
            loss = loss_of(forward(inputs), targets)
            share = len(targets) / num_samples
            (loss if share == 1.0 else loss * share).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach() * len(targets))
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()
