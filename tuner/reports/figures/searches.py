"""The searches of a study: which trials belong to which search, and which have a final score.

This module must not know plotly.
"""

from collections.abc import Iterable, Sequence

from ...analysis.comparison import Comparison
from ...analysis.selection import CHOOSABLE, best_trial
from ...analysis.study_facts import StudyFacts
from ...trial import Role, TrialResult, is_score

Search = tuple[str, int]
"""An arm and a batch size."""


def searches(
    facts: StudyFacts, results: Iterable[TrialResult], role: Role = "search"
) -> dict[Search, list[TrialResult]]:
    """Return the trials by arm and batch size, the reference's first, ordered by index.

    The role "repeat" gives the trials of all repeats of a search together.
    """
    found: dict[Search, list[TrialResult]] = {}
    for result in results:
        if result.trial.role == role:
            found.setdefault((result.trial.arm, result.trial.batch_size), []).append(result)
    arms = sorted(facts.arms, key=lambda arm: arm != facts.reference)
    return {
        (arm, size): sorted(found[arm, size], key=lambda result: result.trial.index)
        for size in facts.batch_sizes
        for arm in arms
        if (arm, size) in found
    }


def scored_searches(facts: StudyFacts, results: Iterable[TrialResult]) -> dict[Search, list[TrialResult]]:
    """Return the searches without the trials that have no final score (failed and pruned ones)."""
    scored = [result for result in results if result.status in CHOOSABLE and is_score(result.validation_score)]
    return searches(facts, scored)


def chosen_trial(facts: StudyFacts, arm: str, trials: Iterable[TrialResult]) -> TrialResult | None:
    """Return the trial that an arm's search chooses of all its trials at a batch size; None if none has a score."""
    return best_trial(trials, higher_is_better=facts.higher_is_better, economy=facts.economies.get(arm))


def has_searches(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether a search has two trials with a final score."""
    return any(len(trials) > 1 for trials in scored_searches(comparison.facts, results).values())


def validation_scores(trials: Iterable[TrialResult]) -> list[float]:
    """Return the validation scores of the trials that have one."""
    return [trial.validation_score for trial in trials if is_score(trial.validation_score)]


def scores_without_diverged(trials: Iterable[TrialResult]) -> list[float]:
    """Return the validation scores of trials that did not diverge, to which a score axis is fitted."""
    return validation_scores(trial for trial in trials if trial.status != "diverged")
