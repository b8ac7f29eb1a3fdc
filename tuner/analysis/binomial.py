"""The exact statistics of counts: intervals of a share and of a quantile.

`scipy.stats` has both, and takes a second of a core to import: this needs `scipy.special` alone. This module must not
know what is counted.
"""

from .evidence import CONFIDENCE


def share_interval(num_counted: float, number: int) -> tuple[float, float]:
    """Return Clopper and Pearson's exact two-sided interval of a probability at `CONFIDENCE`.

    Args:
        num_counted: how often something was seen, from 0 to `number`; a fraction where it was seen of part of one.
        number: independent observations, at least one.

    Source: Clopper and Pearson, The use of confidence or fiducial limits (Biometrika 26, 1934).

    >>> [round(end, 3) for end in share_interval(1, 3)]
    [0.008, 0.906]
    """
    from scipy import special  # takes a while to import, and is needed only at the end

    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(special.betaincinv(num_counted, number - num_counted + 1, tail)) if num_counted else 0.0
    missed = number - num_counted
    high = float(special.betaincinv(num_counted + 1, missed, 1.0 - tail)) if missed else 1.0
    return low, high


def quantile_places(number: int, quantile: float) -> tuple[int, int]:
    """Return which of sorted values, counted from 0, are the ends of a quantile's exact interval at `CONFIDENCE`.

    Args:
        number: independent values, at least one.
        quantile: between 0 and 1.

    Returns:
        The places of both ends; -1 or `number` where there is no such value.

    Source: David and Nagaraja, Order Statistics (2003), Section 7.1.

    >>> quantile_places(30, 0.5), quantile_places(5, 0.5)
    ((9, 20), (-1, 5))
    """
    import numpy as np
    from scipy import special  # takes a while to import, and is needed only at the end

    tail = (1.0 - CONFIDENCE) / 2.0
    at_most = special.bdtr(np.arange(number + 1), number, quantile)  # P(no more than 0..N of N are below)
    low, high = np.searchsorted(at_most, [tail, 1.0 - tail])
    return int(low) - 1, int(high)
