"""What was seen of an arm's trainings from inside, and what follows from it: pure values.

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
"""The share of the observations, the last ones, whose median is a training's noise scale."""
PeakShift = Literal["later", "earlier", "neither"]
"""How times change from each batch size to the next larger one: always up, always down, or not always the same."""
RISE = 2.0
"""A maximum of the Lipschitz constant counts as a peak where it is above this multiple of the first value."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisQuestion:
    """What shall be diagnosed.

    Attributes:
        study: the definition.
        arm: name of one of its arms, or "baseline".
        batch_sizes: to train with, each 1 .. n; those of the study or, for a rule, any.
        seed: of every training.
        every: measure before every so many updates, the first included; None for `points`.
        points: measure before that many updates at most, evenly spread over the logarithm of time.
        method: how the Hessian is multiplied.
        data_folder: overrides the study's data folder.
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
    """The largest Lipschitz constant that was seen.

    Attributes:
        iteration: the update it was seen before.
        epoch: that update in passes over the data.
        value: g'Hg / |g|^2.
        is_inside: whether it stands out: above `RISE` times the first value, and not the last one seen.
    """

    iteration: int
    epoch: float
    value: float
    is_inside: bool


@dataclass(frozen=True, kw_only=True)
class DiagnosedRun:
    """One training, and what was seen of it.

    Attributes:
        config: what was trained.
        num_samples: n, training samples.
        result: how it ended.
        observations: in order; at least one.
    """

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
        """Updates made."""
        return sum(epoch.iterations for epoch in self.result.epochs)

    def epoch_of(self, iteration: int) -> float:
        """An update in passes over the data."""
        return min(self.config.epochs, iteration * self.batch_size / self.num_samples)

    @property
    def peak(self) -> Peak | None:
        """The largest Lipschitz constant; None where none is a number."""
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
        """(updates made, |w - w_0|), from the first update on."""
        return [(o.iteration - 1, o.distance) for o in self.observations if o.iteration > 1 and isfinite(o.distance)]

    @property
    def fits(self) -> dict[str, Fit]:
        """The fit of every law of time to the distances, by the law's name; those that cannot be made are left out."""
        times, distances = [t for t, _ in self.distances], [d for _, d in self.distances]
        fits = {law: fit(law, times, distances) for law in LAWS}
        return {law: found for law, found in fits.items() if found is not None}

    @property
    def late_noise_scale(self) -> float | None:
        """The median noise scale of the last observations, in samples; None where it is beyond what they can tell.

        A median, not McCandlish's ratio of means: while the loss still spikes, one large gradient would be the mean.
        """
        num_late = max(1, round(LATE_SHARE * len(self.observations)))
        late = [o.noise.scale for o in self.observations[-num_late:] if isfinite(o.noise.trace)]
        found = median(inf if scale is None else scale for scale in late) if late else inf
        return found if isfinite(found) else None

    @property
    def loss_gaps(self) -> list[tuple[int, float]]:
        """(epoch, validation loss less training loss), in nats; the training loss is the mean over the epoch's updates.

        LARS (arXiv 1708.03888), Figure 1.
        """
        return [(epoch.epoch, epoch.validation_loss - epoch.train_loss) for epoch in self.result.epochs]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The answer to a question: a training a batch size, ascending, and where the configurations came from."""

    question: DiagnosisQuestion
    runs: tuple[DiagnosedRun, ...]
    notes: tuple[str, ...]

    @property
    def peak_shift(self) -> dict[Literal["updates", "epochs"], PeakShift] | None:
        """Where the peak goes as the batch grows, in updates and in epochs.

        None with fewer than two batch sizes, or where a training shows no peak.
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
