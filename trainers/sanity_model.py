"""Sanity checks of a model: new at every call, the same for the same seed, and alike for samples alone or together.

This module must not know losses, scores or data sets.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils._pytree import tree_leaves, tree_map

from .applications.failure import ApplicationError, attribute_to, describe_value
from .data import Batch
from .evaluation import reset_state
from .recipe import has_batch_norm
from .sanity_functions import is_unchanged


def build_twice(build: Callable[[], Any], about: str = "") -> tuple[nn.Module, nn.Module]:
    """Build a model twice with the same seed.

    Args:
        build: returns a new model.
        about: the end of the message if it fails.

    Returns:
        The two models, which have the same initial values and share no parameter.

    Raises:
        ApplicationError: they do not, or there is nothing to train.
    """
    built = []
    for _ in range(2):
        torch.manual_seed(0)
        with attribute_to("build_model", "it", about):
            built.append(build())
    model, again = built
    if not isinstance(model, nn.Module):
        raise ApplicationError(f"build_model: must return a torch.nn.Module, got {type(model).__name__}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ApplicationError("build_model: the model has no parameters to train (requires_grad)")
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ApplicationError(f"build_model: {name} belongs to a lazy layer, which has no size yet: give it one")
    if model is again or set(_storages(model)) & set(_storages(again)):
        raise ApplicationError(
            "build_model: returned the same weights twice, so that one trial would continue with another's: make a "
            "new model at every call, from copies of what the module holds (tensor.clone())"
        )
    other = dict(again.named_parameters())
    for name, parameter in model.named_parameters():
        if not torch.equal(parameter, other[name]):
            raise ApplicationError(
                f"build_model: {name} has different initial values for the same seed: draw them from torch's global "
                "generator"
            )
    return model, again


def forward(model: nn.Module, inputs: Any, *, where: str, seed: int = 0) -> Tensor:
    """Return a model's outputs for a batch from the split `where`, from the state in which a pass over data begins.

    Raises:
        ApplicationError: it fails, returns something else than a tensor, or changes its inputs.
    """
    reset_state(model)
    torch.manual_seed(seed)
    given = _copy(inputs)
    about = f": a batch of {where} has inputs {describe_value(inputs)}"
    if not isinstance(inputs, Tensor):
        about += ", which the model receives as one argument"
    with attribute_to("build_model", "the model", about):
        outputs = model(given)
    if not isinstance(outputs, Tensor):
        hint = ""
        if isinstance(outputs, tuple | list | dict) and len(outputs):
            key = next(iter(outputs)) if isinstance(outputs, dict) else 0
            hint = (
                f": wrap it in a module whose forward returns one, self.model(inputs)[{key!r}], or joins several by "
                "torch.cat, which the loss takes apart"
            )
        raise ApplicationError(f"build_model: the model must return a tensor, got {describe_value(outputs)}{hint}")
    pairs = zip(tree_leaves(given), tree_leaves(inputs), strict=True)
    if not all(is_unchanged(value, before) for value, before in pairs if isinstance(before, Tensor)):
        raise ApplicationError(
            "build_model: the model changes its inputs in place, which may be used again: let it work on a copy "
            "(inputs.clone())"
        )
    return outputs


def describe_evaluation(model: nn.Module, inputs: Any, first: Tensor) -> str | None:
    """Return what is wrong with a model's evaluation of a batch, in words; None if nothing is.

    Args:
        model: in evaluation mode.
        inputs: the batch's.
        first: its outputs after a pass over other data.

    Raises:
        ApplicationError: the model carries a state from batch to batch, which cannot be reset.
    """
    with torch.inference_mode():
        if not _is_close(first, forward(model, inputs, where="train", seed=1)):
            if not _is_close(first, forward(model, inputs, where="train", seed=0)):
                raise ApplicationError(
                    "build_model: the model gives other outputs for the same batch and random numbers each time: it "
                    "keeps a state between batches: reset it in a method reset_state(), which is called before each "
                    "pass over data, or draw from torch's global generator"
                )
            return (
                "build_model: the model draws random numbers in evaluation mode too (dropout that is not told "
                "self.training, for example): every score is partly random."
            )
        if _couples_samples(model, inputs, first):
            return (
                "build_model: in evaluation mode, the outputs for a sample depend on the samples that are evaluated "
                "with it: scores depend on how a split is divided into batches."
            )
    return None


def couples_training_samples(model: nn.Module, inputs: Any) -> bool:
    """Return whether the outputs for a sample depend on its batch in training, by other means than batch normalisation.

    A model that draws random numbers in training is taken in evaluation mode, since these differ between a part and the
    whole. Nothing is known of one that draws them there too: False.
    """
    if has_batch_norm(model):
        return False
    with torch.no_grad():
        for training in (True, False):
            model.train(training)
            first, second = (forward(model, inputs, where="train", seed=seed) for seed in (0, 1))
            if _is_close(first, second):
                return _couples_samples(model, inputs, first)
    return False


def check_separate(again: nn.Module, inputs: Any, expected: Tensor) -> None:
    """Check that a second model has not changed since a first one, built alike, gave the `expected` outputs.

    Raises:
        ApplicationError: it has: training the one changes the other.
    """
    again.eval()
    with torch.inference_mode():
        found = forward(again, inputs, where="train")
    if not _is_close(found, expected):
        raise ApplicationError(
            "build_model: using one model changes the next one that is built alike: they share a buffer, a module or a "
            "variable outside build_model, so that one trial would continue with another's: make all of it anew at "
            "every call"
        )


def first_samples(batch: Batch | Any, number: int, num_samples: int) -> Any:
    """Return the first samples of a batch or its inputs; None if not all of its parts count the samples."""
    leaves = tree_leaves(batch)
    if not all(isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == num_samples for leaf in leaves):
        return None
    return tree_map(lambda tensor: tensor[:number], batch)


def are_pairs(model: nn.Module, inputs: Any, outputs: Tensor) -> bool:
    """Return whether outputs (N, N, ...) are of all pairs of samples, and not N numbers for each by chance."""
    number = len(outputs) if outputs.dim() > 1 else 0
    return number > 0 and outputs.shape[:2] == (number, number) and _couples_samples(model, inputs, outputs)


def _couples_samples(model: nn.Module, inputs: Any, outputs: Tensor) -> bool:
    """Return whether a quarter of the samples, passed alone, has other outputs than together with the rest."""
    num_samples = len(outputs) if outputs.dim() else 0
    quarter = num_samples // 4
    few = first_samples(inputs, quarter, num_samples)
    if quarter == 0 or few is None:
        return False
    try:
        alone = forward(model, few, where="train")
    except ApplicationError:  # it takes no other number of samples
        return False
    if alone.shape[1:] != outputs.shape[1:]:  # similarities of all pairs, or sequences that were padded less
        return alone.shape[:2] == (quarter, quarter) and outputs.shape[:2] == (num_samples, num_samples)
    return len(alone) == quarter and not _is_close(alone, outputs[:quarter])


def _is_close(value: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal up to rounding; anything is close to what is not finite."""
    if value.shape != other.shape:
        return False
    difference, scale = float((value.float() - other.float()).norm()), float(other.float().norm())
    return not difference > 1e-4 * scale


def _copy(inputs: Any) -> Any:
    return tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, inputs)


def _storages(model: nn.Module) -> Iterator[int]:
    return (parameter.untyped_storage().data_ptr() for parameter in model.parameters() if parameter.numel())
