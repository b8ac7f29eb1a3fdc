"""What weak scaling on a few workers says of many: a model of an update's time, and how far it is from measurements.

An update of P workers takes

    t(P) = c + max(0, s(P) - h c),    s(P) = 2 (P - 1) / P * W / beta + ceil(log2 P) * alpha

with c the seconds that computing takes, W the words of the gradient, beta the words a second that a link carries, alpha
the seconds of one small sum's step and h the part of computing that hides a sum that goes on meanwhile. The first term
is a bandwidth-optimal all-reduce's (Patarasuk and Yuan 2009, J. Parallel Distrib. Comput. 69), the second a tree's.
This module must not know how anything was measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ....trainers.weak_scaling import MachineRates, ScalingPoint
from ...energy import modelled_energy

ALL_REDUCE_FACTOR = 2.0
"""Words that a worker of many sends and takes for each of the gradient."""


def communicated_words(num_words: int, num_workers: int) -> float:
    """2 (P - 1) / P W: words that each worker's link carries where a gradient of W words is added up over P workers.

    Source: Patarasuk and Yuan (2009), the bandwidth-optimal all-reduce.

    >>> communicated_words(1_000, 4)
    1500.0
    """
    return 2 * (num_workers - 1) / num_workers * num_words


@dataclass(frozen=True, kw_only=True)
class Link:
    """What connects the workers, as sums of gradients on the largest process group measured show it.

    Attributes:
        words: W / s without latency: words a second that one worker's link carries.
        latency: seconds of one step of a small sum.
    """

    words: float
    latency: float

    def sum_seconds(self, num_words: int, num_workers: int) -> float:
        """s(P): of adding up a gradient."""
        if num_workers == 1:
            return 0.0
        steps = math.ceil(math.log2(num_workers))
        return communicated_words(num_words, num_workers) / self.words + steps * self.latency


def estimate_link(point: ScalingPoint) -> Link:
    """The link that a measurement with several workers shows.

    >>> point = ScalingPoint(num_workers=2, samples=2, update_seconds=1.0, apart_seconds=1.0, sum_seconds=0.3,
    ...     small_sum_seconds=0.1, num_parameters=1000, flops_per_sample=1)
    >>> link = estimate_link(point)
    >>> round(link.words), link.latency, round(link.sum_seconds(1000, 2), 3)
    (5000, 0.1, 0.3)
    """
    num_workers = point.num_workers
    latency = point.small_sum_seconds / math.ceil(math.log2(num_workers))
    carrying = max(1e-9, point.sum_seconds - point.small_sum_seconds)
    return Link(words=communicated_words(point.num_parameters, num_workers) / carrying, latency=latency)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The model of an update's time.

    Attributes:
        compute_seconds: c.
        num_words: W.
        samples_per_worker: of an update.
        link: alpha and beta.
        hidden: h, in [0, 1].
    """

    compute_seconds: float
    num_words: int
    samples_per_worker: int
    link: Link
    hidden: float

    def update_seconds(self, num_workers: int) -> float:
        """t(P)."""
        exchange = self.link.sum_seconds(self.num_words, num_workers)
        return self.compute_seconds + max(0.0, exchange - self.hidden * self.compute_seconds)

    def efficiency(self, num_workers: int) -> float:
        """t(1) / t(P): the part of perfect weak scaling that is left."""
        return self.compute_seconds / self.update_seconds(num_workers)

    def samples_per_second(self, num_workers: int) -> float:
        """Of all workers."""
        return num_workers * self.samples_per_worker / self.update_seconds(num_workers)


@dataclass(frozen=True, kw_only=True)
class WeakScaling:
    """What was measured on one machine, and what follows.

    Attributes:
        points: by the number of workers, ascending, the first of one worker.
        rates: of one worker's device.
        hidden: h of the forecasts.
    """

    points: Sequence[ScalingPoint]
    rates: MachineRates
    hidden: float = 0.0

    @property
    def alone(self) -> ScalingPoint:
        """One worker."""
        return self.points[0]

    @property
    def samples_per_worker(self) -> int:
        """Of an update."""
        return self.alone.samples

    @property
    def intensity(self) -> float:
        """Floating-point operations of a sample's forward and backward pass, over the parameters.

        DATE's computational intensity (Section 5.1) counts the forward pass alone: about a third.
        """
        return self.alone.flops_per_sample / self.alone.num_parameters

    @property
    def flops(self) -> float:
        """Floating-point operations a second of one worker alone, forward and backward."""
        return self.alone.flops_per_sample * self.samples_per_worker / self.alone.update_seconds

    @property
    def exchange_energy_share(self) -> float:
        """The part of an update's modelled energy that its exchange takes (DATE, Section 4.5)."""
        flops = self.alone.flops_per_sample * self.samples_per_worker
        energy = modelled_energy(flops, self.alone.num_parameters, all_reduce_factor=ALL_REDUCE_FACTOR)
        return energy.communication_joules / energy.joules

    def efficiency(self, point: ScalingPoint) -> float:
        """Measured: the seconds of one worker over those of so many, each with the same share."""
        return self.alone.update_seconds / point.update_seconds

    def forecast(self, *, shares_machine: bool) -> Forecast:
        """The model, with the link of the largest process group measured.

        Args:
            shares_machine: whether a worker computes as slowly as beside the others of that process group, or as alone.
        """
        largest = self.points[-1]
        seconds = largest.apart_seconds if shares_machine else self.alone.update_seconds
        return Forecast(
            compute_seconds=seconds,
            num_words=largest.num_parameters,
            samples_per_worker=self.samples_per_worker,
            link=estimate_link(largest),
            hidden=self.hidden,
        )

    def errors(self) -> dict[int, float]:
        """How far the model of workers that share the machine is from the updates measured, as a part of these."""
        model = self.forecast(shares_machine=True)
        several = [point for point in self.points if point.num_workers > 1]
        return {p.num_workers: model.update_seconds(p.num_workers) / p.update_seconds - 1 for p in several}
