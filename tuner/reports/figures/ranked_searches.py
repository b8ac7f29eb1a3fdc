"""The searches whose hyperparameters can be ranked, and what ranks them: configurations and their scores.

This module must not know plotly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ....trainers.spec import OptionValue
from ...analysis.selection import CHOOSABLE
from ...analysis.study_facts import StudyFacts
from ...search.importance import MIN_TRIALS, NUM_BEST, Importance, by_importance, importances, searched_names
from ...study.comprehensive import OPTIMIZER, RULE
from ...study.search_space import Space, is_inside
from ...trial import TrialResult, is_score
from .searches import Search, searches

Values = tuple[tuple[str, OptionValue], ...]


@dataclass(frozen=True, kw_only=True)
class RankedSearch:
    """A search with enough trials to rank its hyperparameters.

    Attributes:
        space: its ranges.
        params: the configurations that it proposed from its ranges, each once.
        scores: their validation scores, means where several seeds trained them; None for a pruned one.
    """

    space: Space
    params: Sequence[dict[str, OptionValue]]
    scores: Sequence[float | None]

    def importances(self, *, higher_is_better: bool) -> dict[str, Importance]:
        """Return the importances of its hyperparameters; it takes a second."""
        return importances(self.space, self.params, self.scores, higher_is_better=higher_is_better)

    def names(self, *, higher_is_better: bool) -> list[str]:
        """Return its hyperparameters, the most important first."""
        return by_importance(self.space, self.params, self.scores, higher_is_better=higher_is_better)


def ranked_searches(facts: StudyFacts, results: Sequence[TrialResult]) -> dict[Search, RankedSearch]:
    """Return the searches over two or more hyperparameters with enough trials, the reference's first.

    Failed trials are left out, and so is what a rule proposed to a search, since no range was searched for it.
    """
    found = {}
    for search, trials in searches(facts, results).items():
        space = facts.spaces.get(search[0], {})
        scores = _scores_by_values(space, trials)
        params = [dict(values) for values in scores]
        means = [fmean(known) if known else None for known in scores.values()]
        num_scored = sum(mean is not None for mean in means)
        if len(params) >= MIN_TRIALS and num_scored >= NUM_BEST and len(searched_names(space, params)) > 1:
            found[search] = RankedSearch(space=space, params=params, scores=means)
    return found


def _scores_by_values(space: Space, trials: Sequence[TrialResult]) -> dict[Values, list[float]]:
    """Return the scores of every configuration within the ranges; none where all its trials were pruned."""
    found: dict[Values, list[float]] = {}
    for result in trials:
        params = result.trial.params
        score = result.validation_score if result.status in CHOOSABLE else None
        is_searched = OPTIMIZER in params or (space and is_inside(space, params))
        if RULE in params or not is_searched or not (is_score(score) or result.status == "pruned"):
            continue
        found.setdefault(tuple(params.items()), []).extend([score] if is_score(score) else [])
    return found
