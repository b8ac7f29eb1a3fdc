"""Forecast weak scaling: a model of an update's time from a few workers, and its error against measurements.

An update of P workers takes

    t(P) = c + max(0, s(P) - h c),    s(P) = 2 (P - 1) / P * W / beta + ceil(log2 P) * alpha

with c the seconds of computation, W the words of the gradient, beta the words per second of a link, alpha the seconds
of latency of one step of an all-reduce, and h the fraction of the computation that overlaps with communication. The
first term is that of a bandwidth-optimal all-reduce (Patarasuk and Yuan 2009, J. Parallel Distrib. Comput. 69), the
second that of a tree.
This module must not know how anything was measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ....trainers.weak_scaling import MachineRates, ScalingPoint
from ...energy import modelled_energy

ALL_REDUCE_FACTOR = 2.0
"""Words that a worker sends and receives per word of the gradient, in the limit of many workers."""


NOISE = 1.25
"""Ratio of two measurements of the same work up to which we take their difference for noise."""


def communicated_words(num_words: int, num_workers: int) -> float:
    """Return 2 (P - 1) / P W: the words that each worker communicates to all-reduce a gradient of W words.

    Source: Patarasuk and Yuan (2009), the bandwidth-optimal all-reduce.

    >>> communicated_words(1_000, 4)
    1500.0
    """
    return 2 * (num_workers - 1) / num_workers * num_words


@dataclass(frozen=True, kw_only=True)
class Link:
    """The link between workers, estimated from all-reduces in the largest measured process group.

    Attributes:
        words: beta, words per second of one worker's link.
        latency: alpha, seconds of one step of a small all-reduce.
    """

    words: float
    latency: float

    def sum_seconds(self, num_words: int, num_workers: int) -> float:
        """Return s(P), the seconds to all-reduce a gradient."""
        if num_workers == 1:
            return 0.0
        steps = math.ceil(math.log2(num_workers))
        return communicated_words(num_words, num_workers) / self.words + steps * self.latency


def estimate_link(point: ScalingPoint) -> Link:
    """Estimate the link from a measurement with several workers.

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
    """A model of an update's time.

    Attributes:
        compute_seconds: c, seconds of computation.
        num_words: W, words of the gradient.
        samples_per_worker: local batch size.
        link: alpha and beta.
        hidden: h, the fraction of the computation that overlaps with communication, in [0, 1].
    """

    compute_seconds: float
    num_words: int
    samples_per_worker: int
    link: Link
    hidden: float

    def update_seconds(self, num_workers: int) -> float:
        """Return t(P), in seconds."""
        exchange = self.link.sum_seconds(self.num_words, num_workers)
        return self.compute_seconds + max(0.0, exchange - self.hidden * self.compute_seconds)

    def efficiency(self, num_workers: int) -> float:
        """Return t(1) / t(P), the weak-scaling efficiency."""
        return self.compute_seconds / self.update_seconds(num_workers)

    def samples_per_second(self, num_workers: int) -> float:
        """Return the throughput of all workers."""
        return num_workers * self.samples_per_worker / self.update_seconds(num_workers)


@dataclass(frozen=True, kw_only=True)
class WeakScaling:
    """Measurements on one machine, and what follows from them.

    Attributes:
        points: measurements by ascending number of workers, the first of a single worker.
        rates: peak rates of a worker's device.
        hidden: h of the forecasts.
    """

    points: Sequence[ScalingPoint]
    rates: MachineRates
    hidden: float = 0.0

    @property
    def alone(self) -> ScalingPoint:
        """The measurement of a single worker."""
        return self.points[0]

    @property
    def samples_per_worker(self) -> int:
        """Local batch size."""
        return self.alone.samples

    @property
    def intensity(self) -> float:
        """FLOPs of a sample's forward and backward pass per parameter.

        DATE's computational intensity (Section 5.1) counts the forward pass alone: about a third.
        """
        return self.alone.flops_per_sample / self.alone.num_parameters

    @property
    def flops(self) -> float:
        """FLOP/s of a single worker, forward and backward."""
        return self.alone.flops_per_sample * self.samples_per_worker / self.alone.update_seconds

    @property
    def exchange_energy_share(self) -> float:
        """The share of communication in an update's modelled energy (DATE, Section 4.5)."""
        flops = self.alone.flops_per_sample * self.samples_per_worker
        energy = modelled_energy(flops, self.alone.num_parameters, all_reduce_factor=ALL_REDUCE_FACTOR)
        return energy.communication_joules / energy.joules

    @property
    def contradictions(self) -> tuple[ScalingPoint, ...]:
        """The measurements in which an update took less time than its computation alone, beyond what noise explains.

        A single worker communicates nothing, so that its two times must agree.
        """
        return tuple(
            point
            for point in self.points
            if point.update_seconds < point.apart_seconds / NOISE
            or (point.num_workers == 1 and point.update_seconds > point.apart_seconds * NOISE)
        )

    def efficiency(self, point: ScalingPoint) -> float:
        """Return the measured efficiency: the seconds of a single worker's update over those of this many workers."""
        return self.alone.update_seconds / point.update_seconds

    def forecast(self, *, shares_machine: bool) -> Forecast:
        """Return the model, with the link of the largest measured process group.

        Args:
            shares_machine: whether workers slow each other down as measured; False if each has its own device.
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
        """Return the relative error of the forecast for workers that share the machine, by number of workers."""
        model = self.forecast(shares_machine=True)
        several = [point for point in self.points if point.num_workers > 1]
        return {p.num_workers: model.update_seconds(p.num_workers) / p.update_seconds - 1 for p in several}
