"""How curved the loss is along its own gradient: L(x, g) = g'Hg / |g|^2, the inverse of the best step along g.

Source: LEGW (arXiv 1901.08256v1), Section 4 and Figure 3; DATE (SC'19), Section 3.2 and Figure 11.
"""

from typing import Literal

import torch

from .probe import Probe, Vector, dot, norm

HessianMethod = Literal["difference", "exact"]
"""How the Hessian is multiplied: by a finite difference of gradients, or by differentiating twice."""

RELATIVE_STEP = 1e-3
"""Length of the finite difference's step over the norm of the weights.

Not the small step that smooth functions want. A network of ReLU and max-pooling has a kink at every switch of a unit;
a short step meets few of them or none, and weighs each by the inverse of its length. Measured with LeNet-5 on 512
images after two epochs: 14.0 to 15.0 at steps of 1e-4 to 3e-2, but 99 at 1e-6 and 853 at 1e-7, in float32 as in
float64; the second derivative between the kinks is 14.9.
"""


def lipschitz_constant(
    probe: Probe,
    gradient: Vector | None = None,
    *,
    method: HessianMethod = "difference",
    relative_step: float = RELATIVE_STEP,
) -> float:
    """The local Lipschitz constant of the gradient along the gradient: g'Hg / |g|^2.

    Args:
        probe: the loss, at the weights of interest.
        gradient: g, where it is at hand; None to take it here.
        method: "difference" takes two more gradients; "exact" differentiates twice, which needs more memory and does
            not see kinks.
        relative_step: length of the step over the norm of the weights, > 0.

    Returns:
        The curvature, in inverse units of a learning rate: steepest descent on the loss's quadratic model lowers the
        loss while the learning rate is below 2 / L. Negative where the loss curves down; not a number where g is 0.

    Differs from the papers: they do not say how long the difference's step is, nor what batch g is of. Here g and H are
    of the same fixed samples, so that the values of two batch sizes differ by where the weights are, and by nothing
    else.

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
