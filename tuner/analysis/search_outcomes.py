"""What each search of an arm at a batch size chose: the first one, and its repeats.

**The bill of a model that a search found** is that of one search, on average over those that were confirmed: a user
pays one. The other searches are evidence about the method, as further confirmations are; the ledger bills them all.
Pure functions of results. This module must not know what a choice is compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ...trainers.spec import OptionValue
from ..cost import CURRENCIES, Cost, total_cost
from ..trial import is_score
from .bill import Amounts, amounts_of, fully_measured_joules
from .economy import Economy
from .lost_seeds import Seeds
from .repeated_searches import mean_by_seed
from .runs import Runs
from .selection import best_trial


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """The outcome of one search.

    Attributes:
        repeat: which search of the arm at the batch size it is, from 0.
        cost: cost of its trials.
        params: the hyperparameters that it chose; empty without a choice.
        validation_score: of the chosen trial; None without a choice.
        seeds: the confirmation runs of its choice.
    """

    repeat: int
    cost: Cost
    params: Mapping[str, OptionValue]
    validation_score: float | None
    seeds: Seeds


def search_outcomes(
    runs: Runs, arm: str, batch_size: int, seeds: Seeds, *, higher_is_better: bool, economy: Economy | None = None
) -> tuple[SearchOutcome, ...]:
    """Return the outcomes of an arm's searches, those of its repeats after the first; none for a rule.

    Args:
        runs: the results.
        arm: name of the arm.
        batch_size: samples of an update.
        seeds: the confirmation runs of all its searches.
        higher_is_better: direction of the score.
        economy: how the searches choose by score and cost; None for the score alone.
    """
    confirmed = {runs[0].trial.repeat: runs for runs in runs.confirmations_by_search(arm, batch_size)}
    in_order = dict(zip(confirmed, seeds.of_searches, strict=True))
    found = []
    for repeat, trials in sorted(runs.searches(arm, batch_size).items()):
        best = best_trial(trials, higher_is_better=higher_is_better, economy=economy)
        validation = None if best is None else best.validation_score
        found.append(
            SearchOutcome(
                repeat=repeat,
                cost=total_cost(result.cost for result in trials),
                params={} if best is None else best.trial.params,
                validation_score=validation if is_score(validation) else None,
                seeds=in_order.get(repeat, Seeds()),
            )
        )
    return tuple(found)


def mean_bill(outcomes: Sequence[SearchOutcome]) -> tuple[Amounts, float | None]:
    """Return what one search costs, and its energy by meters, on average over those that were confirmed.

    The energy is None if not all of it was counted. `outcomes` holds at least one; without a confirmed one, the first
    counts.
    """
    billed = [one.cost for one in outcomes if len(one.seeds)] or [outcomes[0].cost]
    amounts = [amounts_of(cost) for cost in billed]
    joules = [found for cost in billed if (found := fully_measured_joules(cost)) is not None]
    mean = {name: sum(one[name] for one in amounts) / len(amounts) for name in CURRENCIES}
    return mean, fmean(joules) if len(joules) == len(billed) else None


def search_spread(outcomes: Sequence[SearchOutcome]) -> float | None:
    """Return the standard deviation of the mean test scores of searches' choices; None with fewer than two sound ones.

    It holds the luck of searching, and what is left of the noise between seeds in a mean over them.
    """
    means = [fmean(mean_by_seed(one.seeds).values()) for one in outcomes if one.seeds.scores]
    return stdev(means) if len(means) > 1 else None
