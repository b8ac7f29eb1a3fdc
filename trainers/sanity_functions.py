"""Sanity checks of loss and scores, functions (outputs, targets), by the values that they give.

A loss must be the mean over its samples and a score their sum, so that micro-batches, workers and evaluation batches
change nothing. Shapes do not show that: (N, 1) against (N, 1) is right, and (N, 1) against (N,) is broadcast to (N, N)
without a word. So parts of a batch are compared with the whole. This module must not know models or data.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .applications.failure import ApplicationError, attribute_to, describe_value

Function = Callable[[Tensor, Tensor], Any]

MOST_NUMBERS = 2**24
"""Size of the outputs that are compared part by part; with larger ones, of a large vocabulary, fewer samples are."""


def check_loss(
    field: str, loss: Function, outputs: Tensor, targets: Tensor, *, where: str, separable: bool = True
) -> bool:
    """Check the loss of a batch.

    Args:
        field: the field of `Application`.
        loss: (outputs, targets) -> mean loss over the samples.
        outputs: the model's, (N, ...), N samples.
        targets: (N, ...).
        where: the split, for messages.
        separable: whether the outputs of some samples are a part of `outputs`, and no matrix of all pairs.

    Returns:
        Whether what a sample contributes depends on the others in its batch, so that the loss is no mean over samples.

    Raises:
        ApplicationError: the loss cannot be used.
    """
    about = describe_batch(outputs, targets)
    value = _call_twice(field, loss, outputs, targets, f"it, on {where},", about)
    if not isinstance(value, Tensor) or value.dim() != 0:
        hint = ": take its mean" if isinstance(value, Tensor) and len(value) == len(targets) else ""
        raise ApplicationError(
            f"{field}: must return a scalar, the mean over the samples, got {describe_value(value)}{hint}"
        )
    if not math.isfinite(value):
        raise ApplicationError(f"{field}: is {value.item()} on {where} before any training{about}")
    if not separable or outputs.dim() == 0 or len(outputs) != len(targets) or len(targets) < 2:
        return False
    outputs, targets = few_samples(outputs, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's on shapes, which were shown by the first call
        if _growth(loss, outputs, targets) == 2:
            raise ApplicationError(
                f"{field}: doubles with the number of samples: it must be the mean over the samples, not their sum"
            )
        if _is_mean(loss, outputs, targets) and outputs.numel() == targets.numel() and outputs.shape != targets.shape:
            targets = _vary(targets)  # pairs of equal targets would not show
        if _is_mean(loss, outputs, targets) is not False:
            return False
        for advice, aligned, kept in _align(outputs, targets):
            if _is_mean(loss, aligned, kept):
                raise ApplicationError(_broadcast_text(field, advice, outputs, targets))
    return True


def check_score(
    field: str, score_sum: Function, outputs: Tensor, targets: Tensor, *, where: str, separable: bool = True
) -> tuple[float, bool]:
    """Check the score of a batch.

    Args:
        field: the field of `Application`.
        score_sum: (outputs, targets) -> score summed over the samples.
        outputs: the model's, (N, ...), N samples.
        targets: (N, ...).
        where: the split, for messages.
        separable: whether the outputs of some samples are a part of `outputs`, and no matrix of all pairs.

    Returns:
        The mean score of a sample, and whether it depends on the samples that are evaluated together.

    Raises:
        ApplicationError: the score cannot be used.
    """
    score = _call_twice(field, score_sum, outputs, targets, "it", describe_batch(outputs, targets))
    is_array = isinstance(score, Tensor) and score.dim() != 0
    if is_array or not isinstance(score, Tensor | int | float):
        hint = ": add them up" if is_array and len(score) == len(targets) else ""
        raise ApplicationError(
            f"{field}: must return a scalar, the sum over the samples, got {describe_value(score)}{hint}"
        )
    if not math.isfinite(score):
        raise ApplicationError(f"{field}: is {float(score)} on {where} before any training")
    mean = float(score) / len(targets)
    if not separable or outputs.dim() == 0 or len(outputs) != len(targets) or len(targets) < 2:
        return mean, False
    outputs, targets = few_samples(outputs, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if abs(mean) < 1e-12:  # an untrained model that gets nothing right shows nothing: let it get half of it
            outputs = outputs.clone()
            outputs[::2] = perfect_outputs(outputs, targets)[::2]
        if _is_sum(score_sum, outputs, targets) is not False:
            return mean, False
        for advice, aligned, kept in _align(outputs, targets):
            if _is_sum(score_sum, aligned, kept):
                raise ApplicationError(_broadcast_text(field, advice, outputs, targets))
        growth = _growth(score_sum, outputs, targets)
    if growth == 1:
        raise ApplicationError(
            f"{field}: does not grow with the number of samples: it must be the sum over the samples, not their mean. "
            "A metric of all samples together, such as a rank, is computed by measure"
        )
    if growth is not None and growth != 2:
        raise ApplicationError(
            f"{field}: must double if every sample occurs twice, as a sum over the samples does, but it grows "
            f"{growth:.3g} times: a metric that is no such sum is computed by measure"
        )
    return mean, growth is not None


def few_samples(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs (n, ...) and targets (n, ...) of as many samples as fit into `MOST_NUMBERS`, at least four."""
    number = max(4, MOST_NUMBERS * len(targets) // max(1, outputs.numel()))
    return outputs[:number], targets[:number]


def perfect_outputs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return outputs (N, ..., K) or (N, ...) that are right for every target; the given ones if that has no meaning."""
    if outputs.shape[:-1] == targets.shape and not targets.is_floating_point() and outputs.shape[-1] > 1:
        labels = targets.long().clamp(0, outputs.shape[-1] - 1)
        return F.one_hot(labels, outputs.shape[-1]).to(outputs.dtype)
    if outputs.numel() == targets.numel():
        return targets.reshape(outputs.shape).to(outputs.dtype)
    return outputs


def describe_batch(outputs: Tensor, targets: Tensor) -> str:
    """Describe outputs and targets for the end of a message, labels with their range."""
    is_label = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
    labels = f" from {targets.min()} to {targets.max()}" if is_label and targets.numel() else ""
    return f": outputs are {describe_value(outputs)}, targets {describe_value(targets)}{labels}"


def is_unchanged(value: Tensor, before: Tensor) -> bool:
    """Return whether two tensors hold the same values; NaN equals NaN."""
    if value.shape != before.shape or value.dtype != before.dtype:
        return False
    return torch.equal(value, before) or bool(((value == before) | ((value != value) & (before != before))).all())


def _call_twice(field: str, function: Function, outputs: Tensor, targets: Tensor, what: str, about: str) -> Any:
    """Call a function twice with the same random numbers; it must change nothing and remember nothing."""
    values: list[Any] = []
    for _ in range(2):
        given = outputs.clone(), targets.clone()
        torch.manual_seed(0)
        with attribute_to(field, what, about):
            values.append(function(*given))
        for name, value, before in zip(("outputs", "targets"), given, (outputs, targets), strict=True):
            if not is_unchanged(value, before):
                raise ApplicationError(
                    f"{field}: changes the {name} in place, so that what is computed after it sees others: work on a "
                    f"copy ({name}.clone())"
                )
    try:
        once, twice = (float(value) for value in values)
    except (TypeError, ValueError, RuntimeError):  # no scalar, which the caller reports
        return values[0]
    except OverflowError:  # an integer with hundreds of digits
        return math.inf
    if math.isfinite(once) and not math.isclose(once, twice, rel_tol=1e-5, abs_tol=1e-12):
        raise ApplicationError(
            f"{field}: gives {once:g}, then {twice:g} for the same outputs and targets: it keeps a state, which one "
            "trial would leave to the next, or draws from another generator than torch's global one"
        )
    return values[0]


def _value(function: Function, outputs: Tensor, targets: Tensor, seed: int = 0) -> float:
    torch.manual_seed(seed)
    return float(function(outputs.clone(), targets.clone()))


def _growth(function: Function, outputs: Tensor, targets: Tensor) -> float | None:
    """Return by what a value is multiplied if every sample occurs twice, exactly 1 or 2 if near; None if not known."""
    try:
        once = _value(function, outputs, targets)
        twice = _value(function, torch.cat([outputs, outputs]), torch.cat([targets, targets]))
    except Exception:  # a function that takes no other number of samples cannot be checked
        return None
    if not math.isfinite(once) or not math.isfinite(twice) or abs(once) < 1e-12:
        return None
    growth = twice / once
    return next((known for known in (1.0, 2.0) if math.isclose(growth, known, rel_tol=1e-3)), growth)


def _parts(num_samples: int) -> tuple[slice, slice]:
    """Return a quarter of the samples and the rest: of different sizes, so that equal weights show."""
    quarter = max(1, num_samples // 4)
    return slice(0, quarter), slice(quarter, num_samples)


def _is_sum(function: Function, outputs: Tensor, targets: Tensor) -> bool | None:
    """Return whether the values of two parts add up to that of the whole; None if not known."""
    try:
        whole = _value(function, outputs, targets)
        parts = [_value(function, outputs[part], targets[part]) for part in _parts(len(targets))]
    except Exception:
        return None
    if not all(map(math.isfinite, (whole, *parts))):
        return None
    return abs(sum(parts) - whole) <= 1e-3 * max(abs(whole), *map(abs, parts))


def _is_mean(function: Function, outputs: Tensor, targets: Tensor) -> bool | None:
    """Return whether a loss is a mean over samples, up to a constant; None if not known.

    The gradient by a sample's outputs tells, where the values of an untrained model, all nearly equal, do not: in a
    mean it depends on that sample alone.
    """
    try:
        if _value(function, outputs, targets) != _value(function, outputs, targets, seed=1):
            return None  # it draws random numbers, which differ between a part and the whole
        whole = _gradient(function, outputs, targets)
        parts = [_gradient(function, outputs[part], targets[part]) for part in _parts(len(targets))]
    except Exception:
        return None
    weighted = torch.cat([part * (len(part) / len(targets)) for part in parts])
    scale, difference = float(whole.norm() + weighted.norm()), float((whole - weighted).norm())
    return None if scale == 0 or not math.isfinite(scale) else difference <= 1e-3 * scale


def _gradient(function: Function, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of a loss by the outputs (N, ...)."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        leaf = outputs.clone().requires_grad_()
        torch.manual_seed(0)
        (gradient,) = torch.autograd.grad(function(leaf * 1, targets.clone()), leaf)  # * 1: no leaf, as in training
    return gradient.float()


def _vary(targets: Tensor) -> Tensor:
    """Return targets that differ between samples: those given, or if all are equal t and 1 - t in turn."""
    if not bool((targets == targets.flatten()[0]).all()):
        return targets
    varied = targets.clone()
    varied[::2] = (1 - targets[::2].float()).to(targets.dtype)
    return varied


def _align(outputs: Tensor, targets: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield outputs and targets that would not be broadcast against each other, after the code that makes them so."""
    if outputs.shape != targets.shape and outputs.numel() == targets.numel():
        yield "outputs.reshape(targets.shape)", outputs.reshape(targets.shape), targets
    if targets.dim() > 1 and targets.numel() == len(targets):
        yield "targets.flatten()", outputs, targets.flatten()


def _broadcast_text(field: str, advice: str, outputs: Tensor, targets: Tensor) -> str:
    return (
        f"{field}: pairs every output with every target: {describe_value(outputs)} against {describe_value(targets)} "
        f"is broadcast: use {advice} in it"
    )
