"""What became of the searches of a study: their useless trials, and whether one ended early and what that spared.

Pure functions of results. Why a search ended is found from its results again, so that a comparison knows it from a
store alone. This module must not know verdicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ..cost import total_cost
from ..study.stopping import is_look
from ..trial import TrialResult, is_score
from .lost_seeds import Guessing
from .runs import Runs
from .stopping import Tried, chance_to_beat, score_to_beat
from .study_facts import StudyFacts

MOST_USELESS = 0.5
"""Share of useless trials above which a saving against a search would only say how badly it was laid out."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a search ended early.

    Attributes:
        num_planned: trials that it was defined with.
        device_seconds: of the trials that it left out, at the mean of those that it made.
        terminator: name of Optuna's stopping rule that ended it; None if `stop` did.
        arm: the arm that the trials left hardly beat; None for a terminator.
        level: chance below which the search ends; None for a terminator.
        chance: chance that the trials left beat the arm, in [0, 1]; None for a terminator.
        score: mean validation score of the arm; None for a terminator.
    """

    num_planned: int
    device_seconds: float
    terminator: str | None = None
    arm: str | None = None
    level: float | None = None
    chance: float | None = None
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search of an arm at a batch size.

    Attributes:
        num_trials: its trials, without those of its repeats.
        num_whole: trials that were not pruned, of its repeats too: of a pruned one it is not known where it would have
            ended.
        num_useless: those of them that diverged, failed, or validated no better than `useless_from`.
        useless_from: validation score half-way from that of the best arm without a search to guessing's; that of
            guessing where no such arm is better; None where neither is known.
        measure: the arm without a search that `useless_from` rests on; None without one.
        ended: how it ended early; None if it did not.
    """

    arm: str
    batch_size: int
    num_trials: int
    num_whole: int
    num_useless: int
    useless_from: float | None
    measure: str | None
    ended: Ended | None

    @property
    def num_left(self) -> int:
        """Trials that it left out because it ended early."""
        return 0 if self.ended is None else self.ended.num_planned - self.num_trials

    @property
    def is_mostly_useless(self) -> bool:
        """Whether more than `MOST_USELESS` of its whole trials were useless."""
        return self.num_useless > MOST_USELESS * self.num_whole


def searches_of(
    facts: StudyFacts, runs: Runs, untuned: Mapping[tuple[str, int], float], guessing: Guessing
) -> tuple[Search, ...]:
    """Return the searches that have a trial, by batch size and arm.

    Args:
        facts: of the study.
        runs: its results.
        untuned: mean validation scores of arms without a search, by arm and batch size.
        guessing: the score of guessing.
    """
    found: list[Search] = []
    for batch_size in facts.batch_sizes:
        scores = {arm: score for (arm, size), score in untuned.items() if size == batch_size}
        searched = [trials for arm in facts.arms if (trials := runs.of(arm, batch_size, "search"))]
        found += [_search(facts, runs, trials, scores, guessing) for trials in searched]
    return tuple(found)


def _search(
    facts: StudyFacts, runs: Runs, trials: Sequence[TrialResult], untuned: Mapping[str, float], guessing: Guessing
) -> Search:
    arm, batch_size = trials[0].trial.arm, trials[0].trial.batch_size
    measure, limit = _useless_from(untuned, guessing)
    whole = [run for run in (*trials, *runs.of(arm, batch_size, "repeat")) if run.status != "pruned"]
    return Search(
        arm=arm,
        batch_size=batch_size,
        num_trials=len(trials),
        num_whole=len(whole),
        num_useless=sum(_is_useless(run, measure, limit, guessing) for run in whole),
        useless_from=limit,
        measure=measure,
        ended=_ended(facts, runs, trials) if arm in facts.early_ends else None,
    )


def _useless_from(untuned: Mapping[str, float], guessing: Guessing) -> tuple[str | None, float | None]:
    """Return the best arm without a search, and the score half-way from its own to guessing; else guessing's alone."""
    sign = 1.0 if guessing.higher_is_better else -1.0
    best = max(untuned, key=lambda arm: sign * untuned[arm], default=None)
    half = None if best is None else guessing.half_way(untuned[best])
    return (best, half) if half is not None else (None, guessing.score)


def _is_useless(run: TrialResult, measure: str | None, limit: float | None, guessing: Guessing) -> bool:
    score = run.validation_score
    if run.status != "finished" or not is_score(score):
        return True
    if measure is None or limit is None:
        return not guessing.is_better(score)
    return score < limit if guessing.higher_is_better else score > limit


def _ended(facts: StudyFacts, runs: Runs, trials: Sequence[TrialResult]) -> Ended | None:
    """Return how a search ended early; None if it did not, has no confirmed choice yet, or a budget may have ended it.

    The search of an unfinished study has no confirmed choice.
    """
    arm, batch_size = trials[0].trial.arm, trials[0].trial.batch_size
    early = facts.early_ends[arm]
    number, num_left = len(trials), early.trials - len(trials)
    if num_left <= 0 or not runs.confirmations(arm, batch_size):
        return None
    seconds = total_cost(run.cost for run in trials).device_seconds / number * num_left
    if early.arm is not None and early.level is not None and is_look(number, early.every, early.trials):
        confirmed = runs.confirmations(early.arm, batch_size)
        chance, score = _chance(trials, num_left, confirmed, facts)
        if chance < early.level:
            return Ended(
                num_planned=early.trials,
                device_seconds=seconds,
                arm=early.arm,
                level=early.level,
                chance=chance,
                score=score,
            )
    if early.terminator is not None and not early.has_budget and number % early.parallel == 0:
        return Ended(num_planned=early.trials, device_seconds=seconds, terminator=early.terminator)
    return None


def _chance(
    trials: Sequence[TrialResult], num_left: int, confirmed: Sequence[TrialResult], facts: StudyFacts
) -> tuple[float, float | None]:
    """Return the chance that the trials left beat an arm, and its mean validation score; 1 if it is no measure."""
    sign = 1.0 if facts.higher_is_better else -1.0
    limit = score_to_beat(confirmed, margin=facts.margin, sign=sign)
    if limit is None:
        return 1.0, None
    tried = [Tried(params=run.trial.params, score=_oriented(run, sign)) for run in trials]
    scores = [run.validation_score for run in confirmed if run.validation_score is not None]
    return chance_to_beat(tried, num_left, limit), fmean(scores)


def _oriented(run: TrialResult, sign: float) -> float | None:
    """Return a trial's score, larger is better; None if it failed or was pruned."""
    score = run.validation_score
    return sign * score if run.status != "pruned" and is_score(score) else None
