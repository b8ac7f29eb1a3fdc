"""The gradient noise scale: the batch size beyond which averaging more samples buys little, whatever the rule.

Source: McCandlish, Kaplan, Amodei, An Empirical Model of Large-Batch Training (arXiv 1812.06162), Section 2.2 and
Appendix A.1.
"""

from dataclasses import dataclass

from .probe import Probe, Vector, dot, mean


@dataclass(frozen=True, kw_only=True)
class GradientNoise:
    """Unbiased estimates of how large a sample's gradient scatters, and of the mean that it scatters about.

    Attributes:
        trace: tr(Sigma), the summed variance of one sample's gradient.
        squared_norm: |G|^2 of the mean gradient; an estimate can be below 0 where noise outweighs it.
    """

    trace: float
    squared_norm: float

    @property
    def scale(self) -> float | None:
        """B_simple = tr(Sigma) / |G|^2 in samples; None where the mean gradient is lost in the noise.

        The ratio of two unbiased estimates is not unbiased, and scatters where it is far above the big batch.
        """
        return self.trace / self.squared_norm if self.squared_norm > 0 else None


def gradient_noise(
    *, small_batch: int, small_squared_norm: float, big_batch: int, big_squared_norm: float
) -> GradientNoise:
    """The estimates from the squared norms of gradients of two batch sizes (Appendix A.1, Equations A.2 and A.3).

    E|G_B|^2 = |G|^2 + tr(Sigma) / B, for samples drawn independently; two batch sizes give both unknowns.

    Args:
        small_batch: B_small, samples, >= 1.
        small_squared_norm: |G|^2 of a batch of that size, or the mean over several.
        big_batch: B_big, samples, > B_small.
        big_squared_norm: |G|^2 of a batch of that size.

    Raises:
        ValueError: the batch sizes are not in that order.

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
    """The gradient of a probe, and what its pieces (the small batch) and its whole (the big one) say of the noise.

    Costs no more than the gradient. The probe's samples stand for the distribution that the training samples came from:
    of a data set that the probe is a large part of, the scatter comes out as if there were more of it.
    """
    squared_norms: list[float] = []

    def noted(vector: Vector) -> Vector:
        squared_norms.append(dot(vector, vector))
        return vector

    gradient = mean(noted(vector) for vector in probe.piece_gradients())
    noise = gradient_noise(
        small_batch=probe.piece_size,
        small_squared_norm=sum(squared_norms) / len(squared_norms),
        big_batch=probe.num_samples,
        big_squared_norm=dot(gradient, gradient),
    )
    return gradient, noise
