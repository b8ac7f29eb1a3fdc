"""Stacked models: the weights of K similar models as tensors (K, ...), their losses, and gradient clipping.

This module must not know epochs, schedules or optimizers.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..optimizers.layer_values import multiply_, stacked_norms

CLIP_EPS = 1e-6
"""Added to the norm of a gradient that is clipped, as in torch.nn.utils.clip_grad_norm_."""


def stack_weights(models: Sequence[nn.Module], device: torch.device) -> dict[str, Tensor]:
    """Stack the weights of models by name, each (K, ...); a parameter if it is trained."""
    values = [dict(model.named_parameters()) for model in models]
    stacked: dict[str, Tensor] = {}
    for name, value in values[0].items():
        rows = torch.stack([each[name].detach() for each in values]).to(device)
        stacked[name] = nn.Parameter(rows) if value.requires_grad else rows
    return stacked


def stacked_loss(meta_model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return a function (weights, inputs, targets, is_shared) -> mean loss of each model (K,).

    Args:
        meta_model: one of the models on torch's meta device.
        loss: (outputs, targets) -> mean loss.
    """

    def loss_of_one(weights: Mapping[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(functional_call(meta_model, dict(weights), (inputs,)), targets)

    shared, separate = vmap(loss_of_one, in_dims=(0, None, None)), vmap(loss_of_one, in_dims=(0, 0, 0))

    def losses(weights: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, *, is_shared: bool) -> Tensor:
        found: Tensor = (shared if is_shared else separate)(weights, inputs, targets)
        return found

    return losses


def clip_gradients(gradients: list[Tensor], clip_norm: float) -> None:
    """Scale each model's gradients, (K, ...) a parameter, down to a norm over all its parameters, in place."""
    norms_1K = torch.linalg.vector_norm(stacked_norms(gradients), dim=0, keepdim=True)
    multiply_(gradients, (clip_norm / (norms_1K + CLIP_EPS)).clamp(max=1.0))
