"""What was measured inside an arm's trainings, and what follows from it: pure values.

This module must not know how a training is measured, nor how a diagnosis is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from statistics import median
from typing import Literal

from ....trainers.diagnostics import LAWS, Fit, HessianMethod, Observation, fit
from ....trainers.spec import TrainConfig, TrainResult
from ...study import Study

LATE_SHARE = 0.2
"""The noise scale of a training is the median over this last part of its observations."""
PeakShift = Literal["later", "earlier", "neither"]
"""How a time changes from each batch size to the next larger one: always up, always down, or neither."""
RISE = 2.0
"""A maximum of the Lipschitz constant counts as a peak if it is above this multiple of the first value."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisQuestion:
    """What to diagnose.

    Attributes:
        arm: name of one of the study's arms, or "baseline".
        batch_sizes: batch sizes to train with, each 1 .. n. A rule takes any, a search only those of the study.
        every: measure before every `every`-th update, from the first on; None to use `points`.
        points: measure before at most `points` updates, evenly spaced in the logarithm of time.
        method: how Hessian-vector products are computed.
    """

    study: Study
    arm: str
    batch_sizes: tuple[int, ...]
    seed: int = 0
    every: int | None = None
    points: int = 50
    method: HessianMethod = "difference"
    data_folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The largest Lipschitz constant observed.

    Attributes:
        iteration: the update that it was measured before.
        epoch: the same in passes over the data.
        value: g'Hg / |g|^2.
        is_inside: whether it is a peak: above `RISE` times the first value, and not the last observation.
    """

    iteration: int
    epoch: float
    value: float
    is_inside: bool


@dataclass(frozen=True, kw_only=True)
class DiagnosedRun:
    """One training on `num_samples` training samples, and its observations in order, at least one."""

    config: TrainConfig
    num_samples: int
    result: TrainResult
    observations: tuple[Observation, ...]

    @property
    def batch_size(self) -> int:
        """B."""
        return self.config.batch_size

    @property
    def iterations(self) -> int:
        """Number of updates."""
        return sum(epoch.iterations for epoch in self.result.epochs)

    def epoch_of(self, iteration: int) -> float:
        """Convert an update to passes over the data."""
        return min(self.config.epochs, iteration * self.batch_size / self.num_samples)

    @property
    def peak(self) -> Peak | None:
        """The largest Lipschitz constant; None if no observation is finite."""
        seen = [o for o in self.observations if isfinite(o.lipschitz)]
        if not seen:
            return None
        top = max(seen, key=lambda o: o.lipschitz)
        rises = top.lipschitz > max(0.0, RISE * seen[0].lipschitz)
        return Peak(
            iteration=top.iteration,
            epoch=self.epoch_of(top.iteration),
            value=top.lipschitz,
            is_inside=rises and top is not seen[-1],
        )

    @property
    def distances(self) -> list[tuple[int, float]]:
        """(number of updates, |w - w_0|), from the first update on."""
        return [(o.iteration - 1, o.distance) for o in self.observations if o.iteration > 1 and isfinite(o.distance)]

    @property
    def fits(self) -> dict[str, Fit]:
        """The fit of each law of time to the distances, by name of the law; impossible fits are left out."""
        times, distances = [t for t, _ in self.distances], [d for _, d in self.distances]
        fits = {law: fit(law, times, distances) for law in LAWS}
        return {law: found for law, found in fits.items() if found is not None}

    @property
    def late_noise_scale(self) -> float | None:
        """The median noise scale of the last observations, in samples; None if it is too large to be estimated.

        The median replaces McCandlish's ratio of means: while the loss still spikes, one large gradient would
        dominate the mean.
        """
        num_late = max(1, round(LATE_SHARE * len(self.observations)))
        late = [o.noise.scale for o in self.observations[-num_late:] if isfinite(o.noise.trace)]
        found = median(inf if scale is None else scale for scale in late) if late else inf
        return found if isfinite(found) else None

    @property
    def loss_gaps(self) -> list[tuple[int, float]]:
        """(epoch, validation loss minus training loss), in nats. The training loss is the mean over the epoch.

        Source: LARS (arXiv 1708.03888), Figure 1.
        """
        return [(epoch.epoch, epoch.validation_loss - epoch.train_loss) for epoch in self.result.epochs]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The answer to a question: one training per batch size, ascending, and notes on the configurations' origin."""

    question: DiagnosisQuestion
    runs: tuple[DiagnosedRun, ...]
    notes: tuple[str, ...]

    @property
    def peak_shift(self) -> dict[Literal["updates", "epochs"], PeakShift] | None:
        """How the peak moves as the batch grows, in updates and in epochs.

        None with fewer than two batch sizes, or if a training shows no peak.
        """
        peaks = [run.peak for run in self.runs]
        inside = [peak for peak in peaks if peak is not None and peak.is_inside]
        if len(inside) < 2 or len(inside) < len(peaks):
            return None
        return {"updates": _move([peak.iteration for peak in inside]), "epochs": _move([peak.epoch for peak in inside])}


def _move(times: Sequence[float]) -> PeakShift:
    pairs = list(pairwise(times))
    if all(one < other for one, other in pairs):
        return "later"
    return "earlier" if all(one > other for one, other in pairs) else "neither"
