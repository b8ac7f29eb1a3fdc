"""The score of a training benchmark from times to target: the area under a performance profile (AlgoPerf).

Pure functions of numbers. Source: scoring/performance_profile.py of mlcommons/submissions_algorithms; Dahl et al.,
Benchmarking Neural Network Training Algorithms (arXiv 2306.07179), Section 4.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

MAX_RATIO = 4.0
"""Times to target beyond this multiple of the fastest count as not reached, and the profile ends here."""

NUM_POINTS = 100
"""Points of the profile between 1 and `MAX_RATIO`, as AlgoPerf's code has them."""


def benchmark_scores(times: Mapping[str, Mapping[str, float]], variants: Mapping[str, str]) -> dict[str, float]:
    """Return each submission's score, from 0 (no target reached) to 1 (the fastest on every workload).

    A submission's time on a workload counts only if it also reaches the target of each of its variants; a time beyond
    `MAX_RATIO` times the fastest, on a workload or a variant, counts as not reached.

    Args:
        times: time to target by submission and workload; infinite, or missing, if the target was not reached.
        variants: the workload that each held-out variant varies.

    >>> scores = benchmark_scores({"a": {"x": 10.0}, "b": {"x": 20.0}, "c": {}}, {})
    >>> [round(score, 2) for score in scores.values()]
    [1.0, 0.67, 0.0]
    """
    workloads = sorted({name for own in times.values() for name in own})
    base = [name for name in workloads if name not in variants]
    counted = {arm: _counted(own, workloads, variants) for arm, own in times.items()}
    for name in workloads:
        fastest = min(own[name] for own in counted.values())
        for own in counted.values():
            own[name] = math.inf if own[name] > MAX_RATIO * fastest else own[name]
    for own in counted.values():
        for variant, varied in variants.items():
            own[varied] = math.inf if own.get(variant) == math.inf else own[varied]
    taus = np.linspace(1.0, MAX_RATIO, NUM_POINTS)
    scores = {}
    for arm, own in counted.items():
        ratios = [own[name] / min(other[name] for other in counted.values()) for name in base if own[name] < math.inf]
        profile = [sum(ratio <= tau for ratio in ratios) / len(base) for tau in taus]
        scores[arm] = float(np.trapezoid(profile, x=taus)) / (MAX_RATIO - 1.0)
    return scores


def _counted(own: Mapping[str, float], workloads: Iterable[str], variants: Mapping[str, str]) -> dict[str, float]:
    """Return a submission's times, that on a variant infinite where the target of its workload was not reached."""
    times = {name: own.get(name, math.inf) for name in workloads}
    return {name: math.inf if times[variants.get(name, name)] == math.inf else time for name, time in times.items()}
