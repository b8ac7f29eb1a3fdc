"""What searches for score and cost chose, in sentences. This module escapes nothing."""

from ...analysis.comparison import Comparison
from ...analysis.search_fronts import SearchFront
from .costs import Unit, cost_unit
from .format import format_amount, pluralize
from .scores import format_score


def describe_search_fronts(comparison: Comparison) -> tuple[str, ...]:
    """Return a sentence or two for every search for score and cost: its choice, and what its best would have cost."""
    return tuple(_describe(comparison, front) for front in comparison.search_fronts)


def front_unit(comparison: Comparison, front: SearchFront) -> Unit:
    """Return the unit of a front's costs."""
    amounts = [point.cost for point in (*front.front, front.chosen)]
    return cost_unit(front.currency, amounts, tabulated=comparison.tabulated)


def format_tolerance(margin: float) -> str:
    """Format what a choice may give of the best score.

    >>> format_tolerance(0.995)
    '0.5%'
    """
    return f"{100 * (1 - margin):.3g}%"


def _describe(comparison: Comparison, front: SearchFront) -> str:
    facts, unit = comparison.facts, front_unit(comparison, front)

    def amount(cost: float) -> str:
        return f"{format_amount(cost / unit.size)} {unit.label}"

    begin = (
        f"{front.arm} at B={front.batch_size:,} searched for {facts.metric} and {unit.label}: "
        f"{len(front.front)} of {pluralize(front.num_finished, 'finished trial')} on the front, the choice the "
        f"cheapest within {format_tolerance(facts.margin)} of the best validation score"
    )
    chosen, best = front.chosen, front.best
    if chosen.score == best.score:
        return f"{begin}: the best itself, {format_score(best.score, facts.metric)} for {amount(best.cost)}."
    return (
        f"{begin}: {format_score(chosen.score, facts.metric)} for {amount(chosen.cost)}. The best, "
        f"{format_score(best.score, facts.metric)}, cost {amount(best.cost)}."
    )
