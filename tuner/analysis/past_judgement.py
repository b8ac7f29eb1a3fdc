"""Judge arms that were trained without tuning against a tuned one, from trainings that others made.

On a workload, studies are the replicates: a study of the reference is a search, of which the training with the best
validation score is chosen and judged by its own test score; a study of a zero-tuned arm is one training. They are
paired by their place, which is arbitrary but fixed beforehand: the differences of independent pairs are what Student's
t and the sign test ask for. Scores become shares of the reference's median on the workload, so that all comparisons of
an answer share one level (Holm), as in a study.

Over workloads, families of workloads are the replicates (a workload and its variants are one family), and the families
are a choice of the benchmark, not a sample of all workloads: the pooled verdict speaks of workloads like these.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from ..past_trainings.algoperf_benchmark import BENCHMARKS, Benchmark
from ..past_trainings.training import PastTraining
from .evidence import trials_to_reach
from .lost_seeds import Guessing, Loss, Seeds
from .past_studies import (
    PastStudy,
    capped_scores,
    expected_best,
    num_stopped,
    scores_by_benchmark,
    spread_share,
    studies_of,
    untrained_score,
)
from .verdict import Contest, Verdict, Yardstick, judge, tolerated_loss

MARGIN = 0.995
"""Share of the reference's score that still counts as kept, unless another is asked for."""


@dataclass(frozen=True, kw_only=True)
class PastArm:
    """An arm's studies on a workload, and what they come to.

    Attributes:
        studies: its studies.
        seeds: their test scores as shares of the reference's median, by their place; lost ones and why.
        reached: studies that reach the target.
        seconds_to_target: median over studies; infinite if half of them or more do not reach it.
        bill: device-seconds of a study on average, as far as recorded.
        luck: range of the studies' test scores as a share of their median; None for fewer than two.
        num_stopped: trainings that ended when they reached the target.
        num_at_target: trainings that reached it.
    """

    studies: Sequence[PastStudy]
    seeds: Seeds
    reached: int
    seconds_to_target: float
    bill: float
    luck: float | None
    num_stopped: int
    num_at_target: int

    @property
    def seconds_per_success(self) -> float | None:
        """Device-seconds of all studies over the studies that reach the target; None if none does."""
        return self.bill * len(self.studies) / self.reached if self.reached else None

    @property
    def test_scores(self) -> tuple[float | None, ...]:
        """Test score of each study."""
        return tuple(study.test_score for study in self.studies)


@dataclass(frozen=True, kw_only=True)
class WorkloadFinding:
    """A zero-tuned arm and the reference on a workload.

    Attributes:
        workload: its name.
        metric: name of the score.
        higher_is_better: direction of the score.
        target: validation score to reach.
        is_stated: whether the benchmark states the target; else it is the reference's median best.
        zero: the zero-tuned arm.
        tuned: the reference.
        level: the zero-tuned arm's mean validation score, none better than the target.
        best_of_k: expected best validation score of k = 1..N trials of the reference, none better than the target.
        trials_to_match: K*, the fewest trials whose expected best is within the margin of `level`; None if N are not
            enough.
        verdict: the verdict.
    """

    workload: str
    metric: str
    higher_is_better: bool
    target: float
    is_stated: bool
    zero: PastArm
    tuned: PastArm
    level: float
    best_of_k: tuple[float, ...]
    trials_to_match: int | None
    verdict: Verdict

    @property
    def saved(self) -> float | None:
        """Share of the search's device-seconds that one zero-tuned training saves; None if nothing was recorded."""
        return 1.0 - self.zero.bill / self.tuned.bill if self.tuned.bill and self.zero.bill else None


@dataclass(frozen=True, kw_only=True)
class ArmFinding:
    """A zero-tuned arm over all workloads.

    Attributes:
        arm: its name.
        workloads: the finding on each workload.
        pooled: the verdict over families of workloads.
        benchmark_score: the benchmark's score, computed from these trainings; None without a benchmark.
    """

    arm: str
    workloads: tuple[WorkloadFinding, ...]
    pooled: Verdict
    benchmark_score: float | None

    @property
    def num_lost(self) -> int:
        """Trainings that were lost, over all workloads."""
        return sum(len(one.zero.seeds.lost) for one in self.workloads)

    @property
    def num_trainings(self) -> int:
        """Trainings that the arm should have, over all workloads."""
        return sum(len(one.zero.seeds) for one in self.workloads)

    @property
    def spared(self) -> tuple[WorkloadFinding, ...]:
        """Workloads on which the arm spares tuning."""
        return tuple(one for one in self.workloads if one.verdict.spares_tuning)

    @property
    def saved(self) -> float | None:
        """Share of device-seconds saved where the arm spares tuning, over all such workloads; None without a record."""
        billed = [one for one in self.spared if one.saved is not None]
        searches = math.fsum(one.tuned.bill for one in billed)
        return 1.0 - math.fsum(one.zero.bill for one in billed) / searches if searches else None


