"""Factors of the learning rate that need more than k = B / B0: a stated power, or the noise batch size Bn.

Below the noise batch size a batch's gradients are mostly noise, and a larger batch bears a larger learning rate; above
it more samples hardly change the update. `saturating` follows a line or a root below Bn and levels off above; `surge`
follows the root below Bn and falls above.
Pure maths: this module must not know what is trained, nor where Bn comes from.

From 64 to 512 sequences with a noise batch of 128, where the square root has 2.83 and the line 8:

>>> [f"{saturating_factor(8.0, noise_ratio=2.0, exponent=a):.2f}" for a in (0.5, 1.0)]
['1.55', '2.40']
>>> f"{surge_factor(8.0, noise_ratio=2.0):.2f}"
'0.85'
"""

import math


def power_factor(k: float, *, exponent: float) -> float:
    """Return k^p.

    Args:
        k: B / B0, > 0.
        exponent: p. 0 keeps the learning rate, 1/2 is `sqrt`, 1 is `linear`.

    Source: our own reading of past trainings (docs/language_models.md): the exponent of the best learning rate depends
    on the model, the data and the range of batch sizes.

    >>> power_factor(16.0, exponent=0.25)
    2.0
    """
    _check_positive(k=k)
    return float(k**exponent)


def surge_factor(k: float, *, noise_ratio: float) -> float:
    r"""Return the factor that rises as sqrt(B) below the noise batch size Bn and falls above it.

    With lr(B) proportional to 1 / (sqrt(B/Bn) + sqrt(Bn/B)),

        lr(B) / lr(B0) = (sqrt(B0/Bn) + sqrt(Bn/B0)) / (sqrt(B/Bn) + sqrt(Bn/B)).

    Args:
        k: B / B0, > 0.
        noise_ratio: Bn / B0, > 0.

    Source: Li et al., Surge Phenomenon in Optimal Learning Rate and Batch Size Scaling (arXiv 2405.14578), for Adam.

    From Bn / 4 to Bn, and from Bn / 4 to 4 Bn, where the best learning rate is the same:

    >>> surge_factor(4.0, noise_ratio=4.0), surge_factor(16.0, noise_ratio=4.0)
    (1.25, 1.0)
    """
    _check_positive(k=k, noise_ratio=noise_ratio)
    return (math.sqrt(1 / noise_ratio) + math.sqrt(noise_ratio)) / (
        math.sqrt(k / noise_ratio) + math.sqrt(noise_ratio / k)
    )


def saturating_factor(k: float, *, noise_ratio: float, exponent: float) -> float:
    """Return the factor that rises as B^a far below the noise batch size Bn and is constant far above it.

    With lr(B) proportional to (1 + Bn/B)^-a,

        lr(B) / lr(B0) = ((1 + Bn/B0) / (1 + Bn/B))^a.

    Args:
        k: B / B0, > 0.
        noise_ratio: Bn / B0, > 0.
        exponent: a. 1 for SGD; between 1/2 and 1 for Adam.

    Source: McCandlish et al., An Empirical Model of Large-Batch Training (arXiv 1812.06162), the best step size by
    the noise scale, a = 1.

    From Bn to 3 Bn the learning rate grows from 1/2 to 3/4 of its largest:

    >>> saturating_factor(3.0, noise_ratio=1.0, exponent=1.0)
    1.5
    """
    _check_positive(k=k, noise_ratio=noise_ratio)
    return float(((1 + noise_ratio) / (1 + noise_ratio / k)) ** exponent)


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}")
