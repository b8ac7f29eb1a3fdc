"""Past trainings in studies: a search of several trials, or one zero-tuned training, and what each comes to.

Pure functions of trainings. This module must not know how arms are judged.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from ..past_trainings.algoperf_benchmark import Benchmark
from ..past_trainings.training import PastTraining
from .benchmark_score import benchmark_scores
from .evidence import best_of_k


@dataclass(frozen=True, kw_only=True)
class PastStudy:
    """The trainings of one arm on one workload that belong together.

    Attributes:
        trainings: those that were recorded.
        num_missing: trainings that other studies of the arm have and this one lacks: they left no evaluation.
    """

    trainings: tuple[PastTraining, ...]
    num_missing: int = 0

    @property
    def chosen(self) -> PastTraining | None:
        """The training with the best validation score; None if none has one."""
        scored = [one for one in self.trainings if one.score is not None]
        return max(scored, key=lambda one: one.sign * (one.score or 0.0), default=None)

    @property
    def test_score(self) -> float | None:
        """Test score of the chosen training."""
        return self.chosen.test_score if self.chosen else None

    @property
    def seconds(self) -> float:
        """Device-seconds of all trainings, as far as they were recorded."""
        return math.fsum(one.seconds or 0.0 for one in self.trainings)

    def seconds_to(self, target: float) -> float:
        """Return the seconds of the first training to reach a validation target, if all run at once."""
        return min((one.seconds_to(target) for one in self.trainings), default=math.inf)

    def reaches(self, target: float) -> bool:
        """Return whether the chosen training reaches a validation target."""
        chosen = self.chosen
        return chosen is not None and chosen.sign * (chosen.score or 0.0) >= chosen.sign * target


Studies = Mapping[str, Sequence[PastStudy]]
"""Studies by workload; their order is that of the study's names, so that the same place is the same name."""


def studies_of(trainings: Iterable[PastTraining], arm: str, workloads: Sequence[str], *, tuned: bool) -> Studies:
    """Return an arm's studies on each workload, also those without a training.

    What the arm's largest study and its number of studies have elsewhere is expected on every workload.
    """
    own = [one for one in trainings if one.arm == arm and one.tuned is tuned]
    names = sorted({one.study for one in own})
    groups: dict[tuple[str, str], list[PastTraining]] = {}
    for one in own:
        groups.setdefault((one.workload, one.study), []).append(one)
    expected = max(map(len, groups.values()), default=0)
    return {
        workload: [
            PastStudy(trainings=found, num_missing=expected - len(found))
            for name in names
            for found in [tuple(groups.get((workload, name), ()))]
        ]
        for workload in workloads
    }


def untrained_score(trainings: Iterable[PastTraining]) -> float | None:
    """Return the median of the first validation scores, about what an untrained model has; None without curves."""
    first = [one.curve[0][1] for one in trainings if one.curve]
    return median(first) if first else None


def expected_best(studies: Iterable[PastStudy], worst: float, cap: float, sign: float) -> tuple[float, ...]:
    """Return the expected best validation score of k = 1..N trials of a study, averaged over studies.

    It is exact: the mean over all subsets of k of a study's trials. Trials need not be exchangeable between studies.

    Args:
        studies: those of one workload; all have the same number of trials, missing ones included.
        worst: score of a trial without one.
        cap: score at which trainings end, so that better ones count as this.
        sign: 1 if higher scores are better, otherwise -1.
    """
    curves = [
        best_of_k(capped_scores(study, worst, cap, sign), higher_is_better=sign > 0)
        for study in studies
        if study.trainings or study.num_missing
    ]
    return tuple(fmean(best) for best in zip(*curves, strict=True))


def capped_scores(study: PastStudy, worst: float, cap: float, sign: float) -> list[float]:
    """Return the validation scores of a study's trials, none better than `cap`, and `worst` for trials without one."""
    scores = [worst if one.score is None else sign * min(sign * one.score, sign * cap) for one in study.trainings]
    return scores + [worst] * study.num_missing


STOPPED_SHARE = 0.9
"""A training whose target is reached in this share of its seconds or later is taken to have been stopped there: curves
have about twelve points."""


def num_stopped(studies: Iterable[PastStudy], target: float) -> tuple[int, int]:
    """Return how many trainings that reached a target ended there, and how many reached it."""
    reached = [
        (one.seconds_to(target), one.seconds)
        for study in studies
        for one in study.trainings
        if one.seconds is not None and one.seconds_to(target) < math.inf
    ]
    return sum(at >= STOPPED_SHARE * seconds for at, seconds in reached), len(reached)


def spread_share(scores: Iterable[float | None]) -> float | None:
    """Return the range of scores as a share of their median; None for fewer than two.

    >>> spread_share([0.5, 0.6, None, 0.5])
    0.19999999999999996
    """
    known = [score for score in scores if score is not None]
    if len(known) < 2 or not (middle := median(known)):
        return None
    return (max(known) - min(known)) / abs(middle)


def scores_by_benchmark(trainings: Sequence[PastTraining], benchmark: Benchmark, *, tuned: bool) -> dict[str, float]:
    """Return the benchmark's score of every arm of a ruleset, from the median time to target of its studies.

    Only workloads that some training was made on count; without one there are no scores.
    """
    workloads = sorted({one.workload for one in trainings} & benchmark.targets.keys())
    if not workloads:
        return {}
    variants = {name: varied for name, varied in benchmark.variants.items() if {name, varied} <= {*workloads}}
    times = {}
    for arm in sorted({one.arm for one in trainings if one.tuned is tuned}):
        studies = studies_of(trainings, arm, workloads, tuned=tuned)
        times[arm] = {
            name: median(study.seconds_to(benchmark.targets[name]) for study in found)
            for name, found in studies.items()
        }
    return benchmark_scores(times, variants)