@dataclass(frozen=True, kw_only=True)
class PastAnswer:
    """The answer of a collection of trainings.

    Attributes:
        collection: its name.
        reference: the tuned arm that zero-tuned ones are judged against.
        margin: share of the reference's score that counts as kept.
        num_trials: trials of a study of the reference.
        num_studies: studies of the reference on a workload.
        arms: the zero-tuned arms, the best by the benchmark's score first.
        families: family of each workload.
        benchmark: what the benchmark states; None if it is not known.
        tuned_scores: the benchmark's score of every tuned arm, computed from these trainings.
        zero_scores: the same of every zero-tuned arm.
    """

    collection: str
    reference: str
    margin: float
    num_trials: int
    num_studies: int
    arms: tuple[ArmFinding, ...]
    families: Mapping[str, str]
    benchmark: Benchmark | None
    tuned_scores: Mapping[str, float]
    zero_scores: Mapping[str, float]

    @property
    def tuned_name(self) -> str:
        """The reference's name, marked where an arm that was not tuned has the same."""
        return f"{self.reference} (tuned)" if any(arm.arm == self.reference for arm in self.arms) else self.reference


def judge_past(
    trainings: Sequence[PastTraining], collection: str, *, reference: str, arms: Sequence[str], margin: float = MARGIN
) -> PastAnswer:
    """Judge zero-tuned arms of a collection against one of its tuned arms.

    Args:
        trainings: all trainings that were read.
        collection: the collection whose trainings count.
        reference: a tuned arm; the workloads are those that it was trained on and the benchmark counts.
        arms: zero-tuned arms, at least one.
        margin: share of the reference's score that counts as kept, in (0, 1].
    """
    own = [one for one in trainings if one.collection == collection]
    benchmark = BENCHMARKS.get(collection)
    tuned_names = {one.workload for one in own if one.tuned and one.arm == reference}
    workloads = sorted((tuned_names & benchmark.targets.keys() if benchmark else set()) or tuned_names)
    families = {name: benchmark.family(name) if benchmark else name for name in workloads}
    tuned = studies_of(own, reference, workloads, tuned=True)
    yardstick = Yardstick(
        guessing=Guessing(score=None, metric="share of the reference's score", higher_is_better=True),
        margin=margin,
        baseline=Seeds(),
    )
    pairs = {
        (arm, place): _pair(own, name, studies[name], tuned[name], benchmark)
        for arm in arms
        for studies in [studies_of(own, arm, workloads, tuned=False)]
        for place, name in enumerate(workloads)
    }
    verdicts = judge(
        {key: Contest(arm=zero.seeds, reference=other.seeds) for key, (zero, other, _, _) in pairs.items()}, yardstick
    )
    tuned_scores, zero_scores = (
        scores_by_benchmark(own, benchmark, tuned=is_tuned) if benchmark else {} for is_tuned in (True, False)
    )
    findings = {
        arm: tuple(
            _finding(own, name, pairs[arm, place], verdicts[arm, place], margin) for place, name in enumerate(workloads)
        )
        for arm in arms
    }
    pooled = judge({(arm, 0): _pooled_contest(found, families) for arm, found in findings.items()}, yardstick)
    ranked = sorted(arms, key=lambda arm: (-zero_scores.get(arm, 0.0), arm))
    return PastAnswer(
        collection=collection,
        reference=reference,
        margin=margin,
        num_trials=max((len(s.trainings) + s.num_missing for found in tuned.values() for s in found), default=0),
        num_studies=max(map(len, tuned.values()), default=0),
        arms=tuple(
            ArmFinding(arm=arm, workloads=findings[arm], pooled=pooled[arm, 0], benchmark_score=zero_scores.get(arm))
            for arm in ranked
        ),
        families=families,
        benchmark=benchmark,
        tuned_scores=tuned_scores,
        zero_scores=zero_scores,
    )


