"""The gradient noise scale: the batch size beyond which larger batches help little, independent of the scaling rule.

Source: McCandlish, Kaplan, Amodei, An Empirical Model of Large-Batch Training (arXiv 1812.06162), Section 2.2 and
Appendix A.1.
"""

from dataclasses import dataclass

from .probe import Probe, Vector, dot, mean


@dataclass(frozen=True, kw_only=True)
class GradientNoise:
    """Unbiased estimates of the variance of a sample's gradient and of the squared norm of its mean.

    Attributes:
        trace: tr(Sigma), the total variance of one sample's gradient.
        squared_norm: |G|^2 of the mean gradient; the estimate can be negative if noise dominates.
    """

    trace: float
    squared_norm: float

    @property
    def scale(self) -> float | None:
        """B_simple = tr(Sigma) / |G|^2 in samples; None if the estimate of |G|^2 is not positive.

        A ratio of unbiased estimates is biased, and its variance is large if it is far above the big batch size.
        """
        return self.trace / self.squared_norm if self.squared_norm > 0 else None


def gradient_noise(
    *, small_batch: int, small_squared_norm: float, big_batch: int, big_squared_norm: float
) -> GradientNoise:
    """Estimate the gradient noise from squared gradient norms at two batch sizes.

    For independent samples E|G_B|^2 = |G|^2 + tr(Sigma) / B; two batch sizes determine both unknowns (Appendix A.1,
    Equations A.2 and A.3).

    Args:
        small_batch: B_small, samples, >= 1.
        small_squared_norm: |G|^2 of a batch of that size, or its mean over several batches.
        big_batch: B_big, samples, > B_small.
        big_squared_norm: |G|^2 of a batch of that size.

    Raises:
        ValueError: the batch sizes are not in this order.

    >>> noise = gradient_noise(small_batch=1, small_squared_norm=5.0, big_batch=4, big_squared_norm=2.0)
    >>> noise.trace, noise.squared_norm, noise.scale
    (4.0, 1.0, 4.0)
    """
    if not 1 <= small_batch < big_batch:
        raise ValueError(f"gradient noise needs 1 <= small_batch < big_batch, got {small_batch} and {big_batch}.")
    squared_norm = (big_batch * big_squared_norm - small_batch * small_squared_norm) / (big_batch - small_batch)
    trace = (small_squared_norm - big_squared_norm) / (1 / small_batch - 1 / big_batch)
    return GradientNoise(trace=trace, squared_norm=squared_norm)


def probe_noise(probe: Probe) -> tuple[Vector, GradientNoise]:
    """Return a probe's gradient, and the noise estimated from its pieces (small batches) and all samples (big batch).

    Costs no more than the gradient. The estimate assumes samples drawn from a large population: if the probe is a large
    part of the data set, it overestimates the variance.
    """
    squared_norms: list[float] = []

    def record(vector: Vector) -> Vector:
        squared_norms.append(dot(vector, vector))
        return vector

    gradient = mean(record(vector) for vector in probe.piece_gradients())
    noise = gradient_noise(
        small_batch=probe.piece_size,
        small_squared_norm=sum(squared_norms) / len(squared_norms),
        big_batch=probe.num_samples,
        big_squared_norm=dot(gradient, gradient),
    )
    return gradient, noise
