"""A loss on a few fixed samples as a function of the weights alone: what curvature and gradient noise are measured on.

The samples are cut into pieces of equal size, taken one after the other, so that memory is bounded by a piece; batch
normalisation takes its statistics over a piece, as in ghost batches. Every evaluation draws the same random numbers
(dropout) and begins its texts anew. This module must not know optimizers, epochs or the training loop.

A vector over all weights is a list with one tensor a trainable parameter, in the model's order.
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
    """A fixed loss, evaluated on a copy of the model, so that nothing done here reaches the model itself.

    Args:
        model: copied, and put into training mode; frozen parameters stay constants.
        loss: (outputs, targets) -> mean loss over the samples.
        pieces: batches of one size, at least two, on the model's device and in its number format.

    Raises:
        ValueError: fewer than two pieces, or pieces of different size.

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
        """The trainable weights at which everything is evaluated."""
        return [parameter.detach() for parameter in self._parameters]

    def load_weights(self, model: nn.Module) -> None:
        """Takes over the weights and buffers that the model, of the same kind, has now."""
        self._model.load_state_dict(model.state_dict())

    @contextmanager
    def shifted_weights(self, vector: Vector, factor: float) -> Iterator[None]:
        """Inside, the weights are `factor` times the vector away from where they were."""
        kept = [weight.clone() for weight in self.weights]
        torch._foreach_add_(self.weights, vector, alpha=factor)
        try:
            yield
        finally:
            torch._foreach_copy_(self.weights, kept)

    def piece_gradients(self) -> Iterator[Vector]:
        """The gradient of the mean loss of every piece."""
        for loss in self._losses():
            yield self._derivatives(loss)

    def gradient(self) -> Vector:
        """The gradient of the mean loss over all samples: the mean over the pieces."""
        return mean(self.piece_gradients())

    def hessian_times(self, vector: Vector) -> Vector:
        """The Hessian of the mean loss over all samples times a vector, by differentiating the slope along it.

        Exact where the loss has second derivatives; the kinks of ReLU and max-pooling count as straight.

        Raises:
            RuntimeError: an operation of the model has no second derivative in torch.
        """
        # The recurrent layers of cuDNN and oneDNN have no second derivative.
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
        """The derivative of the loss along the vector, which can be differentiated once more."""
        gradient = torch.autograd.grad(loss, self._parameters, create_graph=True, materialize_grads=True)
        return torch.stack([(g * v).sum() for g, v in zip(gradient, vector, strict=True)]).sum()

    def _derivatives(self, value: Tensor) -> Vector:
        return list(torch.autograd.grad(value, self._parameters, materialize_grads=True))


def mean(vectors: Iterator[Vector]) -> Vector:
    """The mean of at least one vector; the first is overwritten."""
    total, count = next(vectors), 1
    for vector in vectors:
        torch._foreach_add_(total, vector)
        count += 1
    torch._foreach_div_(total, count)
    return total


def dot(one: Vector, other: Vector) -> float:
    """The inner product, summed in float64.

    >>> dot([torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 4.0])])
    11.0
    """
    return float(sum((a.double() * b.double()).sum() for a, b in zip(one, other, strict=True)))


def norm(vector: Vector) -> float:
    """The Euclidean norm, summed in float64."""
    return math.sqrt(dot(vector, vector))