def default_reference(trainings: Sequence[PastTraining], collection: str) -> str | None:
    """Return the tuned arm with the best benchmark score, which only validation decides; None without a benchmark."""
    benchmark = BENCHMARKS.get(collection)
    if benchmark is None:
        return None
    own = [one for one in trainings if one.collection == collection]
    scores = scores_by_benchmark(own, benchmark, tuned=True)
    return max(sorted(scores), key=lambda arm: scores[arm], default=None)


_Pair = tuple[PastArm, PastArm, float, bool]
"""The zero-tuned arm, the reference, the target, and whether it is stated."""


def _pair(
    trainings: Sequence[PastTraining],
    workload: str,
    zero: Sequence[PastStudy],
    tuned: Sequence[PastStudy],
    benchmark: Benchmark | None,
) -> _Pair:
    one = next(training for study in tuned for training in study.trainings)
    best = [study.chosen.score for study in tuned if study.chosen and study.chosen.score is not None]
    stated = benchmark.targets.get(workload) if benchmark else None
    target = stated if stated is not None else median(best) if best else math.inf * one.sign
    tests = [score for study in tuned if (score := study.test_score) is not None]
    level = median(tests) if tests else None
    untrained = untrained_score(other for other in trainings if other.workload == workload)
    guessing = Guessing(score=untrained, metric=one.metric, higher_is_better=one.higher_is_better)
    half_way = None if level is None else guessing.half_way(level)
    learned = level is not None and guessing.is_better(level)
    tuned_arm = _arm(tuned, level, half_way if learned else math.inf * one.sign, target)
    return _arm(zero, level, half_way, target), tuned_arm, target, stated is not None


def _arm(studies: Sequence[PastStudy], level: float | None, half_way: float | None, target: float) -> PastArm:
    """Return what an arm's studies come to, as shares of the reference's median `level` where it has one."""
    scores: dict[int, float] = {}
    lost: dict[int, Loss] = {}
    for place, study in enumerate(studies, start=1):
        chosen, score = study.chosen, study.test_score
        if chosen is None or score is None:
            lost[place] = "failed"
        elif half_way is not None and chosen.sign * score < chosen.sign * half_way:
            lost[place] = "half-way"
        else:
            scores[place] = 1.0 if level is None else 1.0 + chosen.sign * (score - level) / (abs(level) or 1.0)
    stopped, at_target = num_stopped(studies, target)
    return PastArm(
        luck=spread_share(study.test_score for study in studies),
        num_stopped=stopped,
        num_at_target=at_target,
        studies=studies,
        seeds=Seeds(scores=scores, lost=lost),
        reached=sum(study.reaches(target) for study in studies),
        seconds_to_target=median(study.seconds_to(target) for study in studies) if studies else math.inf,
        bill=fmean(study.seconds for study in studies) if studies else 0.0,
    )


def _finding(
    trainings: Sequence[PastTraining], workload: str, pair: _Pair, verdict: Verdict, margin: float
) -> WorkloadFinding:
    zero, tuned, target, is_stated = pair
    here = [one for one in trainings if one.workload == workload]
    sign, metric = here[0].sign, here[0].metric
    scores = [one.score for one in here if one.score is not None]
    untrained = untrained_score(here)
    worst = untrained if untrained is not None else min(scores, key=lambda score: sign * score, default=0.0)
    level = fmean(score for study in zero.studies for score in capped_scores(study, worst, target, sign))
    curve = expected_best(tuned.studies, worst, target, sign)
    enough = level - sign * tolerated_loss(margin, level)
    return WorkloadFinding(
        workload=workload,
        metric=metric,
        higher_is_better=sign > 0,
        target=target,
        is_stated=is_stated,
        zero=zero,
        tuned=tuned,
        level=level,
        best_of_k=curve,
        trials_to_match=trials_to_reach(curve, enough, higher_is_better=sign > 0),
        verdict=verdict,
    )


def _pooled_contest(findings: Sequence[WorkloadFinding], families: Mapping[str, str]) -> Contest:
    names = sorted({families[one.workload] for one in findings})
    arms = []
    for is_zero in (True, False):
        scores: dict[int, float] = {}
        lost: dict[int, Loss] = {}
        for place, family in enumerate(names, start=1):
            found = [(one.zero if is_zero else one.tuned).seeds for one in findings if families[one.workload] == family]
            if any(seeds.lost for seeds in found):
                lost[place] = "half-way"
            else:
                scores[place] = fmean(fmean(seeds.scores.values()) for seeds in found)
        arms.append(Seeds(scores=scores, lost=lost))
    return Contest(arm=arms[0], reference=arms[1])
