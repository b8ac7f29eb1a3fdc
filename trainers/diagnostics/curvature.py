"""Curvature of the loss along its gradient: L(x, g) = g'Hg / |g|^2, the inverse of the best step size along g.

Source: LEGW (arXiv 1901.08256v1), Section 4 and Figure 3; DATE (SC'19), Section 3.2 and Figure 11.
"""

from typing import Literal

import torch

from .probe import Probe, Vector, dot, norm

HessianMethod = Literal["difference", "exact"]
"""The Hessian-vector product: a finite difference of gradients, or double differentiation."""

RELATIVE_STEP = 1e-3
"""Length of the finite-difference step over the norm of the weights.

Larger than for smooth functions. Networks with ReLU and max-pooling have a kink wherever a unit switches; a short step
crosses few of them and weights each by the inverse of its length. Measured with LeNet-5 on 512 images after two epochs:
14.0 to 15.0 for steps of 1e-4 to 3e-2, but 99 at 1e-6 and 853 at 1e-7, in float32 and float64 alike. The second
derivative between the kinks is 14.9.
"""


def lipschitz_constant(
    probe: Probe,
    gradient: Vector | None = None,
    *,
    method: HessianMethod = "difference",
    relative_step: float = RELATIVE_STEP,
) -> float:
    """Return the local Lipschitz constant of the gradient along itself: g'Hg / |g|^2.

    Args:
        probe: the loss, at the weights of interest.
        gradient: g, if already known; None to compute it.
        method: "difference" computes two more gradients; "exact" differentiates twice, which needs more memory and
            ignores kinks.
        relative_step: length of the finite-difference step over the norm of the weights, > 0.

    Returns:
        The curvature L, in units of an inverse learning rate: steepest descent on the loss's quadratic model decreases
        the loss if the learning rate is below 2 / L. Negative if the curvature is negative; NaN if g is 0.

    Differs from the papers, which state neither the finite-difference step nor the batch of g. Here g and H are of the
    same fixed samples, so that values at two batch sizes differ only because the weights do.

    >>> from torch import nn
    >>> model = nn.Linear(1, 1, bias=False)
    >>> pieces = [(torch.tensor([[3.0]]), torch.tensor([[1.0]]))] * 2
    >>> probe = Probe(model, nn.functional.mse_loss, pieces)  # (3 w - 1)^2 has the second derivative 18
    >>> f"{lipschitz_constant(probe):.2f} {lipschitz_constant(probe, method='exact'):.2f}"
    '18.00 18.00'
    """
    g = probe.gradient() if gradient is None else gradient
    squared = dot(g, g)
    if squared == 0:
        return float("nan")
    if method == "exact":
        return dot(g, probe.hessian_times(g)) / squared
    step = relative_step * max(norm(probe.weights), torch.finfo(g[0].dtype).tiny) / norm(g)
    with probe.shifted_weights(g, step):
        ahead = probe.gradient()
    with probe.shifted_weights(g, -step):
        behind = probe.gradient()
    return (dot(g, ahead) - dot(g, behind)) / (2 * step * squared)
