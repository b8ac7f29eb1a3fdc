"""The loss on a few fixed samples as a function of the weights, for measuring curvature and gradient noise.

The samples are split into pieces of equal size that are evaluated in turn, so that memory is bounded by a piece. Batch
normalisation uses the statistics of a piece, as with ghost batches. Every evaluation draws the same random numbers
(dropout) and resets recurrent states. This module must not know optimizers, epochs or the training loop.

A vector over all weights is a list with one tensor per trainable parameter, in the model's order.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..data import Batch
from ..evaluation import reset_state
from ..recipe import Loss
from ..sampling import random_stream

Vector = list[Tensor]


class Probe:
    """A fixed loss, evaluated on a copy of the model without affecting the original.

    Args:
        model: the model; the copy is in training mode, and frozen parameters are constants.
        loss: (outputs, targets) -> mean loss over the samples.
        pieces: at least two batches of equal size, on the model's device and in its dtype.

    Raises:
        ValueError: there are fewer than two pieces, or their sizes differ.

    >>> inputs, targets = torch.eye(2), torch.tensor([0, 1])
    >>> probe = Probe(nn.Linear(2, 2), nn.functional.cross_entropy, [(inputs, targets), (inputs, targets)])
    >>> probe.num_samples, [tuple(tensor.shape) for tensor in probe.gradient()]
    (4, [(2, 2), (2,)])
    """

    def __init__(self, model: nn.Module, loss: Loss, pieces: Sequence[Batch]) -> None:
        sizes = [len(targets) for _, targets in pieces]
        if len(sizes) < 2 or len(set(sizes)) != 1:
            raise ValueError(f"a probe needs at least two pieces of one size, got pieces of {sizes} samples.")
        self.piece_size, self.num_samples = sizes[0], sum(sizes)
        self._loss, self._pieces = loss, tuple(pieces)
        self._model = copy.deepcopy(model).train()
        self._parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]

    @property
    def weights(self) -> Vector:
        """The trainable weights at which the loss is evaluated."""
        return [parameter.detach() for parameter in self._parameters]

    def load_weights(self, model: nn.Module) -> None:
        """Copy the current weights and buffers of a model of the same architecture."""
        self._model.load_state_dict(model.state_dict())

    @contextmanager
    def shifted_weights(self, vector: Vector, factor: float) -> Iterator[None]:
        """Shift the weights by `factor` times the vector inside the context."""
        kept = [weight.clone() for weight in self.weights]
        torch._foreach_add_(self.weights, vector, alpha=factor)
        try:
            yield
        finally:
            torch._foreach_copy_(self.weights, kept)

    def piece_gradients(self) -> Iterator[Vector]:
        """Yield the gradient of the mean loss of every piece."""
        for loss in self._losses():
            yield self._derivatives(loss)

    def gradient(self) -> Vector:
        """Return the gradient of the mean loss over all samples, the mean over the pieces."""
        return mean(self.piece_gradients())

    def hessian_times(self, vector: Vector) -> Vector:
        """Return the Hessian of the mean loss over all samples times a vector, by double differentiation.

        Exact wherever second derivatives exist; kinks of ReLU and max-pooling are ignored.

        Raises:
            RuntimeError: an operation of the model has no second derivative in torch.
        """
        # Recurrent layers of cuDNN and oneDNN have no second derivative.
        with torch.backends.cudnn.flags(enabled=False), torch.backends.mkldnn.flags(enabled=False):
            return mean(self._derivatives(self._slope(loss, vector)) for loss in self._losses())

    def _losses(self) -> Iterator[Tensor]:
        device = self._parameters[0].device
        for position, (inputs, targets) in enumerate(self._pieces):
            reset_state(self._model)
            with random_stream(0, f"piece {position}", device):
                loss = self._loss(self._model(inputs), targets)
            yield loss

    def _slope(self, loss: Tensor, vector: Vector) -> Tensor:
        """Return the derivative of the loss along the vector, as a differentiable scalar."""
        gradient = torch.autograd.grad(loss, self._parameters, create_graph=True, materialize_grads=True)
        return torch.stack([(g * v).sum() for g, v in zip(gradient, vector, strict=True)]).sum()

    def _derivatives(self, value: Tensor) -> Vector:
        return list(torch.autograd.grad(value, self._parameters, materialize_grads=True))


def mean(vectors: Iterator[Vector]) -> Vector:
    """Return the mean of at least one vector; overwrites the first."""
    total, count = next(vectors), 1
    for vector in vectors:
        torch._foreach_add_(total, vector)
        count += 1
    torch._foreach_div_(total, count)
    return total


def dot(one: Vector, other: Vector) -> float:
    """Return the inner product, summed in float64.

    >>> dot([torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 4.0])])
    11.0
    """
    return float(sum((a.double() * b.double()).sum() for a, b in zip(one, other, strict=True)))


def norm(vector: Vector) -> float:
    """Return the Euclidean norm, summed in float64."""
    return math.sqrt(dot(vector, vector))
