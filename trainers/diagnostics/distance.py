"""Distance of the weights from their initial values, and its growth over time.

Source: LIMIT (arXiv 2006.08517), Section 4.2 and Figures 11 and 12, after Hoffer, Hubara and Soudry (arXiv 1705.08741):
a random walk in a random potential grows like log t ("ultra-slow diffusion"), in a flat potential like sqrt t.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import correlation, linear_regression
from typing import Final

import torch
from torch import Tensor

LAWS: Final[Mapping[str, Callable[[float], float]]] = {"log t": math.log, "sqrt t": math.sqrt}
"""Growth laws by name, functions of the number of updates t."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """distance = intercept + slope x law(t), by least squares.

    Attributes:
        law: a name in `LAWS`.
        intercept: distance at law(t) = 0.
        slope: distance per unit of the law.
        r_squared: fraction of the distances' variance that the fit explains, in [0, 1].
    """

    law: str
    intercept: float
    slope: float
    r_squared: float

    def at(self, updates: float) -> float:
        """Return the fitted distance after a number of updates, >= 1."""
        return self.intercept + self.slope * LAWS[self.law](updates)


def fit(law: str, updates: Sequence[float], distances: Sequence[float]) -> Fit | None:
    """Fit a growth law to distances.

    All pairs have equal weight, so R^2 depends on their times: compare laws only on the same pairs.

    Args:
        law: a name in `LAWS`.
        updates: t, each >= 1.
        distances: |w_t - w_0|, one per t.

    Returns:
        The fit; None if there are fewer than three pairs, or if all times or all distances are equal.

    >>> found = fit("log t", [1, 10, 100], [2.0, 3.0, 4.0])
    >>> f"{found.intercept:.3f} {found.slope * math.log(10):.3f} {found.r_squared:.3f}"
    '2.000 1.000 1.000'
    """
    if len(updates) < 3 or len(set(updates)) == 1 or len(set(distances)) == 1:
        return None
    times = [LAWS[law](t) for t in updates]
    slope, intercept = linear_regression(times, distances)
    return Fit(law=law, intercept=intercept, slope=slope, r_squared=correlation(times, distances) ** 2)


def distance(weights: Sequence[Tensor], start: Sequence[Tensor]) -> float:
    """Return the Euclidean distance |w - w_0| over all tensors.

    >>> distance([torch.tensor([3.0]), torch.tensor([[4.0]])], [torch.zeros(1), torch.zeros(1, 1)])
    5.0
    """
    moved = torch._foreach_sub(list(weights), list(start))
    return float(torch.stack(torch._foreach_norm(moved, 2, dtype=torch.float64)).norm())
